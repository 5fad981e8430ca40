internal import Glibc

/// Why a host's name has no address: what the resolver says has no errno.
package struct HostLookupError: Error, Equatable, Sendable, CustomStringConvertible {
    package let name: String
    package let reason: String

    package var description: String { "look up \(name): \(reason)" }
}

/// An address of a host, in numbers; one of IPv4 where there is any. Asks the servers of /etc/resolv.conf and waits as long as that says.
/// - Source: getaddrinfo(3), getnameinfo(3).
package func addressOfHost(_ name: String) throws(HostLookupError) -> String {
    var hints = unsafe addrinfo()
    // One answer for each address, not for each kind of socket.
    unsafe hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
    var found: UnsafeMutablePointer<addrinfo>?
    let code = unsafe getaddrinfo(name, nil, &hints, &found)
    guard code == 0, let first = unsafe found else { throw HostLookupError(name: name, reason: reason(code)) }
    defer { unsafe freeaddrinfo(first) }
    var chosen = unsafe first
    var next: UnsafeMutablePointer<addrinfo>? = unsafe first
    while let each = unsafe next {
        if unsafe each.pointee.ai_family == AF_INET {
            unsafe chosen = unsafe each
            break
        }
        unsafe next = unsafe each.pointee.ai_next
    }
    var text = [CChar](repeating: 0, count: Int(NI_MAXHOST))
    let told = unsafe getnameinfo(
        chosen.pointee.ai_addr, chosen.pointee.ai_addrlen, &text, socklen_t(text.count), nil, 0, NI_NUMERICHOST)
    guard told == 0 else { throw HostLookupError(name: name, reason: reason(told)) }
    return String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
}

private func reason(_ code: Int32) -> String { unsafe gai_strerror(code).map { unsafe String(cString: $0) } ?? "error \(code)" }
