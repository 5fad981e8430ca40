internal import LinuxSyscalls
internal import Logging
internal import ShimProtocol

/// The execs of a container that a former daemon looked after.
extension Container {
    /// Takes over what the former daemon wrote down, as the shim says it stands now.
    /// - Parameter processes: the shim's, the container's first one among them.
    func adoptExecs(_ processes: [ProcessDescription], _ task: RunningTask) async {
        let directory = paths.execs
        let found: (records: [String: ExecRecord], problems: [EngineError])
        do throws(EngineError) {
            found = try await BlockingWork.run { () throws(EngineError) in try ExecRecordFiles.all(in: directory) }
        } catch { return logger.error("the execs of the former daemon are lost: \(error)") }
        for problem in found.problems { logger.error("an exec of the former daemon is lost: \(problem)") }
        for (id, record) in found.records.sorted(by: { $0.value.created < $1.value.created }) {
            let exec = ExecProcess(id: id, created: record.created, request: record.request)
            await adopt(exec, exitCode: record.exitCode, task, processes.first { $0.execID == id })
        }
    }

    /// - Parameter exitCode: what is on record; nil where nothing is.
    private func adopt(_ exec: ExecProcess, exitCode: Int?, _ task: RunningTask, _ process: ProcessDescription?) async {
        var exec = exec
        if let exitCode { exec.state = .ended(exitCode: exitCode) }
        guard let process else { return remember(exec) }
        let hasFailed = process.status == .stopped && process.exit == nil
        if exitCode == nil && process.status != .created && !hasFailed {
            exec.state = .running(pid: process.pid)
            remember(exec)
            // It may have ended meanwhile: then the wait says so at once.
            return watch(exec.id, task)
        }
        // The daemon died before it could delete it; or, of one that is only created, before it could start it: that may be done again.
        remember(exec)
        if hasFailed { await ended(exec.id, exitCode: ExecProblem.notStartedExitCode) }
        do throws(ShimError) { try await task.shim.delete(execID: exec.id) } catch { logger.warning("exec \(exec.id): \(error)") }
    }
}
