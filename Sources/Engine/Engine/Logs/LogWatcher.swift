internal import LinuxSyscalls
internal import Synchronization
internal import SystemPackage

/// Wakes those who follow a log when its directory changes. One for the whole engine.
final class LogWatcher: ReactorSource {
    private struct State {
        /// By watch: how many follow, and who waits for the next change.
        var followers: [Int32: Int] = [:]
        var waiting: [Int32: [OneShot<Void>]] = [:]
        var isStopped = false
    }

    private let watch: DirectoryWatch
    private let state = Mutex(State())

    init() throws(SyscallError) { watch = try DirectoryWatch() }

    var descriptor: Int32 { watch.number }

    /// Begins to follow; end it with `stopFollowing`.
    func follow(_ directory: FilePath) throws(SyscallError) -> Int32 {
        // The kernel counts a directory once: the lock keeps its number from being removed between the two steps.
        let result = state.withLock { state -> Result<Int32, SyscallError> in
            do throws(SyscallError) {
                let number = try watch.add(directory)
                state.followers[number, default: 0] += 1
                return .success(number)
            } catch { return .failure(error) }
        }
        return try result.get()
    }

    func stopFollowing(_ number: Int32) {
        state.withLock { state in
            guard let count = state.followers[number] else { return }
            state.followers[number] = count > 1 ? count - 1 : nil
            // A directory that is gone took its watch with it.
            if count == 1 { try? watch.remove(number) }
        }
    }

    /// Something that settles at the next change; take it before looking at the file.
    func nextChange(of number: Int32) -> OneShot<Void> {
        let change = OneShot<Void>()
        let isStopped = state.withLock { state -> Bool in
            if !state.isStopped { state.waiting[number, default: []].append(change) }
            return state.isStopped
        }
        if isStopped { change.settle(()) }
        return change
    }

    func handle(_ readiness: Readiness) {
        let changed: Set<Int32>?
        do throws(SyscallError) { changed = try watch.changed() } catch { changed = nil }
        wake(changed)
    }

    func reactorStopped(_ reason: String) {
        state.withLock { $0.isStopped = true }
        wake(nil)
    }

    /// - Parameter changed: nil for all.
    private func wake(_ changed: Set<Int32>?) {
        let woken = state.withLock { state -> [OneShot<Void>] in
            let numbers = changed ?? Set(state.waiting.keys)
            return numbers.flatMap { state.waiting.removeValue(forKey: $0) ?? [] }
        }
        for change in woken { change.settle(()) }
    }
}
