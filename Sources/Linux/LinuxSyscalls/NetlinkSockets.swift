internal import CLinux
internal import Glibc

/// A service of the kernel that is spoken to by netlink(7).
package enum NetlinkService: Int32, Sendable {
    /// NETLINK_ROUTE: links, addresses, routes.
    case route = 0
    /// NETLINK_SOCK_DIAG: what sockets there are.
    case sockets = 4
    /// NETLINK_NETFILTER: firewall tables.
    case netfilter = 12
}

private let netlinkLevel: Int32 = 270  // SOL_NETLINK

/// A socket to the kernel's routing service. Requests are written and answers read with `writeAll` and `readBytes`.
/// - Source: netlink(7), NETLINK_ROUTE.
package func openRouteSocket() throws(SyscallError) -> OwnedFD { try openNetlinkSocket(.route) }

/// A socket to a service of the network namespace that the calling thread is in. Refusals come with the kernel's own words where it has
/// any, and without the request. - Source: netlink(7), NETLINK_EXT_ACK, NETLINK_CAP_ACK (Linux 4.12).
package func openNetlinkSocket(_ service: NetlinkService) throws(SyscallError) -> OwnedFD {
    let raw = Int32(SOCK_RAW.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
    let socket = OwnedFD(
        owning: try retryingInterrupted("socket", "netlink service \(service.rawValue)") { Glibc.socket(AF_NETLINK, raw, service.rawValue) }
    )
    try setSocketOption(socket.number, level: netlinkLevel, 11, to: 1, subject: "NETLINK_EXT_ACK")
    try setSocketOption(socket.number, level: netlinkLevel, 10, to: 1, subject: "NETLINK_CAP_ACK")
    return socket
}

/// The number by which the kernel knows a netlink socket; it gives one to a socket that has none. - Source: netlink(7), nl_pid.
package func netlinkPort(of socket: borrowing OwnedFD) throws(SyscallError) -> UInt32 {
    let number = socket.number
    var port: UInt32 = 0
    try checked("bind", "netlink") { unsafe clinux_netlink_port(number, &port) }
    return port
}

/// Subscribes a socket to what the service tells everyone of one kind. - Source: netlink(7), NETLINK_ADD_MEMBERSHIP.
package func joinNetlinkGroup(_ group: Int32, of socket: borrowing OwnedFD) throws(SyscallError) {
    try setSocketOption(socket.number, level: netlinkLevel, 1, to: group, subject: "NETLINK_ADD_MEMBERSHIP")
}

/// Makes room for one message of this size on its way, whatever the machine's own maximum is; root of a user namespace gets no more than
/// that. - Source: socket(7), SO_SNDBUFFORCE.
package func forceSendBuffer(of socket: borrowing OwnedFD, bytes: Int32) throws(SyscallError) {
    do throws(SyscallError) {
        try setSocketOption(socket.number, level: SOL_SOCKET, 32, to: bytes, subject: "SO_SNDBUFFORCE")
    } catch  where error.errno == EPERM {
        try setSocketOption(socket.number, level: SOL_SOCKET, SO_SNDBUF, to: bytes, subject: "SO_SNDBUF")
    }
}

/// The same for what comes in. - Source: socket(7), SO_RCVBUFFORCE.
package func forceReceiveBuffer(of socket: borrowing OwnedFD, bytes: Int32) throws(SyscallError) {
    do throws(SyscallError) {
        try setSocketOption(socket.number, level: SOL_SOCKET, 33, to: bytes, subject: "SO_RCVBUFFORCE")
    } catch  where error.errno == EPERM {
        try setSocketOption(socket.number, level: SOL_SOCKET, SO_RCVBUF, to: bytes, subject: "SO_RCVBUF")
    }
}

private func setSocketOption(_ socket: Int32, level: Int32, _ option: Int32, to value: Int32, subject: String) throws(SyscallError) {
    var value = value
    try retryingInterrupted("setsockopt", subject) {
        unsafe setsockopt(socket, level, option, &value, socklen_t(MemoryLayout<Int32>.size))
    }
}
