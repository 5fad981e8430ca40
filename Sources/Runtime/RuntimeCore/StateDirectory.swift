internal import CoreTypes
internal import Glibc
internal import LinuxSyscalls
internal import OCISpec
package import SystemPackage

/// The directory under which every container has its own, `--root`.
package struct StateRoot: Sendable {
    package let path: FilePath

    package init(_ path: FilePath) { self.path = path }

    /// The names in it that could be containers, sorted; none where it does not exist yet.
    package func containerNames() throws(RuntimeError) -> [String] {
        do throws(SyscallError) {
            let directory = try openFile(path, [.readOnly, .directory])
            return try directoryEntries(of: directory, subject: path.string).filter { $0.type == .directory || $0.type == nil }
                .map(\.name.string).sorted()
        } catch {
            if error.errno == ENOENT { return [] }
            throw RuntimeError(doing: "listing containers", error)
        }
    }
}

/// One container's directory of state: 0700, with the record, a copy of the configuration, and the socket on which init waits for `start`.
package struct StateDirectory: ~Copyable {
    package let path: FilePath
    let descriptor: OwnedFD

    /// A copy of config.json as it was at creation: later changes must not affect the container.
    static let configurationName = "config.json"
    /// Where init waits for `start`; gone once the program runs.
    static let gateName = "start.sock"
    static let lockTimeoutNanoseconds: Int64 = 2_000_000_000

    /// Makes the directory of a new container and locks it: from here on `delete -f` has something to find.
    /// - Throws: `alreadyExists`, `invalidArgument` for an id that is no name.
    package static func make(in root: StateRoot, id: String) throws(RuntimeError) -> StateDirectory {
        let path = try pathOfContainer(id, in: root)
        do throws(SyscallError) {
            do throws(SyscallError) { try makeDirectory(path, mode: 0o700) } catch {
                guard error.errno == ENOENT else { throw error }
                // What holds the root may be a daemon's, too, whose socket and containers others pass by.
                try makeDirectories(root.path, mode: 0o700, parentMode: 0o711)
                try makeDirectory(path, mode: 0o700)
            }
        } catch {
            if error.errno == EEXIST { throw nameTaken }
            throw RuntimeError(doing: "making the state directory", error)
        }
        do throws(RuntimeError) { return try taken(path, id: id) } catch {
            // Empty it is still, unless somebody else has it by now, who takes it away or keeps what is in it.
            if error.code != .busy && error.code != .alreadyExists { try? removeDirectory(path) }
            throw error
        }
    }

    /// Opens and locks the directory that was just made.
    private static func taken(_ path: FilePath, id: String) throws(RuntimeError) -> StateDirectory {
        let directory = try StateDirectory(opening: path)
        // Whoever looks at a container that has no record yet holds the lock for a moment; `delete -f` takes what it finds away.
        guard try directory.lockSoon(), try directory.isThere() else { throw RuntimeError(.busy, "container \(id) is being deleted") }
        // Ours may have gone before it was opened, and this one be another's that is whole.
        if directory.has(ContainerRecord.fileName) { throw nameTaken }
        return directory
    }

    /// - Throws: `alreadyExists` where the id is a container's.
    static func requireUnused(_ id: String, in root: StateRoot) throws(RuntimeError) {
        let path = try pathOfContainer(id, in: root)
        if (try? fileStatus(path)) != nil { throw nameTaken }
    }

    /// Opens the directory of an existing container.
    /// - Throws: `notFound`, `invalidArgument` for an id that is no name.
    package static func open(in root: StateRoot, id: String) throws(RuntimeError) -> StateDirectory {
        try StateDirectory(opening: pathOfContainer(id, in: root))
    }

    private init(opening path: FilePath) throws(RuntimeError) {
        self.path = path
        do { descriptor = try openFile(path, [.readOnly, .directory, .noFollow]) } catch {
            if error.errno == ENOENT { throw Self.notFound }
            throw RuntimeError(doing: "opening the state directory", error)
        }
    }

    private static func pathOfContainer(_ id: String, in root: StateRoot) throws(RuntimeError) -> FilePath {
        try check(id)
        return FilePath("\(root.path)/\(id)")
    }

    /// - Throws: `invalidArgument` for an id that is no single, safe file name.
    static func check(_ id: String) throws(RuntimeError) {
        do { _ = try ContainerID(id) } catch { throw RuntimeError(.invalidArgument, error.description) }
    }

    /// Makes this process, until it ends or closes the directory, the only one to create or delete the container.
    /// - Throws: `notFound` where whoever held the lock deleted it; `busy` where nobody let go of it.
    func lock(timeoutNanoseconds: Int64 = lockTimeoutNanoseconds) throws(RuntimeError) {
        let isOurs = try lockSoon(timeoutNanoseconds: timeoutNanoseconds)
        // Who deletes a container tells its hooks after the directory has gone, which may take them long.
        guard try isThere() else { throw Self.notFound }
        if !isOurs { throw RuntimeError(.busy, "container \(name) is being created or deleted by another process") }
    }

    /// Another descriptor of the same directory, without the lock that this one has: that goes when this one is closed.
    func reopened() throws(RuntimeError) -> StateDirectory { try StateDirectory(opening: path) }

    /// Whether the path still leads here: the container may have been deleted since, and another one made of the same name.
    func isThere() throws(RuntimeError) -> Bool {
        try during("looking at the state directory") { () throws(SyscallError) in
            let own = try fileStatus(of: descriptor.number, subject: path.string).inode
            do throws(SyscallError) { return try fileStatus(path).inode == own } catch  where error.errno == ENOENT { return false }
        }
    }

    private var name: String { path.lastComponent?.string ?? "" }

    static let notFound = RuntimeError(.notFound, "container does not exist")
    private static let nameTaken = RuntimeError(.alreadyExists, "container with given ID already exists")

    /// Waits for the lock as long as a runtime that was killed may take to leave nothing of itself, its half-made init included; no longer
    /// than the directory is there.
    func lockSoon(timeoutNanoseconds: Int64 = lockTimeoutNanoseconds) throws(RuntimeError) -> Bool {
        let deadline = monotonicNanoseconds() + timeoutNanoseconds
        while true {
            // Looked at first: whoever stood still until then tries once more.
            let isLast = monotonicNanoseconds() > deadline
            if try tryLock() { return true }
            guard !isLast, try isThere() else { return false }
            rest(nanoseconds: 1_000_000)
        }
    }

    /// Whether this process, until it ends, is the only one to create or delete the container.
    func tryLock() throws(RuntimeError) -> Bool {
        try during("locking the state directory") { () throws(SyscallError) in try tryLockFile(descriptor, subject: path.string) }
    }

    /// Writes a new file. Nothing is flushed to a device: the state does not outlive the machine's uptime.
    func write(_ bytes: [UInt8], to name: String) throws(RuntimeError) {
        try during("writing \(name)") { () throws(SyscallError) in
            let file = try openFile(FilePath(name), [.writeOnly, .create, .exclusive, .noFollow], mode: 0o600, at: descriptor.number)
            try writeAll(bytes, to: file.number, subject: name)
        }
    }

    /// Writes a file anew, of which nothing tells in between: for what has had no effect yet.
    func replace(_ name: String, by bytes: [UInt8]) throws(RuntimeError) {
        try remove(name)
        try write(bytes, to: name)
    }

    /// A file's contents, nil where it does not exist.
    func read(_ name: String, limitBytes: Int) throws(RuntimeError) -> [UInt8]? {
        do { return try readFile(FilePath(name), limitBytes: limitBytes, at: descriptor.number) } catch {
            if error.errno == ENOENT { return nil }
            throw RuntimeError(doing: "reading \(name)", error)
        }
    }

    func has(_ name: String) -> Bool { (try? fileStatus(FilePath(name), at: descriptor.number)) != nil }

    /// Removes a file; one that is gone already is no error.
    func remove(_ name: String) throws(RuntimeError) {
        do { try removeFile(FilePath(name), at: descriptor.number) } catch  where error.errno == ENOENT {} catch {
            throw RuntimeError(doing: "removing \(name)", error)
        }
    }

    /// The record; nil where creation was cut off before it was written.
    func readRecord() throws(RuntimeError) -> ContainerRecord? {
        guard let bytes = try readWhole(ContainerRecord.fileName) else { return nil }
        var record = try ContainerRecord.decode(bytes)
        record.initProcess = try readWhole(ContainerRecord.initFileName).map(ContainerRecord.Init.decode)
        if record.initProcess?.hasOwnTime == true, !record.ownNamespaces.contains(.time) { record.ownNamespaces.append(.time) }
        return record
    }

    /// A document's bytes; nil where it does not exist, or has no end because the runtime was killed while writing it: before the first
    /// effect in one case, before init was let go in the other.
    private func readWhole(_ name: String) throws(RuntimeError) -> [UInt8]? {
        guard let bytes = try read(name, limitBytes: ContainerRecord.limitBytes), bytes.last == UInt8(ascii: "}") else { return nil }
        return bytes
    }

    /// Removes the directory and all in it: the last act of a container's life.
    func removeAll() throws(RuntimeError) {
        let doing = "removing the state directory"
        // `start` takes its socket away meanwhile.
        for entry in try during(doing, { () throws(SyscallError) in try directoryEntries(of: descriptor, subject: path.string) }) {
            try remove(entry.name.string)
        }
        do throws(SyscallError) { try removeDirectory(path) } catch  where error.errno == ENOENT {} catch {
            throw RuntimeError(doing: doing, error)
        }
    }
}
