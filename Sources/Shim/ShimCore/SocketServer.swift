internal import LinuxSyscalls
internal import ShimProtocol

/// Takes connections on the shim's socket, from its own user only.
final class SocketServer {
    /// Clients at once: one for supervision, and one for each attach.
    static let maximumConnectionCount = 1024
    private static let retryDelay = Duration.milliseconds(100)

    private let loop: EventLoop
    private let listener: Descriptor
    private let userID: UInt32
    private let accept: (TtrpcRequest, ServerCall) -> Void
    private let isIdle: () -> Void
    private var watch: Watch?
    private var connections: [ObjectIdentifier: ServerConnection] = [:]

    /// - Parameter isIdle: called when the last client has left.
    init(
        listener: Descriptor, userID: UInt32, loop: EventLoop, accept: @escaping (TtrpcRequest, ServerCall) -> Void,
        isIdle: @escaping () -> Void
    ) throws(SyscallError) {
        self.listener = listener
        self.userID = userID
        self.loop = loop
        self.accept = accept
        self.isIdle = isIdle
        try setNonBlocking(true, of: listener.number)
        watch = try loop.watch(listener.number, for: .readable) { [unowned self] _ in acceptWaiting() }
    }

    var hasClients: Bool { !connections.isEmpty }

    /// Calls `action` when every client took what was sent, at the latest after `limit`.
    func whenDrained(limit: Duration, _ action: @escaping () -> Void) {
        let once = Once(action)
        var waiting = connections.count
        if waiting == 0 { return loop.soon(once.run) }
        loop.after(limit, once.run)
        for connection in connections.values {
            connection.whenDrained {
                waiting -= 1
                if waiting == 0 { once.run() }
            }
        }
    }

    private func acceptWaiting() {
        while true {
            do throws(SyscallError) {
                take(Descriptor(try acceptConnection(listener.owned)))
            } catch {
                // ECONNABORTED and the like are that client's matter; a full descriptor table needs time.
                if !error.isWouldBlock { pauseListening() }
                return
            }
        }
    }

    private func take(_ socket: Descriptor) {
        // The directory keeps others out already; this holds when somebody opens it.
        do throws(SyscallError) {
            guard try peerCredentials(of: socket.owned).userID == userID, connections.count < Self.maximumConnectionCount
            else { return }
            let connection = try ServerConnection(
                socket: socket, loop: loop, accept: accept, closed: { [unowned self] in forget($0) })
            connections[ObjectIdentifier(connection)] = connection
        } catch { pauseListening() }
    }

    private func forget(_ connection: ServerConnection) {
        // Kept until the turn ends: it is the caller.
        loop.soon { [self] in
            connections[ObjectIdentifier(connection)] = nil
            if connections.isEmpty { isIdle() }
        }
    }

    private func pauseListening() {
        watch?.pause()
        loop.after(Self.retryDelay) { [weak self] in self?.watch?.wait(for: .readable) }
    }
}
