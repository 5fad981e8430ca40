internal import CoreTypes
internal import JSON
package import LinuxSyscalls
package import SystemPackage

/// Serves containers' questions until nobody has any and nobody watches. One thread; waits for nothing but all descriptors together.
package final class NameServer {
    /// What a descriptor is.
    enum Subject {
        case orders
        case order(OwnedSocket)
        case datagrams(String)
        case connections(String)
        case stream(StreamClient)
        case upstream(exchange: UInt64)
        case forwarder
        case relay(ForwarderRelay)
        case forwarderDatagrams
        case flow(ForwarderFlow)
    }

    final class OwnedSocket {
        let socket: OwnedFD
        init(_ socket: consuming OwnedFD) { self.socket = socket }
    }

    /// What one container has of the server.
    final class Resident {
        let sockets: ContainerSockets
        let tokens: [UInt64]
        /// Questions on their way, and connections.
        var (exchanges, streams) = (0, 0)

        init(_ sockets: ContainerSockets, tokens: [UInt64]) {
            self.sockets = sockets
            self.tokens = tokens
        }
    }

    /// The most at once: together, and of one container, so that it takes nothing from the others.
    enum Limit {
        static let (exchanges, exchangesOfOne) = (2048, 128)
        static let (streams, streamsOfOne) = (512, 16)
        static let orders = 32
        /// Datagrams that are taken of one container before it is another one's turn.
        static let turn = 16
    }

    private static let (tickMilliseconds, longTickMilliseconds): (Int32, Int32) = (100, 5_000)
    /// Without containers the process stays for a while: the next one spares its start.
    private static let idleNanoseconds: Int64 = 10_000_000_000

    let folder: NameFolder
    let visitor: NamespaceVisitor
    /// Where the process is not in the host's network.
    let hostSockets: HostSockets?
    private let epoll: Epoll
    private let listener: OwnedFD
    private var nextToken: UInt64 = 1
    var subjects: [UInt64: Subject] = [:]
    var table = NameTable()
    var residents: [String: Resident] = [:]
    var exchanges: [UInt64: Exchange] = [:]
    var nextExchange: UInt64 = 1
    var streamCount = 0
    /// Where published ports lead that the kernel cannot lead on, once somebody asked for that.
    var forwarder: ForwarderSockets?
    var hostServers: HostServers
    /// Servers that lately did not answer, and until when that counts.
    var slow: [UpstreamServer: Int64] = [:]
    private var orderCount = 0
    private var idleSince: Int64?

    /// - Parameters:
    ///   - listener: the socket that orders come by.
    ///   - resolver: the file that names the host's servers.
    ///   - home: the network that stands for the host's, where containers' networks cannot be entered from that one; it is entered for good.
    package init(folder: NameFolder, listener: consuming OwnedFD, resolver: FilePath, home: FilePath? = nil) throws(NameServiceError) {
        self.folder = folder
        self.listener = listener
        hostServers = HostServers(file: resolver)
        do throws(SyscallError) {
            if let home {
                hostSockets = try HostSockets()
                try joinNamespace(try openFile(home, .readOnly), .network, subject: home.string)
            } else {
                hostSockets = nil
            }
            visitor = try NamespaceVisitor()
            epoll = try Epoll()
        } catch { throw NameServiceError("serve names", error) }
    }

    /// Serves. Returns when there is nothing to serve any more.
    package func run() throws(NameServiceError) {
        do throws(SyscallError) {
            try setNonBlocking(true, of: listener.number)
            try watch(listener.number, .orders)
        } catch { throw NameServiceError("serve names", error) }
        reload()
        var (lastLook, lastLongLook): (Int64, Int64) = (0, 0)
        while !isOver() {
            let isWaiting = !exchanges.isEmpty || streamCount > 0 || table.isEmpty
            let hasFlows = forwarder?.flows.isEmpty == false
            do throws(SyscallError) {
                let patience = isWaiting ? Self.tickMilliseconds : hasFlows ? Self.longTickMilliseconds : nil
                for event in try epoll.wait(timeoutMilliseconds: patience) { take(event) }
            } catch { throw NameServiceError("serve names", error) }
            let now = monotonicNanoseconds()
            if hasFlows && now - lastLongLook >= Int64(Self.longTickMilliseconds) * 1_000_000 {
                lastLongLook = now
                endIdleFlows(now)
            }
            if isWaiting && now - lastLook >= Int64(Self.tickMilliseconds) * 500_000 {
                lastLook = now
                endWhatIsLate(now)
            }
        }
    }

    private func isOver() -> Bool {
        guard table.isEmpty else {
            idleSince = nil
            return false
        }
        let now = monotonicNanoseconds()
        let since = idleSince ?? now
        idleSince = since
        // A daemon watches as long as it lives; one that has just begun will soon.
        let patience = orderCount > 0 ? Self.idleNanoseconds : 1_000_000_000
        return now - since > patience
    }

    // MARK: - Descriptors

    @discardableResult
    func watch(_ descriptor: Int32, _ subject: Subject, for readiness: Readiness = .readable) throws(SyscallError) -> UInt64 {
        let token = nextToken
        try epoll.add(descriptor, for: readiness, token: token)
        nextToken += 1
        subjects[token] = subject
        return token
    }

    func change(_ descriptor: Int32, _ token: UInt64, for readiness: Readiness) {
        // Fails for a descriptor that is not watched only.
        try? epoll.change(descriptor, for: readiness, token: token)
    }

    func forget(_ descriptor: Int32, _ token: UInt64) {
        guard subjects.removeValue(forKey: token) != nil else { return }
        try? epoll.remove(descriptor)
    }

    private func take(_ event: ReadyEvent) {
        // What an earlier event of the same round ended is not there any more.
        switch subjects[event.token] {
        case .orders: acceptOrders()
        case .order(let connection): obey(connection, event.token)
        case .datagrams(let container): takeDatagrams(of: container)
        case .connections(let container): acceptStream(of: container)
        case .stream(let client): serve(client, event.token, event.readiness)
        case .upstream(let exchange): hear(exchange, event.token, event.readiness)
        case .forwarder: acceptForwarded()
        case .relay(let relay): serve(relay)
        case .forwarderDatagrams: takeForwardedDatagrams()
        case .flow(let flow): serve(flow)
        case nil: break
        }
    }

    // MARK: - Orders

    private func acceptOrders() {
        while let connection = try? acceptConnection(listener) {
            guard orderCount < Limit.orders, (try? setNonBlocking(true, of: connection.number)) != nil else { continue }
            let owned = OwnedSocket(connection)
            guard (try? watch(owned.socket.number, .order(owned))) != nil else { continue }
            orderCount += 1
        }
    }

    private func obey(_ connection: OwnedSocket, _ token: UInt64) {
        do throws(SyscallError) {
            let message = try receiveMessage(from: connection.socket, limitBytes: NameOrder.limitBytes, subject: "an order")
            for descriptor in message.descriptors { _ = OwnedFD(owning: descriptor) }
            if !message.bytes.isEmpty {
                let answer = carryOut(String(decoding: message.bytes, as: UTF8.self))
                try sendMessage(Array(answer.utf8), to: connection.socket, subject: "an order's answer")
                return
            }
        } catch { if error.isWouldBlock { return } }
        forget(connection.socket.number, token)
        orderCount -= 1
    }

    private func carryOut(_ text: String) -> String {
        guard let order = NameOrder(text) else { return "no order that is known here: \(text)" }
        switch order {
        case .watch: return NameOrder.done
        case .version: return NameOrder.currentVersion
        case .forwarder(let wish): return NameOrder.answer(port: openForwarder(wish: wish))
        case .drop(let container):
            drop(container)
            return NameOrder.done
        case .reload: return reload().first ?? NameOrder.done
        case .load(let container):
            do throws(NameServiceError) {
                try load(container)
                return NameOrder.done
            } catch { return error.message }
        }
    }

    // MARK: - Containers

    /// - Returns: what went wrong with single files.
    @discardableResult
    private func reload() -> [String] {
        var found: Set<String> = []
        var problems: [String] = []
        do throws(SyscallError) {
            let directory = try openFile(folder.entries, [.readOnly, .directory])
            found = Set(try directoryEntries(of: directory, subject: folder.entries.string).map(\.name.string))
        } catch { return ["read \(folder.entries): \(error)"] }
        for container in Array(table.containers) where !found.contains(container) { drop(container) }
        for container in found.sorted() {
            do throws(NameServiceError) { try load(container) } catch { problems.append(error.message) }
        }
        return problems
    }

    private func load(_ container: String) throws(NameServiceError) {
        guard (try? ContainerID(container)) != nil else { throw NameServiceError(.malformed, "\(container) is no container's id") }
        let path = folder.entries.appending(container)
        let bytes: [UInt8]
        do throws(SyscallError) { bytes = try readFile(path, limitBytes: NameFolder.entryLimitBytes) } catch {
            throw NameServiceError("read what container \(container) is called", error)
        }
        let entry: NameEntry
        do throws(JSONError) { entry = try NameEntry(decoding: bytes) } catch {
            throw NameServiceError(.malformed, "read \(path): \(error)")
        }
        if entry.namespace.isEmpty { release(container) } else { try settle(container, FilePath(entry.namespace)) }
        table.insert(entry, of: container)
        closeStrayRelays()
    }

    /// Opens a container's sockets, unless they are there.
    private func settle(_ container: String, _ namespace: FilePath) throws(NameServiceError) {
        if let resident = residents[container] {
            if let status = try? fileStatus(namespace), status.inode == resident.sockets.identity { return }
            release(container)
        }
        let sockets = try ContainerSockets(namespace, visitor)
        do throws(SyscallError) {
            let first = try watch(sockets.listeners.datagrams.number, .datagrams(container))
            do throws(SyscallError) {
                let second = try watch(sockets.listeners.streams.number, .connections(container))
                residents[container] = Resident(sockets, tokens: [first, second])
            } catch {
                forget(sockets.listeners.datagrams.number, first)
                throw error
            }
        } catch { throw NameServiceError("serve a container's questions", error) }
    }

    private func drop(_ container: String) {
        release(container)
        closeStrayRelays()
    }

    /// Takes away all that a container has of the server.
    private func release(_ container: String) {
        table.remove(container)
        for (token, exchange) in exchanges where exchange.asker.container == container { end(token) }
        for case (let token, .stream(let client)) in subjects where client.container == container { close(client, token) }
        guard let resident = residents.removeValue(forKey: container) else { return }
        for (descriptor, token) in zip(
            [resident.sockets.listeners.datagrams.number, resident.sockets.listeners.streams.number], resident.tokens)
        {
            forget(descriptor, token)
        }
    }
}
