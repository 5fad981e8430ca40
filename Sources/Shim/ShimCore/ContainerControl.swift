internal import Cgroups
internal import LinuxSyscalls
internal import Protobuf
internal import ShimProtocol
internal import SystemPackage

/// Looking at the container as a whole, holding it, and its limits.
extension ContainerTask {
    /// Whether the container's processes are held, by whomever.
    func isPaused() throws(ShimError) -> Bool {
        guard let cgroup, case .running = first.state, first.heldExit == nil else { return false }
        do throws(CgroupError) { return try cgroup.isFrozen() } catch {
            // Gone with its last process, whose end is about to be noticed.
            if !cgroup.exists { return false }
            throw ShimError(.kernel, "state of \(id)", cause: "\(error)")
        }
    }

    /// How a process stands, as containerd counts it.
    func status(of process: SupervisedProcess) throws(ShimError) -> TaskStatus {
        process === first ? try isPaused() ? .paused : first.taskStatus : process.taskStatus
    }

    /// Every process of the container.
    func processes() throws(ShimError) -> [Int32] {
        do throws(CgroupError) {
            let found = try cgroup?.processes() ?? []
            if found.isEmpty, let pid = first.livePID { return [pid] }
            return found
        } catch { throw ShimError(.kernel, "processes of \(id)", cause: "\(error)") }
    }

    // MARK: - Pause and resume

    /// Holds every process of the container.
    func pause(_ completion: @escaping (ShimError?) -> Void) {
        do throws(ShimError) {
            try checkThatItRuns("pause")
            if try isPaused() { throw ShimError(.wrongState, "pause \(id)", cause: "it is paused") }
        } catch { return completion(error) }
        runner.run(.pause) { [self] failure in
            if failure == nil {
                health?.hold()
                context.publish(.paused(containerID: id))
            }
            completion(failure)
        }
    }

    /// Lets them go on.
    func resume(_ completion: @escaping (ShimError?) -> Void) {
        do throws(ShimError) {
            try checkThatItRuns("resume")
            if try !isPaused() { throw ShimError(.wrongState, "resume \(id)", cause: "it is not paused") }
        } catch { return completion(error) }
        runner.run(.resume) { [self] failure in
            if failure == nil { context.publish(.resumed(containerID: id)) }
            completion(failure)
        }
    }

    /// Lets a paused container go on, so that what was sent to it takes effect.
    func thaw() -> ShimError? {
        do throws(ShimError) {
            guard try isPaused() else { return nil }
            do throws(CgroupError) { try cgroup?.thaw() } catch { throw ShimError(.kernel, "resume \(id)", cause: "\(error)") }
            return nil
        } catch { return error }
    }

    func checkThatItRuns(_ doing: String) throws(ShimError) {
        guard case .running = first.state, first.heldExit == nil, !isDeleting else { throw wrongState(doing, first) }
    }

    // MARK: - Limits and use

    /// Changes limits while the container is there.
    func update(_ resources: ProtobufAny?, _ completion: @escaping (ShimError?) -> Void) {
        let path = runner.scratchPath("resources")
        do throws(ShimError) {
            guard first.livePID != nil, !isDeleting else { throw wrongState("update", first) }
            guard let resources, resources.typeName == UpdateTaskRequest.limits([]).typeName else {
                throw ShimError(.invalidRequest, "update \(id)", cause: "resources of type \"\(resources?.typeURL ?? "")\"")
            }
            do throws(SyscallError) { try writeAll(resources.value, toFile: FilePath(path)) } catch {
                throw ShimError("limits", error)
            }
        } catch { return completion(error) }
        runner.run(.update(resourcesFile: path)) { [self] failure in
            runner.removeScratch(path)
            completion(failure)
        }
    }

    /// What the container uses, in containerd's message for the kind of cgroup.
    func metrics() throws(ShimError) -> ProtobufAny {
        // Also of what has ended, and was not deleted: its cgroup still tells.
        guard let cgroup, !isDeleting else {
            throw ShimError(.wrongState, "statistics of \(id)", cause: cgroup == nil ? "it has no cgroup" : "it is \(first.stateName)")
        }
        do throws(CgroupError) {
            let statistics = try cgroup.statistics()
            if cgroup.record.mode != .unified { return statistics.legacyMetrics(try cgroup.legacyDetails()) }
            return statistics.unifiedMetrics(try cgroup.pressureReport())
        } catch { throw ShimError(.kernel, "statistics of \(id)", cause: "\(error)") }
    }
}
