internal import CoreTypes
internal import LinuxSyscalls

/// Who waits for an answer.
enum Asker {
    /// By a datagram.
    case datagram(container: String, from: InternetEndpoint)
    /// On a connection, by its token.
    case stream(UInt64, container: String)

    var container: String {
        switch self {
        case .datagram(let container, _), .stream(_, let container): container
        }
    }
}

/// Somebody else who may know, as a resolv.conf(5) names him: `192.0.2.53`, `fe80::1%eth0`.
struct UpstreamServer: Hashable, Sendable, CustomStringConvertible {
    let address: IPAddress
    /// The link that the address is of, by its name or number; empty for none.
    let zone: String

    init(_ address: IPAddress, zone: String = "") {
        self.address = address
        self.zone = zone
    }

    /// nil for what is no address.
    init?(_ text: String) {
        let parts = text.split(separator: "%", maxSplits: 1, omittingEmptySubsequences: false)
        guard let address = IPAddress(parts[0]), parts.count == 1 || address.family == .v6 && !parts[1].isEmpty else { return nil }
        self.init(address, zone: parts.count == 1 ? "" : String(parts[1]))
    }

    var description: String { zone.isEmpty ? address.description : "\(address)%\(zone)" }
}

/// One way to ask somebody else.
struct Attempt: Equatable, Sendable {
    let server: UpstreamServer
    let isStream: Bool

    static let port: UInt16 = 53
    /// Looked up each time: a link may come back under another number.
    var endpoint: InternetEndpoint {
        InternetEndpoint(address: server.address.bytes, port: Self.port, zone: server.zone.isEmpty ? 0 : linkIndex(server.zone) ?? 0)
    }

    /// Every server by datagrams, then every one by a connection: some have only that. Those that lately did not answer come last.
    static func all(_ servers: [UpstreamServer], slow: Set<UpstreamServer>) -> [Attempt] {
        let ordered = servers.filter { !slow.contains($0) } + servers.filter(slow.contains)
        return ordered.map { Attempt(server: $0, isStream: false) } + ordered.map { Attempt(server: $0, isStream: true) }
    }
}

/// A question on its way to one server.
final class UpstreamLine {
    let attempt: Attempt
    let socket: OwnedFD
    /// Nobody can guess it.
    let id: UInt16
    var outgoing: [UInt8]
    var incoming: [UInt8] = []
    /// Datagrams that did not answer the question.
    var strays = 0
    static let strayLimit = 32

    init(_ attempt: Attempt, _ socket: consuming OwnedFD, id: UInt16, outgoing: [UInt8]) {
        self.attempt = attempt
        self.socket = socket
        self.id = id
        self.outgoing = outgoing
    }
}

/// A question that others are asked: one after another, each a while after the one before, whose answer is still welcome.
final class Exchange {
    let asker: Asker
    let query: NameMessage
    let bytes: [UInt8]
    /// From whose network the servers are asked; nil for the host's.
    let sockets: ContainerSockets?
    var plan: ArraySlice<Attempt>
    var lines: [UInt64: UpstreamLine] = [:]
    /// An answer that is worse than none that may come yet.
    var spare: [UInt8]?
    /// When the next one is asked, and when nobody is waited for any more; of the clock that is never set.
    var nextStep: Int64
    let deadline: Int64

    static let (stepNanoseconds, limitNanoseconds): (Int64, Int64) = (700_000_000, 4_500_000_000)

    init(_ asker: Asker, _ query: NameMessage, _ bytes: [UInt8], plan: [Attempt], sockets: ContainerSockets?, now: Int64) {
        self.asker = asker
        self.query = query
        self.bytes = bytes
        self.plan = plan[...]
        self.sockets = sockets
        nextStep = now + Self.stepNanoseconds
        deadline = now + Self.limitNanoseconds
    }

    /// What an answer is worth.
    enum Worth: Equatable { case none, spare, cut, whole }

    /// - Parameter line: the one that it came on.
    func worth(_ answer: [UInt8], on line: UpstreamLine) -> Worth {
        guard let message = NameMessage(answer), message.id == line.id, message.isResponse, message.question == query.question else {
            return .none
        }
        if message.isTruncated && !line.attempt.isStream { return .cut }
        let noSuchName: UInt16 = 3
        return [ResponseCode.success.rawValue, noSuchName].contains(message.responseCode) ? .whole : .spare
    }
}

/// A connection of a container's.
final class StreamClient {
    let container: String
    let socket: OwnedFD
    var incoming: [UInt8] = []
    var outgoing: [UInt8] = []
    /// Questions whose answers are not there yet.
    var pending = 0
    /// Of the clock that is never set.
    var lastUse: Int64
    /// The other end sends no more.
    var isHalfClosed = false

    static let idleNanoseconds: Int64 = 10_000_000_000
    /// One answer of the largest size and a few small ones.
    static let outgoingLimitBytes = 131_072

    init(_ container: String, _ socket: consuming OwnedFD, now: Int64) {
        self.container = container
        self.socket = socket
        lastUse = now
    }

    /// Takes the next whole message out of what came in. - Source: RFC 1035, 4.2.2.
    func nextMessage() -> [UInt8]? { Self.takeMessage(from: &incoming) }

    /// A message behind its length in two bytes; nil until it is whole.
    static func takeMessage(from buffer: inout [UInt8]) -> [UInt8]? {
        guard buffer.count >= 2 else { return nil }
        let end = 2 + (Int(buffer[0]) << 8 | Int(buffer[1]))
        guard buffer.count >= end else { return nil }
        let message = Array(buffer[2..<end])
        buffer.removeFirst(end)
        return message
    }

    static func framed(_ message: [UInt8]) -> [UInt8] { bigEndian(UInt16(clamping: message.count)) + message }
}
