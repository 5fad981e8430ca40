internal import LinuxSyscalls
internal import SystemPackage

/// How much a container has written, as Docker counts it: its files, each once, without directories.
struct WrittenSize {
    /// Directories in one another; what lies deeper is not counted.
    private static let depthLimit = 2048

    /// A directory that is being counted.
    private final class Level {
        let directory: OwnedFD
        /// Empty for the root.
        let path: String
        var names: ArraySlice<FilePath>

        init(_ directory: consuming OwnedFD, path: String) throws(SyscallError) {
            names = try directoryEntries(of: directory).map(\.name)[...]
            self.directory = directory
            self.path = path
        }
    }

    private struct FileID: Hashable {
        let fileSystem: DeviceNumber
        let inode: UInt64
    }

    /// What counts of a file.
    enum Measure: Sendable {
        /// Its size, as `ls` shows it.
        case sizes
        /// The blocks that it takes, as `du` shows them.
        case blocks
    }

    private(set) var bytes: Int64 = 0
    private var counted: Set<FileID> = []
    private let measure: Measure

    /// Counts what lies below a directory. Blocks.
    init(below path: FilePath, measure: Measure = .sizes) throws(SyscallError) {
        self.measure = measure
        var levels = [try Level(try openFile(path, [.readOnly, .directory]), path: "")]
        while let level = levels.last {
            guard let name = level.names.popFirst() else {
                levels.removeLast()
                continue
            }
            do throws(SyscallError) {
                let directory = level.directory.number
                let (status, path) = (try fileStatus(name, at: directory), "\(level.path)/\(name.string)")
                if status.type != .directory {
                    if try !InitialFiles.isUntouched(path, status, name, in: directory) { add(status) }
                } else if levels.count < Self.depthLimit {
                    levels.append(try Level(try openFile(name, [.readOnly, .directory, .noFollow], at: directory), path: path))
                }
            } catch {
                // Gone, or another thing, since its directory was read.
                guard [.noSuchFileOrDirectory, .notDirectory].contains(Errno(rawValue: error.errno)) else { throw error }
            }
        }
    }

    private mutating func add(_ status: FileStatus) {
        let isNew = status.linkCount < 2 || counted.insert(FileID(fileSystem: status.fileSystem, inode: status.inode)).inserted
        let more = measure == .sizes ? status.sizeBytes : status.allocatedBytes
        guard isNew, more > 0 else { return }
        let (sum, overflow) = bytes.addingReportingOverflow(more)
        bytes = overflow ? .max : sum
    }
}
