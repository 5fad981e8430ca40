internal import LinuxSyscalls
internal import SystemPackage

/// A setting below /proc/sys/net, of the network namespace of the calling thread.
struct KernelSetting: Equatable, Sendable {
    /// Below /proc/sys/net.
    let path: String
    let value: String

    /// No IPv6 on a link that has no such address.
    static func disableIPv6(_ link: String) -> KernelSetting { KernelSetting(path: "ipv6/conf/\(link)/disable_ipv6", value: "1") }
    /// Nobody at the link's other end says which routes there are.
    static func hearsNoRouters(_ link: String) -> KernelSetting { KernelSetting(path: "ipv6/conf/\(link)/accept_ra", value: "0") }
    /// Connections from 127.0.0.1 may be led to containers; the firewall's guard keeps everybody else from such addresses.
    static func routesLocalNetwork(_ link: String) -> KernelSetting { KernelSetting(path: "ipv4/conf/\(link)/route_localnet", value: "1") }
    static let forwardsV4 = KernelSetting(path: "ipv4/ip_forward", value: "1")
    static let forwardsV6 = KernelSetting(path: "ipv6/conf/all/forwarding", value: "1")

    /// Whether the kernel can show frames of bridges to the rules for packets as well: br_netfilter is there. Then the firewall keeps
    /// containers apart that are not to talk, and ports of a bridge that were isolated would not reach published ports either: the kernel
    /// changes the destination before the bridge chooses the port.
    static var framesCanBeFiltered: Bool { KernelSetting(path: "bridge/bridge-nf-call-iptables", value: "1").read() != nil }

    var isSet: Bool { read() == value }

    /// Nil where this kernel has no such setting.
    func read() -> String? {
        guard let bytes = try? readFile(file, limitBytes: 4096) else { return nil }
        return String(decoding: bytes.prefix { $0 != UInt8(ascii: "\n") }, as: UTF8.self)
    }

    /// - Returns: false where the kernel has no such setting, or none for us to change.
    @discardableResult
    func write() -> Bool {
        do throws(SyscallError) {
            let descriptor = try openFile(file, .writeOnly)
            try writeAll(Array(value.utf8), to: descriptor.number, subject: path)
            return true
        } catch { return false }
    }

    /// Makes a setting as it says. - Returns: as it was, where it was otherwise; nil where there is nothing to make good.
    static func exchange(_ setting: KernelSetting) -> KernelSetting? {
        guard let usual = setting.read(), usual != setting.value, setting.write() else { return nil }
        return KernelSetting(path: setting.path, value: usual)
    }

    private var file: FilePath { FilePath("/proc/sys/net/\(path)") }
}
