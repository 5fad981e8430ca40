internal import LinuxSyscalls
internal import Netlink
internal import SystemPackage

/// The process's way into containers' network namespaces and back. It has one thread.
struct NamespaceVisitor: ~Copyable {
    private let home: OwnedFD

    init() throws(SyscallError) { home = try openFile("/proc/thread-self/ns/net", .readOnly) }

    /// Runs `body` in a namespace, and comes back whatever it does.
    func visit<Value: ~Copyable>(_ namespace: borrowing OwnedFD, _ body: () throws(NameServiceError) -> Value) throws(NameServiceError)
        -> Value
    {
        do throws(SyscallError) { try joinNamespace(namespace, .network, subject: "a container's network") } catch {
            throw NameServiceError("enter a container's network", error)
        }
        defer { goBack() }
        return try body()
    }

    private func goBack() {
        do throws(SyscallError) { try joinNamespace(home, .network, subject: "the host's network") } catch {
            // Everything would be done in the wrong network from here on.
            preconditionFailure("no way back from a container's network: \(error)")
        }
    }
}

/// The sockets by which one container asks.
final class ContainerSockets {
    /// What its processes ask: Docker's address, inside its own network.
    static let (address, port): ([UInt8], UInt16) = ([127, 0, 0, 11], 53)
    private static let backlog: Int32 = 32
    private static let table = FirewallTable(.inet, "apus-names")

    let namespace: OwnedFD
    /// Which namespace that is, for as long as it is open.
    let identity: UInt64
    let listeners: Listeners

    /// Opens them and leads port 53 of the address there: the port itself stays free for a server of the container's own.
    init(_ path: FilePath, _ visitor: borrowing NamespaceVisitor) throws(NameServiceError) {
        do throws(SyscallError) {
            namespace = try openFile(path, .readOnly)
            identity = try fileStatus(path).inode
        } catch { throw NameServiceError("open a container's network", error) }
        listeners = try visitor.visit(namespace) { () throws(NameServiceError) in try Self.listen() }
    }

    /// For datagrams and for connections.
    struct Listeners: ~Copyable {
        let datagrams: OwnedFD
        let streams: OwnedFD
    }

    private static func listen() throws(NameServiceError) -> Listeners {
        let any = InternetEndpoint(address: address, port: 0)
        let datagrams = try listening { () throws(SyscallError) in try bindInternetSocket(.datagrams, to: any) }
        let streams = try listening { () throws(SyscallError) in try bindInternetSocket(.stream, to: any, backlog: backlog) }
        do throws(SyscallError) {
            try redirect(datagrams: try localEndpoint(of: datagrams).port, streams: try localEndpoint(of: streams).port)
        } catch { throw NameServiceError("lead a container's questions to their server", error) }
        return Listeners(datagrams: datagrams, streams: streams)
    }

    private static func listening(_ open: () throws(SyscallError) -> OwnedFD) throws(NameServiceError) -> OwnedFD {
        do throws(SyscallError) { return try open() } catch { throw NameServiceError("listen for a container's questions", error) }
    }

    private static func redirect(datagrams: UInt16, streams: UInt16) throws(SyscallError) {
        var changes = FirewallTransaction()
        changes.makeTable(table)
        changes.deleteTable(table)
        changes.makeTable(table)
        let destinationPriority: Int32 = -100
        changes.makeChain("asking", in: table, hook: FirewallHook(.nat, .output, priority: destinationPriority))
        for (transport, port) in [(UInt8(17), datagrams), (UInt8(6), streams)] {
            changes.addRule(
                [
                    .load(.family, into: 0), .equal(0, [2]), .loadBytes(.network, offset: 16, count: 4, into: 0), .equal(0, address),
                    .load(.transport, into: 0), .equal(0, [transport]), .loadBytes(.transport, offset: 2, count: 2, into: 0),
                    .equal(0, bigEndian(Self.port)), .constant(address, into: 0), .constant(bigEndian(port), into: 1),
                    .destination(.v4, address: 0, port: 1),
                ], to: "asking", in: table)
        }
        do throws(NetlinkError) { try changes.commit(doing: "lead a container's questions to their server") } catch {
            throw error.cause ?? SyscallError("netlink", error.description, errno: 71)  // EPROTO
        }
    }
}
