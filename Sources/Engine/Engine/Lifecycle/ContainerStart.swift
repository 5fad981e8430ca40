internal import CoreTypes
internal import EngineAPI
internal import Images
internal import Logging
internal import Networking
internal import OCISpec
internal import Protobuf
internal import ShimProtocol
internal import Snapshots
internal import SystemPackage
internal import Tracing

/// From the wish to run to the first instruction.
extension Container {
    /// - Throws: `.notModified` when it runs; Docker's sentence when it cannot be started, with the state as before.
    func start(restartCount: Int = 0) async throws(EngineError) {
        let before = try await claimStart()
        let decided = OneShot<Void>()
        state = .starting(decided)
        // Another shim than the one of the last run.
        (shimHangs, unsupervised) = (false, nil)
        (limitsOfNextRun, isNetworkMadeAhead) = (nil, false)
        defer { decided.settle(()) }
        do throws(StartProblem) {
            let task = try await launch()
            document.pid = task.pid
            document.startedAt = task.startedAt
            document.exitCode = 0
            document.error = ""
            document.oomKilled = false
            document.restartCount = restartCount
            document.isManuallyStopped = false
            document.isPaused = false
            document.lifeRevision = 0
            document.health = HealthRequests.isChecked(document.config) ? .starting(after: document.health) : nil
            document.phase = .running
            state = .running(task)
            startingShim = nil
            awaitsStart = false
            // Until it is written, the next daemon repairs a crash from what the shim says.
            await record(untold("start"), .startRecorded)
            failpoint(.startTold)
            // After that: an end is told behind its start.
            watch(task)
        } catch {
            // What became of it the next daemon sees.
            if services.reactor.isStopped {
                state = before
                throw error.engineError
            }
            await startFailed(error)
            // Not before: who starts the container anew shall not be taken for one that this start has failed.
            state = before
            startingShim = nil
            await removeAfterFailedStart()
            throw error.engineError
        }
    }

    /// Waits out what is under way, then says whether a start is possible.
    private func claimStart() async throws(EngineError) -> LifeState {
        while true {
            if services.reactor.isStopped { throw EngineError(.unavailable, "container \(id) is not started: the daemon ends") }
            if services.halt.isUnderWay { throw EngineError(.unavailable, "container \(id) is not started: the machine is going down") }
            switch state {
            case .created, .exited:
                guard let work = rootWork else { return state }
                _ = await work.value(within: nil)
            case .running, .restarting, .stopping: throw EngineError(.notModified, "container \(id) is already running")
            case .paused: throw EngineError(.conflict, "cannot start a paused container, try unpause instead")
            case .starting(let decided): _ = await decided.value(within: nil)
            case .exiting(let task): _ = await task.settled.value(within: nil)
            case .removing, .dead:
                throw EngineError(.conflict, "container is marked for removal and cannot be started")
            }
            if Task.isCancelled { throw EngineError(.unavailable, "the start was cancelled") }
        }
    }

    /// Waits out a start that is under way: who has heard the process's first words may be here before the start's own answer is.
    func startDecided() async throws(EngineError) {
        while case .starting(let decided) = state {
            _ = await decided.value(within: nil)
            if Task.isCancelled { throw EngineError(.unavailable, "the request was cancelled") }
        }
    }

    private func startFailed(_ problem: StartProblem) async {
        document.exitCode = problem.exitCode
        document.error = problem.engineError.message
        await saveOrLog()
        for session in attachments.takeAll() { session.end() }
        // A start that fails is no exit: who waits for the next one waits on, as with docker, whose client prints what else it hears.
        settleWaiters([.notRunning], error: document.error)
    }

    private func removeAfterFailedStart() async {
        guard document.hostConfig.autoRemove else { return }
        do throws(EngineError) { try await remove(force: false) } catch { logger.error("remove after a failed start: \(error)") }
    }

    private func launch() async throws(StartProblem) -> RunningTask {
        let request: CreateTaskRequest
        let joined: JoinedParts
        do throws(EngineError) {
            if hasLeftovers {
                // It holds what is in the way, and was waited for already.
                if formerShimLives { throw EngineError(.system, "no shim can be started: \(Self.undyingWords)") }
                try await removeLeftovers()
            }
            (hasLeftovers, undyingShim) = (false, nil)
            joined = try await joinOthers()
            request = try await traced("bundle") { () throws(EngineError) in try await prepare(joined) }
        } catch {
            await removeBundle()
            // What was plugged in is taken out; where it was not, this gives the addresses back.
            await leaveNetworks()
            throw StartProblem(error)
        }
        let shim: ShimClient
        do throws(EngineError) { shim = try await traced("shim") { () throws(EngineError) in try await startShim() } } catch {
            // It may be there, and nobody has a connection to it.
            hasLeftovers = true
            await removeBundle()
            await leaveNetworks()
            throw StartProblem(error)
        }
        var step = StartFailure.Step.create
        do throws(ShimError) {
            // The runtime reaches others' namespaces through descriptors of ours, at each start that the shim makes.
            self.joined = joined
            failpoint(.startShimConnected)
            let pid = try await traced("runtime create") { () throws(ShimError) in try await shim.create(request) }
            failpoint(.startTaskCreated)
            step = .start
            await joinAttachments(shim)
            failpoint(.startAttached)
            // Before the process: its end must not lie before its start.
            let startedAt = Timestamp.now
            _ = try await traced("runtime start") { () throws(ShimError) in try await shim.start() }
            failpoint(.startTaskStarted)
            return RunningTask(shim: shim, pid: pid, startedAt: startedAt, settled: OneShot())
        } catch {
            // Not where the daemon ends, and hears no answer: it may run.
            if !services.reactor.isStopped { await dismantle(shim) }
            throw StartProblem(StartFailure(step, words: error.message))
        }
    }

    private func startShim() async throws(EngineError) -> ShimClient {
        let (services, id, bundle) = (services, id, paths.bundle.string)
        return try await BlockingWork.run(.programs) { () throws(EngineError) in
            do throws(ShimError) {
                try services.launcher.start(id, bundle: bundle)
                failpoint(.startShimLaunched)
                return try ShimClient.connect(to: id, execRoot: services.configuration.execRoot.string, reactor: services.reactor)
            } catch { throw .system("failed to start shim", error) }
        }
    }

    /// Clients that came before the process miss nothing of it.
    private func joinAttachments(_ shim: ShimClient) async {
        // Before those are taken that wait: who comes after them is joined at once.
        startingShim = shim
        for session in attachments.takeAll() {
            do throws(ShimError) {
                let stdin = session.options.stdin && document.config.openStdin
                session.join(try await shim.attach(stdin: stdin, stdout: session.options.stdout, stderr: session.options.stderr))
            } catch {
                logger.error("attach: \(error)")
                session.end()
            }
        }
    }

    // MARK: - The bundle

    /// Writes the bundle, and says how the shim shall make the task of it. What a failure leaves is the caller's to take away.
    private func prepare(_ joined: JoinedParts) async throws(EngineError) -> CreateTaskRequest {
        let log = try LogSettings(document.hostConfig.logConfig, defaults: services.configuration.log)
        try await log.checkServer()
        if let names = joined.network {
            document.config.hostname = names.hostName
            document.config.domainName = names.domainName
        }
        let mounts: [SnapshotMount]
        var images: [[SnapshotMount]] = []
        do throws(ImageError) { mounts = try await services.images.rootMounts(of: id) } catch { throw EngineError(error) }
        for number in try document.mountPlan(in: services.volumes.folder).images.indices {
            do throws(ImageError) { images.append(try await services.images.viewMounts(number, of: id)) } catch { throw EngineError(error) }
        }
        if let words = joined.userNamespace?.mountWords { images = images.map { tree in tree.map { $0.adding(words) } } }
        let process = try await makeNetworkAndBundle(mounts, images, joined)
        var request = CreateTaskRequest()
        request.id = id.text
        request.bundle = paths.bundle.string
        let words = joined.userNamespace?.mountWords ?? []
        request.rootfs = mounts.map { ShimProtocol.RootMount(type: $0.type, source: $0.source, options: $0.options + words) }
        request.stdio = StdioPaths(terminal: document.config.tty)
        var options = try taskOptions(log)
        options.healthCheck = try HealthRequests.healthCheck(document, process: process)
        request.options = ProtobufAny(wrapping: options)
        return request
    }

    /// The network is there before the process is, and the file that says which one is there before the network. What a failure leaves of
    /// them is the caller's to take away.
    /// - Returns: the first process, as the bundle has it.
    private func makeNetworkAndBundle(
        _ mounts: [SnapshotMount], _ images: [[SnapshotMount]], _ others: JoinedParts
    ) async throws(EngineError) -> ProcessConfiguration? {
        startingName = name
        defer { startingName = nil }
        let network = try await reserveNetwork()
        attachment = network
        failpoint(.startNetworkReserved)
        var joined = others
        if network != nil { joined.namespaces[.network] = services.networks.namespace(of: id).path.string }
        let (document, id, services, paths, parts) = (document, id, services, paths, joined)
        try await services.volumes.beginRun(document.volumes, of: id)
        failpoint(.startVolumesMounted)
        try await writeNetworkFiles()
        failpoint(.startNetworkFilesWritten)
        let process = try await BlockingWork.run(.trees) { () throws(EngineError) in
            let specification = try Bundle.specification(
                id: id, document: document, mounts: mounts, joined: parts, services: services, paths: paths)
            try AppArmorProfile.prepare(for: specification.process, services.facts)
            let host = document.hostConfig
            let isShareable = try NamespaceModes(host).sharedMemory == .shareable
            try Bundle.write(
                specification, mounts: try document.mountPlan(in: services.volumes.folder), images: images,
                ids: parts.userNamespace, sharedMemoryBytes: isShareable ? DefaultMounts.sharedMemoryBytes(host) : nil,
                network: network, to: paths)
            return specification.process
        }
        failpoint(.startBundleWritten)
        if let network { try await services.networks.plug(network, of: id, in: parts.namespaces[.user]) }
        await renameAfterStart()
        failpoint(.startNetworkPlugged)
        await tellOfBareNetwork()
        return process
    }

    private func taskOptions(_ log: LogSettings) throws(EngineError) -> ApusOptions {
        let configuration = services.configuration
        var options = ApusOptions()
        options.runtimePath = try configuration.runtimePath(named: document.hostConfig.runtime).string
        options.runtimeRoot = configuration.execRoot.appending("runtime").string
        options.filterCachePath = configuration.execRoot.appending("seccomp").string
        if log.hasFiles { options.logPath = paths.log.string }
        options.logFileByteLimit = log.fileBytes
        options.logFileCount = log.fileCount
        options.logDelivery = try logDelivery(log)
        options.exitRecordPath = paths.exitRecord.string
        options.openStdin = document.config.openStdin
        options.stdinOnce = document.config.stdinOnce
        options.restartRule = try document.hostConfig.ruleOfShim
        options.changesAfter = document.lifeRevision
        return options
    }

    /// Removes what lay ready for a run, and lets go of its volumes.
    func removeBundle() async {
        await services.volumes.endRun(document.volumes, of: id)
        failpoint(.stopVolumesLeft)
        let (paths, logger, networks, attachment) = (paths, logger, services.networks, attachment)
        do throws(EngineError) {
            try await BlockingWork.run { () throws(EngineError) in
                networks.noteParting(of: attachment)
                try Bundle.remove(paths)
            }
        } catch {
            hasLeftovers = true
            logger.error("\(error)")
        }
    }
}

/// Why a container did not start.
struct StartProblem: Error, Sendable {
    let exitCode: Int
    let engineError: EngineError

    init(_ failure: StartFailure) {
        exitCode = failure.exitCode
        engineError = failure.error
    }

    /// Something failed before the runtime was asked.
    init(_ error: EngineError) {
        exitCode = StartFailure.unknownExitCode
        engineError = error
    }
}

extension EngineConfiguration {
    /// The executable of a runtime, by the name that requests use; empty is the default one.
    /// - Throws: `.invalidParameter` in Docker's words.
    func runtimePath(named name: String) throws(EngineError) -> FilePath {
        guard let path = runtimes[name.isEmpty ? defaultRuntime : name] else {
            throw EngineError(.invalidParameter, "unknown or invalid runtime name: \(name.isEmpty ? defaultRuntime : name)")
        }
        return path
    }
}
