internal import LinuxSyscalls
internal import ShimProtocol
internal import SystemPackage

/// The keeper itself: holds open files for shims, so that they outlive them.
package enum KeepCommand {
    /// Serves until no shim is connected and nothing is kept.
    package static func run(_ invocation: ShimInvocation) throws(ShimError) {
        do throws(SyscallError) {
            let inherited = try openFile(FilePath(invocation.configuration.directory), [.readOnly, .directory])
            try ServeCommand.becomeSupervisor(keeping: [invocation.listener, inherited.number], name: "apus-keeper")
            let parent = Descriptor(inherited)
            raiseDescriptorLimit()
            let loop = try EventLoop()
            let server = try KeeperServer(Descriptor(OwnedFD(owning: invocation.listener)), in: parent, loop: loop)
            loop.whenIdle { try? releaseUnusedMemory() }
            try server.run()
        } catch { throw ShimError("keep", error) }
    }

    /// As many as a kernel allows by itself; a container has up to six here.
    private static let wantedDescriptorCount: UInt64 = 1_048_576

    /// Beyond the hard limit where we may.
    private static func raiseDescriptorLimit() {
        let descriptors = LimitedResource(rawValue: 7)
        guard let (_, hard) = try? limit(of: descriptors) else { return }
        for wanted in [max(hard, wantedDescriptorCount), hard] {
            do throws(SyscallError) { return try setLimit(of: descriptors, soft: wanted, hard: wanted, subject: "descriptors") } catch {}
        }
    }
}

/// The keeper's side of its socket.
private final class KeeperServer {
    private static let retryDelay = Duration.milliseconds(100)
    /// How long an answer may be read: what it brings stays open meanwhile, whatever becomes of it.
    private static let answerLimit = Duration.seconds(60)
    /// A keeper that no shim has come to by then was started in vain.
    private static let firstClientLimit = Duration.seconds(10)

    private struct Client {
        let socket: Descriptor
        let watch: Watch
        /// What it is still to be told, in packets with what they bring, the next one last; it may be a while before it reads them.
        var answer: [(packet: KeeperPacket, descriptors: [Descriptor])] = []
        /// Ends that while.
        var timer: UInt64?
    }

    private let listener: Descriptor
    private let directory: Descriptor
    private let loop: EventLoop
    private var watch: Watch?
    /// Ends the wait for the first client; nil since that has come.
    private var firstClientTimer: UInt64?
    private var clients: [ObjectIdentifier: Client] = [:]
    private var kept: [String: KeptDescriptors] = [:]

    init(_ listener: Descriptor, in directory: Descriptor, loop: EventLoop) throws(SyscallError) {
        self.listener = listener
        self.directory = directory
        self.loop = loop
        try setNonBlocking(true, of: listener.number)
        watch = try loop.watch(listener.number, for: .readable) { [unowned self] _ in acceptWaiting() }
    }

    /// Serves until nobody needs it.
    func run() throws(SyscallError) {
        firstClientTimer = loop.after(Self.firstClientLimit) { [unowned self] in endIfIdle() }
        try loop.run()
    }

    /// Ends when nobody needs it, unless somebody is about to connect.
    private func endIfIdle() {
        acceptWaiting()
        guard clients.isEmpty, kept.isEmpty else { return }
        // Whoever starts a keeper holds the lock; one that connects just now sees this one hang up, and comes again.
        guard (try? tryLockFile(directory.owned, subject: "the directory of shims")) == true else {
            loop.after(Self.retryDelay) { [weak self] in self?.endIfIdle() }
            return
        }
        try? removeFile(FilePath("/proc/self/fd/\(directory.number)/\(KeeperSocket.name)"))
        loop.stop()
    }

    private func acceptWaiting() {
        while true {
            do throws(SyscallError) { take(Descriptor(try acceptConnection(listener.owned))) } catch {
                // A table of descriptors that is full needs time: a client that waits would wake us without end.
                if !error.isWouldBlock { pauseListening() }
                return
            }
        }
    }

    private func pauseListening() {
        watch?.pause()
        loop.after(Self.retryDelay) { [weak self] in self?.watch?.wait(for: .readable) }
    }

    private func take(_ socket: Descriptor) {
        do throws(SyscallError) {
            guard try peerCredentials(of: socket.owned).userID == effectiveUserID() else { return }
            try setNonBlocking(true, of: socket.number)
            let id = ObjectIdentifier(socket)
            let watch = try loop.watch(socket.number, for: .readable) { [unowned self] _ in
                serve(id)
                flush(id)
            }
            clients[id] = Client(socket: socket, watch: watch)
            // Where nothing happens, nothing wakes.
            if let timer = firstClientTimer { loop.cancelTimer(timer) }
            firstClientTimer = nil
        } catch {
            // The client sees that it was hung up on, and comes again.
            pauseListening()
        }
    }

    private func serve(_ id: ObjectIdentifier) {
        guard let client = clients[id] else { return }
        while true {
            do throws(SyscallError) {
                let message = try receiveMessage(from: client.socket.owned, limitBytes: KeeperPacket.maximumByteCount, subject: "shim")
                let descriptors = message.descriptors.map { Descriptor(OwnedFD(owning: $0)) }
                if message.bytes.isEmpty { break }
                if let packet = KeeperPacket(message.bytes) { perform(packet, descriptors, id) }
            } catch {
                if error.isWouldBlock { return }
                break
            }
        }
        letGo(of: id)
    }

    private func letGo(of id: ObjectIdentifier) {
        if let timer = clients[id]?.timer { loop.cancelTimer(timer) }
        clients.removeValue(forKey: id)?.watch.cancel()
        loop.soon { [weak self] in self?.endIfIdle() }
    }

    private func perform(_ packet: KeeperPacket, _ descriptors: [Descriptor], _ client: ObjectIdentifier) {
        switch packet {
        case .keep(let name, let roles): kept[name] = Dictionary(zip(roles, descriptors)) { first, _ in first }
        case .drop(let name): kept = kept.filter { !KeeperPacket.covers(name, $0.key) }
        case .tell(let name):
            loop.soon { [self] in
                // What the shim had said that was killed may lie in its socket still.
                for id in Array(clients.keys) { serve(id) }
                answer(client, of: name)
            }
        case .kept, .end: break
        }
    }

    /// Tells a client what is kept, as it reads it: nothing waits for one that does not.
    private func answer(_ id: ObjectIdentifier, of name: String) {
        // Who asks again before it has read its answer gets that one.
        guard let client = clients[id], client.answer.isEmpty else { return }
        let matches = kept.filter { KeeperPacket.covers(name, $0.key) }
        let packets = matches.map { other, descriptors in
            let roles = KeptRole.allCases.filter { descriptors[$0] != nil }
            return (packet: KeeperPacket.kept(other, roles: roles), descriptors: roles.compactMap { descriptors[$0] })
        }
        clients[id]?.answer = [(packet: .end, descriptors: [])] + packets
        clients[id]?.timer = loop.after(Self.answerLimit) { [weak self] in self?.letGo(of: id) }
        flush(id)
    }

    private func flush(_ id: ObjectIdentifier) {
        guard let client = clients[id], !client.answer.isEmpty else { return }
        while let next = clients[id]?.answer.last {
            do throws(SyscallError) {
                try sendMessage(
                    next.packet.bytes, descriptors: next.descriptors.map(\.number), to: client.socket.owned, subject: "shim")
            } catch {
                if error.isWouldBlock { return client.watch.wait(for: [.readable, .writable]) }
                if error.isPeerGone { return letGo(of: id) }
                loop.after(Self.retryDelay) { [weak self] in self?.flush(id) }
                return
            }
            clients[id]?.answer.removeLast()
        }
        if let timer = clients[id]?.timer { loop.cancelTimer(timer) }
        client.watch.wait(for: .readable)
    }
}
