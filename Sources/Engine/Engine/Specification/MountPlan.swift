internal import EngineAPI
internal import OCISpec
internal import SystemPackage

/// What a request mounts into a container, each destination once: the one list that creation, start and inspect go by.
struct MountPlan: Equatable, Sendable {
    /// What lies at a destination. Each case knows what it needs of the host at the start.
    enum Source: Equatable, Sendable {
        case bind(BindMount)
        /// A file system in memory, by its options.
        case memory(MountConfiguration)
        /// A volume before it is settled which one.
        case wanted(VolumeRequest)
        /// A volume, and its directory on the host.
        case volume(VolumeMount, directory: String)
        case image(ImageMount)
    }

    struct Entry: Equatable, Sendable {
        var destination: String
        var source: Source
        /// Whether it came from `Mounts`.
        var isLong = false
    }

    private(set) var entries: [Entry] = []

    /// Reads `Binds`, `Mounts` and `Tmpfs`.
    /// - Parameter readsOnlyTop: whether read-only binds leave the mounts below them writable, whatever they say.
    /// - Throws: `.invalidParameter` in Docker's words.
    init(_ host: HostConfig, readsOnlyTop: Bool = false) throws(EngineError) {
        for text in host.binds {
            if let request = try VolumeRequest(parsing: text) {
                try add(request.destination, .wanted(request))
            } else {
                let bind = try BindMount(parsing: text)
                try add(bind.destination, .bind(bind))
            }
        }
        for mount in host.mounts {
            let (destination, source) = try Self.read(mount)
            try add(destination, source, isLong: true)
        }
        for (destination, options) in host.tmpfs.sorted(by: { $0.key < $1.key }) {
            let mount = try TemporaryMounts.mount(destination: destination, options: options)
            try add(mount.destination, .memory(mount))
        }
        if readsOnlyTop { changeBinds { $0.readsOnlyRecursively = false } }
    }

    private mutating func add(_ destination: String, _ source: Source, isLong: Bool = false) throws(EngineError) {
        guard !entries.contains(where: { $0.destination == destination }) else {
            throw EngineError(.invalidParameter, "Duplicate mount point: \(destination)")
        }
        entries.append(Entry(destination: destination, source: source, isLong: isLong))
    }

    /// Puts the volumes in the place of those wanted, and adds what comes from other containers.
    fileprivate mutating func settle(_ volumes: [VolumeMount], inherited: [BindMount], in folder: VolumeFolder) {
        entries.removeAll { if case .wanted = $0.source { true } else { false } }
        entries += inherited.map { Entry(destination: $0.destination, source: .bind($0)) }
        entries += volumes.map { volume in
            Entry(destination: volume.destination, source: .volume(volume, directory: folder.contents(of: volume.name).string))
        }
        let root = folder.daemonRoot
        changeBinds { $0.followHost(where: root) }
    }

    mutating func changeBinds(_ change: (inout BindMount) -> Void) {
        for index in entries.indices {
            guard case .bind(var bind) = entries[index].source else { continue }
            change(&bind)
            entries[index].source = .bind(bind)
        }
    }

    /// Every volume that is wanted, in the order of the request.
    var wanted: [VolumeRequest] {
        entries.compactMap { if case .wanted(let request) = $0.source { request } else { nil } }
    }

    /// Every volume with a place of its own inside that is shown, in the order of the request.
    var subpaths: [BindMount] { volumes.filter { $0.subpath != nil } }

    /// Every volume, as a bind of its directory.
    private var volumes: [BindMount] {
        entries.compactMap { if case .volume(let volume, let directory) = $0.source { volume.bind(from: directory) } else { nil } }
    }

    /// Every image beside the container's own: its place here is the number of its tree.
    var images: [ImageMount] {
        entries.compactMap { if case .image(let image) = $0.source { image } else { nil } }
    }

    /// Everything of the host that the container shows: binds and volumes.
    var shown: [BindMount] { binds + volumes }

    /// Every bind of a path of the host.
    var binds: [BindMount] {
        entries.compactMap { if case .bind(let bind) = $0.source { bind } else { nil } }
    }

    /// The mounts for the runtime.
    /// - Parameter pins: where paths inside volumes, and images, are pinned for this run, by destination. An image that is not is left out.
    /// - Parameter mapsOwners: whether volumes show the ids on the disk as those of the container's user namespace.
    func configurations(pins: [String: String], mapsOwners: Bool = false) -> [MountConfiguration] {
        entries.compactMap { entry in
            switch entry.source {
            case .bind(let bind): bind.configuration
            case .memory(let mount): mount
            case .volume(let volume, let directory):
                volume.bind(from: pins[volume.destination] ?? directory, mapsOwners: mapsOwners).configuration
            case .image(let image): pins[image.destination].map { image.bind(from: $0).configuration }
            case .wanted: nil
            }
        }
    }

    /// What the mounts ask of the container's root: they pass through it only when it is not private itself.
    var rootfsPropagation: RootfsPropagation? {
        let wanted = binds.compactMap(\.rootfsPropagation)
        return wanted.contains(.shared) ? .shared : wanted.first
    }

    /// The mounts as inspect tells them, in the order of the request.
    var points: [MountPoint] {
        entries.compactMap { entry in
            var point = MountPoint()
            point.destination = entry.destination
            switch entry.source {
            case .bind(let bind):
                point.type = "bind"
                point.source = bind.source
                point.mode = bind.mode
                point.readWrite = !bind.isReadOnly
                point.propagation = bind.propagation
                return point
            case .memory(let mount):
                // Docker lists the ones of `Mounts`, not those of `Tmpfs`.
                guard entry.isLong else { return nil }
                point.type = "tmpfs"
                point.readWrite = !mount.options.contains("ro")
                return point
            case .volume(let volume, let directory):
                point.type = "volume"
                point.name = volume.name
                point.source = directory
                point.driver = ContainerEngine.volumeDriver
                point.mode = volume.mode
                point.readWrite = !volume.isReadOnly
                return point
            case .image(let image):
                point.type = "image"
                point.source = image.reference
                point.readWrite = false
                return point
            case .wanted: return nil
            }
        }
    }
}

extension ContainerDocument {
    /// What the container's own request mounts.
    var ownMounts: MountPlan { get throws(EngineError) { try MountPlan(hostConfig, readsOnlyTop: readsOnlyTop) } }

    /// What the container mounts, its volumes and what it has from other containers included.
    func mountPlan(in folder: VolumeFolder) throws(EngineError) -> MountPlan {
        var plan = try ownMounts
        plan.settle(volumes, inherited: inheritedBinds, in: folder)
        return plan
    }
}

// MARK: - The long form

extension MountPlan {
    private static func read(_ mount: Mount) throws(EngineError) -> (String, Source) {
        do throws(MountFault) {
            guard !mount.target.isEmpty else { throw .missing("Target") }
            guard cleanedPath(mount.target) != "/" || !mount.target.hasPrefix("/") else {
                throw MountFault("invalid specification: destination can't be '/'")
            }
            guard mount.target.hasPrefix("/") else { throw .relative(mount.target) }
            let destination = cleanedPath(mount.target)
            switch mount.type {
            case "bind": return (destination, .bind(try bind(mount, destination)))
            case "tmpfs": return (destination, .memory(try memory(mount, destination)))
            case "volume": return (destination, .wanted(try volume(mount, destination)))
            case "image": return (destination, .image(try image(mount, destination)))
            case "cluster": break
            default: throw MountFault("mount type unknown")
            }
        } catch {
            if let refusal = error.refusal { throw refusal }
            throw EngineError(.invalidParameter, "invalid mount config for type \(ContainerChecks.quoted(mount.type)): \(error.text)")
        }
        throw Refusal.notYet("HostConfig.Mounts of type \"\(mount.type)\"")
    }

    private static func bind(_ mount: Mount, _ destination: String) throws(MountFault) -> BindMount {
        guard !mount.source.isEmpty else { throw .missing("Source") }
        if mount.volumeOptions != nil { throw .extra("VolumeOptions") }
        if mount.tmpfsOptions != nil { throw .extra("TmpfsOptions") }
        if mount.imageOptions != nil { throw .extra("ImageOptions") }
        let options = mount.bindOptions ?? BindOptions()
        guard options.propagation.isEmpty || MountWords.propagations.contains(options.propagation) else {
            throw MountFault("invalid propagation mode: \(options.propagation)")
        }
        guard mount.source.hasPrefix("/") else { throw .relative(mount.source) }
        if options.readOnlyForceRecursive {
            guard mount.readOnly else { throw MountFault("option ReadOnlyForceRecursive requires ReadOnly to be set") }
            guard !options.readOnlyNonRecursive else {
                throw MountFault("options ReadOnlyNonRecursive and ReadOnlyForceRecursive conflict")
            }
        }
        guard options.ownerMapping.isEmpty || MountWords.isOwnerMapping(options.ownerMapping) else {
            throw MountFault("invalid idmap option: \(options.ownerMapping): it is not like idmap=uids=0-1000-1;gids=0-1000-1")
        }
        var bind = BindMount(
            source: cleanedPath(mount.source), destination: destination, isReadOnly: mount.readOnly,
            readsOnlyRecursively: !options.readOnlyNonRecursive,
            propagation: options.propagation.isEmpty ? "rprivate" : options.propagation, isRecursive: !options.nonRecursive,
            makesSource: options.createMountpoint)
        bind.ownerMapping = options.ownerMapping.isEmpty ? nil : options.ownerMapping
        if options.propagation.isEmpty { bind.hasDefaultPropagation = true }
        return bind
    }

    private static func volume(_ mount: Mount, _ destination: String) throws(MountFault) -> VolumeRequest {
        if mount.bindOptions != nil { throw .extra("BindOptions") }
        if mount.tmpfsOptions != nil { throw .extra("TmpfsOptions") }
        if mount.imageOptions != nil { throw .extra("ImageOptions") }
        if mount.source.isEmpty && mount.readOnly { throw MountFault("must not set ReadOnly mode when using anonymous volumes") }
        do throws(EngineError) {
            if !mount.source.isEmpty { try VolumeNames.check(mount.source) }
            return try VolumeRequest(mount, at: destination)
        } catch { throw MountFault(error) }
    }

    private static func image(_ mount: Mount, _ destination: String) throws(MountFault) -> ImageMount {
        if mount.bindOptions != nil { throw .extra("BindOptions") }
        if mount.volumeOptions != nil { throw .extra("VolumeOptions") }
        if mount.tmpfsOptions != nil { throw .extra("TmpfsOptions") }
        guard !mount.source.isEmpty else { throw .missing("Source") }
        let subpath = mount.imageOptions?.subpath ?? ""
        guard MountWords.isLocal(subpath) else { throw MountFault("subpath must be a relative path within the image") }
        return ImageMount(reference: mount.source, destination: destination, subpath: subpath.isEmpty ? nil : subpath)
    }

    private static func memory(_ mount: Mount, _ destination: String) throws(MountFault) -> MountConfiguration {
        if mount.bindOptions != nil { throw .extra("BindOptions") }
        if mount.volumeOptions != nil { throw .extra("VolumeOptions") }
        if mount.imageOptions != nil { throw .extra("ImageOptions") }
        guard mount.source.isEmpty else { throw .extra("Source") }
        let options = mount.tmpfsOptions ?? TmpfsOptions()
        guard options.sizeBytes >= 0 else { throw MountFault("invalid tmpfs size \(options.sizeBytes)") }
        var words = mount.readOnly ? ["ro"] : []
        if options.mode != 0 { words.append("mode=\(String(options.mode & 0o7777, radix: 8))") }
        if options.sizeBytes != 0 { words.append("size=\(options.sizeBytes)") }
        for option in options.options {
            guard (1...2).contains(option.count) else { throw MountFault("invalid option array length") }
            words.append(option.joined(separator: "="))
        }
        do throws(EngineError) {
            return try TemporaryMounts.mount(destination: destination, options: words.joined(separator: ","))
        } catch { throw MountFault(error.message) }
    }
}

/// What is wrong with a mount in the long form, in Docker's words.
private struct MountFault: Error {
    let text: String
    /// A refusal that stands as it is.
    var refusal: EngineError?

    init(_ text: String) { self.text = text }

    init(_ refusal: EngineError) {
        text = refusal.message
        self.refusal = refusal
    }

    static func missing(_ field: String) -> MountFault { MountFault("field \(field) must not be empty") }
    static func extra(_ field: String) -> MountFault { MountFault("field \(field) must not be specified") }
    static func relative(_ path: String) -> MountFault { MountFault("invalid mount path: '\(path)' mount path must be absolute") }
}
