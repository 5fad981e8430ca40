internal import CoreTypes
package import EngineAPI
internal import LinuxSyscalls
internal import Synchronization

/// How often a client wants to hear.
package enum StatisticsRhythm: Sendable {
    /// Once a second, until the container is removed.
    case stream
    /// Once, with processor time a second before for comparison.
    case compared
    /// Once, at once.
    case once
}

/// A client's look at what a container uses. One task asks.
package final class StatisticsSession: Sendable {
    private struct State {
        var reader: StatisticsReader?
        var last: ContainerStatistics?
        var isFinished = false
    }

    private static let interval = Duration.seconds(1)
    private let container: Container
    private let rhythm: StatisticsRhythm
    private let state = Mutex(State())

    init(_ container: Container, _ rhythm: StatisticsRhythm) {
        self.container = container
        self.rhythm = rhythm
    }

    /// The next sample; nil when there is none left, or the container is gone. Of a container that does not run only the name is told.
    package func next() async throws(EngineError) -> ContainerStatistics? {
        if state.withLock({ $0.isFinished }) { return nil }
        if rhythm == .stream {
            if state.withLock({ $0.last }) != nil { try await pause() }
        } else {
            state.withLock { $0.isFinished = true }
        }
        guard let sample = try await sample() else { return nil }
        guard rhythm == .compared, sample.read != .zero else { return sample }
        try await pause()
        return try await self.sample()
    }

    private func pause() async throws(EngineError) {
        do { try await Pause.wait(for: Self.interval) } catch {
            throw EngineError(.unavailable, "reading statistics was cancelled", cause: error)
        }
    }

    /// nil when the container is gone.
    private func sample() async throws(EngineError) -> ContainerStatistics? {
        guard let subject = try await container.statisticsSubject() else { return nil }
        var sample = ContainerStatistics()
        if let task = subject.task {
            let known = state.withLock { $0.reader }
            let (path, id, subject) = (subject.cgroupPath, container.id, subject)
            let (reader, read) = try await BlockingWork.run { () throws(EngineError) in
                let reader =
                    if let known, known.pid == task.pid { known } else {
                        try StatisticsReader(
                            path: path, id: id, pid: task.pid, hasOwnNetwork: subject.hasOwnNetwork, hasCgroup: subject.hasCgroup)
                    }
                return (reader, try reader.sample())
            }
            sample = read ?? sample
            state.withLock { $0.reader = reader }
        }
        sample.name = "/\(subject.name)"
        sample.id = container.id.text
        return state.withLock { state in
            if rhythm != .once, let last = state.last {
                sample.previousCPU = last.cpu
                sample.previousRead = last.read
            }
            state.last = sample
            return sample
        }
    }
}

extension Container {
    /// What a look at the container begins with, once a start that is under way is decided; nil when it is gone.
    func statisticsSubject() async throws(EngineError) -> (
        name: String, task: RunningTask?, cgroupPath: String, hasOwnNetwork: Bool, hasCgroup: Bool
    )? {
        try await startDecided()
        switch state {
        case .removing, .dead: return nil
        case .created, .starting, .running, .paused, .restarting, .stopping, .exiting, .exited:
            return (name, state.runningTask, cgroupPath, document.hostConfig.networkMode != "host", services.facts.hasCgroups)
        }
    }

    /// The container's cgroup, below the root of every hierarchy.
    var cgroupPath: String { Specification.cgroupPath(of: id, parent: document.hostConfig.cgroupParent) }
}

extension ContainerEngine {
    /// `GET /containers/{id}/stats`.
    package func containerStatistics(_ name: String, rhythm: StatisticsRhythm) throws(EngineError) -> StatisticsSession {
        StatisticsSession(try container(name), rhythm)
    }
}
