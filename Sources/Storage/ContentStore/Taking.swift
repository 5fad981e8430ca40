internal import CoreTypes
internal import Glibc
internal import LinuxSyscalls
internal import Synchronization
internal import SystemPackage

/// What a lease protects, written down for the process after this one: digests, one a line. It is for what a killed process leaves and not
/// made durable: after a power cut the blobs wait as those of an interrupted pull do.
final class Taking: Sendable {
    /// Bytes of a file that are read: far more blobs than an archive may have members.
    private static let limitBytes = 64 << 20

    private let path: FilePath
    private let file: OwnedFD
    private let length = Mutex<Int64>(0)

    init(_ path: FilePath) throws(SyscallError) {
        self.path = path
        file = try openFile(path, [.writeOnly, .create, .exclusive, .noFollow])
    }

    /// What cannot be written is missing in it.
    func add(_ digest: Digest) {
        let line = Array("\(digest)\n".utf8)
        length.withLock { length in
            do throws(SyscallError) {
                try writeAll(line.span, at: length, to: file.number, subject: path.string)
                length += Int64(line.count)
            } catch {}
        }
    }

    /// Reads what processes of before have left.
    static func readAll(in folder: FilePath) throws(ContentError) -> (digests: Set<Digest>, files: [FilePath]) {
        try ContentError.wrapping("open content store", folder.string) { () throws(SyscallError) in
            var found: Set<Digest> = []
            var files: [FilePath] = []
            let directory = try openFile(folder, [.readOnly, .directory])
            for name in try directoryEntries(of: directory, subject: folder.string).map(\.name) {
                let path = folder.pushing(FilePath(name.string))
                let bytes = (try? readFile(path, limitBytes: limitBytes)) ?? []
                // A line that was torn is no digest.
                found.formUnion(bytes.split(separator: UInt8(ascii: "\n")).compactMap { try? Digest(String(decoding: $0, as: UTF8.self)) })
                files.append(path)
            }
            return (found, files)
        }
    }
}
