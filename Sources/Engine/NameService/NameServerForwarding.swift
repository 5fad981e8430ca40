internal import CoreTypes
internal import LinuxSyscalls

/// Questions that others answer.
extension NameServer {
    /// How long a server that did not answer comes after the others.
    private static let slowNanoseconds: Int64 = 30_000_000_000
    private static let slowLimit = 64

    func ask(_ query: NameMessage, _ bytes: [UInt8], _ asker: Asker) {
        guard let entry = table[asker.container], let resident = residents[asker.container] else { return }
        let now = monotonicNanoseconds()
        let isOwn = !entry.servers.isEmpty
        let servers =
            isOwn ? entry.servers.prefix(HostServers.limit).map { UpstreamServer($0) } : entry.asksHost ? hostServers.current(now) : []
        guard !servers.isEmpty, exchanges.count < Limit.exchanges, resident.exchanges < Limit.exchangesOfOne else {
            return reply(query, bytes, .serverFailure, to: asker)
        }
        slow = slow.filter { $0.value > now }
        let exchange = Exchange(
            asker, query, bytes, plan: Attempt.all(servers, slow: Set(slow.keys)), sockets: isOwn ? resident.sockets : nil, now: now)
        exchanges[nextExchange] = exchange
        resident.exchanges += 1
        if case .stream(let token, _) = asker, case .stream(let client) = subjects[token] { client.pending += 1 }
        let number = nextExchange
        nextExchange += 1
        step(number, exchange)
    }

    /// Asks the next one that can be asked. Where nobody is left, and nobody answers any more, that is the answer.
    private func step(_ number: UInt64, _ exchange: Exchange) {
        while let attempt = exchange.plan.popFirst() {
            do throws(NameServiceError) {
                try open(attempt, number, exchange)
                exchange.nextStep = monotonicNanoseconds() + Exchange.stepNanoseconds
                return
            } catch { continue }
        }
        if exchange.lines.isEmpty { finish(number, exchange, with: exchange.spare) }
    }

    private func open(_ attempt: Attempt, _ number: UInt64, _ exchange: Exchange) throws(NameServiceError) {
        let (kind, hostSockets) = (attempt.isStream ? InternetSocketKind.stream : .datagrams, exchange.sockets == nil ? hostSockets : nil)
        func connect() throws(NameServiceError) -> OwnedFD {
            do throws(SyscallError) {
                if let hostSockets { return try hostSockets.connect(kind, to: attempt.endpoint) }
                return try connectInternetSocket(kind, to: attempt.endpoint)
            } catch {
                throw NameServiceError("ask \(attempt.server)", error)
            }
        }
        let socket: OwnedFD
        if let sockets = exchange.sockets { socket = try visitor.visit(sockets.namespace, connect) } else { socket = try connect() }
        let id = UInt16.random(in: .min ... .max)
        let message = NameReply.renumbered(exchange.bytes, id)
        let line = UpstreamLine(attempt, socket, id: id, outgoing: attempt.isStream ? StreamClient.framed(message) : [])
        do throws(SyscallError) {
            if !attempt.isStream { try writeAll(message, to: line.socket.number, subject: "\(attempt.server)") }
            let token = try watch(line.socket.number, .upstream(exchange: number), for: attempt.isStream ? .writable : .readable)
            exchange.lines[token] = line
        } catch { throw NameServiceError("ask \(attempt.server)", error) }
    }

    /// A server answers, or cannot be reached.
    func hear(_ number: UInt64, _ token: UInt64, _ readiness: Readiness) {
        guard let exchange = exchanges[number], let line = exchange.lines[token] else { return }
        do throws(SyscallError) {
            if line.attempt.isStream {
                try converse(number, exchange, line, token, readiness)
            } else {
                try listen(number, exchange, line, token)
            }
        } catch {
            hangUp(exchange, line, token)
            step(number, exchange)
        }
    }

    private func listen(_ number: UInt64, _ exchange: Exchange, _ line: UpstreamLine, _ token: UInt64) throws(SyscallError) {
        while let datagram = try receiveDatagram(from: line.socket.number, limitBytes: Int(UInt16.max)) {
            let worth = datagram.isCut ? .none : exchange.worth(datagram.bytes, on: line)
            if worth != .none { return judge(datagram.bytes, worth, number, exchange, line, token) }
            line.strays += 1
            if line.strays > UpstreamLine.strayLimit { throw SyscallError("recvfrom", "\(line.attempt.server)", errno: 71) }  // EPROTO
        }
    }

    private func converse(
        _ number: UInt64, _ exchange: Exchange, _ line: UpstreamLine, _ token: UInt64, _ readiness: Readiness
    ) throws(SyscallError) {
        if !line.outgoing.isEmpty {
            try checkConnection(of: line.socket.number, subject: "\(line.attempt.server)")
            line.outgoing.removeFirst(try writeAvailable(line.outgoing[...], to: line.socket.number))
            if line.outgoing.isEmpty { change(line.socket.number, token, for: .readable) }
            return
        }
        var buffer = [UInt8](repeating: 0, count: 16_384)
        switch try readAvailable(line.socket.number, into: &buffer) {
        case .wouldBlock: return
        case .end: throw SyscallError("read", "\(line.attempt.server)", errno: 104)  // ECONNRESET
        case .bytes(let count): line.incoming += buffer[..<count]
        }
        guard let message = StreamClient.takeMessage(from: &line.incoming) else { return }
        let worth = exchange.worth(message, on: line)
        guard worth != .none else { throw SyscallError("read", "\(line.attempt.server)", errno: 71) }  // EPROTO
        judge(message, worth, number, exchange, line, token)
    }

    private func judge(
        _ answer: [UInt8], _ worth: Exchange.Worth, _ number: UInt64, _ exchange: Exchange, _ line: UpstreamLine, _ token: UInt64
    ) {
        slow[line.attempt.server] = nil
        if worth == .whole { return finish(number, exchange, with: answer) }
        exchange.spare = answer
        // The whole answer is to be had from the same server.
        if worth == .cut { exchange.plan = [Attempt(server: line.attempt.server, isStream: true)] + exchange.plan }
        hangUp(exchange, line, token)
        step(number, exchange)
    }

    private func hangUp(_ exchange: Exchange, _ line: UpstreamLine, _ token: UInt64) {
        forget(line.socket.number, token)
        exchange.lines[token] = nil
    }

    /// Gives the asker an answer, or none that could be had.
    private func finish(_ number: UInt64, _ exchange: Exchange, with answer: [UInt8]?) {
        end(number)
        let limit = limitBytes(exchange.query, exchange.asker)
        guard let answer else { return reply(exchange.query, exchange.bytes, .serverFailure, to: exchange.asker) }
        guard answer.count <= limit else {
            // It asks again by a connection.
            return send(
                NameReply.make(to: exchange.query, of: exchange.bytes, .success, isCut: true, limitBytes: limit), to: exchange.asker)
        }
        send(NameReply.renumbered(answer, exchange.query.id), to: exchange.asker)
    }

    /// Forgets a question.
    func end(_ number: UInt64) {
        guard let exchange = exchanges.removeValue(forKey: number) else { return }
        for (token, line) in exchange.lines { forget(line.socket.number, token) }
        residents[exchange.asker.container]?.exchanges -= 1
        if case .stream(let token, _) = exchange.asker, case .stream(let client) = subjects[token] { client.pending -= 1 }
    }

    /// Takes the next step of every question whose time has come, and ends connections that nobody uses.
    func endWhatIsLate(_ now: Int64) {
        for (number, exchange) in exchanges {
            if now >= exchange.deadline {
                finish(number, exchange, with: exchange.spare)
            } else if now >= exchange.nextStep, !exchange.plan.isEmpty {
                for line in exchange.lines.values where slow.count < Self.slowLimit && !line.attempt.isStream {
                    slow[line.attempt.server] = now + Self.slowNanoseconds
                }
                step(number, exchange)
            }
        }
        for case (let token, .stream(let client)) in subjects where now - client.lastUse > StreamClient.idleNanoseconds {
            close(client, token)
        }
    }
}
