internal import Glibc
internal import LinuxSyscalls
internal import OCISpec
internal import Rootfs
internal import SystemPackage

/// The labels that security modules give a program at its execve: `process.apparmorProfile` and `process.selinuxLabel`.
struct SecurityLabels: Equatable, Sendable {
    private let appArmorProfile: String?
    private let seLinuxLabel: String?

    var isEmpty: Bool { appArmorProfile == nil && seLinuxLabel == nil }

    /// - Throws: `unsupported` where the kernel has no such module, or has it turned off.
    init(_ process: ProcessConfiguration) throws(RuntimeError) {
        appArmorProfile = process.appArmorProfile.flatMap { $0.isEmpty ? nil : $0 }
        seLinuxLabel = process.seLinuxLabel.flatMap { $0.isEmpty ? nil : $0 }
        if appArmorProfile != nil && !Self.hasAppArmor {
            throw RuntimeError(.unsupported, doing: "process.apparmorProfile", "this kernel has no AppArmor, or it is disabled")
        }
        if seLinuxLabel != nil && !Self.hasSELinux {
            throw RuntimeError(.unsupported, doing: "process.selinuxLabel", "this kernel has no SELinux, or it is disabled")
        }
    }

    /// Why `linux.mountLabel` is left out. The label of a file does nothing where nobody reads it; that of a process, which confines it, is
    /// another matter.
    static func problem(withMountLabel label: String?) -> String? {
        guard let label, !label.isEmpty, !hasSELinux else { return nil }
        return "linux.mountLabel is left out: this kernel has no SELinux, or it is disabled"
    }

    /// - Source: AppArmor's module parameter.
    private static var hasAppArmor: Bool {
        (try? readFile("/sys/module/apparmor/parameters/enabled", limitBytes: 16))?.first == UInt8(ascii: "Y")
    }

    /// - Source: selinuxfs.
    private static var hasSELinux: Bool { (try? fileStatus("/sys/fs/selinux/enforce")) != nil }

    /// Asks for the labels at the next execve of the calling process, through a procfs that is none of the container's making.
    /// - Source: proc_pid_attr(5): only the process itself may write, with the credentials that it opened the file with.
    func request(through procfs: borrowing DetachedProcfs) throws(RuntimeError) {
        let process = processID()
        do throws(SyscallError) {
            if let appArmorProfile {
                let value = "exec \(appArmorProfile)"
                do throws(SyscallError) { try procfs.write(value, to: "\(process)/attr/apparmor/exec") } catch {
                    // Before Linux 5.8 the file is shared by all modules.
                    guard error.errno == ENOENT, error.call != "write" else { throw error }
                    try procfs.write(value, to: "\(process)/attr/exec")
                }
            }
            if let seLinuxLabel { try procfs.write(seLinuxLabel, to: "\(process)/attr/exec") }
        } catch {
            let label = appArmorProfile.map { "process.apparmorProfile \($0)" } ?? "process.selinuxLabel \(seLinuxLabel ?? "")"
            throw RuntimeError(doing: "applying \(label)", error)
        }
    }

    /// Gives the label to the keys that the calling process makes until its execve, which forgets that: a session keyring with the runtime's
    /// own label would be of no use to the program.
    /// - Precondition: `/proc` is the host's.
    /// - Source: security/selinux/hooks.c, `keycreate`.
    func requestForKeys() throws(RuntimeError) {
        guard let seLinuxLabel else { return }
        do throws(SyscallError) {
            let file = try openFile("/proc/self/attr/keycreate", .writeOnly)
            try writeAll(Array(seLinuxLabel.utf8), to: file.number, subject: "/proc/self/attr/keycreate")
        } catch { throw RuntimeError(doing: "applying process.selinuxLabel \(seLinuxLabel)", error) }
    }
}
