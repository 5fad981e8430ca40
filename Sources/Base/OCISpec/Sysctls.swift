/// The name of a sysctl as `linux.sysctl` spells it, taken apart.
///
/// Whichever of `.` and `/` comes first separates; the other one then stands for the separator inside a
/// component, as sysctl(8) has it: `net.ipv4.conf.eth0/100.rp_filter` is about the interface `eth0.100`.
public struct SysctlName: Equatable, Sendable {
    /// The components of the path below /proc/sys: at least two, none empty, `.`, `..` or with a slash.
    public let components: [String]

    /// nil where the text names no sysctl.
    public init?(_ text: String) {
        let separator: Character = text.first { $0 == "." || $0 == "/" } ?? "."
        let components = text.split(separator: separator, omittingEmptySubsequences: false).map { part in
            separator == "." ? String(part.map { $0 == "/" ? "." : $0 }) : String(part)
        }
        guard components.count >= 2, components.allSatisfy({ !$0.isEmpty && $0 != "." && $0 != ".." }) else { return nil }
        self.components = components
    }

    /// The path relative to /proc/sys: `net/ipv4/ip_forward`.
    public var path: String { components.joined(separator: "/") }

    /// The name with dots between its components: `net.ipv4.ip_forward`.
    public var dotted: String { components.map { String($0.map { $0 == "." ? "/" : $0 }) }.joined(separator: ".") }

    /// The kind of namespace that has its own value of this sysctl; nil where changing it changes the host.
    public var namespace: LinuxNamespace.Kind? {
        switch (components[0], components[1]) {
        case ("net", _): .network
        case ("fs", "mqueue"): .ipc
        case ("kernel", "domainname"), ("kernel", "hostname"): .uts
        case ("kernel", let name) where components.count == 2 && Self.ipcNames.contains(name): .ipc
        default: nil
        }
    }

    private static let ipcNames: Set<String> = [
        "msgmax", "msgmnb", "msgmni", "sem", "shmall", "shmmax", "shmmni", "shm_rmid_forced",
    ]
}

extension RuntimeConfiguration {
    /// Refuses a sysctl that would change the host: it must belong to a namespace that is the container's own.
    /// Whether a namespace given by path is the host's is the runtime's to find out.
    func validateSysctls() throws(SpecProblem) {
        guard let linux else { return }
        for text in linux.sysctl.keys.sorted() {
            let field = "linux.sysctl[\(String(text.prefix(100)).debugDescription)]"
            guard let name = SysctlName(text) else { throw SpecProblem(field: field, problem: "is no name of a sysctl") }
            guard let needed = name.namespace else {
                throw SpecProblem(field: field, problem: "is not namespaced: it would change the host")
            }
            if name.path == "kernel/hostname" { throw SpecProblem(field: field, problem: "is what hostname sets: use that") }
            if linux.namespace(needed) == nil {
                throw SpecProblem(
                    field: field, problem: "needs a \(needed.rawValue) namespace of the container's own: it would change the host")
            }
        }
    }
}
