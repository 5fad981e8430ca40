internal import CoreTypes
internal import LinuxSyscalls
internal import Protobuf
internal import ShimProtocol

/// Serves the two services of the shim's socket.
final class ShimService {
    /// Containers of a group at once.
    static let maximumTaskCount = 1024

    let context: ShimContext
    private let end: () -> Void
    /// By id: one, but for a shim of a group.
    private var tasks: [String: ContainerTask] = [:]
    /// Members of the group that were announced and not created yet.
    private var expected: Set<String> = []
    private var isEnding = false

    /// - Parameter end: called when the shim shall end.
    init(context: ShimContext, end: @escaping () -> Void) {
        self.context = context
        self.end = end
    }

    /// Takes one request; its answer comes when there is one.
    func serve(_ request: TtrpcRequest, _ call: ServerCall) {
        do throws(ShimError) {
            switch request.service {
            case _ where TaskMethod.services.contains(request.service):
                guard let method = TaskMethod(rawValue: request.method) else { throw unknown(request) }
                try serve(method, request.payload, call)
            case SupervisionMethod.service:
                guard let method = SupervisionMethod(rawValue: request.method) else { throw unknown(request) }
                try serve(method, request.payload, call)
            // Of the shim behind a bridge: what it has to tell, its answers have told.
            case ForwardEventRequest.service where request.method == ForwardEventRequest.method: call.succeed()
            default: throw unknown(request)
            }
        } catch { call.fail(error) }
    }

    /// Takes over the container of a shim that was killed.
    func resume(_ resumption: ShimResumption) throws(ShimError) {
        guard let request = resumption.record.request else {
            throw ShimError(.notFound, "resume \(context.configuration.id)", cause: "the record has no request")
        }
        let resumed = try ContainerTask(request, context: context)
        tasks[resumed.id] = resumed
        try resumed.resume(resumption)
    }

    private func unknown(_ request: TtrpcRequest) -> ShimError {
        ShimError(.unsupported, "\(request.service)/\(request.method)", cause: "no such method here")
    }

    private func serve(_ method: TaskMethod, _ payload: [UInt8], _ call: ServerCall) throws(ShimError) {
        switch method {
        case .create: try create(decode(payload), call)
        case .start: try start(decode(payload), call)
        case .delete: try delete(decode(payload), call)
        case .exec: try exec(decode(payload), call)
        case .state: try state(decode(payload), call)
        case .kill: try kill(decode(payload), call)
        case .wait: try wait(decode(payload), call)
        case .pids: try pids(decode(payload), call)
        case .closeIO: try closeInput(decode(payload), call)
        case .resizePty: try resize(decode(payload), call)
        case .pause: try existing(container(payload)).pause(call.acknowledge)
        case .resume: try existing(container(payload)).resume(call.acknowledge)
        case .update: try update(decode(payload), call)
        case .stats: call.succeed(StatsResponse(stats: try existing(container(payload)).metrics()))
        case .connect: try connect(decode(payload), call)
        case .shutdown: try shutDown(decode(payload), call)
        case .checkpoint: try checkpoint(decode(payload), call)
        }
    }

    private func serve(_ method: SupervisionMethod, _ payload: [UInt8], _ call: ServerCall) throws(ShimError) {
        switch method {
        case .describe:
            let _: ContainerRequest = try decode(payload)
            call.succeed(describe())
        case .waitForExit:
            let request: ProcessRequest = try decode(payload)
            try existing(request.id).process(request.execID).answerWhenStopped(call) { $0.succeed($1) }
        case .synchronizeLog:
            let request: ContainerRequest = try decode(payload)
            try existing(request.id).synchronizeLog { call.succeed() }
        case .clearLog: try existing(container(payload)).clearLog(call.acknowledge)
        case .attach:
            let request: AttachRequest = try decode(payload)
            let container = try existing(request.id)
            let process = try container.process(request.execID)
            guard process.stdio.isAttachable else {
                throw ShimError(.wrongState, "attach to \(request.id)", cause: "its streams go to files")
            }
            if case .failed = process.state { throw ShimError(.wrongState, "attach to \(request.id)", cause: "it is failed") }
            container.watchAttachments(of: process)
            process.attach(request, call)
        case .follow:
            let request: FollowRequest = try decode(payload)
            try existing(request.id).journal.answer(call, after: request.after)
        case .setRestartRule:
            let request: SetRestartRuleRequest = try decode(payload)
            guard let rule = request.rule else { throw ShimError(.invalidRequest, "restart rule of \(request.id)", cause: "none given") }
            try existing(request.id).setRestartRule(rule)
            call.succeed()
        case .health:
            guard let health = try existing(container(payload)).health else {
                throw ShimError(.notFound, "health of \(context.configuration.id)", cause: "nothing checks it")
            }
            call.succeed(health.report)
        case .endRestarts: try existing(container(payload)).endRestarts { call.succeed() }
        case .join: try join(container(payload), call)
        case .events:
            let _: ContainerRequest = try decode(payload)
            context.subscribe(call)
        }
    }

    private func decode<Message: ProtobufMessage>(_ payload: [UInt8]) throws(ShimError) -> Message {
        do throws(WireError) { return try Message(decoding: payload) } catch { throw ShimError("request", error) }
    }

    /// The id of a request that has nothing else.
    private func container(_ payload: [UInt8]) throws(ShimError) -> String {
        let request: ContainerRequest = try decode(payload)
        return request.id
    }

    private func existing(_ id: String) throws(ShimError) -> ContainerTask {
        guard let task = tasks[id] else { throw ShimError(.notFound, "container \(id)", cause: "not created here") }
        return task
    }

    // MARK: - The life of the container

    private func create(_ request: CreateTaskRequest, _ call: ServerCall) throws(ShimError) {
        guard tasks[request.id] == nil else { throw ShimError(.alreadyExists, "container \(request.id)") }
        guard !isEnding else { throw ShimError(.wrongState, "create \(request.id)", cause: "the shim is ending") }
        guard tasks.count < Self.maximumTaskCount else { throw ShimError(.limitReached, "more than \(Self.maximumTaskCount) containers") }
        let created = try ContainerTask(request, context: context)
        try created.makeDirectory()
        expected.remove(created.id)
        tasks[created.id] = created
        created.create { [self] result in
            switch result {
            case .success(let pid): call.succeed(ProcessIDResponse(pid: UInt32(bitPattern: pid)))
            case .failure(let error):
                forget(created)
                call.fail(error)
            }
        }
    }

    private func forget(_ task: ContainerTask) {
        tasks[task.id] = nil
        task.removeDirectory()
    }

    /// No container is here.
    var isEmpty: Bool { tasks.isEmpty }

    private func join(_ id: String, _ call: ServerCall) throws(ShimError) {
        guard context.configuration.isOfGroup else { throw ShimError(.wrongState, "join \(id)", cause: "this shim serves one container") }
        guard !isEnding else { throw ShimError(.wrongState, "join \(id)", cause: "the shim is ending") }
        guard expected.count < Self.maximumTaskCount else { throw ShimError(.limitReached, "join \(id)", cause: "too many are expected") }
        expected.insert(id)
        call.succeed()
    }

    private func start(_ request: ProcessRequest, _ call: ServerCall) throws(ShimError) {
        let task = try existing(request.id)
        let answer: (Result<Int32, ShimError>) -> Void = { result in
            switch result {
            case .success(let pid): call.succeed(ProcessIDResponse(pid: UInt32(bitPattern: pid)))
            case .failure(let error): call.fail(error)
            }
        }
        let process = try task.process(request.execID)
        if process === task.first { task.start(answer) } else { task.start(process, answer) }
    }

    private func delete(_ request: ProcessRequest, _ call: ServerCall) throws(ShimError) {
        let task = try existing(request.id)
        let process = try task.process(request.execID)
        if process !== task.first { return try task.delete(process) { call.succeed($0) } }
        task.delete { [self] result in
            switch result {
            case .success(let answer):
                forget(task)
                call.succeed(answer)
            case .failure(let error): call.fail(error)
            }
        }
    }

    private func exec(_ request: ExecProcessRequest, _ call: ServerCall) throws(ShimError) {
        try existing(request.id).add(request)
        call.succeed()
    }

    private func kill(_ request: KillRequest, _ call: ServerCall) throws(ShimError) {
        let task = try existing(request.id)
        task.kill(try task.process(request.execID), signal: request.signal, all: request.all, call.acknowledge)
    }

    private func wait(_ request: ProcessRequest, _ call: ServerCall) throws(ShimError) {
        try existing(request.id).process(request.execID).answerWhenStopped(call) { call, exit in
            call.succeed(WaitResponse(exitStatus: exit.exitStatus, exitedAt: exit.exitedAt))
        }
    }

    private func shutDown(_ request: ShutdownRequest, _ call: ServerCall) throws(ShimError) {
        call.succeed()
        expected.remove(request.id)
        // containerd asks after every Delete; while a container is here it does not mean it, unless it says now, of its own one.
        guard expected.isEmpty, tasks.isEmpty || request.now && tasks.keys.allSatisfy({ $0 == request.id }) else { return }
        isEnding = true
        end()
    }

    // MARK: - Looking and adjusting

    private func connect(_ request: ContainerRequest, _ call: ServerCall) throws(ShimError) {
        call.succeed(
            ConnectResponse(
                shimPID: UInt32(bitPattern: processID()), taskPID: UInt32(bitPattern: tasks[request.id]?.first.pid ?? 0),
                version: Product.version))
    }

    private func state(_ request: ProcessRequest, _ call: ServerCall) throws(ShimError) {
        let task = try existing(request.id)
        let process = try task.process(request.execID)
        var answer = StateResponse()
        answer.id = request.id
        answer.bundle = task.bundle
        answer.pid = UInt32(bitPattern: process.pid)
        answer.status = try task.status(of: process)
        answer.stdio = process.stdio.paths
        answer.exitStatus = process.exit?.exitStatus ?? 0
        answer.exitedAt = process.exit?.exitedAt
        answer.execID = request.execID
        call.succeed(answer)
    }

    private func pids(_ request: ContainerRequest, _ call: ServerCall) throws(ShimError) {
        let task = try existing(request.id)
        let found = try task.processes().map { pid in
            var process = ProcessInfo(pid: UInt32(bitPattern: pid))
            process.info = task.execs.first { $0.livePID == pid }.map { ProtobufAny(wrapping: ProcessDetails(execID: $0.execID)) }
            return process
        }
        call.succeed(PidsResponse(processes: found))
    }

    private func update(_ request: UpdateTaskRequest, _ call: ServerCall) throws(ShimError) {
        try existing(request.id).update(request.resources, call.acknowledge)
    }

    private func checkpoint(_ request: CheckpointTaskRequest, _ call: ServerCall) throws(ShimError) {
        try existing(request.id).checkpoint(request, call.acknowledge)
    }

    private func closeInput(_ request: CloseIORequest, _ call: ServerCall) throws(ShimError) {
        let process = try existing(request.id).process(request.execID)
        if request.stdin { process.stdio.closeInput() }
        call.succeed()
    }

    private func resize(_ request: ResizePtyRequest, _ call: ServerCall) throws(ShimError) {
        let process = try existing(request.id).process(request.execID)
        try process.stdio.resize(WindowSize(rows: UInt16(clamping: request.height), columns: UInt16(clamping: request.width)))
        call.succeed()
    }

    private func describe() -> DescribeResponse {
        var answer = DescribeResponse()
        answer.protocolVersion = SupervisionMethod.version
        answer.shimPID = UInt32(bitPattern: processID())
        answer.id = context.configuration.id
        guard let task = tasks[context.configuration.id] else { return answer }
        answer.bundle = task.bundle
        answer.changes = task.journal.changes
        answer.logBytesDropped = task.disk?.droppedByteCount ?? 0
        answer.processes = ([task.first] + task.execs).map { process in
            var description = ProcessDescription()
            description.execID = process.execID
            description.pid = UInt32(bitPattern: process.pid)
            // A daemon that comes back learns the rest, whatever the freezer says.
            description.status = (try? task.status(of: process)) ?? process.taskStatus
            description.startedAt = process.startedAt
            description.exit = process.exit
            description.isEnding = process.heldExit != nil
            return description
        }
        return answer
    }
}
