internal import Cgroups
internal import CoreTypes
internal import Glibc
internal import LinuxSyscalls
internal import OCISpec
internal import SystemPackage

/// A process that was cloned for a container, on the runtime's side.
struct MadeProcess: ~Copyable {
    let handle: ProcessHandle
    let channel: StageChannel
}

/// Clones a container's first process into its namespaces.
///
/// Usually one clone does it. Namespaces by path are joined by the child, except where it could no longer: the pid namespace, which
/// takes in children only, and any namespace beside a new user namespace, where the child has lost its rights over the host's. Those
/// the runtime enters for the moment of the clone. A user namespace by path cannot be left again: a stage of its own joins it.
struct InitMaker {
    let namespaces: NamespacePlan
    /// Where the runtime returns to after having been in another mount namespace.
    let workingDirectory: FilePath

    func make(_ stage: InitStage) throws(RuntimeError) -> MadeProcess {
        let (ours, theirs) = try StageChannel.pair()
        // Inherited by init: nobody may look into it while it still holds descriptors of the host. What is hidden belongs to root in
        // /proc; so an ordinary user's init hides by itself once its ids are mapped. Until then nobody is in its namespaces.
        let hidesLater = namespaces.hasNewUser && effectiveUserID() != 0
        if !hidesLater { try during("protecting the runtime") { () throws(SyscallError) in try hideFromContainer() } }
        if let user = namespaces.joinedUser {
            return try makeThroughStage(stage, user: user, ours: ours, theirs: theirs)
        }
        var stage = stage
        var joins: [OpenedNamespace] = []
        for join in namespaces.joined { joins.append(try OpenedNamespace(join)) }
        let mustEnter = joins.filter { $0.join.type == .pid || namespaces.hasNewUser }
        stage.joins = joins.filter { join in !mustEnter.contains { $0 === join } }
        let visit = try NamespaceVisit(mustEnter, returningTo: workingDirectory)
        switch try clone(CloneFlags(namespaces: namespaces.cloned), cgroup: stage.cgroup.birthplace, during: visit) {
        case .child: stage.run(theirs)
        case .parent(let handle):
            theirs.socket.close()
            if hidesLater { try during("protecting the runtime") { () throws(SyscallError) in try hideFromContainer() } }
            try visit.end()
            return MadeProcess(handle: handle, channel: ours)
        }
    }

    /// Whatever fails, the runtime is at home again.
    private func clone(_ flags: CloneFlags, cgroup: Int32?, during visit: NamespaceVisit) throws(RuntimeError) -> CloneResult {
        do throws(RuntimeError) {
            try visit.begin()
            return try clone(flags, cgroup: cgroup)
        } catch { throw error.followed { () throws(RuntimeError) in try visit.end() } }
    }

    private func clone(_ flags: CloneFlags, cgroup: Int32?) throws(RuntimeError) -> CloneResult {
        do throws(SyscallError) { return try cloneProcess(flags, cgroup: cgroup) } catch {
            guard error.errno == EPERM, effectiveUserID() != 0, !namespaces.hasUser, !namespaces.cloned.isEmpty else {
                throw RuntimeError(doing: "cloning the container's process", error)
            }
            throw RuntimeError(
                .unsupported, doing: "linux.namespaces",
                "an ordinary user's container needs a user namespace, with mappings, as `spec --rootless` writes it (\(error))")
        }
    }

    /// Runtime → joining stage → init, which is the runtime's child all the same.
    private func makeThroughStage(
        _ stage: InitStage, user: NamespacePlan.Join, ours: StageChannel, theirs: StageChannel
    ) throws(RuntimeError) -> MadeProcess {
        switch try clone([], cgroup: nil) {
        case .child:
            let joining = JoiningStage(namespaces: namespaces, user: user)
            joining.run(stage, theirs)
        case .parent(let joining):
            theirs.socket.close()
            let process = joining.process
            guard case .message(let received) = try ours.receive() else { throw lostProcess(process) }
            _ = try during("waiting for the joining stage") { () throws(SyscallError) in try waitForExit(.process(process)) }
            if case .failed(let error) = received.message { throw error }
            guard case .forked(let initProcess) = received.message else {
                throw RuntimeError(.lost, doing: "listening to the joining stage", "unexpected \(received.message)")
            }
            let handle = try during("holding the container's process") { () throws(SyscallError) in try ProcessHandle(child: initProcess) }
            return MadeProcess(handle: handle, channel: ours)
        }
    }
}

/// A stay of the runtime itself in other namespaces, for the moment of a clone.
final class NamespaceVisit {
    private let visited: [OpenedNamespace]
    private var own: [(file: OpenedNamespace, mount: Bool)] = []
    private let workingDirectory: FilePath

    init(_ visited: [OpenedNamespace], returningTo workingDirectory: FilePath) throws(RuntimeError) {
        self.visited = visited
        self.workingDirectory = workingDirectory
        for namespace in visited {
            let home = NamespacePlan.Join(
                type: namespace.join.type, kind: namespace.join.kind, path: "/proc/self/ns/\(namespace.join.fileName)")
            own.append((try OpenedNamespace(home), namespace.join.type == .mount))
        }
    }

    func begin() throws(RuntimeError) {
        for namespace in visited {
            try during(namespace.join.joining) { () throws(SyscallError) in try namespace.enter() }
        }
    }

    /// Goes home.
    func end() throws(RuntimeError) {
        for (file, mount) in own {
            try during("leaving the \(file.join.kind.rawValue) namespace") { () throws(SyscallError) in
                try file.enter()
                if mount { try changeDirectory(workingDirectory) }
            }
        }
    }
}

extension NamespacePlan.Join {
    /// The name of this kind in /proc/PID/ns.
    var fileName: String {
        switch kind {
        case .network: "net"
        case .mount: "mnt"
        case .pid, .uts, .ipc, .user, .cgroup, .time: kind.rawValue
        }
    }
}

/// The process between the runtime and init where a user namespace is joined by path.
struct JoiningStage {
    let namespaces: NamespacePlan
    let user: NamespacePlan.Join

    func run(_ stage: InitStage, _ channel: StageChannel) -> Never {
        do throws(RuntimeError) {
            try during("starting the joining stage") { () throws(SyscallError) in try setParentDeathSignal(SIGKILL) }
            try stage.payload.plan.setLimits(of: 0)
            try join()
            try cloneInit(stage, channel)
        } catch { try? channel.send(.failed(error)) }
        exitAtOnce(1)
    }

    private func cloneInit(_ stage: InitStage, _ channel: StageChannel) throws(RuntimeError) {
        let cgroup = stage.cgroup.birthplace
        let flags: CloneFlags = [.sibling, CloneFlags(namespaces: namespaces.cloned)]
        // Nothing of init's may be heard before who it is: it goes on at this end's closing, which is the end of this process.
        let (ours, theirs) = try StageChannel.pair()
        switch try during("cloning the container's process", { () throws(SyscallError) in try cloneProcess(flags, cgroup: cgroup) }) {
        case .child:
            ours.socket.close()
            _ = try theirs.receive()
            theirs.socket.close()
            var stage = stage
            stage.run(channel)
        case .parent(let made):
            try channel.send(.forked(process: made.process))
            exitAtOnce(0)
        }
    }

    /// Namespaces of the host's are joined with the host's rights, before the user namespace; those that belong to it, after.
    private func join() throws(RuntimeError) {
        let userFile = try OpenedNamespace(user)
        var waiting: [OpenedNamespace] = []
        for join in namespaces.joined {
            let namespace = try OpenedNamespace(join)
            do throws(SyscallError) { try namespace.enter() } catch {
                guard error.errno == EPERM else { throw RuntimeError(doing: join.joining, error) }
                waiting.append(namespace)
            }
        }
        for namespace in [userFile] + waiting {
            try during(namespace.join.joining) { () throws(SyscallError) in try namespace.enter() }
        }
    }
}
