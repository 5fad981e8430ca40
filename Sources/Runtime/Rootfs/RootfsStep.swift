package import LinuxSyscalls
package import OCISpec

/// One thing to do to make a container's file system. Paths are the container's unless they say otherwise.
package enum RootfsStep: Equatable, Sendable {
    /// Changes the propagation of every mount of the namespace.
    case propagateAll(MountPropagation)
    /// Makes the host directory the container's root, a mount of its own.
    case bindRoot(String)
    /// Makes the host directory the container's root as it is: nothing is mounted.
    case openRoot(String)
    case mount(MountStep)
    case device(DeviceStep)
    /// Makes a symbolic link in `/dev`; what bears the name already stays.
    case link(path: String, target: String)
    /// Replaces whatever bears the name by a symbolic link.
    case replaceByLink(path: String, target: String)
    /// Makes a directory where nothing bears its name.
    case directory(String)
    case sysctl(SysctlSetting)
    /// Forbids writing through the mount that an earlier `mount` step made there, now that its mount points exist.
    case makeMountReadOnly(String)
    /// Forbids writing below a path, which is skipped where it does not exist.
    case makeReadOnly(String)
    /// Hides a path, which is skipped where it does not exist.
    case mask(String)
    case makeRootReadOnly
    case changeRoot(RootChange)
    /// Changes the propagation of the root mount.
    case propagateRoot(PropagationChange)
}

/// How the container's root becomes `/`.
package enum RootChange: String, Equatable, Sendable {
    /// pivot_root(2): the host's tree is gone from the namespace.
    case pivot = "pivot_root"
    /// A move over `/` and chroot(2), for roots that cannot be pivoted to (initramfs).
    case move = "move root"
    /// chroot(2) alone, where the mount namespace is not the container's own.
    case chroot
}

/// A file system or a bind to mount.
package struct MountStep: Equatable, Sendable {
    /// What is mounted.
    package enum Kind: Equatable, Sendable {
        /// A file system of a type, with its parameters: a value of nil is a bare flag.
        case fileSystem(type: String, source: String, parameters: [FileSystemParameter])
        /// A file or directory of the host.
        case bind(source: String, recursive: Bool)
        /// The cgroup hierarchies, laid out as the host's. Without a cgroup namespace of the container, binds of its own cgroup.
        case cgroups(inOwnNamespace: Bool)
        /// Nothing new: attributes of the mount that is there already change.
        case remount
    }

    package let destination: String
    package let kind: Kind
    package var attributes = AttributeChange()
    package var recursiveAttributes = AttributeChange()
    package var propagation: [PropagationChange] = []
    /// The owners of a bind's files are shown otherwise: the runtime prepares such a mount, for it takes rights over the source.
    package var ownerMapping: OwnerMapping?
    var copiesUp = false
    var copiesLink = false
    package var followsSource = true
    /// The source of a bind is opened by the runtime too, for the builder works where the host's paths are out of sight.
    package var hasPreparedSource = false
    /// A bind stays a peer of the host's mount: what is mounted inside appears on the host, and the other way round. Not where the runtime
    /// itself mounts something inside.
    package var staysPeer = false
    var followsDestination = true
    /// SELinux label of the directory that is mounted, for a file system that takes none as a parameter.
    package var directoryLabel: String?
}

/// How the owners of an id-mapped mount's files are shown. - Spec: config.md, "Mounts", `uidMappings`, `idmap`.
package struct OwnerMapping: Equatable, Sendable {
    /// Of the mounts below as well.
    package let recursive: Bool
    package let users: [IDMapping]
    package let groups: [IDMapping]
    /// The container's user namespace where it is joined by path, instead of the mappings.
    package let namespacePath: String?
}

/// One directory of the container's cgroup, for mounts that show it.
package struct CgroupPlace: Equatable, Sendable {
    /// The name of the hierarchy's mount point, `cpu,cpuacct`; nil for cgroup v2.
    package let hierarchy: String?
    /// The controllers that share the hierarchy, or its own name where it has none.
    package let controllers: [String]
    /// The directory, on the host.
    package let path: String

    package init(hierarchy: String?, controllers: [String], path: String) {
        self.hierarchy = hierarchy
        self.controllers = controllers
        self.path = path
    }
}

/// `key=value`, or a bare `key`, of a file system.
package struct FileSystemParameter: Equatable, Sendable {
    package let key: String
    package let value: String?
    /// The member of the configuration that it comes of, where that is none of the mount's options.
    package var field: String?

    package init(key: String, value: String?, field: String? = nil) {
        self.key = key
        self.value = value
        self.field = field
    }
}

/// A change of propagation of one mount, or of all below it as well.
package struct PropagationChange: Equatable, Sendable {
    package let propagation: MountPropagation
    package let recursive: Bool

    package init(propagation: MountPropagation, recursive: Bool) {
        self.propagation = propagation
        self.recursive = recursive
    }
}

/// Attributes to set and to clear on a mount; the others stay, which keeps those that a user namespace locks.
package struct AttributeChange: Equatable, Sendable {
    package var set: MountAttributes = []
    package var clear: MountAttributes = []

    package init(set: MountAttributes = [], clear: MountAttributes = []) {
        self.set = set
        self.clear = clear
    }

    package var isEmpty: Bool { self.set.isEmpty && self.clear.isEmpty }
}

/// A device node to make.
package struct DeviceStep: Equatable, Sendable {
    package let path: String
    /// `characterDevice`, `blockDevice` or `pipe`.
    package let type: FileType
    package let number: DeviceNumber
    package let mode: UInt32
    package let userID: UInt32
    package let groupID: UInt32
    /// Bound from the same path of the host, where a user namespace forbids mknod(2).
    package let boundFromHost: Bool
    /// Of linux.devices; nil for a device that every container has.
    let index: Int?
}

/// A kernel setting of one of the container's namespaces.
package struct SysctlSetting: Equatable, Sendable {
    /// As configured: `net.ipv4.ip_forward`.
    package let name: String
    /// Below /proc/sys: `net/ipv4/ip_forward`.
    package let path: String
    package let value: String

    package init(name: String, path: String, value: String) {
        self.name = name
        self.path = path
        self.value = value
    }
}

extension RootfsStep: CustomStringConvertible {
    /// The step and its subject, as an error names them.
    package var description: String {
        switch self {
        case .propagateAll(let propagation): "make / \(propagation.word) recursively"
        case .bindRoot(let path): "bind root \(path)"
        case .openRoot(let path): "open root \(path)"
        case .mount(let step): step.description
        case .device(let device): "make device \(device.path)"
        case .link(let path, _), .replaceByLink(let path, _): "make link \(path)"
        case .directory(let path): "make directory \(path)"
        case .sysctl(let setting): "set sysctl \(setting.name)"
        case .makeMountReadOnly(let path), .makeReadOnly(let path): "make read-only \(path)"
        case .mask(let path): "mask \(path)"
        case .makeRootReadOnly: "make read-only /"
        case .changeRoot(let change): change.rawValue
        case .propagateRoot(let change): "make root \(change.propagation.word)"
        }
    }
}

extension MountStep: CustomStringConvertible {
    package var description: String {
        switch kind {
        case .fileSystem(let type, _, _): "mount \(type) onto \(destination)"
        case .bind(let source, _): "bind \(source) onto \(destination)"
        case .cgroups: "mount cgroup onto \(destination)"
        case .remount: "remount \(destination)"
        }
    }
}

extension MountPropagation {
    /// The word of mount(8).
    var word: String {
        switch self {
        case .shared: "shared"
        case .slave: "slave"
        case .isPrivate: "private"
        case .unbindable: "unbindable"
        }
    }
}
