internal import LinuxSyscalls

/// What an open file that outlives a shim is to its process.
enum KeptRole: Character, CaseIterable {
    /// The end of the pipe to standard input that is written to: without it the process would read the end of its input.
    case input = "i"
    case output = "o"
    case error = "e"
    /// Of its terminal: without it the process would get SIGHUP.
    case master = "m"
    case stageReadEnd = "r"
    case stageWriteEnd = "w"
    /// A pidfd, which tells how the process ended also after that.
    case process = "p"
}

/// The open files of one process.
typealias KeptDescriptors = [KeptRole: Descriptor]

/// What a shim and the keeper say to each other, a packet each.
enum KeeperPacket: Equatable {
    static let maximumByteCount = 2048

    /// Keep the descriptors that come along, in the order of their roles, in place of those that are kept under the name.
    case keep(String, roles: [KeptRole])
    /// Let go of what is kept under a name, and under all that begin with it and a slash.
    case drop(String)
    /// Say what `drop` would let go of: `kept` for each, then `end`.
    case tell(String)
    case kept(String, roles: [KeptRole])
    case end

    /// nil for anything else.
    init?(_ bytes: [UInt8]) {
        let words = String(decoding: bytes, as: UTF8.self).split(separator: " ", omittingEmptySubsequences: false).map(String.init)
        guard words.count == 3 else { return nil }
        let roles = words[2].compactMap(KeptRole.init(rawValue:))
        guard roles.count == words[2].count else { return nil }
        switch words[0] {
        case "keep": self = .keep(words[1], roles: roles)
        case "drop": self = .drop(words[1])
        case "tell": self = .tell(words[1])
        case "kept": self = .kept(words[1], roles: roles)
        case "end": self = .end
        default: return nil
        }
    }

    var bytes: [UInt8] {
        let text: String =
            switch self {
            case .keep(let name, let roles): "keep \(name) \(String(roles.map(\.rawValue)))"
            case .drop(let name): "drop \(name) "
            case .tell(let name): "tell \(name) "
            case .kept(let name, let roles): "kept \(name) \(String(roles.map(\.rawValue)))"
            case .end: "end  "
            }
        return Array(text.utf8)
    }

    /// Whether something kept under a name is meant by another.
    static func covers(_ name: String, _ other: String) -> Bool { other == name || other.hasPrefix("\(name)/") }
}
