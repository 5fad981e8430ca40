/// The words behind the last colon of `-v`, which paths of the host and volumes have in common.
struct MountWords: Equatable, Sendable {
    enum Place: Sendable {
        case hostPath, volume
    }

    static let propagations: Set<String> = ["private", "rprivate", "slave", "rslave", "shared", "rshared"]

    var isReadOnly = false
    /// Of a volume: whether an empty one gets what the image has there.
    var copiesImage = true
    /// Of a path of the host: `rprivate`, `rshared`, …; nil where nothing is said.
    var propagation: String?
    /// Of a path of the host: how the owners of its files are shown, as the runtime reads it; nil is as they are.
    var ownerMapping: String?

    /// The field of the long form that a word belongs to which is for mounts of the other kind.
    private var otherKindsField: String?

    /// - Throws: `.invalidParameter` in Docker's words.
    init(parsing text: String, for place: Place) throws(EngineError) {
        var kinds: Set<String> = []
        for word in text.split(separator: ",", omittingEmptySubsequences: false).map(String.init) where !text.isEmpty {
            guard let kind = try take(word, for: place), kinds.insert(kind).inserted else {
                throw EngineError(.invalidParameter, "invalid mode: \(text)")
            }
        }
    }

    /// - Returns: what the word is about, of which there is one word at most; nil for one that means nothing there.
    private mutating func take(_ word: String, for place: Place) throws(EngineError) -> String? {
        switch word {
        case "ro", "rw":
            isReadOnly = word == "ro"
            return "access"
        // Labels of SELinux, which are never changed here, and hints for other platforms: without effect.
        case "z", "Z": return "label"
        case "consistent", "cached", "delegated", "default": return "consistency"
        case "nocopy":
            if place == .hostPath { otherKindsField = "VolumeOptions" }
            copiesImage = false
            return "copy"
        case _ where Self.propagations.contains(word):
            if place == .volume { otherKindsField = "BindOptions" }
            propagation = word
            return "propagation"
        case _ where place == .hostPath && Self.isOwnerMapping(word):
            ownerMapping = word
            return "owners"
        default: return nil
        }
    }

    /// - Parameters:
    ///   - text: all of `-v`.
    ///   - place: what it mounts.
    /// - Throws: `.invalidParameter` in Docker's words for a word of mounts of the other kind.
    func checkKind(in text: String, of place: Place) throws(EngineError) {
        if let otherKindsField { throw Self.refusal(of: text, place, "field \(otherKindsField) must not be specified") }
    }

    /// Whether a text is what may stand behind the last colon, so that none of what is before it is a place in the container.
    static func areWords(_ text: String) -> Bool { (try? MountWords(parsing: text, for: .hostPath)) != nil }

    /// Docker's words for a `-v` that can be read and cannot be.
    static func refusal(of text: String, _ place: Place, _ fault: String) -> EngineError {
        let type = place == .volume ? "volume" : "bind"
        return EngineError(
            .invalidParameter, "invalid volume specification: '\(text)': invalid mount config for type \"\(type)\": \(fault)")
    }

    /// The owners on the disk are shown as those of the container's own user namespace.
    static let ownNamespace = "idmap"

    /// Whether a word is `idmap`, or has the form `idmap=uids=FILE-SHOWN-COUNT[#…];gids=…`; the runtime checks the numbers.
    static func isOwnerMapping(_ word: String) -> Bool {
        if word == ownNamespace { return true }
        let parts = word.split(separator: ";", omittingEmptySubsequences: false)
        guard parts.count == 2, parts[0].hasPrefix("idmap=uids=") || parts[0].hasPrefix("ridmap=uids="), parts[1].hasPrefix("gids=") else {
            return false
        }
        return parts.allSatisfy { part in
            let numbers = part.drop { $0 != "s" }.dropFirst(2)
            return !numbers.isEmpty && numbers.utf8.allSatisfy { (0x30...0x39).contains($0) || [0x23, 0x2d, 0x40].contains($0) }
        }
    }

    /// Whether a path is relative, and no `..` leads above where it begins.
    static func isLocal(_ path: String) -> Bool {
        guard !path.hasPrefix("/"), !path.utf8.contains(0) else { return false }
        var depth = 0
        for component in path.split(separator: "/") where component != "." {
            depth += component == ".." ? -1 : 1
            if depth < 0 { return false }
        }
        return true
    }
}
