internal import Engine
internal import Glibc
internal import LinuxSyscalls
internal import SystemPackage

/// The user namespace in which an ordinary user is root, with the mount namespace that belongs to it. Both live as long as a process is in
/// them, and containers' shims are: a daemon that comes after joins them, since it would not see the containers' mounts otherwise.
struct OwnNamespaces {
    let execRoot: FilePath
    /// `KEY=value` each.
    let environment: [String]

    private static let helperTimeoutMilliseconds: Int32 = 10_000
    private static let reportLimitBytes = 4096

    /// Makes the calling process root of its own namespaces. It must have one thread.
    /// - Returns: what there is to warn of.
    /// - Throws: `StartError` for the machine's root, and where this machine gives ordinary users no namespaces.
    func enter() throws -> [String] {
        if effectiveUserID() == 0 {
            // Root of a user namespace already, as in a container.
            if !isInInitialUserNamespace() { return [] }
            throw StartError("--rootless is for ordinary users: root starts apusd without it")
        }
        try makeExecRoot()
        if try join() { return try warnings(missing: nil) }
        let missing = try make()
        try mark()
        return try warnings(missing: missing)
    }

    private func makeExecRoot() throws {
        do throws(SyscallError) { try makeDirectories(execRoot, mode: 0o711) } catch {
            throw StartError("--rootless: \(error): set XDG_RUNTIME_DIR to a folder that is yours, or name one with --exec-root")
        }
    }

    // MARK: - Joining

    /// What is noted of the namespaces, by the kernel's own names of them.
    private var note: FilePath { execRoot.appending("namespaces") }

    private static func names(of process: String) throws(SyscallError) -> String {
        let user = try readSymbolicLink(FilePath("/proc/\(process)/ns/user"))
        let mount = try readSymbolicLink(FilePath("/proc/\(process)/ns/mnt"))
        return "\(user) \(mount)\n"
    }

    /// Joins the namespaces of the former daemon's shims. - Returns: false where nobody is in them any more.
    private func join() throws -> Bool {
        guard let bytes = try? readFile(note, limitBytes: Self.reportLimitBytes) else { return false }
        let wanted = String(decoding: bytes, as: UTF8.self)
        let folder = try openFile("/proc", [.readOnly, .directory])
        for name in try directoryEntries(of: folder, subject: "/proc").map(\.name.string) where Int32(name) != nil {
            // Others' processes may not be looked at, and any may end meanwhile.
            guard (try? Self.names(of: name)) == wanted, isMarked(name) else { continue }
            if try join(name) { return true }
        }
        return false
    }

    /// The kernel gives a namespace's number again to a later one, which has not our mount in it.
    private func isMarked(_ process: String) -> Bool {
        let table = (try? mountTable(FilePath("/proc/\(process)/mountinfo"))) ?? []
        return table.contains { $0.mountPoint == execRoot.string }
    }

    private func join(_ process: String) throws -> Bool {
        let directory = try workingDirectory()
        guard let user = try? openFile(FilePath("/proc/\(process)/ns/user"), .readOnly),
            let mount = try? openFile(FilePath("/proc/\(process)/ns/mnt"), .readOnly)
        else { return false }
        do throws(SyscallError) {
            try joinNamespace(user, .user, subject: "the user namespace of process \(process)")
            try joinNamespace(mount, .mount, subject: "the mount namespace of process \(process)")
            // The kernel leads whoever comes to the root.
            try changeDirectory(directory)
        } catch { throw StartError("--rootless: join the namespaces of the containers that run: \(error)") }
        return true
    }

    // MARK: - Making

    /// - Returns: why only the user's own id has a meaning; nil where there are more.
    private func make() throws -> String? {
        let (user, group) = (effectiveUserID(), effectiveGroupID())
        let name = try userName(of: user, in: "/etc/passwd")
        let names = Set([String(user), name].compactMap { $0 })
        let users = try SubordinateIDs.read("/etc/subuid", of: names)
        let groups = try SubordinateIDs.read("/etc/subgid", of: names)
        let executables = try Executables(environment: environment)
        let (first, second) = (executables.find("newuidmap"), executables.find("newgidmap"))
        let called = name ?? String(user)
        guard !users.blocks.isEmpty, !groups.blocks.isEmpty else {
            try makeSingle(user, group)
            return "/etc/\(users.blocks.isEmpty ? "subuid" : "subgid") gives \(called) no ids "
                + "(\"sudo usermod --add-subuids 100000-165535 --add-subgids 100000-165535 \(called)\" does)"
        }
        guard let first, let second else {
            try makeSingle(user, group)
            return "\(first == nil ? "newuidmap" : "newgidmap") is not on PATH (Debian: uidmap)"
        }
        try makeMapped([(first, users.words(own: user)), (second, groups.words(own: group))])
        return nil
    }

    private func unshare() throws {
        do throws(SyscallError) { try unshareNamespaces([.user, .mount], subject: "user and mount namespace") } catch {
            throw StartError(
                "--rootless: \(error): this machine lets ordinary users make no user namespaces; see /proc/sys/user/max_user_namespaces, "
                    + "and where they are there kernel.unprivileged_userns_clone and kernel.apparmor_restrict_unprivileged_userns")
        }
    }

    /// An ordinary user may map their own ids alone, and only after giving up setgroups(2).
    private func makeSingle(_ user: UInt32, _ group: UInt32) throws {
        try unshare()
        do throws(SyscallError) {
            for (name, text) in [("setgroups", "deny"), ("uid_map", "0 \(user) 1"), ("gid_map", "0 \(group) 1")] {
                let file = try openFile(FilePath("/proc/self/\(name)"), .writeOnly)
                try writeAll(Array(text.utf8), to: file.number, subject: name)
            }
        } catch { throw StartError("--rootless: map the user's own ids: \(error)") }
    }

    /// The helpers must run outside the namespace that they map: a child that stays there waits until it is made, and starts them.
    private func makeMapped(_ helpers: [(program: FilePath, words: [String])]) throws {
        let own = processID()
        let made = try Pipe()
        let report = try Pipe()
        switch try cloneProcess() {
        case .child:
            Self.map(own, helpers, made, report)
        case .parent(let mapper):
            let child = mapper.process
            let failure: (any Error)?
            do {
                try unshare()
                failure = nil
            } catch { failure = error }
            // Without a byte the child ends.
            if failure == nil { try writeAll([1], to: made.writeEnd.number, subject: "newuidmap") } else { _ = made.takeReadEnd() }
            let exit = try waitForExit(ofChild: child, orKillAfterMilliseconds: 2 * Self.helperTimeoutMilliseconds + 1_000)
            if let failure { throw failure }
            if exit == .exited(0) { return }
            let output = report.takeReadEnd()
            let words = String(decoding: try readChunk(output.number, limitBytes: Self.reportLimitBytes), as: UTF8.self)
            throw StartError("--rootless: \(words.isEmpty ? "newuidmap and newgidmap did not end in time" : words)")
        }
    }

    /// In the child, which ends here.
    private static func map(
        _ process: Int32, _ helpers: [(program: FilePath, words: [String])], _ made: consuming Pipe, _ report: borrowing Pipe
    ) {
        let wait = made.takeReadEnd()
        guard (try? readChunk(wait.number, limitBytes: 1)) == [1] else { exitAtOnce(1) }
        for (program, words) in helpers {
            let problem: String?
            do throws(SyscallError) {
                let errors = try makeMemoryFile(named: "errors")
                let null = try openFile("/dev/null", .readWrite)
                let helper = try spawnProcess(
                    program, arguments: [program.string, String(process)] + words, environment: [], input: null.number,
                    output: errors.number, error: errors.number)
                let exit = try waitForExit(ofChild: helper, orKillAfterMilliseconds: helperTimeoutMilliseconds)
                try rewindFile(errors.number)
                let said = String(decoding: try readChunk(errors.number, limitBytes: reportLimitBytes / 2), as: UTF8.self)
                let end = exit.map { "status \($0.shellStatus)" } ?? "no end in time"
                problem = exit == .exited(0) ? nil : "\(program) \(words.joined(separator: " ")): \(end): \(said.filter { !$0.isNewline })"
            } catch { problem = "\(program): \(error)" }
            if let problem {
                try? writeAll(Array(problem.utf8), to: report.writeEnd.number, subject: "a report")
                exitAtOnce(1)
            }
        }
        exitAtOnce(0)
    }

    /// Notes which namespaces these are. The mount tells them from later ones of the same numbers.
    private func mark() throws {
        do throws(SyscallError) {
            try mount(execRoot.string, onto: execRoot, flags: [.bind, .recursive])
            try writeAll(Array(try Self.names(of: "self").utf8), toFile: note)
        } catch { throw StartError("--rootless: note the namespaces: \(error)") }
    }

    private func warnings(missing: String?) throws -> [String] {
        guard let missing else { return [] }
        return [
            "Running in rootless-mode with one id: \(missing). Images whose files have other owners cannot be unpacked, and no process "
                + "becomes another user than root"
        ]
    }
}
