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

    /// A process of the container, and the cgroup that it was put into.
    private struct Neighbour {
        let process: Int32
        let place: CgroupRecord.Place
    }

    /// What stands for the writing process in a control file.
    private static let writerItself: [UInt8] = [0x30]

    private let files: [ControlFile]
    private let unified: CgroupDirectory?
    /// Whom v2 has room beside where it has none in the cgroup itself.
    private let neighbour: Neighbour?

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
        neighbour = nil
    }

    /// Into a cgroup on record, whose directories are not opened one by one.
    /// - Parameter neighbour: the container's first process, for `besideNeighbour`.
    /// - Returns: nil where something of it is not there: `Cgroup` says what.
    package init?(into record: CgroupRecord, neighbour: Int32? = nil, bornInUnified: Bool) throws(CgroupError) {
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
        if let neighbour, let place = record.places.first(where: { $0.version == .v2 }) {
            self.neighbour = Neighbour(process: neighbour, place: place)
        } else {
            self.neighbour = nil
        }
    }

    private init(files: [ControlFile], unified: CgroupDirectory?) {
        self.files = files
        self.unified = unified
        neighbour = nil
    }

    /// The same, but for v2 in the cgroup below that the neighbour is in by now: a cgroup that hands controllers down to those below it
    /// takes in no process (EBUSY).
    /// - Returns: nil where the neighbour is in no cgroup below.
    /// - Source: cgroups(7), "no internal processes".
    package func besideNeighbour() throws(CgroupError) -> CgroupEntry? {
        guard let neighbour, let place = try neighbour.place.below(of: neighbour.process) else { return nil }
        let record = CgroupRecord(mode: .unified, places: [place])
        guard let found = try CgroupEntry(into: record, bornInUnified: unified != nil) else { return nil }
        return CgroupEntry(files: files.filter { $0.path != Self.controlFile(of: neighbour.place) } + found.files, unified: found.unified)
    }

    /// From descriptors that another process sent: those of its entry into the cgroup of `record`, in their order, which are owned from
    /// here on.
    package init(receiving descriptors: [Int32], of record: CgroupRecord, bornInUnified: Bool) {
        var paths = record.places.filter { !(bornInUnified && $0.version == .v2) }.map(Self.controlFile)
        paths += Array(repeating: "", count: max(0, descriptors.count - paths.count))
        files = zip(descriptors, paths).map { ControlFile(OwnedFD(owning: $0), path: $1) }
        unified = nil
        neighbour = nil
    }

    /// For a process that somebody else puts there.
    package init() {
        files = []
        unified = nil
        neighbour = nil
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
            do throws(SyscallError) { try writeAll(Self.writerItself, to: file.descriptor.number, subject: file.path) } catch {
                // Those that are entered already are entered once more.
                guard error.errno == EBUSY, let other = try besideNeighbour() else {
                    throw CgroupError(doing: "enter cgroup \(file.path)", cause: error)
                }
                return try other.enter()
            }
        }
    }
}

extension CgroupRecord.Place {
    /// The cgroup below this one that a process is in; nil where it is in none.
    func below(of process: Int32) throws(CgroupError) -> CgroupRecord.Place? {
        let line = try OwnCgroups.of(process: "\(process)").lines.first { version == .v2 && $0.names.isEmpty }
        let own = fields(of: (line?.path ?? "")[...], separatedBy: UInt8(ascii: "/")).map { String($0) }
        let components = components
        guard own.count > components.count, Array(own.prefix(components.count)) == components, !own.contains("..") else { return nil }
        return CgroupRecord.Place(
            version: version, names: names, mountPoint: mountPoint, path: relativePath(of: own), foundDepth: own.count)
    }
}
