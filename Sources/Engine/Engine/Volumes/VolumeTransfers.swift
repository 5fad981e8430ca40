internal import Archive
package import EngineAPI
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
                    try ArchiveTransfer.write(into: pipe, keepsHoles: true) { writer throws(ArchiveError) in
                        try writer.add(".", in: directory, as: Array(".".utf8))
                    }
                }
            }
        }
    }

    /// `POST /volumes/{name}/import`: unpacks a tar, plain, gzip or zstd, into the volume; what it does not name stays.
    /// - Parameter body: the archive's next bytes; nil is its end.
    package func importVolume(_ name: String, body: @escaping @Sendable () async throws -> [UInt8]?) async throws {
        try await transferring(name) { contents in
            try await ArchiveTransfer.receive(body) { pipe in
                try await BlockingWork.run(.trees) { () throws(EngineError) in
                    let directory = try Self.open(contents, of: name)
                    do throws(ArchiveError) {
                        try TreeApplier(replacesKinds: true, sparesRoot: false, limits: .volume).apply(pipe, onto: directory, at: "/")
                    } catch { throw EngineError(unpacking: error) }
                }
            }
        }
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
