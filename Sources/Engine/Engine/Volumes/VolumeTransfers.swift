internal import Archive
package import EngineAPI
internal import Images
internal import LinuxSyscalls
internal import SystemPackage

/// What this engine does with volumes beyond Docker's: names that change, copies, and archives of their contents.
extension ContainerEngine {
    /// `POST /volumes/{name}/rename`. - Throws: `.conflict` while a container has the volume, or for a name that is taken.
    package func renameVolume(_ name: String, to new: String) async throws(EngineError) {
        try await parts().services.volumes.rename(name, to: new)
    }

    /// `POST /volumes/{name}/clone`: a volume with the same options, labels and contents.
    package func cloneVolume(_ name: String, as new: String) async throws(EngineError) -> Volume {
        let store = try parts().services.volumes
        return Volume(new, try await store.clone(name, as: new), in: store.folder)
    }

    /// `GET /volumes/{name}/export`: the contents as a tar, with owner and mode of the volume's directory.
    /// - Parameter write: takes the archive chunk by chunk; the next one waits for it.
    package func exportVolume(_ name: String, to write: @escaping @Sendable ([UInt8]) async throws -> Void) async throws {
        try await transferring(name) { contents in
            try await ArchiveTransfer.send(told: { (_: Bool) in }, to: write) { pipe throws(EngineError) in
                try await BlockingWork.run(.trees) { () throws(EngineError) in
                    let directory = try Self.open(contents, of: name)
                    try pipe.begin(true)
                    try ArchiveTransfer.write(into: pipe, limits: .volume, keepsHoles: true) { writer throws(ArchiveError) in
                        try writer.add(".", in: directory, as: Array(".".utf8))
                    }
                }
            }
        }
    }

    /// `POST /volumes/{name}/import`: unpacks a tar, plain, gzip or zstd, into the volume; what it does not name stays. It is on the disk when
    /// this returns.
    /// - Parameter body: the archive's next bytes; nil is its end.
    package func importVolume(_ name: String, body: @escaping @Sendable () async throws -> [UInt8]?) async throws {
        let limits = try await importLimits(of: name)
        try await transferring(name) { contents in
            try await ArchiveTransfer.receive(body) { pipe in
                try await BlockingWork.run(.trees) { () throws(EngineError) in
                    let directory = try Self.open(contents, of: name)
                    do throws(ArchiveError) {
                        try TreeApplier(replacesKinds: true, sparesRoot: false, limits: limits).apply(pipe, onto: directory, at: "/")
                    } catch { throw EngineError(unpacking: error) }
                    try Self.synchronize(contents, of: name)
                }
            }
        }
    }

    /// What lies on the data root's own file system leaves there as much free as layers do. What the options mount, and what has a size of its
    /// own, is the user's to fill, be it a megabyte in memory.
    private func importLimits(of name: String) async throws(EngineError) -> ArchiveLimits {
        let options = try await parts().services.volumes.find(name).options
        var limits = ArchiveLimits.volume
        if LocalVolumeDriver.mount(options) == nil, options["size"] == nil {
            let layers = LibrarySettings(configuration).limits
            (limits.reservedFreeBytes, limits.reservedFreeInodes) = (layers.reservedFreeBytes, layers.reservedFreeInodes)
        }
        return limits
    }

    private static func synchronize(_ contents: FilePath, of name: String) throws(EngineError) {
        do throws(SyscallError) {
            let directory = try openFile(contents, [.readOnly, .directory, .noFollow])
            try synchronizeFileSystem(directory.number, subject: name)
        } catch { throw .system("write volume \(name) to the disk", error) }
    }

    private static func open(_ contents: FilePath, of name: String) throws(EngineError) -> OwnedFD {
        do throws(SyscallError) { return try openFile(contents, [.readOnly, .directory, .noFollow]) } catch {
            throw .system("open volume \(name)", error)
        }
    }

    /// Keeps a volume in its place while an archive of it comes or goes.
    private func transferring(_ name: String, _ body: (FilePath) async throws -> Void) async throws {
        let store = try parts().services.volumes
        try await store.beginTransfer(name)
        do { try await body(store.folder.contents(of: name)) } catch {
            await store.endTransfer(name)
            throw error
        }
        await store.endTransfer(name)
    }
}
