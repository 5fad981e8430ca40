internal import Archive
internal import CoreTypes
package import EngineAPI
internal import LinuxSyscalls
internal import OCISpec
internal import SystemPackage

/// Files in and out of containers.
extension ContainerEngine {
    /// `HEAD /containers/{id}/archive`: what lies at a path.
    package func statContainerPath(_ name: String, path: String) async throws(EngineError) -> ContainerPathStat {
        let container = try container(name)
        let place = TreePath(path)
        return try await container.withRoot(writable: false) { root throws(EngineError) in
            try finding(path, in: name) { () throws(SyscallError) in try root.description(of: place) }
        }
    }

    /// `GET /containers/{id}/archive`: a file or a directory, with all in it, as a tar.
    /// - Parameter write: takes the archive chunk by chunk; the next one waits for it.
    /// - Parameter begin: told what lies there before the first chunk.
    package func readContainerArchive(
        _ name: String, path: String, begin: @escaping @Sendable (ContainerPathStat) async throws -> Void,
        to write: @escaping @Sendable ([UInt8]) async throws -> Void
    ) async throws {
        let container = try container(name)
        let place = TreePath(path)
        try await container.writeTree(
            begin: { root throws(EngineError) in
                try finding(path, in: name) { () throws(SyscallError) in try root.description(of: place) }
            }, told: begin, to: write
        ) { root, writer throws(ArchiveError) in
            let found: TreeFinding
            do throws(SyscallError) { found = try root.find(place) } catch {
                throw ArchiveError(.system, doing: "read", subject: path, cause: error)
            }
            // The contents of a directory have no name to go by. The root's is empty, so that names begin with a slash: docker's client puts
            // the target's before it.
            let archived = place.meansContents ? "." : place.clean == "/" ? "" : place.name
            try writer.add(found.name, in: found.directory, as: Array(archived.utf8))
        }
        await container.tell("archive-path")
    }

    /// `GET /containers/{id}/export`: the whole tree as a tar.
    package func exportContainer(_ name: String, to write: @escaping @Sendable ([UInt8]) async throws -> Void) async throws {
        let container = try container(name)
        try await container.writeTree(alone: true, begin: { _ in }, told: { _ in }, to: write) { root, writer throws(ArchiveError) in
            let directory: OwnedFD
            do throws(SyscallError) { directory = try openFile(".", [.readOnly, .directory], at: root.file.number) } catch {
                throw ArchiveError(.system, doing: "read", subject: "/", cause: error)
            }
            try writer.addContents(of: directory)
        }
        await container.tell("export")
    }

    /// `PUT /containers/{id}/archive`: unpacks a tar, plain, gzip or zstd, into a directory.
    /// - Parameter body: the archive's next bytes; nil is its end.
    package func writeContainerArchive(
        _ name: String, path: String, keepsKinds: Bool, asUser: Bool, body: @escaping @Sendable () async throws -> [UInt8]?
    ) async throws {
        let container = try container(name)
        let place = TreePath(path)
        try await container.checkWritable(place)
        let owner = asUser ? try await container.owner() : nil
        try await ArchiveTransfer.receive(body) { pipe in
            try await container.unpack(pipe) { root throws(EngineError) in
                let found = try finding(path, in: name) { () throws(SyscallError) in try root.openedDirectory(place) }
                guard found else { throw EngineError(.invalidParameter, "extraction point is not a directory") }
                do throws(ArchiveError) {
                    let file: OwnedFD
                    do throws(SyscallError) { file = try root.file.duplicate() } catch {
                        throw ArchiveError(.system, doing: "unpack", subject: path, cause: error)
                    }
                    try TreeApplier(replacesKinds: !keepsKinds, owner: owner, shift: root.shift, limits: .layer).apply(
                        pipe, onto: file, at: FilePath(place.clean))
                } catch { throw EngineError(unpacking: error) }
            }
        }
        await container.tell("extract-to-dir")
    }
}

extension ContainerRoot {
    /// What lies at a path, and where a link that lies there leads.
    func description(of place: TreePath) throws(SyscallError) -> ContainerPathStat {
        let found = try find(place)
        var answer = ContainerPathStat()
        answer.name = place.name
        answer.size = found.status.sizeBytes
        answer.mode = found.status.goMode
        answer.modified = Timestamp(seconds: found.status.modified.seconds, nanoseconds: Int32(clamping: found.status.modified.nanoseconds))
        if found.status.type == .symbolicLink { answer.linkTarget = try resolved(place) }
        return answer
    }

    /// Whether a path leads to a directory. - Throws: ENOENT and its like.
    func openedDirectory(_ place: TreePath) throws(SyscallError) -> Bool {
        let found = try openInRoot(FilePath(place.clean), .path, root: file)
        return try fileStatus(of: found.number, subject: place.clean).type == .directory
    }
}

extension FileStatus {
    /// The mode as Go's `os.FileMode` has it, which Docker's documents show.
    var goMode: UInt32 {
        var bits = mode & 0o777
        if mode & 0o4000 != 0 { bits |= 1 << 23 }
        if mode & 0o2000 != 0 { bits |= 1 << 22 }
        if mode & 0o1000 != 0 { bits |= 1 << 20 }
        switch type {
        case .directory: bits |= 1 << 31
        case .symbolicLink: bits |= 1 << 27
        case .blockDevice: bits |= 1 << 26
        case .characterDevice: bits |= 1 << 26 | 1 << 21
        case .pipe: bits |= 1 << 25
        case .socket: bits |= 1 << 24
        case .regular, nil: break
        }
        return bits
    }
}

/// Runs kernel calls for a path of a container; what is not there is told in Docker's words.
private func finding<Value: ~Copyable>(
    _ path: String, in name: String, _ body: () throws(SyscallError) -> Value
) throws(EngineError) -> Value {
    do throws(SyscallError) { return try body() } catch {
        switch Errno(rawValue: error.errno) {
        case .noSuchFileOrDirectory: throw EngineError(.notFound, "Could not find the file \(path) in container \(name)", cause: error)
        case .notDirectory: throw EngineError(.invalidParameter, "\(path): not a directory", cause: error)
        default: throw EngineError(.invalidParameter, "\(path): \(error)", cause: error)
        }
    }
}

extension EngineError {
    /// Why an archive could not be unpacked: its own fault, mostly.
    init(unpacking error: ArchiveError) {
        switch error.code {
        case .system:
            let isReadOnly = error.cause?.errno == Errno.readOnlyFileSystem.rawValue
            self.init(isReadOnly ? .forbidden : .system, "\(error)", cause: error)
        case .noSpace: self.init(.system, "\(error)", cause: error)
        default: self.init(.invalidParameter, "\(error)", cause: error)
        }
    }
}

extension Container {
    /// Refuses what lies in a read-only place, in Docker's words.
    func checkWritable(_ place: TreePath) throws(EngineError) {
        let binds = try document.mountPlan(in: services.volumes.folder).shown
            .filter { place.clean == $0.destination || place.clean.hasPrefix($0.destination + "/") }
        if let bind = binds.max(by: { $0.destination.utf8.count < $1.destination.utf8.count }) {
            if bind.isReadOnly { throw EngineError(.forbidden, "mounted volume is marked read-only") }
        } else if document.hostConfig.readonlyRootfs {
            throw EngineError(.forbidden, "container rootfs is marked read-only")
        }
    }

    /// The container's user, looked up in its own files.
    func owner() async throws(EngineError) -> TreeApplier.Owner? {
        guard !document.config.user.isEmpty else { return nil }
        let user = try await resolvedUser(document.config.user)
        return TreeApplier.Owner(user: user.uid, group: user.gid)
    }

    /// Works with the container's files, whose removal does not wait for the archive's end.
    fileprivate func unpack(
        _ source: TaskSource, _ body: @escaping @Sendable (ContainerRoot) throws(EngineError) -> Void
    ) async throws(EngineError) {
        let done = OneShot<Void>()
        unpackings.append(Unpacking(source: source, done: done))
        defer {
            unpackings.removeAll { $0.done === done }
            done.settle(())
        }
        do throws(EngineError) { try await withRoot(writable: true, body) } catch {
            switch state {
            case .removing, .dead: throw EngineError(.conflict, "container \(id) is marked for removal", cause: error)
            default: throw error
            }
        }
    }

    /// Ends what is being unpacked into the container: its files could not be taken away while more come.
    func endUnpackings() async {
        for unpacking in unpackings { unpacking.source.breakOff("container \(id) is being removed") }
        // Those whose file systems do not answer are left behind.
        let deadline = ContinuousClock.now + Self.killTimeout
        for unpacking in unpackings { _ = await unpacking.done.value(within: deadline - .now) }
    }

    /// Writes an archive of the container's files from a thread that may block, at the pace of the one who takes it.
    func writeTree<Note: Sendable>(
        alone: Bool = false, begin: @escaping @Sendable (ContainerRoot) throws(EngineError) -> Note,
        told: @escaping @Sendable (Note) async throws -> Void,
        to write: @escaping @Sendable ([UInt8]) async throws -> Void,
        _ body: @escaping @Sendable (ContainerRoot, inout TreeWriter) throws(ArchiveError) -> Void
    ) async throws {
        try await ArchiveTransfer.send(told: told, to: write) { pipe throws(EngineError) in
            try await self.withRoot(writable: false, alone: alone) { root throws(EngineError) in
                try pipe.begin(try begin(root))
                try ArchiveTransfer.write(into: pipe, shift: root.shift) { writer throws(ArchiveError) in try body(root, &writer) }
            }
        }
    }
}
