internal import LinuxSyscalls
package import OCISpec
package import SystemPackage

/// What is done, in order, to make a container's file system. `RootfsBuilder` does it.
package struct RootfsPlan: Equatable, Sendable {
    /// Up to the `createContainer` hooks: the root, its mounts and its devices.
    package let preparation: [RootfsStep]
    /// After the hooks: settings, masks, and the change of root.
    package let completion: [RootfsStep]
    /// What errors call the list that the mounts are of.
    var listOfMounts = "mounts"

    init(preparation: [RootfsStep], completion: [RootfsStep], listOfMounts: String = "mounts") {
        self.preparation = preparation
        self.completion = completion
        self.listOfMounts = listOfMounts
    }
}

/// Turns a configuration into steps. Pure but for one look at a network namespace to be joined, when `net.*` sysctls are set.
/// - Parameters:
///   - bundle: absolute; relative paths of the root and of bind sources start here.
///   - pivoting: false for `--no-pivot`.
/// - Throws: `invalidConfiguration` or `unsupported`, naming the field.
/// - Spec: runtime-spec v1.3.0, config.md "Root" and "Mounts", config-linux.md "Default Filesystems" to "Masked Paths".
package func planRootfs(
    for configuration: RuntimeConfiguration, bundle: FilePath, pivoting: Bool = true
) throws(RootfsError) -> RootfsPlan {
    let linux = configuration.linux ?? LinuxConfiguration()
    guard let root = configuration.root else { throw RootfsError(.invalidConfiguration, "root", "missing") }
    let rootPath = pathOfRoot(root, bundle: bundle).string
    let sysctls = try sysctlSteps(for: configuration)
    let isOwn = linux.namespace(.mount) != nil
    if !isOwn {
        try refuseWhatNeedsMountNamespace(configuration, linux)
        if !configuration.mountsInCallersNamespace {
            return RootfsPlan(preparation: [.openRoot(rootPath)], completion: sysctls + [.changeRoot(.chroot)])
        }
    }

    var plan = MountPlan(bundle: bundle, linux: linux)
    let ownMounts = linux.namespace(.mount)
    plan.sharesBinds = linux.rootfsPropagation == .shared && isOwn && ownMounts?.path == nil && linux.namespace(.user) == nil
    for (index, mount) in configuration.mounts.enumerated() { try plan.add(mount, field: "mounts[\(index)]") }
    let devices = plan.bindsDevices ? [] : try deviceSteps(for: linux)
    let finalPropagation: MountPropagation? =
        switch linux.rootfsPropagation {
        case .shared: .shared
        case .unbindable: .unbindable
        case .private, .slave, nil: nil
        }
    // In the caller's namespace everything lies below the root's own mount, and no other mount is touched.
    var preparation: [RootfsStep] =
        isOwn
        ? [.propagateAll(linux.rootfsPropagation == .private ? .isPrivate : .slave), .bindRoot(rootPath)]
        : [.bindRoot(rootPath), .propagateRoot(PropagationChange(propagation: .isPrivate, recursive: true))]
    preparation += plan.steps + devices

    var completion: [RootfsStep] = []
    if let directory = configuration.process?.workingDirectory, directory != "/" { completion.append(.directory(directory)) }
    completion += sysctls
    completion += plan.readOnlyLater.map { .makeMountReadOnly($0) }
    completion += linux.readonlyPaths.map { .makeReadOnly($0) }
    completion += linux.maskedPaths.map { .mask($0) }
    if root.isReadOnly { completion.append(.makeRootReadOnly) }
    completion.append(.changeRoot(!isOwn ? .chroot : pivoting ? .pivot : .move))
    if let finalPropagation { completion.append(.propagateRoot(PropagationChange(propagation: finalPropagation, recursive: false))) }
    return RootfsPlan(preparation: preparation, completion: completion)
}

/// Where the root is on the host. As with runc, `..` takes back the name before it, whatever that leads to.
package func pathOfRoot(_ root: RootConfiguration, bundle: FilePath) -> FilePath {
    bundle.pushing(FilePath(root.path)).lexicallyNormalized()
}

/// What hides or protects something of the host can be undone from where the host's own mounts are; and a user namespace has no rights
/// over a mount namespace that it does not own.
private func refuseWhatNeedsMountNamespace(_ configuration: RuntimeConfiguration, _ linux: LinuxConfiguration) throws(RootfsError) {
    var needs: [(String, Bool)] = [
        ("linux.maskedPaths", !linux.maskedPaths.isEmpty), ("linux.readonlyPaths", !linux.readonlyPaths.isEmpty),
        ("linux.rootfsPropagation", linux.rootfsPropagation != nil),
    ]
    if !configuration.mountsInCallersNamespace {
        needs += [
            ("mounts", !configuration.mounts.isEmpty), ("linux.devices", !linux.devices.isEmpty),
            ("root.readonly", configuration.root?.isReadOnly == true), ("process.terminal", configuration.process?.terminal == true),
        ]
    }
    if let field = needs.first(where: \.1)?.0 {
        throw RootfsError(.invalidConfiguration, field, "needs a mount namespace in linux.namespaces")
    }
}

extension RuntimeConfiguration {
    /// Whether the container's mounts are made in the mount namespace of the runtime's caller, below its root, to be undone with the container.
    package var mountsInCallersNamespace: Bool { linux?.namespace(.mount) == nil && linux?.namespace(.user) == nil }
}

/// The steps of `mounts`, and what they ask for later.
struct MountPlan {
    let bundle: FilePath
    let linux: LinuxConfiguration
    let hasCgroupNamespace: Bool
    var steps: [RootfsStep] = []
    /// The mounts that become read-only only once everything inside them exists.
    var readOnlyLater: [String] = []
    /// `/dev` comes from the host as it is: nothing is made in it.
    var bindsDevices = false
    /// Whether binds that are to be shared are so with the host; in a user namespace the kernel would not have it.
    var sharesBinds = false

    init(bundle: FilePath, linux: LinuxConfiguration) {
        self.bundle = bundle
        self.linux = linux
        hasCgroupNamespace = linux.namespace(.cgroup) != nil
    }

    mutating func add(_ mount: MountConfiguration, field: String) throws(RootfsError) {
        let destination = pathInRoot(mount.destination)
        if destination == "/" { throw RootfsError(.invalidConfiguration, "\(field).destination", "is the root") }
        let options = try MountOptions(mount.options, field: "\(field).options")
        let kind = try options.remounts ? remount(options, field: field) : kind(of: mount, options, field: field)
        if kind != .remount { try checkProcMount(kind, destination, field: field) }

        var step = MountStep(destination: destination, kind: kind)
        // As runc has it: queues take no context, and their directory takes another label.
        if case .fileSystem(type: "mqueue", _, _) = kind { step.directoryLabel = mountLabel }
        step.attributes = options.attributes
        step.recursiveAttributes = options.recursiveAttributes
        step.propagation = options.propagation
        step.ownerMapping = try ownerMapping(of: mount, options, kind, field: field)
        try addExtensions(options, to: &step, field: "\(field).options")
        if case .bind = kind {
            bindsDevices = bindsDevices || destination == "/dev"
            // Taken before the host's mounts become ones that pass nothing on.
            step.staysPeer = sharesBinds && !step.copiesLink && step.propagation.last?.propagation == .shared
            step.hasPreparedSource = step.staysPeer
        } else if becomesReadOnlyLater(step) {
            step.attributes.set.remove(.readOnly)
            readOnlyLater.append(destination)
        }
        steps.append(.mount(step))
    }

    private func ownerMapping(
        of mount: MountConfiguration, _ options: MountOptions, _ kind: MountStep.Kind, field: String
    ) throws(RootfsError) -> OwnerMapping? {
        guard options.ownerMapping != nil || !mount.uidMappings.isEmpty || !mount.gidMappings.isEmpty else { return nil }
        guard case .bind = kind else {
            throw RootfsError(.unsupported, "\(field).uidMappings", "only bind mounts are id-mapped")
        }
        let recursive = options.ownerMapping == .recursive
        if !mount.uidMappings.isEmpty || !mount.gidMappings.isEmpty {
            guard !mount.uidMappings.isEmpty, !mount.gidMappings.isEmpty else {
                throw RootfsError(.invalidConfiguration, "\(field).uidMappings", "uidMappings and gidMappings go together")
            }
            return OwnerMapping(recursive: recursive, users: mount.uidMappings, groups: mount.gidMappings, namespacePath: nil)
        }
        if let option = options.mappingOption {
            guard let (users, groups) = option.mappings(in: linux) else {
                throw RootfsError(
                    .invalidConfiguration, "\(field).options", "the ids after @ in idmap= are not all mapped by the user namespace")
            }
            return OwnerMapping(recursive: recursive, users: users, groups: groups, namespacePath: nil)
        }
        guard let user = linux.namespace(.user) else {
            throw RootfsError(.invalidConfiguration, "\(field).options", "idmap without uidMappings and gidMappings needs a user namespace")
        }
        return OwnerMapping(recursive: recursive, users: linux.uidMappings, groups: linux.gidMappings, namespacePath: user.path)
    }

    private func addExtensions(_ options: MountOptions, to step: inout MountStep, field: String) throws(RootfsError) {
        step.copiesUp = options.copiesUp
        step.copiesLink = options.copiesLink
        step.followsSource = options.followsSource
        step.followsDestination = options.followsDestination
        let isTemporary = if case .fileSystem(type: "tmpfs", _, _) = step.kind { true } else { false }
        let isBind = if case .bind = step.kind { true } else { false }
        if options.copiesUp && !isTemporary { throw RootfsError(.invalidConfiguration, field, "tmpcopyup is for tmpfs") }
        if (options.copiesLink || !options.followsSource) && !isBind {
            throw RootfsError(.invalidConfiguration, field, "copy-symlink and src-nofollow are for bind mounts")
        }
    }

    private func kind(of mount: MountConfiguration, _ options: MountOptions, field: String) throws(RootfsError) -> MountStep.Kind {
        if options.bind != nil || mount.type == "bind" {
            guard let source = mount.source, !source.isEmpty else {
                throw RootfsError(.invalidConfiguration, "\(field).source", "a bind mount needs one")
            }
            // As in mount(8), values for a file system that is mounted already change nothing; a bare word may be an option misspelt.
            // Those that are a file system's as a whole stay what they are there.
            if let parameter = options.parameters.first(where: { $0.value == nil && !fileSystemFlags.contains($0.key) }) {
                throw RootfsError(.unsupported, "\(field).options", "the mount option '\(parameter.key)' is not supported for a bind mount")
            }
            return .bind(source: bundle.pushing(FilePath(source)).string, recursive: options.bind == .recursive)
        }
        switch mount.type {
        case nil, "", "none": throw RootfsError(.invalidConfiguration, "\(field).type", "missing, and no bind among the options")
        case "cgroup": return .cgroups(inOwnNamespace: hasCgroupNamespace)
        case .some(let type):
            var parameters = options.parameters
            let deferred = type == "tmpfs" || mount.destination == "/dev"
            if let mountLabel, !unlabelledTypes.contains(type), !parameters.contains(where: isContext) {
                parameters.append(FileSystemParameter(key: "context", value: mountLabel, field: "linux.mountLabel"))
            }
            if options.attributes.set.contains(.readOnly) && !deferred { parameters.append(FileSystemParameter(key: "ro", value: nil)) }
            return .fileSystem(type: type, source: mount.source ?? type, parameters: parameters)
        }
    }

    private var mountLabel: String? { linux.mountLabel.flatMap { $0.isEmpty ? nil : $0 } }

    private func remount(_ options: MountOptions, field: String) throws(RootfsError) -> MountStep.Kind {
        if let parameter = options.parameters.first {
            let problem = "'\(parameter.key)' is an option of the file system, and remount changes those of the mount alone"
            throw RootfsError(.unsupported, "\(field).options", problem)
        }
        return .remount
    }

    /// Whether mount points and devices are still to be made inside a mount that is to be read-only.
    private func becomesReadOnlyLater(_ step: MountStep) -> Bool {
        guard step.attributes.set.contains(.readOnly), case .fileSystem(let type, _, _) = step.kind else { return false }
        return type == "tmpfs" || step.destination == "/dev"
    }
}

/// Flags of a file system that has them or not wherever it is mounted: a bind mount ignores them, as with mount(8) and runc.
private let fileSystemFlags: Set<String> = ["sync", "dirsync", "lazytime", "mand"]

/// The kernel's own file systems, whose files have labels of the policy's.
private let unlabelledTypes: Set<String> = ["proc", "sysfs", "mqueue", "cgroup2"]

/// Whether it is a label of SELinux, which a mount that brings its own keeps.
func isContext(_ parameter: FileSystemParameter) -> Bool {
    parameter.key == "context" || parameter.key == "fscontext" || parameter.key == "defcontext" || parameter.key == "rootcontext"
}

/// A path of the container as an absolute one without `.`, `..` and doubled slashes; symbolic links are not looked at.
func pathInRoot(_ path: String) -> String {
    var components: [Substring] = []
    for component in fields(of: path[...], separatedBy: UInt8(ascii: "/")) {
        switch component {
        case ".": break
        case "..": _ = components.popLast()
        default: components.append(component)
        }
    }
    if components.isEmpty { return "/" }
    return components.reduce(into: "") { path, component in
        path += "/"
        path += component
    }
}

/// Whether a mount may lie on procfs: the procfs of the container itself, and the files of it that lxcfs and its like replace, which no
/// mask and no rule of an LSM relies on.
func mayLieOnProc(_ destination: String) -> Bool {
    switch destination {
    case "/proc", "/proc/cpuinfo", "/proc/diskstats", "/proc/meminfo", "/proc/stat", "/proc/swaps", "/proc/uptime", "/proc/loadavg",
        "/proc/slabinfo", "/proc/net/dev", "/proc/sys/kernel/ns_last_pid", "/proc/sys/crypto/fips_enabled":
        true
    default: false
    }
}

/// Refuses what would hide procfs, or files of it that confinement relies on (CVE-2019-16884).
private func checkProcMount(_ kind: MountStep.Kind, _ destination: String, field: String) throws(RootfsError) {
    guard destination == "/proc" || destination.hasPrefix("/proc/") else { return }
    switch kind {
    case .fileSystem(type: "proc", _, _) where destination == "/proc": return
    case .bind where mayLieOnProc(destination): return
    default:
        throw RootfsError(.invalidConfiguration, "\(field).destination", "\(destination) lies inside /proc, where this must not be mounted")
    }
}

/// The devices that every container has. - Spec: config-linux.md, "Default Devices".
private let defaultDevices = [
    LinuxDevice(.character, path: "/dev/null", major: 1, minor: 3), LinuxDevice(.character, path: "/dev/zero", major: 1, minor: 5),
    LinuxDevice(.character, path: "/dev/full", major: 1, minor: 7), LinuxDevice(.character, path: "/dev/random", major: 1, minor: 8),
    LinuxDevice(.character, path: "/dev/urandom", major: 1, minor: 9), LinuxDevice(.character, path: "/dev/tty", major: 5, minor: 0),
]

/// The nodes and links of /dev. - Spec: config-linux.md, "Default Devices", "Devices"; runtime-linux.md, "Dev symbolic links".
private func deviceSteps(for linux: LinuxConfiguration) throws(RootfsError) -> [RootfsStep] {
    let bound = linux.namespace(.user) != nil
    var steps: [RootfsStep] = []
    for device in defaultDevices where !linux.devices.contains(where: { $0.path == device.path }) {
        steps.append(.device(try deviceStep(device, boundFromHost: bound, field: "linux.devices")))
    }
    for (index, device) in linux.devices.enumerated() where device.path != "/dev/ptmx" {
        steps.append(.device(try deviceStep(device, boundFromHost: bound, field: "linux.devices[\(index)]", index: index)))
    }
    steps.append(.replaceByLink(path: "/dev/ptmx", target: "pts/ptmx"))
    for (name, target) in [("fd", "fd"), ("stdin", "fd/0"), ("stdout", "fd/1"), ("stderr", "fd/2")] {
        steps.append(.link(path: "/dev/\(name)", target: "/proc/self/\(target)"))
    }
    steps.append(.link(path: "/dev/core", target: "/proc/kcore"))
    return steps
}

private func deviceStep(
    _ device: LinuxDevice, boundFromHost: Bool, field: @autoclosure () -> String, index: Int? = nil
) throws(RootfsError) -> DeviceStep {
    // A dev_t of the kernel: 12 bits of major, 20 of minor number.
    guard (0..<4096).contains(device.major), (0..<1_048_576).contains(device.minor) else {
        throw RootfsError(.invalidConfiguration, field(), "\(device.major):\(device.minor) is no device number")
    }
    let type: LinuxSyscalls.FileType =
        switch device.kind {
        case .block: .blockDevice
        case .character, .unbufferedCharacter: .characterDevice
        case .fifo: .pipe
        }
    let path = pathInRoot(device.path)
    return DeviceStep(
        path: path, type: type, number: DeviceNumber(major: UInt32(device.major), minor: UInt32(device.minor)),
        mode: (device.fileMode ?? 0o666) & 0o7777, userID: device.uid ?? 0, groupID: device.gid ?? 0,
        boundFromHost: boundFromHost && type != .pipe, index: index)
}
