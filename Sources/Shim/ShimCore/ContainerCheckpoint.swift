internal import LinuxSyscalls
internal import Protobuf
internal import ShimProtocol

/// Writing the container's processes to images, and making the container of such images.
extension ContainerTask {
    /// Has the runtime dump the container, which goes on afterwards unless the options say otherwise.
    func checkpoint(_ request: CheckpointTaskRequest, _ completion: @escaping (ShimError?) -> Void) {
        let plan: CheckpointPlan
        do throws(ShimError) {
            try checkThatItRuns("checkpoint")
            plan = CheckpointPlan(request, try Self.options(request.options), bundle: bundle)
            try Self.check(directory: plan.imagePath, "checkpoint")
            try Self.check(directory: plan.workPath, "work_path")
        } catch { return completion(error) }
        runner.run(.checkpoint(plan)) { [self] failure in
            if failure == nil { context.publish(.checkpointed(containerID: id, path: plan.imagePath)) }
            completion(failure)
        }
    }

    private static func options(_ any: ProtobufAny?) throws(ShimError) -> CheckpointOptions {
        guard let any, !any.isOfNoType else { return CheckpointOptions() }
        do throws(WireError) {
            if let options = try CheckpointOptions(any) { return options }
        } catch { throw ShimError("options", error) }
        throw ShimError(.unsupported, "options of type \(any.typeName)")
    }

    /// Start, of a container that was created from a checkpoint: its processes run when the runtime has made them.
    func restore(_ completion: @escaping (Result<Int32, ShimError>) -> Void) {
        let process = first
        process.state = .starting(pid: nil)
        let beginning = ProtobufTimestamp(unixNanoseconds: unixNanoseconds())
        firstStartedAt = monotonicNanoseconds()
        let verb = { [self] (pidFile: String, consoleSocket: String?) in
            var plan = RestorePlan(bundle: bundle, pidFile: pidFile, imagePath: request.checkpoint, workPath: options.criuWorkPath)
            plan.consoleSocket = consoleSocket
            plan.noPivotRoot = options.noPivotRoot
            return RuntimeVerb.restore(plan)
        }
        launcher.launch(process, verb: verb, ended: { [self] in ended(process, $0) }) { [self] result in
            if case .success(let pid) = result {
                observe(pid)
                runs(pid, since: beginning)
            }
            completion(result)
            settleHeldExit(process)
        }
    }
}
