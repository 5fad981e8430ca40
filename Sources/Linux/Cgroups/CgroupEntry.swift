internal import Glibc
internal import LinuxSyscalls
internal import SystemPackage

/// What a process needs in order to move itself into a cgroup: a control file of each hierarchy, opened with its maker's rights.
///
/// A process with one thread that moves itself through v1's `tasks` spares the kernel the lock that moving another one takes against
/// every fork of the machine. v2 has nothing like it, and its move may wait 10 ms for that lock: a process that is born in v2's directory
/// (CLONE_INTO_CGROUP) pays 0.1 ms.
package final class CgroupEntry: Sendable {
    private final class ControlFile: Sendable {
        let descriptor: OwnedFD
        let path: String

        init(_ descriptor: consuming OwnedFD, path: String) {
            self.descriptor = descriptor
            self.path = path
        }
    }

    /// What stands for the writing process in a control file.
    private static let writerItself: [UInt8] = [0x30]

    private let files: [ControlFile]
    private let unified: CgroupDirectory?

    /// - Parameter bornInUnified: whether the process will be cloned into `directoryForClone`, which spares v2 a move.
    package init(into cgroup: Cgroup, bornInUnified: Bool) throws(CgroupError) {
        var files: [ControlFile] = []
        var unified: CgroupDirectory?
        for branch in cgroup.branches {
            let path = Self.controlFile(of: branch.place)
            do throws(SyscallError) {
                guard let leaf = branch.leaf else { throw SyscallError("open", path, errno: ENOENT) }
                if bornInUnified && branch.place.version == .v2 {
                    unified = leaf
                    continue
                }
                let name = FilePath(path).lastComponent.map { FilePath($0.string) } ?? ""
                files.append(ControlFile(try openFile(name, .writeOnly, at: leaf.number), path: path))
            } catch { throw CgroupError(doing: "open \(path)", cause: error) }
        }
        self.files = files
        self.unified = unified
    }

    /// Into a cgroup on record, whose directories are not opened one by one.
    /// - Returns: nil where something of it is not there: `Cgroup` says what.
    package init?(into record: CgroupRecord, bornInUnified: Bool) throws(CgroupError) {
        var files: [ControlFile] = []
        var unified: CgroupDirectory?
        for place in record.places {
            let isBirthplace = bornInUnified && place.version == .v2
            let path = isBirthplace ? place.directory : Self.controlFile(of: place)
            do throws(SyscallError) {
                let file = try openFile(named: path, isBirthplace ? [.path, .directory, .noFollow] : [.writeOnly, .noFollow])
                if isBirthplace {
                    unified = CgroupDirectory(descriptor: file, path: FilePath(path))
                } else {
                    files.append(ControlFile(file, path: path))
                }
            } catch {
                if error.errno == ENOENT { return nil }
                throw CgroupError(doing: "open \(path)", cause: error)
            }
        }
        self.files = files
        self.unified = unified
    }

    /// From descriptors that another process sent: those of its entry into the cgroup of `record`, in their order, which are owned from
    /// here on.
    package init(receiving descriptors: [Int32], of record: CgroupRecord, bornInUnified: Bool) {
        var paths = record.places.filter { !(bornInUnified && $0.version == .v2) }.map(Self.controlFile)
        paths += Array(repeating: "", count: max(0, descriptors.count - paths.count))
        files = zip(descriptors, paths).map { ControlFile(OwnedFD(owning: $0), path: $1) }
        unified = nil
    }

    /// For a process that somebody else puts there.
    package init() {
        files = []
        unified = nil
    }

    private static func controlFile(of place: CgroupRecord.Place) -> String {
        "\(place.directory)/\(place.version == .v1 ? "tasks" : "cgroup.procs")"
    }

    /// The v2 part, for CLONE_INTO_CGROUP; nil where the process moves there by itself. Valid as long as this value.
    package var directoryForClone: Int32? { unified?.number }

    /// Those that the process must not close before it has entered.
    package var descriptors: [Int32] { files.map { $0.descriptor.number } }

    /// Moves the calling process, which has one thread.
    package func enter() throws(CgroupError) {
        for index in files.indices {
            let file = files[index]
            try doing("enter cgroup \(file.path)") { () throws(SyscallError) in
                try writeAll(Self.writerItself, to: file.descriptor.number, subject: file.path)
            }
        }
    }
}
