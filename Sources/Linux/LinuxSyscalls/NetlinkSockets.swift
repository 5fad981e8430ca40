internal import Glibc

/// A socket to the kernel's routing service. Requests are written and answers read with `writeAll` and `readBytes`.
/// - Source: netlink(7), NETLINK_ROUTE.
package func openRouteSocket() throws(SyscallError) -> OwnedFD {
    let raw = Int32(SOCK_RAW.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
    return OwnedFD(owning: try retryingInterrupted("socket", "NETLINK_ROUTE") { socket(AF_NETLINK, raw, 0) })
}
