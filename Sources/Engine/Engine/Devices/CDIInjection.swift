internal import EngineAPI
internal import OCISpec

/// Works CDI's edits into a specification.
struct CDIInjection {
    var configuration: RuntimeConfiguration

    /// - Throws: `.invalidParameter` for an edit that makes no sense, `.system` for a device that is not there.
    mutating func apply(_ edits: [CDIEdits]) throws(EngineError) {
        for edit in edits {
            add(environment: edit.env ?? [])
            for node in edit.deviceNodes ?? [] { try add(node) }
            for mount in edit.mounts ?? [] { add(mount) }
            for hook in edit.hooks ?? [] { try add(hook) }
            for gid in edit.additionalGids ?? [] where gid != 0 {
                if configuration.process?.user.additionalGIDs.contains(gid) == false {
                    configuration.process?.user.additionalGIDs.append(gid)
                }
            }
        }
    }

    private mutating func add(environment: [String]) {
        for variable in environment {
            let name = ImageDefaults.variableName(variable)
            configuration.process?.environment.removeAll { ImageDefaults.variableName($0) == name }
            configuration.process?.environment.append(variable)
        }
    }

    private mutating func add(_ node: CDIEdits.DeviceNode) throws(EngineError) {
        var device: LinuxDevice
        if let kind = node.type.flatMap(LinuxDevice.Kind.init), let major = node.major, let minor = node.minor {
            device = LinuxDevice(kind, path: node.path, major: major, minor: minor)
        } else {
            device = try HostDevices.node(at: node.hostPath ?? node.path, as: node.path)
        }
        device.fileMode = node.fileMode ?? device.fileMode
        device.uid = node.uid ?? configuration.process.map(\.user.uid)
        device.gid = node.gid ?? configuration.process.map(\.user.gid)
        configuration.linux?.devices.removeAll { $0.path == device.path }
        configuration.linux?.devices.append(device)
        guard device.kind != .fifo else { return }
        let access = try DeviceRules.access(node.permissions ?? "rwm")
        configuration.linux?.resources?.devices.append(DeviceRules.rule(for: device, access: access))
    }

    private mutating func add(_ mount: CDIEdits.Mount) {
        let options = mount.options ?? []
        let type = mount.type ?? ""
        let isBind = type.isEmpty || type == "bind"
        configuration.mounts.removeAll { $0.destination == mount.containerPath }
        configuration.mounts.append(
            MountConfiguration(
                destination: mount.containerPath, type: isBind ? "bind" : type, source: mount.hostPath,
                options: isBind && !options.contains("bind") && !options.contains("rbind") ? ["rbind"] + options : options))
    }

    private mutating func add(_ hook: CDIEdits.Hook) throws(EngineError) {
        var added = Hook(path: hook.path)
        added.arguments = hook.args ?? []
        added.environment = hook.env ?? []
        added.timeoutSeconds = hook.timeout
        switch hook.hookName {
        case "prestart": configuration.hooks.prestart.append(added)
        case "createRuntime": configuration.hooks.createRuntime.append(added)
        case "createContainer": configuration.hooks.createContainer.append(added)
        case "startContainer": configuration.hooks.startContainer.append(added)
        case "poststart": configuration.hooks.poststart.append(added)
        case "poststop": configuration.hooks.poststop.append(added)
        default: throw EngineError(.invalidParameter, "CDI device injection failed: unknown hook \(ContainerChecks.quoted(hook.hookName))")
        }
    }
}
