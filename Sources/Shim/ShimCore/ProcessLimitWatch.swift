internal import Cgroups
internal import LinuxSyscalls
internal import SystemPackage

/// Calls its handler when a container was refused a process because it has as many as it may, at most once a minute: a fork bomb is refused
/// a hundred thousand times a second. Version 2 of cgroups tells of refusals; with version 1 they are noticed when a process of the container ends.
final class ProcessLimitWatch {
    private static let quietTime = Duration.seconds(60)
    private static let byteCount = 256

    private let file: Descriptor
    private let isHeldBack: () -> Bool
    private let handler: () -> Void
    private unowned let context: ShimContext
    private var watch: Watch?
    /// Refusals that are told, or belong to what is told.
    private(set) var seenCount: UInt64
    /// Called where more belong to what is told.
    var onGrowth: (() -> Void)?
    private var isQuiet = false
    /// The last look failed: what it was to find is to be told still.
    private var isLookMissing = false

    /// nil where the kernel counts no refusals, or the container is not counted at all.
    /// - Parameters:
    ///   - knownCount: refusals that are nothing new; nil for those that are counted now.
    ///   - isHeldBack: whether nothing is told yet; `check` is called when it no longer is.
    /// - Throws: where it is counted, and cannot be watched now.
    init?(
        _ record: CgroupRecord, knownCount: UInt64?, context: ShimContext, isHeldBack: @escaping () -> Bool, handler: @escaping () -> Void
    ) throws(SyscallError) {
        guard let place = record.places.first(where: { $0.names.contains("pids") }) ?? record.places.first(where: { $0.version == .v2 })
        else { return nil }
        do throws(SyscallError) { file = Descriptor(try openFile(FilePath(place.directory).appending("pids.events"), .readOnly)) } catch {
            if error.isMissing { return nil }
            throw error
        }
        self.isHeldBack = isHeldBack
        self.handler = handler
        self.context = context
        guard let count = try Self.refusalCount(file) else { return nil }
        seenCount = knownCount ?? count
        watch = try context.loop.watch(file.number, for: .priority) { [unowned self] _ in check() }
        // Of what was counted before, nothing wakes it.
        if count > seenCount { context.loop.soon { [weak self] in self?.check() } }
    }

    func cancel() {
        watch?.cancel()
        watch = nil
    }

    /// Looks at the count.
    func check() {
        if isQuiet { return }
        let count: UInt64
        do throws(SyscallError) {
            // A group that is gone counts nothing more.
            guard let found = try Self.refusalCount(file) else { return cancel() }
            count = found
        } catch {
            context.report("count refusals of processes: \(error)")
            isLookMissing = true
            return rest()
        }
        // Read all the same: the kernel goes on telling of a count until it was read.
        guard count > seenCount, !isHeldBack() else { return }
        seenCount = count
        handler()
        rest()
    }

    private func rest() {
        isQuiet = true
        watch?.pause()
        context.loop.after(Self.quietTime) { [weak self] in self?.goOn() }
    }

    private func goOn() {
        isQuiet = false
        if isLookMissing {
            isLookMissing = false
            check()
            // It has told something, or cannot look yet.
            if isQuiet { return }
        } else if let count = try? Self.refusalCount(file) {
            // What was refused meanwhile belongs to what was told.
            if count > seenCount {
                seenCount = count
                onGrowth?()
            }
        }
        watch?.wait(for: .priority)
    }

    /// nil where nothing is counted any more.
    private static func refusalCount(_ file: Descriptor) throws(SyscallError) -> UInt64? {
        let bytes: [UInt8]
        do throws(SyscallError) { bytes = try readChunk(file.number, at: 0, limitBytes: byteCount) } catch {
            if error.errno == Errno.operationNotSupportedByDevice.rawValue { return nil }
            throw error
        }
        for line in String(decoding: bytes, as: UTF8.self).split(separator: "\n") where line.hasPrefix("max ") {
            return UInt64(line.dropFirst(4))
        }
        return nil
    }
}
