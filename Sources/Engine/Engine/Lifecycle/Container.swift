internal import Archive
internal import CoreTypes
internal import EngineAPI
internal import Logging
internal import OCISpec
internal import Records
internal import ShimProtocol
internal import Synchronization
internal import SystemPackage

/// The supervisor of one container: every change of its state goes through here, one at a time.
actor Container {
    /// How long a process may take to end after SIGKILL before we give up on it.
    static let killTimeout = Duration.seconds(10)

    nonisolated let id: ContainerID
    nonisolated let created: Timestamp
    nonisolated let imageID: Digest
    nonisolated let services: ContainerServices
    nonisolated let paths: ContainerPaths
    nonisolated let attachments = PendingAttachments()
    nonisolated let followedLog: FollowedLog

    /// Without a slash.
    var name: String
    var document: ContainerDocument
    var state: LifeState
    /// The network that this run was said to be on, where nothing was made for it: `host` or `none`.
    var toldNetwork: String?
    /// The network of this run, where it has links of its own.
    var attachment: NetworkAttachment?
    /// Whether that was made while the container waited to be started again, on no network: its process may have begun beside it.
    var isNetworkMadeAhead = false
    /// Who waits to change the container's networks, in this order; nil while nobody changes them.
    var networkTurns: [CheckedContinuation<Void, Never>]?
    var execs: [String: ExecProcess] = [:]
    /// Ids of `execs`, the oldest first.
    var execOrder: [String] = []
    /// The process that was sent SIGKILL last; 0 before.
    var killedPID: UInt32 = 0
    /// Restarts and removals under way that stop the process: meanwhile its end is no reason for the container to go away with it.
    var ownedStops = 0
    /// The shim of a start that is under way, from the moment on that clients are joined to its process.
    var startingShim: ShimClient?
    /// Settles when the change of limits that is under way is done.
    var updateUnderWay: OneShot<Void>?
    /// Held by who changes the bundle's configuration, for others may change something else of it at the same time.
    nonisolated let bundleFile = Mutex(())
    /// Limits that were changed while no process was there to have them, though the next one may have begun by those before.
    var limitsOfNextRun: LinuxResources?
    /// While the container's end waits for the ends of its execs to be taken over: their records go with it.
    var takesExecEnds = false
    /// What the run has of other containers.
    var joined: JoinedParts?
    /// Settles when nobody writes into the files of the container while it does not run.
    var rootWork: OneShot<Void>?
    /// How many look at the files of the container while it does not run, or write into them.
    var rootReaders = 0
    /// The archives that are being unpacked into its files.
    var unpackings: [Unpacking] = []
    /// Those of the document's untold events that were told: the journal may not have written them yet.
    var toldEvents: [(event: ContainerDocument.UntoldEvent, toldCount: UInt64)] = []
    /// Whether the daemon begins, and learns what happened while there was none.
    var isRestoring = false
    /// Why there is no shim that answers, while there is none though the run has not ended.
    var unsupervised: Unsupervised?
    /// Whether the last look at a shim that lives got no answer.
    var shimHangs = false
    /// A shim that lived on after SIGKILL.
    var undyingShim: LoneProcess?
    /// Whether the execs of a former daemon are still to be asked for.
    var needsExecAdoption = false
    /// How many have the container paused for as long as they read its files.
    var holdCount = 0
    /// Settles when the last of them has let it go on.
    var holdEnding: OneShot<Void>?
    /// Whether it has ended where no shim could start it again, and is about to be started, as its policy wants.
    var awaitsStart = false
    /// How often its policy had started it when it last ended after a long run.
    var restartCountAtSteadyRun = 0
    /// Something of the last run could not be taken away, and would be in the next one's way.
    var hasLeftovers = false
    /// Whether a new name is being written down.
    var isRenaming = false
    /// The name that a start began with, until its network is known by it.
    var startingName: String?
    private var waiters: [Waiter] = []
    /// Set when it has been removed: who found it before that waits for nothing any more.
    private var isGone = false

    struct Unpacking {
        let source: TaskSource
        /// Settles when no more is written.
        let done: OneShot<Void>
    }

    private struct Waiter {
        let condition: WaitCondition
        weak var outcome: OneShot<WaitResult>?
    }

    init(
        id: ContainerID, name: String, created: Timestamp, imageID: Digest, document: ContainerDocument, state: LifeState,
        services: ContainerServices
    ) {
        self.id = id
        self.name = name
        self.created = created
        self.imageID = imageID
        self.document = document
        self.state = state
        self.services = services
        paths = ContainerPaths(configuration: services.configuration, id: id)
        followedLog = FollowedLog(logPath: paths.log.string)
    }

    nonisolated var logger: Logger {
        var logger = services.logger
        logger[metadataKey: "container.id"] = "\(id)"
        return logger
    }

    // MARK: - Records

    /// Writes the document as it is now, durably.
    func save() async throws(EngineError) {
        forgetWrittenEvents()
        let record = try document.record(id: id, name: name, created: created, image: imageID)
        do throws(RecordsError) { try await services.records.update(record) } catch {
            throw .system("write the record of container \(id)", error)
        }
    }

    /// `save` where the container has already changed and nothing can be taken back: the kernel and the exit record still know, and
    /// the next start of the daemon learns it from there.
    func saveOrLog() async {
        do throws(EngineError) { try await save() } catch { logger.error("\(error)") }
    }

    // MARK: - Waiting

    /// Registers a wait before it returns.
    func wait(for condition: WaitCondition) -> WaitHandle {
        let outcome = OneShot<WaitResult>()
        if isGone {
            outcome.settle(WaitResult(exitCode: document.exitCode))
            return WaitHandle(outcome: outcome)
        }
        if condition == .notRunning {
            switch state {
            case .created, .exited, .dead, .removing: outcome.settle(WaitResult(exitCode: document.exitCode))
            case .starting, .running, .paused, .restarting, .stopping, .exiting: break
            }
        }
        waiters.removeAll { $0.outcome == nil }
        waiters.append(Waiter(condition: condition, outcome: outcome))
        return WaitHandle(outcome: outcome)
    }

    /// Tells whoever waits, or will.
    func settleWaitersOfRemoval() {
        isGone = true
        settleWaiters([.notRunning, .nextExit, .removed])
    }

    /// Tells those who wait for one of these.
    func settleWaiters(_ conditions: Set<WaitCondition>, error: String? = nil) {
        let result = WaitResult(exitCode: document.exitCode, error: error)
        for waiter in waiters where conditions.contains(waiter.condition) { waiter.outcome?.settle(result) }
        waiters.removeAll { conditions.contains($0.condition) || $0.outcome == nil }
    }

    /// Returns once the container is `exited`.
    /// - Returns: false when that did not happen in time.
    func waitUntilSettled(_ task: RunningTask, timeout: Duration?) async -> Bool {
        await task.settled.value(within: timeout) != nil
    }

    // MARK: - What a run leaves

    /// Before what a run left is tried again to be taken away: what kept it from that may be over soon.
    private static let leftoverPauses = [Duration.milliseconds(100), .milliseconds(400), .seconds(1)]

    /// What the exit record says, or that nobody knows; what is left of the run is taken away.
    func endWithoutShim() async -> TaskEnd {
        let (services, id, attachment) = (services, id, attachment)
        let recorded = await exitRecord()
        var pauses = Self.leftoverPauses[...]
        // Also where the rest stays for now, the cables go.
        try? await BlockingWork.run { () throws(EngineError) in services.networks.noteParting(of: attachment) }
        repeat {
            if formerShimLives {
                // It holds what is to be taken away, and was waited for already.
                hasLeftovers = true
                logger.error("what the run left stays for now: its shim lives on after SIGKILL")
                break
            }
            do throws(EngineError) {
                try await BlockingWork.run(.programs) { () throws(EngineError) in try Leftovers.removeRun(of: id, services) }
                hasLeftovers = false
            } catch {
                // Else the next start, a removal, or the next daemon.
                hasLeftovers = true
                logger.error("\(error)")
            }
            // What hangs in the kernel is not over so soon.
            guard hasLeftovers, !shimHangs, let pause = pauses.popFirst() else { break }
            try? await Pause.wait(for: pause)
        } while true
        await leaveNetworks()
        if let recorded { return recorded }
        return .lost
    }

    /// The exit that the shim wrote down, if it did and it is of the run that we mean.
    func exitRecord() async -> TaskEnd? {
        let (path, logger, startedAt, isFirst) = (paths.exitRecord, logger, document.startedAt, document.restartCount == 0)
        do throws(EngineError) {
            let record = try await BlockingWork.run { () throws(EngineError) in try ExitRecordFile.read(path) }
            guard let record else { return nil }
            // Each start takes the former record away, and what it starts again has a moment of its own: when that ended is no matter, as clocks are set.
            // One that the clock was set back before, and that no daemon saw, began before the one that is known; but what ended later is of it.
            let (began, end) = (Timestamp(unixNanoseconds: record.startedAtUnixNanoseconds), TaskEnd(record))
            return isFirst || began >= startedAt || end.finishedAt >= startedAt ? end : nil
        } catch {
            logger.error("\(error)")
            return nil
        }
    }

    /// Ends a shim and all that it holds: the task, its cgroup and mounts, the bundle.
    func dismantle(_ shim: ShimClient) async {
        defer { joined = nil }
        do throws(ShimError) {
            do throws(ShimError) { try await shim.delete() } catch { if !error.isNotFound { throw error } }
            failpoint(.stopTaskDeleted)
            await shim.shutdown()
            failpoint(.stopShimShutDown)
        } catch {
            logger.warning("the shim could not take its task away: \(error)")
            shim.close()
            _ = await endWithoutShim()
        }
        await removeBundle()
        failpoint(.stopBundleRemoved)
        await leaveNetworks()
        failpoint(.stopNetworksLeft)
    }
}

extension Timestamp {
    /// This moment.
    static var now: Timestamp { Timestamp(unixNanoseconds: Clock.unixNanoseconds) }
}
