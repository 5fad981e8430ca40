internal import CoreTypes
internal import LinuxSyscalls
internal import Protobuf
internal import ShimProtocol
internal import SystemPackage

/// One container's shim, spoken to.
struct ShimClient: Sendable {
    /// How long a call may take: what only asks or signals, and what runs the runtime.
    private enum Timeout {
        static let question = Duration.seconds(10)
        static let runtime = Duration.seconds(120)
        /// A sign of life, from a shim that is about to be asked for something that may take long.
        static let sign = Duration.seconds(4)
        /// What its asker gets along without.
        static let dispensable = Duration.seconds(2)
        /// What all others wait for as well.
        static let welcome = Duration.seconds(1)
    }

    let id: ContainerID
    private let socketPath: String
    private let link: ShimLink
    private let reactor: ShimReactor

    /// Connects to the shim of a container, whose socket is there already.
    static func connect(to id: ContainerID, execRoot: String, reactor: ShimReactor) throws(ShimError) -> ShimClient {
        let path = ShimLayout(execRoot: execRoot, containerID: id.text).socketPath
        return ShimClient(id: id, socketPath: path, link: ShimLink(try open(path, id, reactor)), reactor: reactor)
    }

    /// The client of a shim that is not there yet: `beginFollowing` says that one will be, `connectAgain` that one is.
    static func unconnected(to id: ContainerID, execRoot: String, reactor: ShimReactor) -> ShimClient {
        let path = ShimLayout(execRoot: execRoot, containerID: id.text).socketPath
        return ShimClient(id: id, socketPath: path, link: ShimLink(nil), reactor: reactor)
    }

    private init(id: ContainerID, socketPath: String, link: ShimLink, reactor: ShimReactor) {
        self.id = id
        self.socketPath = socketPath
        self.link = link
        self.reactor = reactor
    }

    private static func open(_ path: String, _ id: ContainerID, _ reactor: ShimReactor) throws(ShimError) -> ShimConnection {
        do throws(SyscallError) {
            let socket = try connect(path)
            try setNonBlocking(true, of: socket.number)
            return try reactor.connect(socket, name: id.text)
        } catch {
            let saysAbsent: [Errno] = [.noSuchFileOrDirectory, .connectionRefused]
            throw ShimError(saysAbsent.contains(Errno(rawValue: error.errno)) ? .absent : .disconnected, "the shim of \(id): \(error)")
        }
    }

    /// A socket's address holds 107 bytes; a longer path is reached through its directory.
    private static func connect(_ path: String) throws(SyscallError) -> OwnedFD {
        if path.utf8.count <= 107 { return try connectUnixSocket(FilePath(path)) }
        let full = FilePath(path)
        let directory = try openFile(full.removingLastComponent(), [.path, .directory])
        return try connectUnixSocket(FilePath("/proc/self/fd/\(directory.number)/\(full.lastComponent?.string ?? "")"))
    }

    /// Whether somebody follows what it tells.
    var isFollowed: Bool { link.isFollowed }

    /// From now on calls wait for another shim while this one is gone.
    func beginFollowing() { link.beginFollowing() }

    /// No other shim will come when this one goes.
    func endFollowing() { link.endFollowing() }

    /// Another shim may take a while: calls answer that there is none, but for those that wait for a process's end.
    func expectNoneSoon() { link.expectNoneSoon() }

    /// Whether there is a connection that has not broken.
    var isConnected: Bool { link.connection?.isClosed == false }

    /// Speaks to the shim that has taken the place of one that was killed, from now on.
    func connectAgain() throws(ShimError) { link.replace(by: try Self.open(socketPath, id, reactor)) }

    /// Closes the connection; the shim goes on.
    func close() { link.connection?.close(ShimError(.disconnected, "the daemon has let go of the shim of \(id)")) }

    /// The connection that calls go through now.
    var connection: ShimConnection? { link.connection }

    /// Asks for a sign of life, so that a shim that hangs is known before something is asked that may take long.
    /// - Throws: `.timedOut` where it gives none.
    func checkAnswers() async throws(ShimError) {
        let _: DescribeResponse = try await supervision(.describe, ContainerRequest(id: id.text), Timeout.sign, again: true)
    }

    // MARK: - The task

    /// Makes the container, up to its first instruction. - Returns: the first process's pid on the host.
    func create(_ request: CreateTaskRequest) async throws(ShimError) -> UInt32 {
        let answer: ProcessIDResponse = try await task(.create, request, Timeout.runtime)
        return answer.pid
    }

    /// Starts the first process, or an exec.
    func start(execID: String = "") async throws(ShimError) -> UInt32 {
        let answer: ProcessIDResponse = try await task(.start, ProcessRequest(id: id.text, execID: execID), Timeout.runtime)
        return answer.pid
    }

    func kill(signal: UInt32, execID: String = "", all: Bool = false) async throws(ShimError) {
        let _: ProtobufEmpty = try await task(
            .kill, KillRequest(id: id.text, execID: execID, signal: signal, all: all), Timeout.question, again: true)
    }

    /// Holds every process of the container.
    func pause() async throws(ShimError) {
        try await checkAnswers()
        let _: ProtobufEmpty = try await task(.pause, ContainerRequest(id: id.text), Timeout.runtime)
    }

    /// Lets a paused container go on. A refusal may be of what this call itself has done, by a shim that was killed before it could answer.
    func resume() async throws(ShimError) {
        try await checkAnswers()
        let _: ProtobufEmpty = try await task(.resume, ContainerRequest(id: id.text), Timeout.runtime, again: true)
    }

    /// Sets other limits.
    /// - Parameter limits: `linux.resources` as JSON.
    func update(_ limits: [UInt8]) async throws(ShimError) {
        try await checkAnswers()
        let _: ProtobufEmpty = try await task(
            .update, UpdateTaskRequest(id: id.text, resources: UpdateTaskRequest.limits(limits)), Timeout.runtime)
    }

    /// Takes away what is left of a process that has ended; of the first one, the container.
    func delete(execID: String = "") async throws(ShimError) {
        try await checkAnswers()
        let _: DeleteResponse = try await task(.delete, ProcessRequest(id: id.text, execID: execID), Timeout.runtime)
    }

    /// Notes a further process, which `start` begins.
    func exec(_ request: ExecProcessRequest) async throws(ShimError) {
        try await checkAnswers()
        let _: ProtobufEmpty = try await task(.exec, request, Timeout.question)
    }

    func resize(execID: String = "", height: UInt32, width: UInt32) async throws(ShimError) {
        let _: ProtobufEmpty = try await task(
            .resizePty, ResizePtyRequest(id: id.text, execID: execID, width: width, height: height), Timeout.question,
            again: true)
    }

    /// Ends the shim, whose container is deleted. That the connection breaks meanwhile is what was asked for.
    func shutdown() async {
        do throws(ShimError) {
            let _: ProtobufEmpty = try await task(.shutdown, ShutdownRequest(id: id.text), Timeout.question)
        } catch {}
        close()
    }

    // MARK: - Our own service

    func describe() async throws(ShimError) -> DescribeResponse {
        try await supervision(.describe, ContainerRequest(id: id.text), Timeout.question, again: true)
    }

    /// How it stands, for a daemon that begins, and that serves nobody before it knows of those that answer.
    func describeSoon() async throws(ShimError) -> DescribeResponse {
        try await supervision(.describe, ContainerRequest(id: id.text), Timeout.welcome, again: true)
    }

    /// The same of the shim that is there now, however it gets on.
    func describeOnce() async throws(ShimError) -> DescribeResponse {
        try await supervision(.describe, ContainerRequest(id: id.text), Timeout.question, again: false)
    }

    /// Answers when an exec's process has ended, however long that takes.
    func waitForExit(execID: String) async throws(ShimError) -> ExitNotice {
        try await supervision(.waitForExit, ProcessRequest(id: id.text, execID: execID), nil, again: true)
    }

    /// What happened to the container after a revision, once something has.
    /// - Throws: `.disconnected` when the shim is gone: whoever follows has another one take its place.
    func follow(after revision: UInt64) async throws(ShimError) -> [LifeChange] {
        let request = TtrpcRequest(
            service: SupervisionMethod.service, method: SupervisionMethod.follow.rawValue,
            payload: FollowRequest(id: id.text, after: revision))
        guard let connection = link.connection else { throw noShim }
        let answer: FollowResponse = try decode(try await connection.call(request, timeout: nil))
        return answer.changes
    }

    func setRestartRule(_ rule: RestartRule) async throws(ShimError) {
        let _: ProtobufEmpty = try await supervision(
            .setRestartRule, SetRestartRuleRequest(id: id.text, rule: rule), Timeout.question, again: true)
    }

    /// How a container is that is checked.
    func health() async throws(ShimError) -> HealthReport {
        try await supervision(.health, ContainerRequest(id: id.text), Timeout.dispensable, again: true)
    }

    /// Makes the container's next end its last one. Returns when it is known whether a process runs.
    func endRestarts() async throws(ShimError) {
        let _: ProtobufEmpty = try await supervision(.endRestarts, ContainerRequest(id: id.text), Timeout.runtime, again: true)
    }

    /// Returns when all output read so far is in the log.
    func synchronizeLog() async throws(ShimError) {
        let _: ProtobufEmpty = try await supervision(
            .synchronizeLog, ContainerRequest(id: id.text), Timeout.dispensable, again: true)
    }

    func clearLog() async throws(ShimError) {
        let _: ProtobufEmpty = try await supervision(.clearLog, ContainerRequest(id: id.text), Timeout.question, again: false)
    }

    /// Joins a process's streams, on a connection of its own. From the return on, nothing that the process writes is missed.
    func attach(execID: String = "", stdin: Bool, stdout: Bool, stderr: Bool) async throws(ShimError) -> ShimStream {
        let stream = ShimStream()
        var request = AttachRequest(id: id.text, execID: execID, stdin: stdin, stdout: stdout, stderr: stderr)
        if stdin { request.stdinID = .random(in: 1 ... .max) }
        try begin(stream, request, beside: await link.liveConnection(isPatient: false))
        do throws(ShimError) {
            guard let first = try await stream.next(), first.kind == .attached else {
                throw ShimError(.garbled, "the shim of \(id) did not begin the attachment")
            }
            return stream
        } catch {
            stream.leave()
            throw error
        }
    }

    /// - Parameter calls: the connection to the same shim that calls go through: the one after it leads to the next shim.
    private func begin(_ stream: ShimStream, _ request: AttachRequest, beside calls: ShimConnection?) throws(ShimError) {
        let call = TtrpcRequest(service: SupervisionMethod.service, method: SupervisionMethod.attach.rawValue, payload: request)
        try stream.begin(on: try Self.open(socketPath, id, reactor), call) { stream, places in
            var again = request
            if let places {
                again.resumes = true
                (again.stdoutFrom, again.stderrFrom) = (places.stdout, places.stderr)
            }
            var former = calls
            while let last = former, let next = await link.connection(after: last, isPatient: true), !stream.hasLeft {
                do throws(ShimError) {
                    try begin(stream, again, beside: next)
                    return true
                } catch {
                    // That shim is gone as well, perhaps.
                    guard !stream.hasLeft, [.absent, .disconnected].contains(error.code) else { return false }
                    former = next
                }
            }
            return false
        }
    }

    // MARK: - Calls

    private func task<Answer: ProtobufMessage>(
        _ method: TaskMethod, _ message: some ProtobufMessage, _ timeout: Duration, again: Bool = false
    ) async throws(ShimError) -> Answer {
        try await call(TtrpcRequest(service: TaskMethod.service, method: method.rawValue, payload: message), timeout, again: again)
    }

    private func supervision<Answer: ProtobufMessage>(
        _ method: SupervisionMethod, _ message: some ProtobufMessage, _ timeout: Duration?, again: Bool
    ) async throws(ShimError) -> Answer {
        try await call(
            TtrpcRequest(service: SupervisionMethod.service, method: method.rawValue, payload: message), timeout, again: again)
    }

    /// - Parameter again: the call may be made a second time where nobody knows whether a shim that was killed had done it.
    private func call<Answer: ProtobufMessage>(
        _ request: TtrpcRequest, _ timeout: Duration?, again: Bool
    ) async throws(ShimError) -> Answer {
        let isPatient = timeout == nil
        guard var connection = await link.liveConnection(isPatient: isPatient) ?? link.connection else { throw noShim }
        while true {
            do throws(ShimError) { return try decode(try await connection.call(request, timeout: timeout)) } catch {
                guard again, error.code == .disconnected, let next = await link.connection(after: connection, isPatient: isPatient) else {
                    throw error
                }
                connection = next
            }
        }
    }

    private var noShim: ShimError { ShimError(.absent, "there is no shim of \(id)") }

    private func decode<Answer: ProtobufMessage>(_ response: TtrpcResponse) throws(ShimError) -> Answer {
        do throws(TtrpcStatus) { return try response.result() } catch { throw ShimError(error) }
    }
}
