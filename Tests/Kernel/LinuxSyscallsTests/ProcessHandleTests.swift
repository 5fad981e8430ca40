import LinuxSyscalls
import SystemPackage
import Testing

@Suite("Holds on processes")
struct ProcessHandleTests {
    private static let (kill, noSuchProcess): (Int32, Int32) = (9, 3)

    private func sleeper() throws -> Int32 { try spawnProcess("/bin/sleep", arguments: ["sleep", "600"], environment: []) }

    /// From a process that lives to one that nobody remembers.
    private func follow(_ handle: borrowing ProcessHandle) throws {
        #expect(try !handle.hasEnded() && handle.reap() == nil)
        #expect(try handle.waitForEnd(timeoutMilliseconds: 0).isEmpty)
        try handle.signal(Self.kill)
        #expect(try handle.waitForEnd(timeoutMilliseconds: 30_000) == [0])
        #expect(try handle.hasEnded())
        #expect(try handle.reap() == .signalled(Self.kill))
        #expect(try handle.hasEnded() && handle.reap() == nil)
        var refusal: SyscallError?
        do throws(SyscallError) { try handle.signal(Self.kill) } catch { refusal = error }
        #expect(refusal?.errno == Self.noSuchProcess)
    }

    @Test("a child by its pidfd, by its directory and by its number lives, ends and is reaped alike")
    func means() throws {
        try follow(ProcessHandle(sleeper()))
        try follow(ProcessHandle(byDirectoryOf: sleeper()))
        try follow(ProcessHandle(unheldChild: sleeper()))
    }

    @Test("what can be read meanwhile ends the wait, and nobody is a process that has gone")
    func descriptors() throws {
        let pipe = try Pipe()
        let process = try sleeper()
        let handle = try ProcessHandle(byDirectoryOf: process)
        #expect(try handle.waitForEnd(orReadable: [pipe.readEnd.number], timeoutMilliseconds: 1).isEmpty)
        try writeAll([1], to: pipe.writeEnd.number)
        #expect(try handle.waitForEnd(orReadable: [pipe.readEnd.number], timeoutMilliseconds: 30_000) == [1])
        try handle.signal(Self.kill)
        _ = try waitForExit(.process(process))
        #expect(try handle.waitForEnd(orReadable: [pipe.readEnd.number]) == [0, 1])
        #expect(throws: SyscallError("open", "process \(process)", errno: Self.noSuchProcess)) {
            _ = try ProcessHandle(byDirectoryOf: process).process
        }
    }

    @Test(
        "a status line tells the end, but of a leader whose threads go on",
        arguments: [
            ("S", 1, false), ("Z", 1, true), ("Z", 0, true), ("Z", 2, false), ("X", 1, true), ("R", 4, false),
        ])
    func statusLines(state: String, threads: Int, hasEnded: Bool) {
        let line = "7 (a ) Z b) \(state) 1 1 1 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 \(threads) 0 123 4 5"
        #expect(processHasEnded(statusLine: Array(line.utf8)) == hasEnded)
    }
}
