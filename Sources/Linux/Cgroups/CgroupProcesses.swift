internal import Glibc
internal import LinuxSyscalls
internal import SystemPackage

extension Cgroup {
    /// How long freezing may take before it is given up.
    package static let freezeTimeoutNanoseconds: Int64 = 2_000_000_000

    /// The processes in this cgroup and those below it, in no particular order, each once.
    package func processes() throws(CgroupError) -> [Int32] {
        try doing("list the processes of cgroup \(record.places.first?.directory ?? "")") { () throws(SyscallError) in
            try listedProcesses().sorted()
        }
    }

    private func listedProcesses() throws(SyscallError) -> Set<Int32> {
        var found: Set<Int32> = []
        try listingLeaf?.collectProcesses(into: &found)
        return found
    }

    /// Stops every process of this cgroup where it is, and waits until all are stopped.
    /// - Throws: `timedOut`, with everything running again, when some would not stop; `unavailable` without a freezer.
    package func freeze(timeoutNanoseconds: Int64 = freezeTimeoutNanoseconds) throws(CgroupError) {
        guard let place = record.places.first else {
            throw CgroupError(.unavailable, doing: "freeze the container's processes", reason: "the container has no cgroup of its own")
        }
        let what = "freeze cgroup \(place.directory)"
        guard let freezer else { throw CgroupError(.unavailable, doing: what, reason: "there is no freezer") }
        let isFrozen = try doing(what) { () throws(SyscallError) in try freezer.freeze(nanoseconds: timeoutNanoseconds) }
        if isFrozen { return }
        try thaw()
        throw CgroupError(.timedOut, doing: what, reason: "some processes did not stop in \(timeoutNanoseconds / 1_000_000) ms")
    }

    /// Lets the processes of this cgroup go on.
    package func thaw() throws(CgroupError) {
        guard let freezer else { return }
        try doing("thaw cgroup \(record.places.first?.directory ?? "")") { () throws(SyscallError) in try freezer.thaw() }
    }

    /// Lets the processes of this cgroup and of all below it die, whoever stopped them: on v1 what is frozen does not, and a container that
    /// may write there can freeze parts of itself. On v2 it does. What is not frozen is not written to.
    package func thawAll() throws(CgroupError) {
        guard let freezer else { return }
        try doing("thaw cgroup \(record.places.first?.directory ?? "") and those below") { () throws(SyscallError) in
            try freezer.letDie()
            guard case .legacy(let leaf) = freezer else { return }
            try leaf.visitDescendants(entered: { (child) throws(SyscallError) in try Freezer.legacy(child).letDie() })
        }
    }

    /// Whether the processes of this cgroup are stopped, or being stopped.
    package func isFrozen() throws(CgroupError) -> Bool {
        guard let freezer else { return false }
        return try doing("read the freezer of cgroup \(record.places.first?.directory ?? "")") { () throws(SyscallError) in
            try freezer.isFrozen()
        }
    }

    /// Sends SIGKILL to every process of this cgroup and of those below, so that none escapes by forking.
    package func killAll() throws(CgroupError) {
        if let unified = unifiedLeaf {
            do throws(SyscallError) {
                // Linux 5.14; atomic.
                try unified.write("1", to: "cgroup.kill")
                if record.mode == .unified { return }
            } catch {
                if !error.isOfRemovedCgroup { throw CgroupError(doing: "kill cgroup \(unified.path)", cause: error) }
            }
        }
        if try processes().isEmpty { return }
        // What is frozen cannot fork away between listing and killing. Without a freezer the rounds must do.
        let isFrozen = (try? freeze()) != nil
        for _ in 0..<(isFrozen ? 1 : 16) {
            let wasAnyThere = try signalListed(SIGKILL)
            // Nobody who has had the signal freezes anything any more.
            try thawAll()
            if !wasAnyThere { break }
        }
        if isFrozen && legacyLeaf(.freezer) == nil { try thaw() }
    }

    /// Sends a signal to every process of this cgroup and of those below; those that end meanwhile have had theirs.
    package func signalAll(_ signal: Int32) throws(CgroupError) { _ = try signalListed(signal) }

    /// Sends a signal by descriptors, never to a number that may have become another's meanwhile: who is listed after a descriptor of it was
    /// opened, and still lives when the signal comes, is who was meant.
    /// - Returns: whether there was any process.
    private func signalListed(_ signal: Int32) throws(CgroupError) -> Bool {
        let found = try processes()
        for start in stride(from: 0, to: found.count, by: Self.descriptorsAtOnce) {
            try doing("signal cgroup \(record.places.first?.directory ?? "")") { () throws(SyscallError) in
                var opened: [OpenedProcess] = []
                for process in found[start...].prefix(Self.descriptorsAtOnce) {
                    do throws(SyscallError) { opened.append(OpenedProcess(try ProcessHandle(process))) } catch {
                        if error.errno != ESRCH { throw error }
                    }
                }
                let listed = try listedProcesses()
                for process in opened where listed.contains(process.handle.process) {
                    do throws(SyscallError) {
                        try process.handle.signal(signal, subject: "process \(process.handle.process)")
                    } catch {
                        if error.errno != ESRCH { throw error }
                    }
                }
            }
        }
        return !found.isEmpty
    }

    /// Well below the limit of descriptors that most callers have.
    private static let descriptorsAtOnce = 256

    private final class OpenedProcess {
        let handle: ProcessHandle

        init(_ handle: consuming ProcessHandle) { self.handle = handle }
    }

    /// A hierarchy in which to look for processes: v1's where there are any, for those of v2 can be left by a container
    /// that may write there.
    private var listingLeaf: CgroupDirectory? {
        for controller in [CgroupController.freezer, .devices, .pids, .memory] {
            if let leaf = legacyLeaf(controller) { return leaf }
        }
        return unifiedLeaf ?? branches.lazy.compactMap(\.leaf).first
    }

    private var freezer: Freezer? {
        if let leaf = legacyLeaf(.freezer) { return .legacy(leaf) }
        return unifiedLeaf.map { .unified($0) }
    }
}

/// What stops processes.
private enum Freezer {
    case legacy(CgroupDirectory)
    case unified(CgroupDirectory)

    /// - Returns: false when some were not stopped after so much waiting.
    func freeze(nanoseconds: Int64) throws(SyscallError) -> Bool {
        var wait = BackOff(nanoseconds: nanoseconds)
        switch self {
        case .legacy(let leaf):
            try leaf.write("FROZEN", to: "freezer.state")
            var round = 0
            while try leaf.read("freezer.state") != "FROZEN" {
                if !wait.rest() { return false }
                round += 1
                // A process that forks while being frozen can leave the whole in FREEZING for good: begin again.
                if round % 32 == 0 {
                    try leaf.write("THAWED", to: "freezer.state")
                    try leaf.write("FROZEN", to: "freezer.state")
                }
            }
        case .unified(let leaf):
            try leaf.write("1", to: "cgroup.freeze")
            while try flatValues(leaf.read("cgroup.events"))["frozen"] != 1 {
                if !wait.rest() { return false }
            }
        }
        return true
    }

    /// In a cgroup that was removed meanwhile nobody is left to be stopped.
    func thaw() throws(SyscallError) {
        do throws(SyscallError) {
            switch self {
            case .legacy(let leaf): try leaf.write("THAWED", to: "freezer.state")
            case .unified(let leaf): try leaf.write("0", to: "cgroup.freeze")
            }
        } catch  where error.isOfRemovedCgroup {}
    }

    /// Thaws what is frozen, where that keeps it from dying.
    func letDie() throws(SyscallError) { if case .legacy = self, try isFrozen() { try thaw() } }

    /// Whether processes are stopped; false in a cgroup that was removed meanwhile.
    func isFrozen() throws(SyscallError) -> Bool {
        do throws(SyscallError) {
            switch self {
            case .legacy(let leaf): return try leaf.read("freezer.state") != "THAWED"
            case .unified(let leaf): return try leaf.read("cgroup.freeze") == "1"
            }
        } catch  where error.isOfRemovedCgroup { return false }
    }
}

extension SyscallError {
    /// Whether a control file is not there because its cgroup is not: it had gone before the file was opened, or went before it was used.
    var isOfRemovedCgroup: Bool { errno == ENOENT || errno == ENODEV }
}

/// Waits a little longer each time, from 50 µs to 2 ms, until the waits add up to a time: while the machine keeps the caller from running, nothing
/// is tried. By the clock it ends after ten times that, however long each attempt takes.
struct BackOff {
    private let deadline: Int64
    private var leftNanoseconds: Int64
    private var pauseNanoseconds: Int64 = 50_000

    init(nanoseconds: Int64) {
        deadline = monotonicNanoseconds() + 10 * nanoseconds
        leftNanoseconds = nanoseconds
    }

    /// - Returns: false when the time is used up, without having waited.
    mutating func rest() -> Bool {
        if leftNanoseconds <= 0 || monotonicNanoseconds() >= deadline { return false }
        LinuxSyscalls.rest(nanoseconds: pauseNanoseconds)
        leftNanoseconds -= pauseNanoseconds
        pauseNanoseconds = min(pauseNanoseconds * 2, 2_000_000)
        return true
    }
}

extension CgroupDirectory {
    /// Adds the processes of this cgroup and of all below it.
    func collectProcesses(into found: inout Set<Int32>) throws(SyscallError) {
        try collectOwnProcesses(into: &found)
        try visitDescendants(entered: { (child) throws(SyscallError) in try child.collectOwnProcesses(into: &found) })
    }

    private func collectOwnProcesses(into found: inout Set<Int32>) throws(SyscallError) {
        do throws(SyscallError) {
            for line in try read("cgroup.procs").split(separator: "\n") {
                if let process = Int32(line), process > 0 { found.insert(process) }
            }
        } catch {
            // Of a threaded cgroup the one above lists the processes.
            if !error.isOfRemovedCgroup && error.errno != EOPNOTSUPP { throw error }
        }
    }

    /// Visits the cgroups below, however deep a container has nested them, with one of them open at a time: no cgroup ever gets another
    /// parent, so that `..` leads back. Those that go meanwhile are passed over.
    /// - Parameters:
    ///   - entered: gets each before those below it.
    ///   - left: gets the parent and the name of each after those below it.
    func visitDescendants(
        entered: (CgroupDirectory) throws(SyscallError) -> Void = { _ in },
        left: (CgroupDirectory, FilePath) throws(SyscallError) -> Void = { _, _ in }
    ) throws(SyscallError) {
        var current = self
        // The names from here to `current`, and for each level those that are still to be visited.
        var way: [FilePath] = []
        var waiting = [try childNames()]
        while let level = waiting.indices.last {
            if let name = waiting[level].popLast() {
                do throws(SyscallError) { current = try current.open(name) } catch  where error.errno == ENOENT { continue }
                way.append(name)
                try entered(current)
                waiting.append(try current.childNames())
            } else {
                waiting.removeLast()
                guard let name = way.popLast() else { return }
                current = way.isEmpty ? self : try current.open("..")
                try left(current, name)
            }
        }
    }

    /// A cgroup beside which no path is kept: that of a deep one would be copied at each level.
    private func open(_ name: FilePath) throws(SyscallError) -> CgroupDirectory {
        CgroupDirectory(descriptor: try openFile(name, [.path, .directory, .noFollow], at: number), path: path)
    }

    /// The cgroups directly below; their names may be any bytes.
    private func childNames() throws(SyscallError) -> [FilePath] {
        let listing: OwnedFD
        do throws(SyscallError) { listing = try openFile(".", [.readOnly, .directory], at: number) } catch {
            if error.errno == ENOENT { return [] }
            throw error
        }
        // Without children the directory has two links: spares reading the names of a hundred control files.
        if try fileStatus(of: number, subject: path.string).linkCount == 2 { return [] }
        return try directoryEntries(of: listing, subject: path.string).filter { $0.type == .directory }.map(\.name)
    }
}
