internal import CLinux
internal import Glibc
package import SystemPackage

/// How a local socket carries data.
package enum UnixSocketKind: Sendable {
    /// SOCK_STREAM: bytes.
    case stream
    /// SOCK_SEQPACKET: messages, in order, each whole.
    case packets
    /// SOCK_STREAM with O_NONBLOCK: connecting says EAGAIN where the listener's queue is full.
    case nonBlockingStream
    /// SOCK_DGRAM: messages, each whole.
    case datagrams

    fileprivate var type: Int32 {
        switch self {
        case .stream: CLINUX_STREAM
        case .packets: CLINUX_PACKETS
        case .nonBlockingStream: CLINUX_STREAM | O_NONBLOCK
        case .datagrams: CLINUX_DATAGRAMS
        }
    }
}

/// Both ends of a local connection.
package struct SocketPair: ~Copyable {
    package let first: OwnedFD
    package let second: OwnedFD

    /// Makes two connected sockets. - Source: socketpair(2).
    package init(_ kind: UnixSocketKind) throws(SyscallError) {
        var ends: [Int32] = [-1, -1]
        try checked("socketpair") { unsafe clinux_socket_pair(kind.type, &ends) }
        first = OwnedFD(owning: ends[0])
        second = OwnedFD(owning: ends[1])
    }

    /// Gives both ends away.
    package consuming func split<Result>(_ body: (consuming OwnedFD, consuming OwnedFD) -> Result) -> Result { body(first, second) }
}

/// Connects to the socket at `path`. - Source: connect(2), unix(7).
package func connectUnixSocket(_ path: FilePath, _ kind: UnixSocketKind = .stream) throws(SyscallError) -> OwnedFD {
    OwnedFD(
        owning: try checked("connect", path.string) {
            unsafe path.withPlatformString { unsafe clinux_connect_unix(kind.type, $0) }
        })
}

/// Makes a socket at `path`, at most 107 bytes long, to which anybody may send who may write to it. Its mode is 0777 less the umask.
/// - Source: bind(2), unix(7).
package func bindUnixSocket(_ path: FilePath, _ kind: UnixSocketKind) throws(SyscallError) -> OwnedFD {
    OwnedFD(
        owning: try checked("bind", path.string) {
            unsafe path.withPlatformString { unsafe clinux_bind_unix(kind.type, $0) }
        })
}

/// Makes a socket at `path`, at most 107 bytes long, and listens. Its mode is 0777 less the umask. - Source: bind(2), listen(2), unix(7).
package func listenUnixSocket(_ path: FilePath, _ kind: UnixSocketKind = .stream, backlog: Int32) throws(SyscallError) -> OwnedFD {
    OwnedFD(
        owning: try checked("bind", path.string) {
            unsafe path.withPlatformString { unsafe clinux_listen_unix(kind.type, $0, backlog) }
        })
}

/// Takes a socket over that another process listened on before: who connects from now on is told that it is this one's. - Source: unix(7), SO_PEERCRED.
package func listenAgain(on socket: borrowing OwnedFD, backlog: Int32, subject: String) throws(SyscallError) {
    let number = socket.number
    try checked("listen", subject) { clinux_listen(number, backlog) }
}

/// Begins a TCP connection to a numeric address, without waiting for it. - Source: connect(2), tcp(7).
package func beginConnecting(to address: String, port: UInt16) throws(SyscallError) -> OwnedFD {
    OwnedFD(
        owning: try checked("connect", "\(address) port \(port)") {
            unsafe address.withCString { unsafe clinux_begin_tcp($0, port) }
        })
}

/// How a connection that was begun, and whose socket became writable, turned out. - Source: socket(7), SO_ERROR.
package func checkConnection(of socket: Int32, subject: String) throws(SyscallError) {
    try checked("connect", subject) { clinux_socket_error(socket) }
}

/// Takes the next connection of a listening socket. - Source: accept4(2).
package func acceptConnection(_ listener: borrowing OwnedFD) throws(SyscallError) -> OwnedFD {
    try acceptConnection(listener.number)
}

/// The same by number.
package func acceptConnection(_ listener: Int32) throws(SyscallError) -> OwnedFD {
    OwnedFD(owning: try checked("accept") { clinux_accept(listener) })
}

/// Sends one message, with up to 32 descriptors; the receiver gets its own copies of these. No SIGPIPE: EPIPE is thrown.
/// Returns how many bytes were taken; all of them on a socket of packets. - Source: sendmsg(2), SCM_RIGHTS.
@discardableResult
package func sendMessage(
    _ bytes: [UInt8], descriptors: [Int32] = [], to socket: borrowing OwnedFD, subject: String
) throws(SyscallError) -> Int {
    try sendMessage(bytes, descriptors: descriptors, to: socket.number, subject: subject)
}

/// The same by number.
@discardableResult
package func sendMessage(
    _ bytes: [UInt8], descriptors: [Int32] = [], to socket: Int32, subject: String
) throws(SyscallError) -> Int {
    Int(try checked("sendmsg", subject) { unsafe clinux_send(socket, bytes, bytes.count, descriptors, descriptors.count) })
}

/// A message as it came, with the numbers of the descriptors that the receiver now owns.
package struct ReceivedMessage: Sendable {
    /// Empty at the end of the connection.
    package let bytes: [UInt8]
    /// At most 32, close-on-exec: wrap each in `OwnedFD(owning:)`.
    package let descriptors: [Int32]
}

/// Receives one message of at most `limitBytes`. - Throws: EMSGSIZE past the limit, EAGAIN after SO_RCVTIMEO. - Source: recvmsg(2).
package func receiveMessage(
    from socket: borrowing OwnedFD, limitBytes: Int, subject: String
) throws(SyscallError) -> ReceivedMessage {
    try receiveMessage(from: socket.number, limitBytes: limitBytes, subject: subject)
}

/// The same by number.
package func receiveMessage(from socket: Int32, limitBytes: Int, subject: String) throws(SyscallError) -> ReceivedMessage {
    var descriptors = [Int32](repeating: -1, count: 32)
    var descriptorCount = 0
    var failure: SyscallError?
    // Not cleared first: most messages are much shorter than their limit.
    let bytes = unsafe [UInt8](unsafeUninitializedCapacity: limitBytes) { buffer, count in
        do throws(SyscallError) {
            count = Int(
                try checked("recvmsg", subject) {
                    unsafe clinux_receive(socket, buffer.baseAddress, limitBytes, &descriptors, 32, &descriptorCount)
                })
        } catch { failure = error }
    }
    if let failure { throw failure }
    return ReceivedMessage(bytes: bytes, descriptors: Array(descriptors[..<descriptorCount]))
}

/// Who is at the other end of a local connection.
package struct PeerCredentials: Equatable, Sendable {
    package let process: Int32
    package let userID: UInt32
    package let groupID: UInt32
}

/// Who connected, as of then. - Source: unix(7), SO_PEERCRED.
package func peerCredentials(of socket: borrowing OwnedFD) throws(SyscallError) -> PeerCredentials {
    let number = socket.number
    var (process, user, group): (Int32, UInt32, UInt32) = (0, 0, 0)
    try checked("getsockopt SO_PEERCRED") { unsafe clinux_peer_credentials(number, &process, &user, &group) }
    return PeerCredentials(process: process, userID: user, groupID: group)
}
