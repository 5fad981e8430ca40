internal import CoreTypes
internal import EngineAPI
internal import Images
internal import LinuxSyscalls
internal import Logging
internal import Records
internal import ShimProtocol
internal import SystemPackage

/// What a daemon does before it serves anyone: finds the containers of former daemons, learns what happened to them meanwhile, and
/// repairs what a crash left half done. Starting those that are to run comes after it, and may take as long as a file system that hangs.
struct Restoration {
    let parts: ContainerEngine.Parts
    let logger: Logger

    private var services: ContainerServices { parts.services }

    func run() async throws(EngineError) {
        let records: [ContainerRecord]
        do throws(RecordsError) { records = try await parts.records.containers.all() } catch {
            throw .system("restore the containers", error)
        }
        let (lost, orphans) = try await leftovers(besides: Set(records.map(\.id)))
        let known = Set(lost.keys).union(records.map(\.id))
        try await services.volumes.open()
        do throws(ImageError) { try await services.images.start(containers: known) } catch { throw EngineError(error) }
        failpoint(.restoreImagesStarted)
        if let warning = services.images.storageWarning {
            services.logger.warning("\(warning)")
        }
        do throws(ImageError) {
            for image in try await services.images.unreadable() {
                let names = image.names.map(\.familiar).joined(separator: " ")
                logger.error("the record of image \(image.id) (\(names)) cannot be read, see `apus system check`: \(image.reason)")
            }
        } catch { throw EngineError(error) }
        for leftover in services.images.storageLeftovers { logger.warning("what was removed cannot be erased: \(leftover)") }
        var restored: [Container] = []
        for record in records {
            do throws(EngineError) {
                let container = try container(of: record)
                services.index.insert(container, name: record.name)
                restored.append(container)
            } catch {
                // One damaged record must not keep the others down, nor cost its container anything.
                logger.error("container \(record.name) is left out: \(error)")
                await keep(UnreadableContainer(record, because: error))
            }
        }
        for (id, changed) in lost {
            let container = UnreadableContainer(withoutRecord: id, changed: changed)
            logger.error("container \(id) is left out: \(container.reason)")
            await keep(container)
        }
        failpoint(.restoreContainersFound)
        await tellUntold(of: restored)
        try await services.networks.start(mayLackRecords: !lost.isEmpty)
        for unreadable in services.index.unreadable { await unreadable.keepNetwork(services) }
        failpoint(.restoreNetworksStarted)
        // All of them, before one is looked at: what goes at once takes the volumes with it that no other has.
        for container in restored { await container.keepVolumes() }
        await withTaskGroup(of: Void.self) { group in
            for container in restored {
                group.addTask {
                    await container.restore()
                    failpoint(.restoreContainerAdopted)
                }
            }
        }
        // Before anybody is started: after a boot there is nothing yet that would protect them.
        await services.networks.finishRestoration()
        await services.volumes.removeUnclaimed(known: known)
        await services.volumes.unmountIdle()
        await remove(orphans)
        failpoint(.restoreContainersRestored)
    }

    /// Starts what its policy wants to run, others after those that they need.
    /// - Parameter patience: how long others wait for these.
    static func startWanted(_ services: ContainerServices, patience: Duration) async {
        let waves = await services.index.order()
        for container in waves.joined() { await container.awaitStartIfWanted() }
        for wave in waves {
            let started = OneShot<Void>()
            // Belongs to the engine: what hangs ends with its process.
            Task(executorPreference: TaskThreads.daemon) {
                await withTaskGroup(of: Void.self) { group in
                    for container in wave { group.addTask { await container.startIfAwaited() } }
                }
                started.settle(())
            }
            if await started.value(within: patience) == nil, !Task.isCancelled {
                services.logger.warning("containers of before are still being started: what comes after them waits no longer")
            }
        }
    }

    private func keep(_ container: UnreadableContainer) async {
        services.index.insert(container)
        await container.keepBelongings(services)
    }

    /// What there is of containers that are on no record: those that ran, and bundles, shims and files that a crash left of one that was not made yet,
    /// or removed already. A removal that is on the disk may have files there yet.
    private func leftovers(
        besides known: Set<ContainerID>
    ) async throws(EngineError) -> (lost: [ContainerID: Timestamp], orphans: Set<ContainerID>) {
        let configuration = services.configuration
        let removed = try await services.destroyed.all().keys
        return try await BlockingWork.run { () throws(EngineError) in
            let found = try Leftovers.containers(configuration).subtracting(known)
            let lost = try Leftovers.ofRuns(among: found.subtracting(removed), configuration)
            return (lost, found.subtracting(lost.keys))
        }
    }

    /// Tells the events that a former daemon wrote down and told nobody, ahead of all others.
    private func tellUntold(of containers: [Container]) async {
        var noted: [EventJournal.Noted] = []
        for container in containers { noted += await container.notedEvents }
        let gone: [ContainerID: DestroyedContainer]
        do throws(EngineError) {
            let left = try await services.destroyed.all()
            for (id, destroyed) in left { if let destroyed { noted.append(destroyed.noted(of: id)) } }
            let (events, wanted) = (services.events, noted)
            let told = try await BlockingWork.run { () throws(EngineError) in
                do throws(SyscallError) { return try events.told(of: wanted) } catch { throw .system("read the events", error) }
            }
            var changed: [ContainerRecord] = []
            for container in containers { if let record = try await container.renote(besides: told) { changed.append(record) } }
            do throws(RecordsError) { try await services.records.update(changed) } catch {
                throw .system("note the untold events anew", error)
            }
            gone = try await services.destroyed.renote(left, besides: told)
        } catch {
            // They stay noted as they were, for a daemon that can look.
            return logger.error("what the last daemon did not tell is not told by this one: \(error)")
        }
        failpoint(.restoreUntoldRecorded)
        for container in containers { await container.tellUntold() }
        for (id, destroyed) in gone { services.destroyed.tell(id, destroyed) }
        failpoint(.restoreUntoldTold)
    }

    private func container(of record: ContainerRecord) throws(EngineError) -> Container {
        guard let image = record.imageID else { throw EngineError(.system, "its record names no image") }
        let document = try ContainerDocument(record)
        if let ids = document.userNamespace { services.userNamespaces.adopt(ids, of: record.id) }
        return Container(
            id: record.id, name: record.name, created: record.created, imageID: image, document: document,
            state: .created, services: services)
    }

    private func remove(_ orphans: Set<ContainerID>) async {
        let services = services
        for id in orphans {
            // What one refuses must not keep the others.
            do throws(EngineError) {
                try await BlockingWork.run(.programs) { () throws(EngineError) in try Leftovers.remove(id, services) }
                logger.notice("what a crash left of a container was removed", metadata: ["container.id": "\(id)"])
            } catch { logger.error("\(error)", metadata: ["container.id": "\(id)"]) }
        }
    }
}

extension Container {
    /// Keeps its volumes from others' removal before it is known whether it runs: the record of a start is written after it.
    fileprivate func keepVolumes() async { await services.volumes.adopt(document.volumes, of: id) }

    /// Finds out how the container stands now, and makes it so. Its volumes are kept already.
    func restore() async {
        isRestoring = true
        defer { isRestoring = false }
        // Its followers are gone with the former daemon.
        do throws(EngineError) { try await clearFollowedLog([]) } catch { logger.error("\(error)") }
        switch document.phase {
        case .removing, .dead:
            state = .dead
            do throws(EngineError) { try await remove(force: true) } catch { logger.error("go on with the removal: \(error)") }
        case .created, .running, .exited:
            let found = document.phase
            state = found == .exited ? .exited : .created
            await restoreTask(found)
        }
        switch state {
        case .created, .exited:
            await services.volumes.noteIdle(document.volumes, of: id)
            // Who made it to go away with its process started it no more, or saw its end no more.
            await removeIfDisposable()
        // What may live, whatever its shim says, keeps what is mounted for it.
        case .starting, .running, .paused, .restarting, .stopping, .exiting, .removing, .dead: break
        }
    }

    /// A shim may be there whatever the record says: the record of a start is written after it.
    private func restoreTask(_ phase: ContainerDocument.Phase) async {
        var found: ShimClient?
        do throws(ShimError) {
            let shim = try await findShim()
            found = shim
            try await restore(from: shim)
        } catch {
            // One that is merely slow answers a later question.
            let isSlow = error.code == .timedOut
            if !isSlow { found?.close() }
            if await restoreUnsupervised(error, phase, isSlow ? found : nil) { return }
            found?.close()
            switch error.code {
            case .absent, .notStarted, .disconnected:
                // The shim's directory may have gone when the network had not.
                if phase == .running, attachment == nil { await adoptNetwork() }
                if phase == .running { await learnEndWithoutShim() } else { await cleanUpAfterLostStart() }
            case .refused, .timedOut, .garbled:
                // It lives, and its container may: nothing is taken away unless somebody asks for it.
                logger.error("the shim does not say how it stands, only removing the container helps: \(error)")
                document.error = error.message
                state = .dead
            }
        }
    }

    /// Where what keeps the shim from answering is no end of the run: goes on without one until there is one, or until it answers.
    /// - Parameter slow: the shim, where it may.
    /// - Returns: false where nothing runs.
    private func restoreUnsupervised(_ error: ShimError, _ phase: ContainerDocument.Phase, _ slow: ShimClient?) async -> Bool {
        let payload = await lonePayload()
        switch payload {
        case .lives(let process):
            // Of a start that was not recorded any more.
            if phase != .running { (document.pid, document.startedAt) = (process.pid, process.startedAt) }
        case .isBetweenRuns: break
        case .unclear: guard phase == .running else { return false }
        case .ended, .unknown: guard phase == .running, error.code == .timedOut else { return false }
        }
        if attachment == nil { await adoptNetwork() }
        let shim = slow ?? ShimClient.unconnected(to: id, execRoot: services.configuration.execRoot.string, reactor: services.reactor)
        let task = RunningTask(shim: shim, pid: document.pid, startedAt: document.startedAt, settled: OneShot())
        state = if case .isBetweenRuns = payload { .restarting(task) } else { .running(task) }
        needsExecAdoption = true
        stay(unsupervisedFor: error.message, payload)
        watch(task, after: error)
        return true
    }

    /// The shim, or another one in place of one that was killed as well as the daemon.
    private func findShim() async throws(ShimError) -> ShimClient {
        let root = services.configuration.execRoot.string
        do throws(ShimError) { return try ShimClient.connect(to: id, execRoot: root, reactor: services.reactor) } catch {
            guard error.code == .absent, isShimMissing else { throw error }
            do throws(EngineError) { try await beginAnotherShim() } catch let failure { throw ShimError(.notStarted, failure.message) }
        }
        return try ShimClient.connect(to: id, execRoot: root, reactor: services.reactor)
    }

    /// Whether a shim has been there, and had something to lose.
    private var isShimMissing: Bool {
        (try? fileStatus(FilePath(services.launcher.layout(of: id).lifePath))) != nil
    }

    private func restore(from shim: ShimClient) async throws(ShimError) {
        // Whatever comes of it: who takes the run away takes its network away.
        await adoptNetwork()
        let description = try await shim.describeSoon()
        // One of a newer version understands what this daemon says, and says nothing that it may not pass over.
        guard description.protocolVersion >= SupervisionMethod.oldestVersion else {
            throw ShimError(
                .garbled,
                "the shim speaks version \(description.protocolVersion), this daemon versions from \(SupervisionMethod.oldestVersion) on")
        }
        guard let process = description.processes.first(where: { $0.execID.isEmpty }), !description.changes.isEmpty else {
            // The daemon died between Create and Start, or after it had the shim delete what had ended.
            await dismantle(shim)
            if document.phase == .running { await learnEndWithoutShim() }
            return
        }
        await adopt(shim, process, description)
    }

    /// Takes over where the former daemon left off: what it did not see happens now, in its order.
    private func adopt(_ shim: ShimClient, _ process: ProcessDescription, _ description: DescribeResponse) async {
        let task = RunningTask(shim: shim, pid: document.pid, startedAt: document.startedAt, settled: OneShot())
        let turns = description.changes.filter(\.isTurn)
        let known = turns.last { $0.revision <= document.lifeRevision }
        if let last = turns.last, [.ended, .givenUp].contains(last.kind) {
            // It was written down, and told: only the shim is still there.
            if document.phase == .exited && last.revision <= document.lifeRevision {
                await dismantle(shim)
                return await removeIfDisposable()
            }
            // It was seen, but not what it leaves taken away.
            document.lifeRevision = min(document.lifeRevision, last.revision - 1)
        }
        state = known?.kind == .restarting ? .restarting(task) : .running(task)
        for change in description.changes {
            if await take(change, state.supervisedTask ?? task) { return }
        }
        guard let adopted = state.supervisedTask else { return }
        await adoptPause(process.status)
        await adoptExecs(description.processes, adopted)
        logger.info("container adopted")
        watch(adopted)
        await endAbandonedHold()
        await renewRestartPolicy()
        renewLimits()
    }

    /// The shim is gone: its exit record says how the process ended, or nothing does.
    private func learnEndWithoutShim() async {
        let end = await endWithoutShim()
        note(end)
        document.phase = .exited
        await record(untoldDeath(end), .lostEndRecorded)
        state = .exited
        await removeIfDisposable()
    }

    /// A start that the daemon's death cut off before its shim could be spoken to.
    private func cleanUpAfterLostStart() async {
        do throws(EngineError) { try await removeLeftovers() } catch {
            hasLeftovers = true
            logger.error("clean up after a lost start: \(error)")
        }
        if document.startedAt != .zero && document.phase == .exited { await removeIfDisposable() }
    }

    /// Ends a shim that the engine does not speak to, if there is one, with all that it looks after, and removes the bundle.
    func removeLeftovers() async throws(EngineError) {
        let (services, id) = (services, id)
        try await BlockingWork.run(.programs) { () throws(EngineError) in
            if try Leftovers.exist(of: id, services.configuration) { try Leftovers.removeRun(of: id, services) }
        }
    }

    private func removeIfDisposable() async {
        guard document.hostConfig.autoRemove else { return }
        do throws(EngineError) { try await remove(force: false) } catch { logger.error("remove after exit: \(error)") }
    }
}
