internal import Cgroups
internal import LinuxSyscalls
internal import SystemPackage

/// Calls its handler when a container was refused a process because it has as many as it may, at most once a minute: a fork bomb is refused
/// a hundred thousand times a second. Version 2 of cgroups tells of refusals; with version 1 they are noticed when a process of the container ends.
final class ProcessLimitWatch {
    private static let quietTime = Duration.seconds(60)
    private static let byteCount = 256

    private let file: Descriptor
    private let handler: () -> Void
    private let loop: EventLoop
    private var watch: Watch?
    private var seenCount: UInt64
    private var isQuiet = false

    /// nil where the kernel counts no refusals, or the container is not counted at all.
    init?(_ record: CgroupRecord, loop: EventLoop, handler: @escaping () -> Void) {
        guard let place = record.places.first(where: { $0.names.contains("pids") }) ?? record.places.first(where: { $0.version == .v2 }),
            let opened = try? openFile(FilePath(place.directory).appending("pids.events"), .readOnly)
        else { return nil }
        file = Descriptor(opened)
        self.handler = handler
        self.loop = loop
        guard let count = Self.refusalCount(file) else { return nil }
        seenCount = count
        watch = try? loop.watch(file.number, for: .priority) { [unowned self] _ in check() }
    }

    func cancel() {
        watch?.cancel()
        watch = nil
    }

    /// Looks at the count.
    func check() {
        if isQuiet { return }
        // A group that is gone counts nothing more.
        guard let count = Self.refusalCount(file) else { return cancel() }
        guard count > seenCount else { return }
        seenCount = count
        handler()
        isQuiet = true
        watch?.pause()
        loop.after(Self.quietTime) { [weak self] in self?.goOn() }
    }

    private func goOn() {
        isQuiet = false
        // What was refused meanwhile belongs to what was told.
        seenCount = Self.refusalCount(file) ?? seenCount
        watch?.wait(for: .priority)
    }

    private static func refusalCount(_ file: Descriptor) -> UInt64? {
        guard let bytes = try? readChunk(file.number, at: 0, limitBytes: byteCount) else { return nil }
        for line in String(decoding: bytes, as: UTF8.self).split(separator: "\n") where line.hasPrefix("max ") {
            return UInt64(line.dropFirst(4))
        }
        return nil
    }
}
