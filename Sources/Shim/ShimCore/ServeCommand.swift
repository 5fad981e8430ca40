internal import LinuxSyscalls
internal import ShimProtocol
internal import SystemPackage

/// The shim itself: the process that `start` left behind.
package enum ServeCommand {
    private static let childSignal: Int32 = 17
    /// SIGHUP, SIGINT, SIGPIPE, SIGTERM.
    private static let ignoredSignals: [Int32] = [1, 2, 13, 15]
    /// A shim that nobody speaks to, and that has no container, is one that was forgotten.
    private static let idleLimit = Duration.seconds(60)
    /// How long the last answers and events may take to be read.
    private static let farewellLimit = Duration.seconds(5)

    /// How long a container's start may wait for whoever is about to start the keeper.
    private static let keeperStartMilliseconds: Int32 = 2_000

    /// Serves until Shutdown, then takes the shim's directory away.
    /// - Parameter resuming: in place of a shim that was killed, with the container that it had.
    package static func run(_ invocation: ShimInvocation, resuming: Bool = false) throws(ShimError) {
        let configuration = invocation.configuration
        let (context, publisher, directory) = try begin(invocation)
        let life = ShimLife(context: context, publisher: publisher, idleLimit: idleLimit, farewellLimit: farewellLimit)
        // Nobody holds what the killed shim left any longer than it is taken over: an input would not end while it is open here.
        try life.listen(Descriptor(OwnedFD(owning: invocation.listener)), try meetKeeper(context, resuming: resuming))
        context.loop.whenIdle { context.rest() }
        do throws(SyscallError) {
            try context.loop.run()
            // A start that was cut off has told nobody that we live: then another shim may stand in our place.
            if try ShimDirectory.isStill(configuration.layout, directory) { try ShimDirectory.remove(configuration.layout) }
        } catch { throw ShimError("serve \(configuration.id)", error) }
    }

    private static func begin(_ invocation: ShimInvocation) throws(ShimError) -> (ShimContext, EventPublisher?, Descriptor) {
        let configuration = invocation.configuration
        do throws(SyscallError) {
            try becomeSupervisor(keeping: [invocation.listener, invocation.place], name: "apus-shim")
            adjustOOMScore()
            try becomeSubreaper()
            let directory = Descriptor(OwnedFD(owning: invocation.place))
            let signals = Descriptor(try openSignals(SignalSet(childSignal)))
            let loop = try EventLoop()
            let reaper = try ChildReaper(signals: signals, loop: loop)
            let publisher = configuration.eventsAddress.isEmpty ? nil : EventPublisher(address: configuration.eventsAddress, loop: loop)
            return (ShimContext(configuration: configuration, loop: loop, reaper: reaper, publisher: publisher), publisher, directory)
        } catch { throw ShimError("serve \(configuration.id)", error) }
    }

    /// - Returns: what a killed shim left, for one that takes its place.
    private static func meetKeeper(_ context: ShimContext, resuming: Bool) throws(ShimError) -> ShimResumption? {
        if context.configuration.isForContainerd { return nil }
        if resuming {
            let resumption = try ShimResumption(context.configuration)
            context.keeper = Keeper(resumption.keeper, context: context)
            return resumption
        }
        // Without one the container runs as well, but not longer than its shim.
        do throws(SyscallError) {
            let keeper = try KeeperSocket(context.configuration).connectOrStartWaiting(milliseconds: keeperStartMilliseconds)
            context.keeper = keeper.map { Keeper($0, context: context) }
        } catch { context.report("keeper: \(error)") }
        return nil
    }

    /// Makes the process one that outlives whoever began it, with nothing open but what it was begun with.
    static func becomeSupervisor(keeping kept: [Int32], name: String) throws(SyscallError) {
        try setSignalMask(SignalSet(childSignal))
        // A container outlives whoever is told to stop its shim: only Shutdown ends one.
        for signal in ignoredSignals { try ignoreSignal(signal) }
        try closeDescriptors(from: 3, except: kept)
        for descriptor in kept { try setCloseOnExec(true, of: descriptor) }
        try changeDirectory("/")
        setFileCreationMask(0o022)
        try setProcessName(name)
    }

    /// One more than the daemon's, as containerd's shims have it, unless that is no less than what payloads have as a rule, 0: both go after
    /// these. The keeper has that of the shim that begins it.
    private static func adjustOOMScore() {
        guard let text = try? readFile("/proc/self/oom_score_adj", limitBytes: 16),
            let score = Int(String(decoding: text, as: UTF8.self).trimmingWhitespace), score < 0
        else { return }
        // Raising needs no privilege; without procfs there is nothing to adjust.
        try? writeAll(Array("\(score + 1)".utf8), toFile: "/proc/self/oom_score_adj")
    }
}

/// Begins and ends the serving.
private final class ShimLife {
    private let context: ShimContext
    private let publisher: EventPublisher?
    private let idleLimit: Duration
    private let farewellLimit: Duration
    private var server: SocketServer?
    private var service: ShimService?
    private var idleTimer: UInt64?
    private var isEnding = false

    init(context: ShimContext, publisher: EventPublisher?, idleLimit: Duration, farewellLimit: Duration) {
        self.context = context
        self.publisher = publisher
        self.idleLimit = idleLimit
        self.farewellLimit = farewellLimit
    }

    func listen(_ listener: Descriptor, _ resumption: ShimResumption?) throws(ShimError) {
        let service = ShimService(context: context) { [unowned self] in end() }
        self.service = service
        if let resumption { try service.resume(resumption) }
        do throws(SyscallError) {
            server = try SocketServer(
                listener: listener, userID: effectiveUserID(), loop: context.loop,
                accept: { [unowned self] in
                    stopIdling()
                    service.serve($0, $1)
                }, isIdle: { [unowned self] in startIdling() })
        } catch { throw ShimError("listen", error) }
        startIdling()
    }

    private func startIdling() {
        stopIdling()
        idleTimer = context.loop.after(idleLimit) { [unowned self] in
            idleTimer = nil
            if service?.isEmpty != false, server?.hasClients == false { end() }
        }
    }

    private func stopIdling() {
        if let idleTimer { context.loop.cancelTimer(idleTimer) }
        idleTimer = nil
    }

    private func end() {
        if isEnding { return }
        isEnding = true
        let leave = { [unowned self] in
            guard let server else { return context.loop.stop() }
            server.whenDrained(limit: farewellLimit) { [unowned self] in context.loop.stop() }
        }
        let sayFarewell = { [unowned self] in
            if let publisher { publisher.whenDrained(limit: farewellLimit, leave) } else { leave() }
        }
        context.whenOnDisk(limit: farewellLimit) { [unowned self] in
            context.whenSent(limit: farewellLimit) { [unowned self] in context.whenPacked(limit: farewellLimit, sayFarewell) }
        }
    }
}
