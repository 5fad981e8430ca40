package import LinuxSyscalls

// Which member of the configuration a step is about. Looked up where a step is refused: the others need no names.
extension RootfsPlan {
    /// `mounts[7].type: `, to be put before what was going on; empty for a step that no single member asks for.
    /// - Parameter index: of the step in `preparation`, where it is a mount.
    func fieldPrefix(of step: RootfsStep, at index: Int, refusedWith error: SyscallError) -> String {
        switch step {
        case .bindRoot, .openRoot: "root.path: "
        case .mount: fieldOfMount(at: index, refusedWith: error) + ": "
        case .device(let device): device.index.map { "linux.devices[\($0)]: " } ?? ""
        case .directory: "process.cwd: "
        case .sysctl(let setting): "linux.sysctl.\(setting.name): "
        case .makeReadOnly: "linux.readonlyPaths: "
        case .mask: "linux.maskedPaths: "
        case .makeRootReadOnly: "root.readonly: "
        case .propagateRoot: "linux.rootfsPropagation: "
        case .propagateAll, .link, .replaceByLink, .makeMountReadOnly, .changeRoot: ""
        }
    }

    /// The member that a mount was refused for: `mounts[7].type`, or `mounts[7]` where the call does not tell.
    /// - Parameter index: of a mount in `preparation`, which has a step for each mount of the configuration, in the same order.
    package func fieldOfMount(at index: Int, refusedWith error: SyscallError) -> String {
        let field = fieldOfMount(at: index)
        if isSource(error.subject, ofMountAt: index) { return field + ".source" }
        switch error.call {
        case "fsopen": return field + ".type"
        case "fsconfig": return field + (error.subject.hasPrefix("source=") ? ".source" : ".options")
        case "move_mount", "openat2", "open", "mkdir", "symlink": return field + ".destination"
        default: return field
        }
    }

    /// The same without a look at why.
    package func fieldOfMount(at index: Int) -> String {
        let number = preparation[..<index].count { if case .mount = $0 { true } else { false } }
        return "\(listOfMounts)[\(number)]"
    }

    private func isSource(_ subject: String, ofMountAt index: Int) -> Bool {
        guard case .mount(let mount) = preparation[index], case .bind(let source, _) = mount.kind else { return false }
        return source == subject
    }
}
