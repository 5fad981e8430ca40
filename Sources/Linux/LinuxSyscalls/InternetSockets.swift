internal import CLinux

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
