internal import Cgroups
internal import CoreTypes
internal import Glibc
internal import LinuxSyscalls
internal import Netlink
internal import OCISpec
internal import Rootfs
internal import SystemPackage

/// Makes a container of images that `checkpoint` wrote. Whatever fails, nothing of it is left.
package final class Restoration {
    private let request: CreateRequest
    private let options: CheckpointOptions
    private let journal: Journal
    private let bundle: Bundle
    private let program: HostProgram
    private let namespaces: NamespacePlan
    private let cgroup: ContainerCgroup
    private let networkDevices: NetworkDevices
    private var directory: StateDirectory
    private var record: ContainerRecord
    private var terminal: HeldDescriptor?
    private var hasPIDFile = false

    /// Checks what can be checked, then takes the container's name.
    package init(_ request: CreateRequest, _ options: CheckpointOptions, _ journal: Journal) throws(RuntimeError) {
        self.request = request
        self.options = options
        self.journal = journal
        try StateDirectory.check(request.id)
        program = try options.program()
        bundle = try Bundle.load(request.bundle)
        let linux = bundle.configuration.linux
        namespaces = NamespacePlan(linux?.namespaces ?? [])
        cgroup = try ContainerCgroup.planned(for: bundle.configuration, request)
        networkDevices = NetworkDevices(linux)
        record = Creation.firstRecord(request, bundle, cgroup)
        record.resourceControl = try plannedResourceControl(linux?.intelRdt, id: request.id)
        try record.checkLength()
        directory = try StateDirectory.make(in: request.stateRoot, id: request.id)
    }

    /// Returns when the container's processes run again.
    package func restore() throws(RuntimeError) -> PreparedProcess {
        do throws(RuntimeError) {
            let process = try run()
            journal.debug("container \(record.id): restored as process \(process.process)")
            networkDevices.letGo()
            // As with a container that was just started, others may do with it what they want.
            directory = try directory.reopened()
            return process
        } catch {
            throw error.followed(by: networkDevices.giveBack).followed(by: remove).followed { () throws(RuntimeError) in
                if hasPIDFile { try removePIDFile(request.pidFile) }
            }
        }
    }

    /// Removes what is left of the container when its first process has ended and was reaped.
    package func remove() throws(RuntimeError) {
        guard try Removal.takesOver(directory) else { return }
        try Removal(
            record: record, cgroup: cgroup, hooks: bundle.configuration.hooks, journal: journal, descriptorLimit: request.descriptorLimit
        ).killAndRemove(directory)
    }

    private func run() throws(RuntimeError) -> PreparedProcess {
        try cgroup.begin(for: &record, bundle.document, in: directory, request.rootless, journal)
        let directories = try CheckpointDirectories(options, log: "restore.log", isMaking: false)
        try makeMountPoints()
        var inheritance = Inheritance()
        let criuOptions = try criuOptions(directories, &inheritance)
        let admission = cgroup.admission
        var criu = try CriuProcess.start(program, directories, inheriting: inheritance.numbers, admission: admission) {
            [root = record.rootfs] () throws(SyscallError) in
            // criu wants a root that is a mount; in a namespace of its own nothing of that stays on the host.
            try unshareNamespaces(.mount, subject: "criu")
            try mount("", onto: "/", flags: [.slave, .recursive])
            try mount(root, onto: FilePath(root), flags: [.bind, .recursive])
        }
        let response: CriuResponse
        do throws(RuntimeError) {
            try admit(&criu, admission)
            journal.debug("container \(record.id): criu is in its cgroup, \(cgroup.record.places.map(\.directory).joined(separator: " "))")
            response = try criu.perform(.restore, criuOptions, log: directories.log) { (notice, descriptors) throws(RuntimeError) in
                try handle(notice, descriptors)
            }
        } catch { throw error.followed(by: criu.end) }
        try criu.end()
        return try adopt(response.process)
    }

    /// What criu's process is in, its children are born in.
    private func admit(_ criu: inout CriuProcess, _ admission: CgroupAdmission) throws(RuntimeError) {
        if let group = record.resourceControl, let asked = bundle.configuration.linux?.intelRdt {
            do throws(CgroupError) { try group.make(asked, process: criu.process) } catch { throw RuntimeError(error) }
        }
        guard admission.hasMoreToEnter else { return try criu.proceed() }
        do throws(RuntimeError) { try cgroup.finish(around: criu.process) } catch {
            throw error.followed { () throws(RuntimeError) in try cgroup.writeDown(in: &record, directory) }
        }
        try criu.proceed(try cgroup.entry())
    }

    private func criuOptions(
        _ directories: CheckpointDirectories, _ inheritance: inout Inheritance
    ) throws(RuntimeError) -> CriuOptions {
        let configuration = bundle.configuration
        var criuOptions = options.common(directories, root: record.rootfs, annotations: configuration.annotations)
        criuOptions.set(.restoresSibling, true)
        criuOptions.set(.evasiveDevices, true)
        criuOptions.set(.securityProfile, options.securityProfile)
        criuOptions.set(.mountContext, options.mountContext)
        for place in record.cgroup.places {
            // An empty name is cgroup v2.
            criuOptions.add(.cgroupRoot, place.names.joined(separator: ","), "/\(place.path)")
        }
        for external in try ExternalNamespace.all(in: configuration.linux) {
            guard let key = external.key else {
                criuOptions.add(.joinedNamespace, external.word, external.path)
                continue
            }
            let type = NamespaceTypes(external.namespace)
            let opened = try OpenedNamespace(NamespacePlan.Join(type: type, kind: external.namespace, path: external.path))
            criuOptions.add(.inheritedDescriptor, key, inheritance.add(opened.file.number))
            inheritance.kept.append(opened)
        }
        // Pipes that led out of the container are ours now.
        for (number, file) in try StandardFiles.read(from: directories.images).prefix(3).enumerated()
        where file.hasPrefix("pipe:") {
            criuOptions.add(.inheritedDescriptor, file, Int32(number))
        }
        let mounts = try ExternalMount.all(
            in: configuration, bundle: record.bundle, root: record.rootfs, cgroup: record.cgroup.places.map { CgroupPlace($0) })
        for mount in mounts { criuOptions.add(.externalMount, mount.inside, mount.source) }
        criuOptions.add(.externalMount, ExternalMount.nullDevice, ExternalMount.nullDevice)
        return criuOptions
    }

    private func handle(_ notice: CriuResponse, _ descriptors: [HeldDescriptor]) throws(RuntimeError) {
        switch notice.moment {
        case "setup-namespaces": try setUpNamespaces(of: notice.process)
        case "orphan-pts-master":
            guard let master = descriptors.first else { throw RuntimeError(.lost, doing: "restoring the terminal", "criu sent none") }
            guard let path = request.consoleSocket else {
                terminal = master
                return
            }
            try during("sending the terminal") { () throws(SyscallError) in
                let socket = try connectUnixSocket(path)
                try sendMessage(Array("/dev/ptmx".utf8), descriptors: [master.number], to: socket, subject: path.string)
            }
        default: break
        }
    }

    /// What creation does between the namespaces and the first process of the container.
    private func setUpNamespaces(of process: Int32) throws(RuntimeError) {
        let linux = bundle.configuration.linux
        if namespaces.cloned.contains(.network) {
            let join = NamespacePlan.Join(type: .network, kind: .network, path: "/proc/\(process)/ns/net")
            let visit = try NamespaceVisit([try OpenedNamespace(join)], returningTo: bundle.path)
            try visit.begin()
            do throws(NetlinkError) { try bringLoopbackUp() } catch {
                throw RuntimeError(.refused, doing: "bringing the loopback link up", "\(error)").followed(by: visit.end)
            }
            try visit.end()
        }
        try networkDevices.move(
            toNamespaceOf: process, path: linux?.namespace(.network)?.path, isRestoring: true)
        let (hooks, limit) = (bundle.configuration.hooks, request.descriptorLimit)
        let state = ContainerState(
            ociVersion: record.ociVersion, id: record.id, status: .creating, pid: process, bundle: record.bundle,
            annotations: record.annotations)
        try HookRunner(list: "prestart", hooks: hooks.prestart, state: state, descriptorLimit: limit).run()
        try HookRunner(list: "createRuntime", hooks: hooks.createRuntime, state: state, descriptorLimit: limit).run()
    }

    /// Writes down the restored process, which is our child.
    private func adopt(_ process: Int32) throws(RuntimeError) -> PreparedProcess {
        let doing = "looking at the restored process"
        guard let snapshot = try during(doing, { () throws(SyscallError) in try ProcessSnapshot.look(at: process) }) else {
            throw RuntimeError(.lost, doing: doing, "process \(process) is gone")
        }
        var initProcess = ContainerRecord.Init(process: process, startTicks: snapshot.startTicks)
        initProcess.hasOwnTime = try during(doing) { () throws(SyscallError) in
            do throws(SyscallError) {
                return try readSymbolicLink("/proc/self/ns/time") != readSymbolicLink(FilePath("/proc/\(process)/ns/time"))
            } catch  where error.errno == ENOENT {
                // It has ended already, and has namespaces no more: its end is the caller's news, as any other's. Before Linux 5.6 none is there.
                return false
            }
        }
        record.initProcess = initProcess
        try directory.write(initProcess.encoded, to: ContainerRecord.initFileName)
        try writePIDFile(request.pidFile, process: process)
        hasPIDFile = true
        var master: OwnedFD?
        if let terminal { master = OwnedFD(owning: try during(doing) { () throws(SyscallError) in try terminal.duplicate() }) }
        let handle = try during(doing) { () throws(SyscallError) in try ProcessHandle(child: process) }
        return PreparedProcess(handle: handle, terminal: master, channel: try StageChannel.pair().0)
    }

    /// criu makes no mount points in the root, nor in what is bound from the host; those inside other file systems of the container are in
    /// the images.
    private func makeMountPoints() throws(RuntimeError) {
        let plan: RootfsPlan
        do throws(RootfsError) { plan = try planRootfs(for: bundle.configuration, bundle: bundle.path) } catch { throw RuntimeError(error) }
        var mounted: [(inside: String, source: String?)] = []
        try during("making mount points") { () throws(SyscallError) in
            let root = RootDirectory(try openFile(FilePath(record.rootfs), [.path, .directory]))
            for case .mount(let mount) in plan.preparation {
                let inside = root.realPath(of: mount.destination)
                var missing = RootDirectory.Missing.directory
                var bound: String?
                if case .bind(let source, _) = mount.kind {
                    bound = source
                    if try fileStatus(FilePath(source), followingLinks: true).type != .directory { missing = .file }
                }
                defer { mounted.append((inside, bound)) }
                guard let outer = mounted.last(where: { inside.hasPrefix($0.inside + "/") }) else {
                    _ = try root.openMountPoint(mount.destination, creating: missing).take()
                    continue
                }
                guard let source = outer.source else { continue }
                let directory = RootDirectory(try openFile(FilePath(source), [.path, .directory]))
                _ = try directory.openMountPoint(String(inside.dropFirst(outer.inside.count)), creating: missing).take()
            }
        }
    }
}

/// The descriptors that criu inherits, and what keeps them open until then.
private struct Inheritance {
    private(set) var numbers: [Int32] = []
    var kept: [OpenedNamespace] = []

    /// Adds one. - Returns: its number in criu.
    mutating func add(_ number: Int32) -> Int32 {
        numbers.append(number)
        return CriuProcess.Number.firstInherited + Int32(numbers.count) - 1
    }
}
