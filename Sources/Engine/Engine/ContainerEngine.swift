internal import CoreTypes
internal import Images
internal import LinuxSyscalls
package import Logging
internal import NameService
internal import Networking
internal import Records
internal import Registry
internal import Synchronization
internal import SystemPackage

/// The engine: images and containers of one data root. Every operation may be called from any task; operations
/// on one container are ordered by its own actor, and none waits for another container.
package final class ContainerEngine: Sendable {
    /// What exists once the engine has started.
    struct Parts: Sendable {
        let services: ContainerServices
        let records: RecordStore
        let host: HostInformation
        /// The name of this data root's engine, for ever.
        let identity: String
        /// Held for as long as the engine uses the data root.
        let lock: DataRootLock
    }

    let configuration: EngineConfiguration
    let logger: Logger
    private let state = Mutex<Parts?>(nil)
    /// Kinds of objects that are being pruned, which one client does at a time.
    private let pruned = Mutex<Set<EventJournal.Subject>>([])

    /// Opens nothing yet; `start` does.
    package init(configuration: EngineConfiguration, logger: Logger) {
        self.configuration = configuration
        self.logger = logger
    }

    /// Opens the data root, finds the containers of former daemons and repairs what a crash left half done.
    /// - Throws: `.unavailable` when another engine uses the data root.
    package func start() async throws(EngineError) {
        let (configuration, logger) = (configuration, logger)
        let parts = try await BlockingWork.run { () throws(EngineError) in
            let reserve = DiskReserve(
                in: configuration.dataRoot, bytes: configuration.diskReserveBytes ?? DiskReserve.usualBytes, logger: logger)
            do throws(EngineError) { return try Parts(opening: configuration, reserve: reserve, logger: logger) } catch {
                throw reserve.explained(error)
            }
        }
        state.withLock { $0 = parts }
        await loadProfile(parts.host.facts)
        do throws(EngineError) { try await Restoration(parts: parts, logger: logger).run() } catch {
            let reserve = parts.services.reserve
            throw try await BlockingWork.run { () throws(EngineError) in reserve.explained(error) }
        }
        try await BlockingWork.run { () throws(EngineError) in parts.services.reserve.fill() }
    }

    /// Starts the containers of former daemons that are to run and do not.
    /// - Parameter patience: for how long it is waited for them; a file system that does not answer can hold a start up for ever.
    package func startWantedContainers(patience: Duration) async throws(EngineError) {
        let services = try parts().services
        let started = OneShot<Void>()
        // Owned by the engine: what waits for ever ends with its process.
        Task(executorPreference: TaskThreads.daemon) {
            await Restoration.startWanted(services, patience: patience)
            started.settle(())
        }
        _ = await started.value(within: patience)
    }

    /// Each start looks again: what fails now need not then.
    private func loadProfile(_ facts: HostFacts) async {
        guard facts.hasAppArmor, !configuration.isRootless else { return }
        guard facts.hasAppArmorProfile else {
            return logger.warning("AppArmor confines no container that names no profile: there is no apparmor_parser")
        }
        do throws(EngineError) {
            try await BlockingWork.run(.programs) { () throws(EngineError) in try AppArmorProfile(kernelHasAppArmor: true)?.load() }
        } catch { logger.error("\(error)") }
    }

    /// Lets go of everything: no container is touched.
    /// - Parameter patience: how long that may take; a file system that does not answer can hold it up for ever.
    package func shutdown(patience: Duration) async {
        let ended = OneShot<Void>()
        // Owned by the engine: what hangs ends with its process.
        Task(executorPreference: TaskThreads.daemon) {
            await self.shutdown()
            ended.settle(())
        }
        if await ended.value(within: patience) == nil { logger.warning("ended before everything was closed") }
    }

    private func shutdown() async {
        guard let parts = state.withLock({ $0.take() }) else { return }
        parts.services.reactor.stop()
        await parts.services.networks.shutdown()
        parts.services.images.stop()
        do throws(EngineError) {
            try await BlockingWork.run { () throws(EngineError) in
                parts.services.events.close()
                do throws(RecordsError) { try parts.records.close() } catch { throw .system("close the records", error) }
            }
        } catch { logger.error("\(error)") }
    }

    /// What operations work with.
    /// - Throws: `.unavailable` before the start and after the shutdown.
    func parts() throws(EngineError) -> Parts {
        guard let parts = state.withLock({ $0 }) else { throw EngineError(.unavailable, "the engine is not running") }
        return parts
    }

    /// Prunes objects of one kind. - Throws: `.conflict` while another client does.
    func pruning<Report>(
        _ kind: EventJournal.Subject, _ body: () async throws(EngineError) -> Report
    ) async throws(EngineError) -> Report {
        guard pruned.withLock({ $0.insert(kind).inserted }) else { throw EngineError(.conflict, "a prune operation is already running") }
        defer { pruned.withLock { _ = $0.remove(kind) } }
        return try await body()
    }

    /// Removes something; on a full disk, with the room that is kept for that.
    func removing<Result>(_ body: () async throws(EngineError) -> Result) async throws(EngineError) -> Result {
        try await parts().services.reserve.withRoom(body)
    }

    func container(_ word: String) throws(EngineError) -> Container { try parts().services.index.find(word) }
}

extension ContainerEngine.Parts {
    /// Opens the data root. Blocks.
    init(opening configuration: EngineConfiguration, reserve: DiskReserve, logger: Logger) throws(EngineError) {
        do throws(SyscallError) {
            try makeDirectories(configuration.dataRoot.appending("containers"), mode: 0o710)
            try makeDirectories(configuration.execRoot.appending("bundles"), mode: 0o711)
            try makeDirectories(configuration.execRoot.appending("netns"), mode: 0o711)
        } catch { throw .system("open the data root", error) }
        // A daemon begins on a full disk, too.
        reserve.giveUpIfScarce()
        lock = try DataRootLock(configuration.dataRoot)
        host = try HostInformation(isRootless: configuration.isRootless)
        records = try Self.openRecords(in: configuration.dataRoot)
        // After the records, so that they are missed where it is and they are not.
        identity = try EngineIdentity.load(configuration.dataRoot)
        var settings = LibrarySettings(configuration)
        settings.signaturePolicy = configuration.signaturePolicy
        (settings.maximumDownloads, settings.maximumUploads) = (configuration.current.value.downloads, configuration.current.value.uploads)
        var registry = RegistryConfiguration(
            insecureRegistries: configuration.insecureRegistries, certificateFolders: configuration.certificateFolders,
            registriesFile: configuration.registriesFile, idleSeconds: configuration.registryIdleSeconds,
            proxies: configuration.proxies, userAgent: "apus/\(Product.version)")
        registry.mirrors = configuration.registryMirrors
        registry.downloadAttempts = configuration.current.value.downloadAttempts
        registry.tokenServices = configuration.tokenServices
        registry.imageLimits = configuration.imageLimits
        let images = ImageLibrary(settings: settings, registry: registry, records: records)
        let thread: NamespaceThread
        let reactor: ShimReactor
        let watcher: LogWatcher
        let events: EventJournal
        do throws(SyscallError) {
            events = try EventJournal(openingAt: configuration.dataRoot.appending("events"), logger: logger)
        } catch { throw .system("open the event journal", error) }
        let volumes = VolumeStore(
            folder: VolumeFolder(root: configuration.dataRoot.appending("volumes")), events: events, logger: logger)
        do throws(SyscallError) {
            reactor = try ShimReactor(logger: logger)
            watcher = try LogWatcher()
            try reactor.serve(watcher)
            try reactor.start()
        } catch { throw .system("start the engine's threads", error) }
        let home = configuration.isRootless ? PinnedNamespace(path: configuration.execRoot.appending("home-network")) : nil
        do throws(NetworkingError) { thread = try NamespaceThread(livingIn: home) } catch { throw EngineError(error) }
        let names = try NameKeeper(
            program: configuration.netPath, folder: NameFolder(path: configuration.execRoot.appending("names")),
            resolver: configuration.resolverFile, home: home?.path, logger: logger)
        let networks = try Networks(
            records: records.networks, thread: thread, events: events, names: names, settings: NetworkSettingsOfDaemon(configuration),
            logger: logger)
        services = ContainerServices(
            configuration: configuration, records: records.containers, images: images, volumes: volumes, reactor: reactor,
            launcher: ShimLauncher(shimPath: configuration.shimPath, execRoot: configuration.execRoot), watcher: watcher,
            index: ContainerIndex(), events: events, destroyed: DestroyedContainers(records: records.containers, events: events),
            networks: networks,
            userNamespaces: try UserNamespacePool.open(for: configuration.userRemap), facts: host.facts, halt: Halt(), reserve: reserve,
            logger: logger)
    }
}

extension ContainerEngine.Parts {
    /// An engine without the records of what is there would take it all for what a crash left, and clear it away.
    private static func openRecords(in dataRoot: FilePath) throws(EngineError) -> RecordStore {
        let path = dataRoot.appending("engine.sqlite")
        let wayOut = "to begin without its containers, images and networks, move \(path) and \(EngineIdentity.file(in: dataRoot)) away"
        let (hasBeenHere, isEmpty): (Bool, Bool)
        do throws(SyscallError) {
            hasBeenHere = try size(of: EngineIdentity.file(in: dataRoot)) != nil
            isEmpty = try size(of: path) ?? 0 == 0
        } catch { throw .system("open the data root", error) }
        do throws(RecordsError) {
            // Before it is opened, which would make it.
            if hasBeenHere && isEmpty { throw RecordsError(.gone, doing: "open records", path: path.string) }
            return try RecordStore(openingAt: path.string, expectsRecords: hasBeenHere)
        } catch {
            if error.code == .damaged || error.code == .gone { throw EngineError(.system, "open the data root: \(error); \(wayOut)") }
            throw .system("open the data root", error)
        }
    }

    /// nil where there is no such file.
    private static func size(of path: FilePath) throws(SyscallError) -> Int64? {
        do throws(SyscallError) { return try fileStatus(path).sizeBytes } catch {
            if error.errno == Errno.noSuchFileOrDirectory.rawValue { return nil }
            throw error
        }
    }
}

/// Keeps a second engine from the same data root.
final class DataRootLock: Sendable {
    private let file: OwnedFD

    init(_ dataRoot: FilePath) throws(EngineError) {
        let path = dataRoot.appending("lock")
        do throws(SyscallError) {
            file = try openFile(path, [.readWrite, .create, .noFollow], mode: 0o600)
            if try tryLockFile(file, subject: path.string) { return }
        } catch { throw .system("lock the data root", error) }
        throw EngineError(.unavailable, "another daemon uses \(dataRoot)")
    }
}

/// The id that `info` shows: made once for each data root.
enum EngineIdentity {
    static func file(in dataRoot: FilePath) -> FilePath { dataRoot.appending("engine-id") }

    static func load(_ dataRoot: FilePath) throws(EngineError) -> String {
        let path = file(in: dataRoot)
        do throws(SyscallError) {
            let text = String(decoding: try readFile(path, limitBytes: 256), as: UTF8.self).trimmed
            if !text.isEmpty { return text }
        } catch {
            if error.errno != Errno.noSuchFileOrDirectory.rawValue { throw .system("read the engine's id", error) }
        }
        let id = String(Identifiers.random().prefix(32))
        do throws(SyscallError) { try writeFileDurably(Array("\(id)\n".utf8), to: path) } catch {
            throw .system("write the engine's id", error)
        }
        return id
    }
}
