internal import OCISpec

/// A path of the host inside the container.
struct BindMount: Codable, Equatable, Sendable {
    var source: String
    var destination: String
    /// The options as written, for inspect.
    var mode = ""
    var isReadOnly = false
    /// Whether mounts below a read-only source are read-only too.
    var readsOnlyRecursively = true
    /// `rprivate`, `rshared`, …
    var propagation = "rprivate"
    /// Whether mounts below the source come along.
    var isRecursive = true
    /// Whether a source that is missing is made, a directory.
    var makesSource = true
    /// How the owners of its files are shown, `idmap=uids=…;gids=…`; nil is as they are.
    var ownerMapping: String?
    /// A path inside the source, which no link leads out of; nil is all of it.
    var subpath: String?
    /// Whether the propagation is nobody's wish; nil is no.
    var hasDefaultPropagation: Bool?

    init(
        source: String, destination: String, isReadOnly: Bool, readsOnlyRecursively: Bool, propagation: String, isRecursive: Bool,
        makesSource: Bool
    ) {
        self.source = source
        self.destination = destination
        self.isReadOnly = isReadOnly
        self.readsOnlyRecursively = readsOnlyRecursively
        self.propagation = propagation
        self.isRecursive = isRecursive
        self.makesSource = makesSource
    }

    /// Reads an entry of `HostConfig.Binds`, `source:destination[:options]`.
    /// - Throws: `.invalidParameter` in Docker's words.
    init(parsing text: String) throws(EngineError) {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
        guard (2...3).contains(parts.count), parts[0].hasPrefix("/"), !parts.contains("") else { throw Self.invalid(text) }
        if parts.count == 2 && MountWords.areWords(parts[1]) { throw Self.invalid(text) }
        mode = parts.count == 3 ? parts[2] : ""
        let words = try MountWords(parsing: mode, for: .hostPath)
        let destination = cleanedPath(parts[1])
        guard destination != "/" else { throw MountWords.refusal(of: text, .hostPath, "invalid specification: destination can't be '/'") }
        guard parts[1].hasPrefix("/") else { throw MountWords.refusal(of: text, .hostPath, Self.invalidPathWords(parts[1])) }
        try words.checkKind(in: text, of: .hostPath)
        source = cleanedPath(parts[0])
        self.destination = destination
        isReadOnly = words.isReadOnly
        propagation = words.propagation ?? propagation
        if words.propagation == nil { hasDefaultPropagation = true }
        ownerMapping = words.ownerMapping
    }

    /// The mount for the runtime.
    var configuration: MountConfiguration {
        // `ro` alone leaves the mounts below the source writable. No word where nothing is asked for: `rw` would make writable what the
        // host mounted read-only.
        let access = isReadOnly ? ["ro"] + (isRecursive && readsOnlyRecursively ? ["rro"] : []) : []
        return MountConfiguration(
            destination: destination, type: "bind", source: source,
            options: [isRecursive ? "rbind" : "bind"] + access + [propagation] + (ownerMapping.map { [$0] } ?? []))
    }

    /// What the mount asks of the container's root: mounts pass through it only when it is not private itself.
    var rootfsPropagation: RootfsPropagation? {
        switch propagation {
        case "shared", "rshared": .shared
        case "slave", "rslave": .slave
        default: nil
        }
    }

    /// Whether what the daemon mounts below its root is in the mount as well: it holds the root, or lies in it.
    private func reaches(_ root: String) -> Bool {
        let (own, other) = (source.split(separator: "/"), root.split(separator: "/"))
        return own.starts(with: other) || other.starts(with: own)
    }

    /// As Docker's: where nothing else is asked for, mounts of the daemon's that go are gone inside, too, and kept busy by no container.
    /// - Source: moby, daemon/volumes_linux.go, validateBindDaemonRoot.
    mutating func followHost(where root: String) {
        if hasDefaultPropagation == true && reaches(root) { propagation = "rslave" }
    }

    /// - Throws: `.invalidParameter` in Docker's words where it would keep the daemon's mounts busy.
    func checkPropagation(where root: String) throws(EngineError) {
        guard hasDefaultPropagation != true, reaches(root), !["rslave", "rshared"].contains(propagation) else { return }
        throw EngineError(
            .invalidParameter,
            "invalid mount config: must use either propagation mode \"rslave\" or \"rshared\" when mount source is within the daemon root, "
                + "daemon root: \(ContainerChecks.quoted(root)), bind mount source: \(ContainerChecks.quoted(source)), "
                + "propagation: \(ContainerChecks.quoted(propagation))")
    }

    private static func invalid(_ text: String) -> EngineError {
        EngineError(.invalidParameter, "invalid volume specification: '\(text)'")
    }

    static func invalidPathWords(_ path: String) -> String { "invalid mount path: '\(path)' mount path must be absolute" }
}

/// An absolute path without empty, `.` and `..` components, and without a slash at its end.
func cleanedPath(_ path: String) -> String {
    var components: [Substring] = []
    for component in path.split(separator: "/") {
        switch component {
        case ".": continue
        case "..": _ = components.popLast()
        default: components.append(component)
        }
    }
    return "/" + components.joined(separator: "/")
}
