package import CoreTypes
package import LinuxSyscalls
internal import Netlink

/// Ports that programs of the host have. In the network namespace of the calling thread; blocks.
package enum HostPorts {
    /// So many ports are tried one by one.
    private static let fewPorts = 16

    /// Whether this host has `::1`.
    package static var hasLoopbackV6: Bool {
        let (anyPort, loopback): (UInt16, IPAddress) = (0, IPAddress(.v6, bits: 1))
        return (try? probePort(TransportProtocol.tcp.number, address: loopback.bytes, port: anyPort)) != nil
    }

    /// The first port of a range that a program has, with what bind(2) says of it; nil where all are free.
    /// - Parameters:
    ///   - address: the unspecified one is every address of its family.
    ///   - exempt: a port that is not asked about.
    package static func refusal(
        _ transport: TransportProtocol, _ address: IPAddress, _ ports: ClosedRange<UInt16>, besides exempt: UInt16? = nil
    ) -> (port: UInt16, error: SyscallError)? {
        for port in candidates(transport, address, ports) where port != exempt {
            do throws(SyscallError) { try probePort(transport.number, address: address.bytes, port: port) } catch { return (port, error) }
        }
        return nil
    }

    /// Ports that bind(2) is to be asked about: of many, those that a socket has by the kernel's list, and the first, since the address
    /// may be none of this host.
    private static func candidates(_ transport: TransportProtocol, _ address: IPAddress, _ ports: ClosedRange<UInt16>) -> [UInt16] {
        guard ports.count > fewPorts, transport != .sctp else { return Array(ports) }
        // A kernel that has no such list answers one by one.
        guard let sockets = try? LocalPorts.taken(transport.number, address.family) else { return Array(ports) }
        let taken = sockets.filter { socket in
            ports.contains(socket.port) && (socket.address == address || socket.address.isUnspecified || address.isUnspecified)
        }
        return Set(taken.map(\.port) + [ports.lowerBound]).sorted()
    }
}
