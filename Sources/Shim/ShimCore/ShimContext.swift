internal import LinuxSyscalls
internal import Protobuf
internal import ShimProtocol
internal import SystemPackage

/// What the parts of a running shim share.
final class ShimContext {
    let configuration: ShimConfiguration
    let loop: EventLoop
    let reaper: ChildReaper
    /// For what must outlive this shim; nil where nobody would take its place.
    var keeper: Keeper?
    private var disk: DiskThread?
    private let publisher: EventPublisher?
    private var subscribers: [ServerCall] = []
    private var packing: LogPacking?
    /// For one look that cannot wait, where no other descriptor is left.
    private var spare: Descriptor?
    /// For pipes that outlive their process.
    let drain: OutputDrain
    /// For output that outlives its process.
    let unread = UnreadOutput()

    /// Event streams at once.
    static let maximumSubscriberCount = 64
    /// Bytes that a subscriber may leave unread before it is let go.
    static let maximumSubscriberByteCount = 1 << 20

    init(configuration: ShimConfiguration, loop: EventLoop, reaper: ChildReaper, publisher: EventPublisher?) {
        self.configuration = configuration
        self.loop = loop
        drain = OutputDrain(loop: loop)
        self.reaper = reaper
        self.publisher = publisher
        keepSpareDescriptor()
    }

    /// Calls `body`, which opens one file at most, also where the process has as many open as it may.
    func withSpareDescriptor<Result, Failure: Error>(_ body: () throws(Failure) -> Result) throws(Failure) -> Result {
        spare = nil
        defer { keepSpareDescriptor() }
        return try body()
    }

    private func keepSpareDescriptor() {
        // Without it such a look fails where none is left, as any other does.
        spare = try? Descriptor(openFile("/", .path))
    }

    /// The disk's thread, begun when first needed: containerd's containers never need it.
    func diskThread() throws(ShimError) -> DiskThread {
        if let disk { return disk }
        do throws(SyscallError) {
            let begun = try DiskThread(loop: loop)
            disk = begun
            return begun
        } catch { throw ShimError("begin the disk thread", error) }
    }

    /// Nothing has happened for a while: what making a container touched, and waiting for its end does not need, goes. A refusal costs only memory.
    func rest() {
        guard let disk else {
            try? releaseUnusedMemory()
            return
        }
        disk.submit(.rest) { _ in try? releaseUnusedMemory() }
    }

    /// Calls `action` when all that was given to the disk is there, at the latest after `limit`.
    func whenOnDisk(limit: Duration, _ action: @escaping () -> Void) {
        guard let disk else { return loop.soon(action) }
        let once = Once(action)
        loop.after(limit, once.run)
        disk.submit(.nothing) { _ in once.run() }
    }

    /// Calls `action` when a server that the log goes to has all of it, at the latest after `limit`: the rest waits in the files for the next run.
    func whenSent(limit: Duration, _ action: @escaping () -> Void) {
        if let disk { disk.whenSent(limit: limit, action) } else { action() }
    }

    /// Has the log's files compressed that are written no more.
    func pack(_ log: LogConfiguration, of disk: DiskThread) {
        let packing = LogPacking(log, disk: disk, context: self)
        self.packing = packing
        disk.onRotation = packing.rotated
    }

    /// Calls `action` when none of our processes compresses a log, at the latest after `limit`.
    func whenPacked(limit: Duration, _ action: @escaping () -> Void) {
        guard let packing else { return action() }
        packing.whenIdle(limit: limit, action)
    }

    /// Tells containerd, or whoever subscribed.
    func publish(_ event: TaskEvent) {
        let envelope = EventEnvelope(
            timestamp: ProtobufTimestamp(unixNanoseconds: unixNanoseconds()), namespace: configuration.namespace, event: event)
        publisher?.publish(envelope)
        for call in subscribers {
            call.send(envelope)
            if let connection = call.connection, connection.outboundByteCount > Self.maximumSubscriberByteCount { connection.close() }
        }
    }

    /// Sends every event from here on, until the client leaves.
    func subscribe(_ call: ServerCall) {
        guard subscribers.count < Self.maximumSubscriberCount else {
            return call.fail(ShimError(.limitReached, "more than \(Self.maximumSubscriberCount) event streams"))
        }
        subscribers.append(call)
        call.onEndOfData = { [unowned self, unowned call] in
            subscribers.removeAll { $0 === call }
            call.succeed()
        }
        call.onClosed = { [unowned self, unowned call] in subscribers.removeAll { $0 === call } }
    }

    /// Says something to whoever reads the shim's own standard error, if anyone does.
    func report(_ text: String) {
        // Nobody may: then it is lost, as nothing here may wait for a reader.
        _ = try? writeAvailable(Array("apus-shim: \(text)\n".utf8)[...], to: 2)
    }
}
