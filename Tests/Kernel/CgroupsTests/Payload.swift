import Cgroups
import CoreTypes
import Glibc
import LinuxSyscalls
import OCISpec
import SystemPackage
import Testing

/// A process that waits for a line on its standard input and then runs a shell command.
final class Payload {
    let process: Int32
    private var isReaped = false
    private var start: Int32

    init(_ command: String) throws {
        let pipe = try Pipe()
        process = try spawnProcess(
            "/bin/busybox", arguments: ["sh", "-c", "read line; \(command)"], environment: ["PATH=/bin:/usr/bin"],
            input: pipe.readEnd.number)
        start = try pipe.writeEnd.duplicate().release()
    }

    /// Lets the command begin.
    func go() throws { try writeAll(Array("go\n".utf8), to: start) }

    /// Waits for the end, at most 20 s.
    func end() throws -> ProcessExit {
        let deadline = monotonicNanoseconds() + 20_000_000_000
        while monotonicNanoseconds() < deadline {
            if let exit = try waitForExit(.process(process), block: false)?.exit {
                isReaped = true
                return exit
            }
            rest(nanoseconds: 500_000)
        }
        throw Unexpected("process \(process) did not end")
    }

    /// The one-letter state of proc_pid_stat(5).
    var state: Character? {
        guard let text = try? String(decoding: readFile(FilePath("/proc/\(process)/stat"), limitBytes: 4096), as: UTF8.self) else {
            return nil
        }
        return text.split(separator: ")").last?.dropFirst().first
    }

    var cgroups: String {
        (try? String(decoding: readFile(FilePath("/proc/\(process)/cgroup"), limitBytes: 65_536), as: UTF8.self)) ?? ""
    }

    deinit {
        close(start)
        if !isReaped {
            kill(process, SIGKILL)
            _ = try? waitForExit(.process(process))
        }
    }
}

struct Unexpected: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}

let isRoot = effectiveUserID() == 0

/// A name of this test process's own for the cgroups of one test.
func ownPath(_ test: String) throws -> CgroupPath {
    try CgroupPath("/apus-test-\(getpid())-\(test)", container: ContainerID("unused"))
}

/// What is left of cgroups with this name, in any hierarchy.
func remains(_ test: String) throws -> [String] {
    let name = "apus-test-\(getpid())-\(test)"
    var places = ["/sys/fs/cgroup"]
    let top = try openFile("/sys/fs/cgroup", [.readOnly, .directory])
    for entry in try directoryEntries(of: top) where entry.type == .directory { places.append("/sys/fs/cgroup/\(entry.name)") }
    return places.map { "\($0)/\(name)" }.filter(isThere)
}

func isThere(_ path: String) -> Bool { (try? checkAccess(path, mode: F_OK)) != nil }

/// Makes a cgroup, lends it, and removes it with whatever is left in it.
func withCgroup(_ test: String, _ resources: LinuxResources? = nil, _ body: (Cgroup) throws -> Void) throws {
    let cgroup = try Cgroup.create(ownPath(test), resources: resources)
    defer {
        try? cgroup.killAll()
        do { try cgroup.delete() } catch { Issue.record(error) }
    }
    try body(cgroup)
}

extension Cgroup {
    func file(_ name: String) throws -> String {
        for place in record.places {
            let path = FilePath("\(place.directory)/\(name)")
            if let bytes = try? readFile(path, limitBytes: 65_536) { return String(decoding: bytes, as: UTF8.self).trimmingLineBreak }
        }
        throw Unexpected("no hierarchy has \(name)")
    }
}

extension String {
    var trimmingLineBreak: String { hasSuffix("\n") ? String(dropLast()) : self }
}
