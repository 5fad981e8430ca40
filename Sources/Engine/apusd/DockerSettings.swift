/// Settings of dockerd's daemon.json that mean nothing here, or one thing alone: each is either passed over with a warning that says why, or
/// refused by its name where passing it over would leave somebody with less than they were told.
enum DockerSetting {
    /// Passed over, whatever it says.
    case idle(String)
    /// What it may say, as every daemon of ours has it; anything else is refused.
    case fixed([String], String)
    /// The same of a list, each word of it.
    case fixedList([String], String)
    /// Refused, unless it says nothing.
    case refused(String)

    static let known: [String: DockerSetting] = [
        "live-restore": .fixed(["true"], "containers outlive the daemon always"),
        "storage-driver": .fixed(["", "overlay2", "overlayfs"], "files are kept with overlayfs, or whole where the kernel has none"),
        "storage-opts": .refused("overlayfs is used without options"),
        "exec-opts": .fixedList(
            ["native.cgroupdriver=cgroupfs"], "apusd makes control groups itself; systemd's are asked of the runtime with --systemd-cgroup"),
        "iptables": .fixed(["true"], "published ports and what keeps networks apart are rules of nftables; --bridge none goes without"),
        "ip6tables": .fixed(["true"], "published ports and what keeps networks apart are rules of nftables"),
        "ip-forward": .fixed(["true"], "networks with a bridge need it; --bridge none goes without"),
        "ip-forward-no-drop": .idle("the policy of the host's own chains is left as it is"),
        "firewall-backend": .fixed(["", "nftables"], "the firewall's rules are nftables' alone"),
        "selinux-enabled": .fixed(["false"], "labels of SELinux are set by the runtime alone"),
        "authorization-plugins": .refused("plugins are not served: nobody would be asked"),
        "cpu-rt-period": .fixed(["0"], "control groups of realtime scheduling are not prepared"),
        "cpu-rt-runtime": .fixed(["0"], "control groups of realtime scheduling are not prepared"),
        "userland-proxy": .idle("no process stands behind a published port: the kernel leads there, and a relay of apusd from ::1"),
        "userland-proxy-path": .idle("no process stands behind a published port"),
        "shutdown-timeout": .idle("containers outlive the daemon; when the machine goes down each has its own time to end"),
        "experimental": .idle("nothing is held back that it would open"),
        "features": .idle("images are kept as with containerd's snapshotter, and CDI is always on"),
        "builder": .idle("apusd builds no images itself"),
        "containerd": .idle("no containerd is used"), "containerd-namespace": .idle("no containerd is used"),
        "containerd-plugins-namespace": .idle("no containerd is used"),
        "swarm-default-advertise-addr": .idle("there is no swarm"), "node-generic-resources": .idle("there is no swarm"),
        "network-control-plane-mtu": .idle("there is no swarm"),
        "oom-score-adjust": .idle("apusd spares itself, as dockerd's unit has it"),
        "raw-logs": .idle("the log has no colours"),
        "allow-nondistributable-artifacts": .idle("layers of all kinds are pushed"),
        "default-gateway": .refused("containers of the default network leave through the host"),
        "default-gateway-v6": .refused("containers of the default network leave through the host"),
        "default-network-opts": .refused("options are said where a network is made, and of the default one by icc, ip-masq, ip and mtu"),
        "allow-direct-routing": .fixed(["false"], "what is reached without a published port is said for each network: its gateway_mode"),
        "bridge-accept-fwmark": .idle("the firewall asks no mark"),
    ]

    /// - Parameter texts: what the setting says; nil for a table.
    /// - Returns: the warning, if there is one to give.
    func judge(_ name: String, _ texts: [String]?, isList: Bool) throws(UsageError) -> String? {
        switch self {
        case .idle(let reason): return "'\(name)' has no effect here: \(reason)"
        case .fixed(let words, let reason):
            if !isList, let texts, texts.count == 1, words.contains(texts[0]) { return nil }
            throw UsageError("'\(name)' must be \(words.filter { !$0.isEmpty }.joined(separator: " or ")): \(reason)")
        case .fixedList(let words, let reason):
            if isList, let texts, texts.allSatisfy(words.contains) { return nil }
            throw UsageError("'\(name)' takes a list of \(words.joined(separator: " and ")): \(reason)")
        case .refused(let reason):
            if isList, texts?.isEmpty == true { return nil }
            throw UsageError("'\(name)' is not served: \(reason)")
        }
    }
}
