internal import LinuxSyscalls
internal import Protobuf
internal import ShimProtocol
internal import SystemPackage

/// What a shim that was killed has left for the one that takes its place.
struct ShimResumption {
    let record: ShimRecord
    let life: LifeRecord
    /// The open files of its processes, by the name under which the keeper has them.
    let kept: [String: KeptDescriptors]

    /// The keeper that they come from.
    let keeper: Descriptor

    /// - Throws: `ShimError.notFound` where nothing had been started, `unreadable` for a record that cannot be read; where the keeper does not
    ///   answer, so that another attempt has what it keeps.
    init(_ configuration: ShimConfiguration) throws(ShimError) {
        (record, life) = try Self.read(configuration.layout)
        do throws(SyscallError) {
            (keeper, kept) = try KeeperSocket(configuration).kept()
            try UnfinishedBeginnings(configuration.layout, life).end()
            try Self.removeScratch(configuration.layout)
        } catch { throw ShimError("take the place of the shim of \(configuration.id)", error) }
    }

    /// Both records of a shim's directory.
    static func read(_ layout: ShimLayout) throws(ShimError) -> (ShimRecord, LifeRecord) {
        let (options, life): ([UInt8], [UInt8])
        do throws(SyscallError) {
            options = try readFile(FilePath(layout.optionsPath), limitBytes: ShimRecord.maximumByteCount)
            life = try readFile(FilePath(layout.lifePath), limitBytes: LifeRecord.maximumByteCount)
        } catch { throw ShimError("read what the shim has left", error) }
        do throws(WireError) { return (try ShimRecord(decoding: options), try LifeRecord(decoding: life)) } catch {
            throw ShimError(.unreadable, "read what the shim has left in \(layout.directory)", cause: "\(error)")
        }
    }

    /// Files that were to live as long as one call of the runtime.
    private static func removeScratch(_ layout: ShimLayout) throws(SyscallError) {
        let directory = try openFile(FilePath(layout.directory), [.readOnly, .directory])
        for entry in try directoryEntries(of: directory, subject: layout.directory) {
            let name = entry.name.string
            guard RuntimeRunner.scratchKinds.contains(where: { name.hasPrefix("\($0)-") }) else { continue }
            try removeFile(FilePath(layout.directory).appending(name))
        }
    }
}
