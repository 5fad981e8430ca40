internal import CoreTypes
internal import LinuxSyscalls

/// Containers' questions, and what is answered at once.
extension NameServer {
    func takeDatagrams(of container: String) {
        guard let resident = residents[container] else { return }
        for _ in 0..<Limit.turn {
            // An error is what an answer to somebody who is gone came to: the next datagram is another matter.
            guard
                let found = try? receiveDatagram(from: resident.sockets.listeners.datagrams.number, limitBytes: NameMessage.queryLimitBytes)
            else {
                return
            }
            if !found.isCut { consider(found.bytes, .datagram(container: container, from: found.sender)) }
        }
    }

    /// Answers a question, or has it asked elsewhere. What is no question is dropped: an answer could only serve to trouble somebody.
    private func consider(_ bytes: [UInt8], _ asker: Asker) {
        guard let query = NameMessage(bytes), !query.isResponse else { return }
        if query.operation != 0 { return reply(query, bytes, .notImplemented, to: asker) }
        if let extensions = query.extensions, extensions.version > 0 { return reply(query, bytes, .badVersion, to: asker) }
        switch table.find(query.question, for: asker.container) {
        case .addresses(let addresses): reply(query, bytes, .success, addresses.map { .address($0.bytes) }, to: asker)
        case .name(let name): reply(query, bytes, .success, [.pointer(name)], to: asker)
        case .nothing: reply(query, bytes, .success, to: asker)
        case .unknown: ask(query, bytes, asker)
        }
    }

    func reply(_ query: NameMessage, _ bytes: [UInt8], _ code: ResponseCode, _ records: [NameRecord] = [], to asker: Asker) {
        send(NameReply.make(to: query, of: bytes, code, records, limitBytes: limitBytes(query, asker)), to: asker)
    }

    func limitBytes(_ query: NameMessage, _ asker: Asker) -> Int {
        switch asker {
        case .datagram: query.datagramLimitBytes
        case .stream: Int(UInt16.max)
        }
    }

    func send(_ answer: [UInt8], to asker: Asker) {
        switch asker {
        case .datagram(let container, let sender):
            guard let resident = residents[container] else { return }
            // A full buffer loses it, as a network may; who asked asks again.
            try? sendDatagram(answer, to: sender, through: resident.sockets.listeners.datagrams.number)
        case .stream(let token, _):
            guard case .stream(let client) = subjects[token] else { return }
            client.outgoing += StreamClient.framed(answer)
            client.lastUse = monotonicNanoseconds()
            guard client.outgoing.count <= StreamClient.outgoingLimitBytes else { return close(client, token) }
            change(client.socket.number, token, for: client.isHalfClosed ? .writable : [.readable, .writable])
        }
    }

    // MARK: - Connections

    func acceptStream(of container: String) {
        guard let resident = residents[container], let socket = try? acceptConnection(resident.sockets.listeners.streams) else { return }
        guard resident.streams < Limit.streamsOfOne, streamCount < Limit.streams, (try? setNonBlocking(true, of: socket.number)) != nil
        else {
            return
        }
        let client = StreamClient(container, socket, now: monotonicNanoseconds())
        guard (try? watch(client.socket.number, .stream(client))) != nil else { return }
        resident.streams += 1
        streamCount += 1
    }

    func serve(_ client: StreamClient, _ token: UInt64, _ readiness: Readiness) {
        do throws(SyscallError) {
            if !readiness.isDisjoint(with: [.failed, .hungUp]) { return close(client, token) }
            if readiness.contains(.writable) {
                let count = try writeAvailable(client.outgoing[...], to: client.socket.number)
                client.outgoing.removeFirst(count)
                if count > 0 { client.lastUse = monotonicNanoseconds() }
                if client.outgoing.isEmpty { change(client.socket.number, token, for: client.isHalfClosed ? [] : .readable) }
            }
            if readiness.contains(.readable), !client.isHalfClosed { try read(client, token) }
            if client.isHalfClosed && client.pending == 0 && client.outgoing.isEmpty { close(client, token) }
        } catch { close(client, token) }
    }

    private func read(_ client: StreamClient, _ token: UInt64) throws(SyscallError) {
        var buffer = [UInt8](repeating: 0, count: NameMessage.queryLimitBytes)
        switch try readAvailable(client.socket.number, into: &buffer) {
        case .wouldBlock: return
        case .end:
            client.isHalfClosed = true
            change(client.socket.number, token, for: client.outgoing.isEmpty ? [] : .writable)
        case .bytes(let count):
            client.incoming += buffer[..<count]
            while let message = client.nextMessage() {
                client.lastUse = monotonicNanoseconds()
                consider(message, .stream(token, container: client.container))
                // An answer may have ended the connection.
                guard subjects[token] != nil else { return }
            }
            if client.incoming.count > NameMessage.queryLimitBytes { close(client, token) }
        }
    }

    func close(_ client: StreamClient, _ token: UInt64) {
        guard subjects[token] != nil else { return }
        forget(client.socket.number, token)
        residents[client.container]?.streams -= 1
        streamCount -= 1
        for (number, exchange) in exchanges {
            if case .stream(token, _) = exchange.asker { end(number) }
        }
    }
}
