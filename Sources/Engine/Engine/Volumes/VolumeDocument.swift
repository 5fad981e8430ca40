internal import CoreTypes
internal import EngineAPI
internal import LinuxSyscalls

/// What is known of a volume besides its contents; lies beside them, as `volume.json`.
struct VolumeDocument: Codable, Equatable, Sendable {
    /// Grows when an older engine could not read the document.
    static let currentVersion = 1
    /// Docker's mark of a volume that nobody named.
    static let anonymousLabel = "com.docker.volume.anonymous"

    var version = VolumeDocument.currentVersion
    var created: Timestamp
    /// Of the local driver: `type`, `o`, `device`; `size`.
    var options: [String: String] = [:]
    var labels: [String: String] = [:]

    var isAnonymous: Bool { labels[Self.anonymousLabel] != nil }

    /// The same of a volume that somebody gives a name: nothing takes it away for having none.
    var named: VolumeDocument {
        var document = self
        document.labels[Self.anonymousLabel] = nil
        return document
    }

    init(created: Timestamp, options: [String: String] = [:], labels: [String: String] = [:]) {
        self.created = created
        self.options = options
        self.labels = labels
    }

    /// Reads `volume.json`.
    /// - Throws: `.system` for one that a newer engine wrote, or that is no such document.
    init(_ bytes: [UInt8], of name: String) throws(EngineError) {
        do throws(DocumentError) { self = try EngineJSON.decode(VolumeDocument.self, from: bytes) } catch {
            throw .system("read what is known of volume \(name)", error)
        }
        guard version <= Self.currentVersion else {
            throw EngineError(.system, "volume \(name) has version \(version), written by a newer engine")
        }
    }
}

/// What a volume may be called: a single component of a path, so that no name leads out of the volumes' directory.
enum VolumeNames {
    /// NAME_MAX of Linux.
    static let maximumByteCount = 255

    /// - Throws: `.invalidParameter` in Docker's words.
    static func check(_ name: String) throws(EngineError) {
        let bytes = Array(name.utf8)
        guard bytes.count > 1 else {
            throw refused(name, "volume name is too short, names should be at least two alphanumeric characters")
        }
        guard bytes.count <= maximumByteCount else {
            throw refused(name, "volume name is too long, names should be at most \(maximumByteCount) bytes")
        }
        guard let first = bytes.first, isAlphanumeric(first),
            bytes.allSatisfy({ isAlphanumeric($0) || [UInt8(ascii: "_"), UInt8(ascii: "."), UInt8(ascii: "-")].contains($0) })
        else {
            throw refused(
                name,
                "\"\(printable(name))\" includes invalid characters for a local volume name, only \"[a-zA-Z0-9][a-zA-Z0-9_.-]\" are allowed. "
                    + "If you intended to pass a host directory, use absolute path")
        }
    }

    private static func refused(_ name: String, _ reason: String) -> EngineError {
        EngineError(.invalidParameter, "create \(printable(name)): \(reason)")
    }

    /// As much of a name as an error shows.
    private static func printable(_ name: String) -> String { String(name.prefix(maximumByteCount)) }

    private static func isAlphanumeric(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"): true
        default: false
        }
    }
}

/// Options of the local driver: what is mounted where the volume's contents would lie.
///
/// - Source: docker's manual, `volume create`, "Driver-specific options".
enum LocalVolumeDriver {
    /// - Throws: `.invalidParameter` in Docker's words.
    static func check(_ options: [String: String], of name: String) throws(EngineError) {
        for option in options.keys.sorted() where !["type", "o", "device", "size"].contains(option) {
            throw refused(name, "invalid option: \"\(option)\"")
        }
        do throws(EngineError) { _ = try sizeLimit(options) } catch { throw refused(name, error.message) }
        // Files of compose leave values empty; as with Docker, what says nothing mounts nothing.
        let given = options.filter { !$0.value.isEmpty }
        if options["size"] != nil && given["device"] != nil {
            throw refused(name, "the option size is for volumes without a device; a tmpfs takes it as o=size=\(options["size"] ?? "")")
        }
        let mandatory = [("device", ["type"]), ("o", ["device", "type"]), ("type", ["device"])]
        for (option, others) in mandatory where given[option] != nil {
            // A bind needs no type: as with Docker, an empty one is one.
            for other in others where (other == "type" ? options : given)[other] == nil {
                throw refused(name, "missing required option: \"\(other)\"")
            }
        }
    }

    /// What is mounted on the volume's directory while it is in use; nil where its contents are the directory's own.
    static func mount(_ options: [String: String]) -> FstabMount? {
        guard let device = options["device"], let type = options["type"], !device.isEmpty else { return nil }
        let words = (options["o"] ?? "").split(separator: ",").map(String.init)
        return FstabMount(type: type == "none" ? "bind" : type, source: device, options: words)
    }

    /// The same with addresses in place of servers' names, of which the kernel's network file systems know nothing.
    /// - Parameter lookUp: an address of a name.
    static func resolved(_ mount: FstabMount, lookUp: (String) throws(EngineError) -> String) throws(EngineError) -> FstabMount {
        guard ["nfs", "nfs4", "cifs", "smb3"].contains(mount.type) else { return mount }
        var options = mount.options
        if let place = options.firstIndex(where: { $0.hasPrefix("addr=") || $0.hasPrefix("ip=") }) {
            let parts = options[place].split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
            if isName(parts[1]) { options[place] = "\(parts[0])=\(try lookUp(parts[1]))" }
        } else if mount.type == "cifs" || mount.type == "smb3", mount.source.hasPrefix("//"),
            let server = mount.source.dropFirst(2).split(separator: "/", omittingEmptySubsequences: false).first.map(String.init)
        {
            if isName(server) { options.append("addr=\(try lookUp(server))") }
        }
        return FstabMount(type: mount.type, source: mount.source, options: options)
    }

    private static func isName(_ server: String) -> Bool { !server.isEmpty && IPAddress(server) == nil }

    /// What the volume may take, in bytes; nil for one without a limit. - Throws: `.invalidParameter` for no such size.
    static func sizeLimit(_ options: [String: String]) throws(EngineError) -> UInt64? {
        guard let text = options["size"] else { return nil }
        let bytes = try OptionText.binarySize(text)
        guard bytes > 0 else { throw EngineError(.invalidParameter, "invalid size: '\(text)'") }
        return bytes
    }

    static func refused(_ name: String, _ reason: String) -> EngineError {
        EngineError(.invalidParameter, "create \(name): \(reason)")
    }
}
