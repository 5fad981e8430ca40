internal import Archive
internal import EngineAPI
internal import FoundationEssentials
internal import LinuxSyscalls
internal import SystemPackage
internal import Templates

/// A context as one file, in docker's form: a tar of `meta.json`, and of the files of TLS in `tls/docker`.
enum ContextArchive {
    /// As docker's own bound.
    static let limitBytes = 10 << 20
    private static let limits: ArchiveLimits = {
        var limits = ArchiveLimits.layer
        (limits.uncompressedBytes, limits.ratioFreeBytes, limits.entries) = (Int64(limitBytes), Int64(limitBytes), 100)
        return limits
    }()
    private static let tls = "tls/\(StoredContext.engine)"

    /// - Parameter files: contents by the names of `ContextStore.tlsFiles`.
    static func pack(_ context: StoredContext, files: [String: Data]) throws -> [UInt8] {
        // A key among them: nobody else may look into it meanwhile.
        let folder = FilePath(FileManager.default.temporaryDirectory.path).appending("apus-context-\(UInt64.random(in: 0 ... .max))").string
        try makeDirectory(FilePath(folder), mode: 0o700)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try keepPrivately(Data(try EngineJSON.encode(context)), in: folder, as: StoredContext.file)
        for (name, content) in files { try keepPrivately(content, in: "\(folder)/\(tls)", as: name) }
        var bytes: [UInt8] = []
        var writer = TreeWriter(.tree) { bytes += $0 }
        try writer.addContents(of: try openFile(FilePath(folder), [.readOnly, .directory]))
        try writer.finish()
        return bytes
    }

    /// - Throws: `Complaint` for what is no such archive.
    static func unpack(_ bytes: [UInt8]) throws -> (StoredContext, [String: Data]) {
        if bytes.starts(with: Array("PK\u{3}\u{4}".utf8)) { throw Complaint("a zip archive is not read: export the context as a tar") }
        var metadata: [UInt8]?
        var files: [String: Data] = [:]
        do throws(ArchiveError) {
            let reader = try ArchiveReader(MemorySource(bytes), limits: limits)
            while let member = try reader.next() {
                if member.kind == .folder { continue }
                var content: [UInt8] = []
                try reader.readData { bytes in for index in bytes.indices { content.append(bytes[index]) } }
                let name = member.path.split(separator: "/").last.map(String.init) ?? ""
                if member.path == StoredContext.file {
                    metadata = content
                } else if member.path == "\(tls)/\(name)", ContextStore.tlsFiles.contains(where: { $0.name == name }) {
                    files[name] = Data(content)
                } else {
                    throw ArchiveError(.refusedEntry, doing: "read context", subject: "\(goQuoted(member.path)): unexpected context file")
                }
            }
        } catch { throw Complaint("invalid context: \(error)") }
        guard let metadata else { throw Complaint("invalid context: no metadata found") }
        do throws(DocumentError) { return (try EngineJSON.decode(StoredContext.self, from: metadata), files) } catch {
            throw Complaint("invalid context: \(StoredContext.file): \(error)")
        }
    }
}
