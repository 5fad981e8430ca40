internal import CLinux
internal import Glibc

/// Finds out whether a port of this machine is free for somebody: binds it and lets it go. A protocol that the kernel does not have takes no port.
/// - Parameters:
///   - transport: IPPROTO_TCP, _UDP or _SCTP.
///   - address: 4 or 16 bytes.
/// - Throws: EADDRINUSE, EADDRNOTAVAIL. - Source: bind(2).
package func probePort(_ transport: UInt8, address: [UInt8], port: UInt16) throws(SyscallError) {
    try checked("bind", "port \(port)") { unsafe clinux_probe_port(Int32(transport), address, address.count, port) }
}

extension SyscallError {
    /// The C library's sentence in lower case, as Go prints it: `address already in use`.
    package var message: String {
        let text = errnoMessage(errno)
        return text.prefix(1).lowercased() + text.dropFirst()
    }
}

/// An address and a port.
package struct InternetEndpoint: Hashable, Sendable {
    /// 4 or 16, in network order.
    package let address: [UInt8]
    package let port: UInt16
    /// The index of the link that the address is of, where it means something on that alone; otherwise 0.
    package let zone: UInt32

    package init(address: [UInt8], port: UInt16, zone: UInt32 = 0) {
        self.address = address
        self.port = port
        self.zone = zone
    }
}

/// The index of a link by its name, or by the digits of its index; nil where there is none. - Source: if_nametoindex(3).
package func linkIndex(_ name: String) -> UInt32? {
    let index = unsafe if_nametoindex(name)
    return index == 0 ? UInt32(name) : index
}

/// How a socket of IPv4 or IPv6 carries data.
package enum InternetSocketKind: Sendable {
    /// UDP.
    case datagrams
    /// TCP.
    case stream

    fileprivate var type: Int32 { Int32(self == .datagrams ? SOCK_DGRAM.rawValue : SOCK_STREAM.rawValue) }
}

/// A socket that does not block, bound to an address of the calling thread's network namespace. - Source: bind(2), ip(7).
/// - Parameter backlog: connections that wait to be taken; nil does not listen.
package func bindInternetSocket(
    _ kind: InternetSocketKind, to endpoint: InternetEndpoint, backlog: Int32? = nil
) throws(SyscallError) -> OwnedFD {
    let socket = OwnedFD(owning: try checked("socket") { clinux_internet_socket(kind.type, endpoint.address.count) })
    let number = socket.number
    try checked("bind", "port \(endpoint.port)") {
        unsafe clinux_bind_internet(number, endpoint.address, endpoint.address.count, endpoint.port)
    }
    if let backlog { try checked("listen", "port \(endpoint.port)") { clinux_listen(number, backlog) } }
    return socket
}

/// A socket that does not block, on its way to an address: what it comes to, `checkConnection` says once it is writable. - Source: connect(2).
package func connectInternetSocket(_ kind: InternetSocketKind, to endpoint: InternetEndpoint) throws(SyscallError) -> OwnedFD {
    let socket = OwnedFD(owning: try checked("socket") { clinux_internet_socket(kind.type, endpoint.address.count) })
    let number = socket.number
    try checked("connect", "port \(endpoint.port)") {
        unsafe clinux_connect_internet(number, endpoint.address, endpoint.address.count, endpoint.port, endpoint.zone)
    }
    return socket
}

/// Where a socket is bound. - Source: getsockname(2).
package func localEndpoint(of socket: borrowing OwnedFD) throws(SyscallError) -> InternetEndpoint {
    let number = socket.number
    var (address, count, port): ([UInt8], Int, UInt16) = ([UInt8](repeating: 0, count: 16), 0, 0)
    try checked("getsockname") { unsafe clinux_local_place(number, &address, &count, &port) }
    return InternetEndpoint(address: Array(address.prefix(count)), port: port)
}

/// A datagram and who sent it.
package struct ReceivedDatagram: Sendable {
    package let bytes: [UInt8]
    package let sender: InternetEndpoint
    /// It was longer than the limit, and its rest is lost.
    package let isCut: Bool
}

/// Takes one datagram without waiting; nil where there is none. - Throws: what an earlier one of ours came to, ECONNREFUSED above all.
/// - Source: recvfrom(2).
package func receiveDatagram(from socket: Int32, limitBytes: Int) throws(SyscallError) -> ReceivedDatagram? {
    var (address, count, port): ([UInt8], Int, UInt16) = ([UInt8](repeating: 0, count: 16), 0, 0)
    var length: Int32 = 0
    let bytes = unsafe [UInt8](unsafeUninitializedCapacity: limitBytes) { buffer, filled in
        repeat {
            length = unsafe clinux_receive_from(socket, buffer.baseAddress, limitBytes, &address, &count, &port)
        } while length == -EINTR
        filled = min(max(Int(length), 0), limitBytes)
    }
    if length == -EAGAIN { return nil }
    if length < 0 { throw SyscallError("recvfrom", errno: -length) }
    return ReceivedDatagram(
        bytes: bytes, sender: InternetEndpoint(address: Array(address.prefix(count)), port: port), isCut: Int(length) > limitBytes)
}

/// A datagram of IPv6, who sent it, and to which of this machine's addresses.
package struct AddressedDatagram: Sendable {
    package let bytes: [UInt8]
    package let sender: InternetEndpoint
    package let address: [UInt8]
}

/// Has a socket of IPv6 say of each datagram which address it was sent to. - Source: ipv6(7), IPV6_RECVPKTINFO.
package func tellLocalAddresses(by socket: Int32) throws(SyscallError) {
    try checked("setsockopt IPV6_RECVPKTINFO") { clinux_tell_local_addresses(socket) }
}

/// As `receiveDatagram`, of a socket that `tellLocalAddresses` was called for.
package func receiveAddressedDatagram(from socket: Int32, limitBytes: Int) throws(SyscallError) -> AddressedDatagram? {
    var (sender, local) = ([UInt8](repeating: 0, count: 16), [UInt8](repeating: 0, count: 16))
    var (port, zone): (UInt16, UInt32) = (0, 0)
    var length: Int32 = 0
    let bytes = unsafe [UInt8](unsafeUninitializedCapacity: limitBytes) { buffer, filled in
        repeat {
            length = unsafe clinux_receive_at(socket, buffer.baseAddress, limitBytes, &sender, &port, &zone, &local)
        } while length == -EINTR
        filled = min(max(Int(length), 0), limitBytes)
    }
    if length == -EAGAIN { return nil }
    if length < 0 { throw SyscallError("recvmsg", errno: -length) }
    return AddressedDatagram(bytes: bytes, sender: InternetEndpoint(address: sender, port: port, zone: zone), address: local)
}

/// Sends one datagram of IPv6 without waiting, from one of this machine's addresses. - Source: ipv6(7), IPV6_PKTINFO.
package func sendDatagram(_ bytes: [UInt8], to endpoint: InternetEndpoint, from address: [UInt8], through socket: Int32)
    throws(SyscallError)
{
    guard endpoint.address.count == 16, address.count == 16 else { throw SyscallError("sendmsg", "port \(endpoint.port)", errno: EINVAL) }
    try checked("sendmsg", "port \(endpoint.port)") {
        unsafe clinux_send_from(socket, bytes, bytes.count, endpoint.address, endpoint.port, endpoint.zone, address)
    }
}

/// Has the kernel find out by itself, after so many seconds of rest, that the other end of a connection is gone. - Source: tcp(7).
package func keepAlive(_ socket: Int32, seconds: Int32) throws(SyscallError) {
    try checked("setsockopt SO_KEEPALIVE") { clinux_keep_alive(socket, seconds) }
}

/// Sends one datagram without waiting. - Source: sendto(2).
package func sendDatagram(_ bytes: [UInt8], to endpoint: InternetEndpoint, through socket: Int32) throws(SyscallError) {
    try checked("sendto", "port \(endpoint.port)") {
        unsafe clinux_send_to(socket, bytes, bytes.count, endpoint.address, endpoint.address.count, endpoint.port)
    }
}

/// The port that a connection was made to before the firewall led it here. - Throws: ENOENT where it was not led anywhere.
/// - Source: linux/netfilter_ipv6/ip6_tables.h, IP6T_SO_ORIGINAL_DST.
package func originalPort(of connection: borrowing OwnedFD) throws(SyscallError) -> UInt16 {
    let (number, option): (Int32, Int32) = (connection.number, 80)
    var place = sockaddr_in6()
    var size = socklen_t(MemoryLayout<sockaddr_in6>.size)
    try retryingInterrupted("getsockopt IP6T_SO_ORIGINAL_DST") { unsafe getsockopt(number, Int32(IPPROTO_IPV6), option, &place, &size) }
    return UInt16(bigEndian: place.sin6_port)
}

/// Says that nothing more is sent; what comes in is still read. - Source: shutdown(2), SHUT_WR.
package func endWriting(to socket: Int32) throws(SyscallError) {
    try retryingInterrupted("shutdown", "descriptor \(socket)") { shutdown(socket, Int32(SHUT_WR)) }
}

/// Connects to a port of an IPv4 (4 bytes) or IPv6 (16 bytes) address. That, and each send later, waits for at most the timeout.
/// - Parameter transport: IPPROTO_TCP 6 or IPPROTO_UDP 17.
/// - Source: connect(2), socket(7), SO_SNDTIMEO.
package func connectInternetSocket(
    _ transport: UInt8, address: [UInt8], port: UInt16, timeoutMilliseconds: Int32
) throws(SyscallError) -> OwnedFD {
    OwnedFD(
        owning: try checked("connect", "port \(port)") {
            unsafe clinux_connect_bounded(Int32(transport), address, address.count, port, timeoutMilliseconds)
        })
}

/// Bounds how long a send may wait; past it, it throws EAGAIN. - Source: socket(7), SO_SNDTIMEO.
package func setSendTimeout(_ milliseconds: Int32, of socket: Int32) throws(SyscallError) {
    try checked("setsockopt SO_SNDTIMEO") { clinux_send_timeout(socket, milliseconds) }
}
