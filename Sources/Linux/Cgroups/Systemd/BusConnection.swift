internal import Glibc
package import LinuxSyscalls
internal import SystemPackage

/// Why a call over D-Bus was not answered as it should be.
package enum BusError: Error, Equatable, Sendable {
    case system(SyscallError)
    /// The other side refused: D-Bus's name of the error, and its text.
    case refused(name: String, message: String)
    case malformed(String)
    case timedOut

    var reason: String {
        switch self {
        case .system(let error): error.description
        case .refused(let name, let message): message.isEmpty ? name : "\(message) (\(name))"
        case .malformed(let problem): "the answer makes no sense: \(problem)"
        case .timedOut: "no answer within \(BusConnection.timeoutNanoseconds / 1_000_000_000) s"
        }
    }
}

/// A connection to systemd: straight to its own socket, or through a bus. One call at a time, each within a time.
final class BusConnection {
    static let timeoutNanoseconds: Int64 = 30_000_000_000
    private static let wakingNanoseconds: Int64 = 20_000_000
    private static let authenticationLimitBytes = 16_384

    private let socket: OwnedFD
    private var serial: UInt32 = 0
    private var received: [UInt8] = []
    /// nil on systemd's own socket, where nobody else is.
    private let destination: String?
    /// Signals that came while something else was waited for.
    private var signals: [BusMessage] = []

    private init(_ socket: consuming OwnedFD, destination: String?) {
        self.socket = socket
        self.destination = destination
    }

    /// Connects and says who we are.
    static func open(_ path: FilePath, isBus: Bool, destination: String) throws(BusError) -> BusConnection {
        let connection: BusConnection
        do { connection = BusConnection(try connectUnixSocket(path), destination: isBus ? destination : nil) } catch {
            throw .system(error)
        }
        try connection.authenticate()
        if isBus {
            _ = try connection.call("/org/freedesktop/DBus", "org.freedesktop.DBus", "Hello", to: "org.freedesktop.DBus")
        } else {
            try connection.wake()
        }
        return connection
    }

    /// - Source: D-Bus specification, "Authentication Protocol", EXTERNAL.
    private func authenticate() throws(BusError) {
        let hexadecimal = String(effectiveUserID()).utf8.map { String($0, radix: 16) }.joined()
        try send(Array("\0AUTH EXTERNAL \(hexadecimal)\r\n".utf8))
        let deadline = monotonicNanoseconds() + Self.timeoutNanoseconds
        while !received.ends(with: "\r\n") {
            guard received.count < Self.authenticationLimitBytes else { throw .malformed("the greeting has no end") }
            try receive(until: deadline)
        }
        let answer = String(decoding: received.dropLast(2), as: UTF8.self)
        guard answer.hasPrefix("OK") else { throw .refused(name: answer, message: "we are not let in") }
        received = []
        try send(Array("BEGIN\r\n".utf8))
    }

    /// What comes in one piece with BEGIN systemd leaves lying until more comes: it is pinged until it answers.
    private func wake() throws(BusError) {
        let deadline = monotonicNanoseconds() + Self.timeoutNanoseconds
        while true {
            serial += 1
            var ping = BusMessage(.call)
            ping.serial = serial
            ping.path = "/"
            ping.interface = "org.freedesktop.DBus.Peer"
            ping.member = "Ping"
            try send(ping.encoded)
            do throws(BusError) {
                _ = try next(until: min(deadline, monotonicNanoseconds() + Self.wakingNanoseconds))
                return
            } catch {
                guard error == .timedOut, monotonicNanoseconds() < deadline else { throw error }
            }
        }
    }

    /// Calls a method and returns what it answers.
    func call(
        _ path: String, _ interface: String, _ member: String, _ body: [BusValue] = [], to other: String? = nil
    ) throws(BusError) -> [BusValue] {
        serial += 1
        var message = BusMessage(.call)
        message.serial = serial
        message.path = path
        message.interface = interface
        message.member = member
        message.destination = other ?? destination
        message.body = body
        try send(message.encoded)
        let deadline = monotonicNanoseconds() + Self.timeoutNanoseconds
        while true {
            let answer = try next(until: deadline)
            switch answer.kind {
            case .signal: signals.append(answer)
            case .reply where answer.replySerial == serial: return answer.body
            case .error where answer.replySerial == serial:
                throw .refused(name: answer.errorName ?? "", message: answer.body.first?.text ?? "")
            case .reply, .error, .call: break
            }
        }
    }

    /// Waits for a signal that came or will come.
    func awaitSignal(_ member: String, where matches: ([BusValue]) -> Bool) throws(BusError) -> [BusValue] {
        if let earlier = signals.first(where: { $0.member == member && matches($0.body) }) { return earlier.body }
        let deadline = monotonicNanoseconds() + Self.timeoutNanoseconds
        while true {
            let message = try next(until: deadline)
            if message.kind == .signal, message.member == member, matches(message.body) { return message.body }
        }
    }

    private func next(until deadline: Int64) throws(BusError) -> BusMessage {
        while received.count < BusMessage.headBytes { try receive(until: deadline) }
        let length = try BusMessage.length(head: Array(received[..<BusMessage.headBytes]))
        while received.count < length { try receive(until: deadline) }
        defer { received.removeFirst(length) }
        return try BusMessage(decoding: Array(received[..<length]))
    }

    private func receive(until deadline: Int64) throws(BusError) {
        var chunk = [UInt8](repeating: 0, count: 16_384)
        do throws(SyscallError) {
            let remaining = (deadline - monotonicNanoseconds()) / 1_000_000
            guard remaining > 0, try !waitUntilReadable([socket.number], timeoutMilliseconds: Int32(clamping: remaining)).isEmpty else {
                throw SyscallError("poll", errno: ETIMEDOUT)
            }
            let count = try readBytes(socket.number, into: &chunk)
            if count == 0 { throw SyscallError("read", "systemd's socket", errno: ECONNRESET) }
            received += chunk[..<count]
        } catch { throw error.errno == ETIMEDOUT ? .timedOut : .system(error) }
    }

    /// What we say is shorter than a socket's buffer: no wait for a reader who sleeps.
    private func send(_ bytes: [UInt8]) throws(BusError) {
        var rest = bytes[...]
        do throws(SyscallError) {
            while !rest.isEmpty { rest = rest.dropFirst(try sendMessage(Array(rest), to: socket, subject: "systemd's socket")) }
        } catch { throw .system(error) }
    }
}

extension [UInt8] {
    fileprivate func ends(with text: String) -> Bool { suffix(text.utf8.count).elementsEqual(text.utf8) }
}
