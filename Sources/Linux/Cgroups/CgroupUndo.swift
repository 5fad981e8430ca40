internal import Glibc
internal import LinuxSyscalls
internal import SystemPackage

/// What takes a change of limits back: the values that were there before, in the order in which they were replaced.
struct CgroupUndo {
    private(set) var writes: [CgroupWrite] = []

    mutating func note(_ values: [String], insteadOf write: CgroupWrite) { writes.append(CgroupWrite(values, insteadOf: write)) }
}

extension CgroupDirectory {
    /// What is to be written in order to have the present values again; nil where there is no such file, or it cannot be read.
    func oldValues(for write: CgroupWrite) throws(CgroupError) -> [String]? {
        do throws(SyscallError) {
            let text = try read(write.file)
            // v2 lets nobody take a list of CPUs or memory nodes away again where processes are (ENOSPC): what it amounts to is as good.
            if text.isEmpty && write.controllerName == CgroupController.cpuset.rawValue { return [try read("\(write.file).effective")] }
            return previousValues(text, for: write)
        } catch {
            // The change itself tells of what is not there, and of what may only be written there is nothing to know.
            if [ENOENT, EACCES, EINVAL, EOPNOTSUPP].contains(error.errno) { return nil }
            throw CgroupError(doing: "read \(write.file)", cause: error)
        }
    }
}

/// Reads of a control file what a change will replace. Pure.
/// - Parameter text: of the file, without its last line break.
/// - Source: the kernel's cgroup-v2.rst, "Conventions"; cgroup-v1/memory.rst and blkio-controller.rst.
func previousValues(_ text: String, for write: CgroupWrite) -> [String] {
    let lines = fields(of: text[...], separatedBy: UInt8(ascii: "\n"))
    if write.file == "memory.oom_control" { return [flatValues(text)["oom_kill_disable"].map { "\($0)" } ?? "0"] }
    return write.values.map { value in
        let words = fields(of: value[...], separatedBy: UInt8(ascii: " "))
        guard words.count > 1, write.isKeyed, let key = words.first else {
            // Nothing is written as an empty line: of no byte the kernel hears nothing.
            return lines.first.map { String($0) } ?? "\n"
        }
        if let line = lines.first(where: { fields(of: $0, separatedBy: UInt8(ascii: " ")).first == key }) { return String(line) }
        return "\(key) \(write.absent)"
    }
}

extension CgroupWrite {
    /// The same file with other values.
    init(_ values: [String], insteadOf write: CgroupWrite) {
        controllerName = write.controllerName
        version = write.version
        file = write.file
        self.values = values
        field = write.field
    }

    /// Whether the file has a line for each device, which its first word names.
    fileprivate var isKeyed: Bool {
        ["blkio.", "io.", "rdma.", "misc.", "net_prio."].contains { file.hasPrefix($0) }
    }

    /// What stands for a device that has no line.
    fileprivate var absent: String {
        switch file {
        case "io.max": "rbps=max wbps=max riops=max wiops=max"
        case "io.weight", "io.bfq.weight": "default"
        case "rdma.max": "hca_handle=max hca_object=max"
        default: "0"
        }
    }
}
