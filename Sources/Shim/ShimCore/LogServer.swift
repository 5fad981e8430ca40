internal import CoreTypes
internal import LinuxSyscalls
internal import ShimProtocol
internal import SystemPackage

/// A syslog server or systemd's journal, and the connection to it. It may stall or go away: then a send fails, and can be tried again.
struct LogServer: Sendable {
    private static let connectTimeoutMilliseconds: Int32 = 2000
    /// A server that takes nothing for so long is left, and connected to anew.
    private static let sendTimeoutMilliseconds: Int32 = 10_000
    private static let (tcp, udp): (UInt8, UInt8) = (6, 17)

    private enum Target: Sendable {
        case syslog(SyslogTarget, SyslogLines)
        case journal(path: String, JournalEntries)
    }

    private var target: Target
    private var socket: LogConnection?

    /// The server that is named, if one is; not connected yet.
    init?(_ delivery: LogDelivery) {
        if let syslog = delivery.syslog {
            target = .syslog(syslog, SyslogLines(syslog, process: processID()))
        } else if let journal = delivery.journal {
            target = .journal(path: journal.socketPath, JournalEntries(fields: journal.fields))
        } else {
            return nil
        }
    }

    /// What is sent for a record. Each is to be worded once: pieces of a line are counted.
    mutating func message(of record: LogRecord) -> [UInt8] {
        switch target {
        case .syslog(_, let lines): return lines.message(of: record)
        case .journal(let path, var entries):
            let bytes = entries.entry(of: record)
            target = .journal(path: path, entries)
            return bytes
        }
    }

    mutating func connect() throws(SyscallError) { socket = try connected() }

    /// Sends a message, over a new connection where the one that there was has ended. After a failure there is none.
    mutating func send(_ message: [UInt8]) throws(SyscallError) {
        if let socket, !hasLeft(socket) {
            do throws(SyscallError) { return try send(message, to: socket) } catch
                where error.errno == Errno.resourceTemporarilyUnavailable.rawValue
            {
                // A part of it may be there: the connection is of no use any more.
                self.socket = nil
                throw error
            } catch {}
        }
        socket = nil
        let connected = try connected()
        try send(message, to: connected)
        socket = connected
    }

    /// A server of streams says nothing: what can be read from one is its end. Without this look, what is written next would be lost.
    private func hasLeft(_ socket: LogConnection) -> Bool {
        guard case .syslog(let syslog, _) = target, syslog.transport == .tcp || syslog.transport == .local else { return false }
        guard let ready = try? waitUntilReadable([socket.number], timeoutMilliseconds: 0), !ready.isEmpty else { return false }
        return (try? readChunk(socket.number, limitBytes: 4096))?.isEmpty ?? true
    }

    private func send(_ bytes: [UInt8], to socket: LogConnection) throws(SyscallError) {
        if case .journal(let path, _) = target { return try sendToJournal(bytes, socket, path) }
        var rest = bytes[...]
        while !rest.isEmpty { rest = rest.dropFirst(try sendMessage(Array(rest), to: socket.number, subject: "syslog")) }
    }

    /// What is too long for a datagram goes as a file in memory that nobody can change any more.
    private func sendToJournal(_ bytes: [UInt8], _ socket: LogConnection, _ path: String) throws(SyscallError) {
        do throws(SyscallError) { try sendMessage(bytes, to: socket.number, subject: path) } catch
            where error.errno == Errno.messageTooLong.rawValue || error.errno == Errno.noBufferSpace.rawValue
        {
            let file = try makeMemoryFile(named: "journal-entry")
            try writeAll(bytes, to: file.number, subject: path)
            try sealMemoryFile(file)
            try sendMessage([], descriptors: [file.number], to: socket.number, subject: path)
        }
    }

    private func connected() throws(SyscallError) -> LogConnection {
        let socket: LogConnection
        switch target {
        case .journal(let path, _): socket = LogConnection(try connectUnixSocket(FilePath(path), .datagrams))
        case .syslog(let syslog, _):
            switch syslog.transport {
            case .tcp, .udp:
                socket = try connect(to: syslog)
            case .datagrams: socket = LogConnection(try connectUnixSocket(FilePath(syslog.path), .datagrams))
            case .local: socket = try connectEither(syslog.path)
            }
        }
        try setSendTimeout(Self.sendTimeoutMilliseconds, of: socket.number)
        return socket
    }

    /// - Throws: what names the server as a user wrote it.
    private func connect(to syslog: SyslogTarget) throws(SyscallError) -> LogConnection {
        let port = UInt16(clamping: syslog.port)
        do throws(SyscallError) {
            return LogConnection(
                try connectInternetSocket(
                    syslog.transport == .tcp ? Self.tcp : Self.udp, address: syslog.address, port: port,
                    timeoutMilliseconds: Self.connectTimeoutMilliseconds))
        } catch {
            guard let address = IPAddress(bytes: syslog.address) else { throw error }
            let place = syslog.address.count == 4 ? "\(address):\(port)" : "[\(address)]:\(port)"
            throw SyscallError("connect", "\(syslog.transport == .tcp ? "tcp" : "udp") \(place)", errno: error.errno)
        }
    }

    private func connectEither(_ path: String) throws(SyscallError) -> LogConnection {
        do throws(SyscallError) { return LogConnection(try connectUnixSocket(FilePath(path), .stream)) } catch
            where error.errno == Errno.protocolWrongTypeForSocket.rawValue
        { return LogConnection(try connectUnixSocket(FilePath(path), .datagrams)) }
    }
}

/// An open connection, which goes from thread to thread with its server.
private final class LogConnection: Sendable {
    private let descriptor: OwnedFD
    init(_ descriptor: consuming OwnedFD) { self.descriptor = descriptor }
    var number: Int32 { descriptor.number }
}
