internal import CoreTypes
internal import LinuxSyscalls
internal import Logging
internal import NameService
internal import Synchronization
internal import SystemPackage

/// Keeps the server of names: writes the files that it serves, starts it when the first container needs it, and again when somebody killed
/// it. It is a process of its own, so that names are found while no daemon runs. Every function blocks.
final class NameKeeper: Sendable {
    private struct State: Sendable {
        /// To the server that runs; nil before the first order and after its end.
        var connection: OrderConnection?
        /// Told where published ports are led that the kernel cannot lead on, by each server that begins.
        var tellForwarder: (@Sendable (UInt16) -> Void)?
        /// Where they were led last.
        var forwarderPort: UInt16?
    }

    /// How long the server may take for one order, and its executable to leave it behind.
    private static let orderTimeoutMilliseconds: Int32 = 10_000
    private static let startTimeoutMilliseconds: Int32 = 10_000
    /// A server that ends at once is not started for ever.
    private static let attempts = 3
    private static let (repairs, repairRestNanoseconds): (Int, Int64) = (10, 200_000_000)
    private static let (killSignal, childOutputLimitBytes): (Int32, Int) = (9, 4096)

    private let program: FilePath
    private let folder: NameFolder
    private let resolver: FilePath
    private let home: FilePath?
    private let logger: Logger
    private let state = Mutex(State())
    /// 0 before there is one.
    private let servedPort = Atomic<UInt16>(0)

    /// - Parameters:
    ///   - program: the executable `apus-net`.
    ///   - resolver: the file that names the host's servers.
    ///   - home: the network that stands for the host's; nil where that is the host's.
    init(program: FilePath, folder: NameFolder, resolver: FilePath, home: FilePath?, logger: Logger) throws(EngineError) {
        self.program = program
        self.folder = folder
        self.resolver = resolver
        self.home = home
        self.logger = logger
        do throws(SyscallError) {
            try makeDirectories(folder.path, mode: 0o700)
            try makeDirectories(folder.entries, mode: 0o700)
        } catch { throw .system("open \(folder.path)", error) }
    }

    /// The port that a server led on from last; nil before the first one. Does not block.
    var forwarderPort: UInt16? {
        let port = servedPort.load(ordering: .relaxed)
        return port == 0 ? nil : port
    }

    /// - Parameter body: told the port, of all IPv6 addresses, by which each server leads on; may block.
    func whenServed(_ body: @escaping @Sendable (UInt16) -> Void) { state.withLock { $0.tellForwarder = body } }

    /// Makes a container's names known, and its questions heard: both are so when this returns.
    func put(_ entry: NameEntry, of id: ContainerID) throws(EngineError) {
        try change { state throws(EngineError) in
            try write(entry, of: id)
            try tell(.load(id.text), &state)
        }
    }

    /// Forgets a container. What fails is logged: the container is over in any case.
    func drop(_ id: ContainerID) {
        do throws(EngineError) {
            try change { state throws(EngineError) in
                do throws(SyscallError) { try removeFile(folder.entries.appending(id.text)) } catch {
                    if error.isMissing { return }
                    throw EngineError.system("forget what container \(id) is called", error)
                }
                try tell(.drop(id.text), &state)
            }
        } catch { logger.error("\(error)") }
    }

    /// Makes the files what these containers need, and nothing else, whatever a former daemon left.
    func replace(with entries: [ContainerID: NameEntry]) {
        do throws(EngineError) {
            try change { state throws(EngineError) in
                let known = try entryNames()
                for name in known where !entries.keys.contains(where: { $0.text == name }) {
                    do throws(SyscallError) { try removeFile(folder.entries.appending(name)) } catch {
                        throw EngineError.system("forget what container \(name) was called", error)
                    }
                }
                for (id, entry) in entries { try write(entry, of: id) }
                if !entries.isEmpty || !known.isEmpty { try tell(.reload, &state) }
            }
        } catch { logger.error("\(error)") }
    }

    private func change(_ body: (inout State) throws(EngineError) -> Void) throws(EngineError) {
        let failure = state.withLock { state -> EngineError? in
            do throws(EngineError) {
                try body(&state)
                return nil
            } catch { return error }
        }
        if let failure { throw failure }
    }

    // MARK: - Files

    private func write(_ entry: NameEntry, of id: ContainerID) throws(EngineError) {
        // It lies in memory: a rename is all the durability that there is.
        do throws(SyscallError) {
            try writeAll(entry.encoded(), toFile: folder.half)
            try renameFile(folder.half, to: folder.entries.appending(id.text))
        } catch { throw .system("write what container \(id) is called", error) }
    }

    private func entryNames() throws(EngineError) -> [String] {
        do throws(SyscallError) {
            let directory = try openFile(folder.entries, [.readOnly, .directory])
            return try directoryEntries(of: directory, subject: folder.entries.string).map(\.name.string)
        } catch { throw .system("read what containers are called", error) }
    }

    // MARK: - The server

    /// Has an order carried out, by a server that is started where there is none.
    private func tell(_ order: NameOrder, _ state: inout State) throws(EngineError) {
        var problem = SyscallError("connect", folder.socket.string, errno: 111)  // ECONNREFUSED
        for _ in 0..<Self.attempts {
            let answer: String
            do throws(SyscallError) {
                let connection: OrderConnection
                if let known = state.connection {
                    connection = known
                } else {
                    connection = try connect()
                    // Also where it does not answer this: it is known who it is.
                    state.connection = connection
                    let said = try connection.ask(
                        .forwarder(wish: state.forwarderPort), timeoutMilliseconds: Self.orderTimeoutMilliseconds)
                    // Where the host has no IPv6 there is nothing to lead.
                    if let port = NameOrder.port(in: said) {
                        state.forwarderPort = port
                        servedPort.store(port, ordering: .relaxed)
                        state.tellForwarder?(port)
                    }
                }
                answer = try connection.ask(order, timeoutMilliseconds: Self.orderTimeoutMilliseconds)
            } catch {
                problem = error
                // It has ended, or does not answer any more: the next one reads the same files.
                state.connection?.killIfSilent(after: error, signal: Self.killSignal)
                state.connection = nil
                continue
            }
            guard answer == NameOrder.done else { throw EngineError(.system, answer) }
            return
        }
        throw .system("serve names", problem)
    }

    /// To a server that knows all that it is told.
    private func connect() throws(SyscallError) -> OrderConnection {
        let running: OrderConnection
        do throws(SyscallError) { running = try OrderConnection(folder) } catch {
            try start()
            return try watched(try OrderConnection(folder))
        }
        let version: String
        do throws(SyscallError) { version = try running.ask(.version, timeoutMilliseconds: Self.orderTimeoutMilliseconds) } catch {
            // One that hangs since before this daemon would never end: the next one takes its socket's name away.
            running.killIfSilent(after: error, signal: Self.killSignal)
            throw error
        }
        return version == NameOrder.currentVersion ? try watched(running) : try replace(running)
    }

    /// Puts a server of ours in the place of one that another daemon's version left. Containers' questions go from one to the other without one
    /// being lost: the new one has them before the old one ends.
    private func replace(_ old: OrderConnection) throws(SyscallError) -> OrderConnection {
        logger.info("the server of names is of another version, and is replaced")
        try start()
        // Where the new one fails, the next attempt shall not meet both.
        defer {
            if !old.end(by: Self.killSignal) {
                // Nobody says who it is: with no container to serve it ends by itself.
                for name in (try? entryNames()) ?? [] {
                    // One that does not answer is not waited for once more for each name.
                    do throws(SyscallError) { _ = try old.ask(.drop(name), timeoutMilliseconds: Self.orderTimeoutMilliseconds) } catch {
                        break
                    }
                }
            }
        }
        let connection = try watched(try OrderConnection(folder))
        // What it cannot read of single entries is told of by the order that follows.
        _ = try connection.ask(.reload, timeoutMilliseconds: Self.orderTimeoutMilliseconds)
        return connection
    }

    private func start() throws(SyscallError) {
        let null = try openFile("/dev/null", .readWrite)
        let errors = try makeMemoryFile(named: "apus-net-errors")
        let process = try spawnProcess(
            program,
            arguments: [program.string, "-directory", folder.path.string, "-resolver", resolver.string]
                + (home.map { ["-home", $0.string] } ?? []) + ["start"], environment: [],
            input: null.number, output: null.number, error: errors.number)
        let exit = try waitForExit(ofChild: process, orKillAfterMilliseconds: Self.startTimeoutMilliseconds)
        guard exit != .exited(0) else { return }
        try rewindFile(errors.number)
        let words = String(decoding: try readChunk(errors.number, limitBytes: Self.childOutputLimitBytes), as: UTF8.self)
        logger.error("start \(program): \(words)")
        throw SyscallError("start", program.string, errno: 71)  // EPROTO
    }

    /// Has the server's end noticed, on a thread that ends with the server.
    private func watched(_ connection: OrderConnection) throws(SyscallError) -> OrderConnection {
        let watch = try OrderConnection(folder)
        do throws(SyscallError) {
            guard try watch.ask(.watch, timeoutMilliseconds: Self.orderTimeoutMilliseconds) == NameOrder.done else {
                throw SyscallError("watch", folder.socket.string, errno: 71)  // EPROTO
            }
        } catch {
            watch.killIfSilent(after: error, signal: Self.killSignal)
            throw error
        }
        try startThread(named: "names") { [self] in
            watch.waitForEnd()
            repair()
        }
        return connection
    }

    /// The server has ended: while there are containers with names, somebody has killed it.
    private func repair() {
        for attempt in 0..<Self.repairs {
            rest(nanoseconds: Int64(attempt) * Self.repairRestNanoseconds)
            do throws(EngineError) {
                try change { state throws(EngineError) in
                    guard try !entryNames().isEmpty else { return }
                    // Somebody may have needed it, and started it, before us.
                    try tell(.reload, &state)
                }
                return
            } catch { logger.error("start the server of names again: \(error)") }
        }
    }
}

/// A connection that orders go over, one at a time.
private final class OrderConnection: Sendable {
    private let socket: OwnedFD

    init(_ folder: NameFolder) throws(SyscallError) {
        let place = try openFile(folder.path, [.path, .directory])
        socket = try connectUnixSocket(folder.socket(through: place), .packets)
    }

    /// - Throws: ECONNRESET for a server that ends, ETIMEDOUT for one that does not answer.
    func ask(_ order: NameOrder, timeoutMilliseconds: Int32) throws(SyscallError) -> String {
        try sendMessage(Array(order.text.utf8), to: socket, subject: "apus-net")
        guard try !waitUntilReadable([socket.number], timeoutMilliseconds: timeoutMilliseconds).isEmpty else {
            throw SyscallError("recvmsg", "apus-net", errno: 110)  // ETIMEDOUT
        }
        let answer = try receiveMessage(from: socket, limitBytes: 65_536, subject: "apus-net")
        guard !answer.bytes.isEmpty else { throw SyscallError("recvmsg", "apus-net", errno: 104) }  // ECONNRESET
        return String(decoding: answer.bytes, as: UTF8.self)
    }

    /// Ends a server that does not answer, so that another one can take its place.
    func killIfSilent(after error: SyscallError, signal: Int32) {
        if error.errno == 110 { end(by: signal) }
    }

    /// Ends the server. - Returns: false where it is not known who it is.
    @discardableResult
    func end(by signal: Int32) -> Bool {
        guard let peer = try? peerCredentials(of: socket), let process = try? openProcess(peer.process) else { return false }
        // Its end is heard here: while nothing is, the number that was opened is still its own. One of an earlier build has the number of who
        // started it, which may be anybody's by now: its name says whose.
        guard let ready = try? waitUntilReadable([socket.number], timeoutMilliseconds: 0), ready.isEmpty,
            let name = try? readFile(FilePath("/proc/\(peer.process)/comm"), limitBytes: 64), name.starts(with: "apus-net".utf8)
        else { return false }
        return (try? sendSignal(signal, toProcessOf: process, subject: "apus-net")) != nil
    }

    func waitForEnd() {
        // Nothing is ever said here: whatever ends the waiting, the server is gone.
        _ = try? receiveMessage(from: socket, limitBytes: 64, subject: "apus-net")
    }
}
