// Rows: attacks
import CoreTypes
import LinuxSyscalls
import OCISpec
import Rootfs
import SystemPackage
import Testing

@Suite("Plan of a root file system")
struct PlanTests {
    private func configuration(_ edit: (inout RuntimeConfiguration, inout LinuxConfiguration) -> Void = { _, _ in }) -> RuntimeConfiguration
    {
        var configuration = RuntimeConfiguration(ociVersion: "1.0.2")
        configuration.root = RootConfiguration(path: "rootfs")
        configuration.process = ProcessConfiguration(workingDirectory: "/")
        var linux = LinuxConfiguration()
        linux.namespaces = [
            LinuxNamespace(.mount), LinuxNamespace(.pid), LinuxNamespace(.network), LinuxNamespace(.ipc), LinuxNamespace(.uts),
        ]
        edit(&configuration, &linux)
        configuration.linux = linux
        return configuration
    }

    private func plan(_ mounts: MountConfiguration...) throws -> [MountStep] {
        let plan = try planRootfs(for: configuration { configuration, _ in configuration.mounts = mounts }, bundle: "/bundle")
        return plan.preparation.compactMap { if case .mount(let step) = $0 { step } else { nil } }
    }

    private func problem(_ edit: (inout RuntimeConfiguration, inout LinuxConfiguration) -> Void) -> RootfsError? {
        do throws(RootfsError) {
            _ = try planRootfs(for: configuration(edit), bundle: "/bundle")
            return nil
        } catch { return error }
    }

    private func problem(_ mount: MountConfiguration) -> RootfsError? { problem { configuration, _ in configuration.mounts = [mount] } }

    @Test("an id mapping may stand in the option, and be relative to the container's user namespace")
    func mappingOption() throws {
        let mount = MountConfiguration(
            destination: "/m", type: "bind", source: "/s", options: ["ridmap=uids=0-5-10#20-30-1;gids=@0-7-3"])
        let mapping = IDMapping(containerID: 0, hostID: 1000, size: 100)
        let plan = try planRootfs(
            for: configuration { configuration, linux in
                configuration.mounts = [mount]
                linux.namespaces.append(LinuxNamespace(.user))
                (linux.uidMappings, linux.gidMappings) = ([mapping], [mapping])
            }, bundle: "/bundle")
        let owners = plan.preparation.compactMap { if case .mount(let step) = $0 { step.ownerMapping } else { nil } }
        #expect(owners.count == 1 && owners.first?.recursive == true)
        #expect(
            owners.first?.users == [
                IDMapping(containerID: 0, hostID: 5, size: 10), IDMapping(containerID: 20, hostID: 30, size: 1),
            ])
        #expect(owners.first?.groups == [IDMapping(containerID: 0, hostID: 1007, size: 3)])
        for text in [
            "idmap=", "idmap=uids=0-0-1", "idmap=uids=0-0-0;gids=0-0-1", "idmap=uids=0-0;gids=0-0-1", "idmap=uids=a-0-1;gids=0-0-1",
            "idmap=uids=0-0-1;uids=0-0-1", "idmap=uids=4294967295-0-1;gids=0-0-1", "idmap=uids=@0-0-1;gids=0-0-1",
        ] {
            let refused = MountConfiguration(destination: "/m", type: "bind", source: "/s", options: [text])
            #expect(problem(refused)?.step == "mounts[0].options", "\(text)")
        }
    }

    @Test("a mount label is the context of file systems that take one and have none of their own; queues get it as an attribute")
    func mountLabel() throws {
        let label = "system_u:object_r:x:s0:c1,c2"
        let plan = try planRootfs(
            for: configuration { configuration, linux in
                linux.mountLabel = label
                configuration.mounts = [
                    MountConfiguration(destination: "/proc", type: "proc"), MountConfiguration(destination: "/t", type: "tmpfs"),
                    MountConfiguration(destination: "/own", type: "tmpfs", options: ["context=other"]),
                    MountConfiguration(destination: "/q", type: "mqueue"),
                ]
            }, bundle: "/bundle")
        let mounts = plan.preparation.compactMap { step -> MountStep? in if case .mount(let mount) = step { mount } else { nil } }
        let contexts = mounts.compactMap { mount -> String? in
            guard case .fileSystem(_, _, let parameters) = mount.kind else { return nil }
            let own = parameters.filter { $0.key == "context" }
            return own.isEmpty ? nil : "\(mount.destination) \(own.map { "\($0.value ?? "") of \($0.field ?? "options")" })"
        }
        #expect(contexts == ["/t [\"\(label) of linux.mountLabel\"]", "/own [\"other of options\"]"])
        #expect(mounts.filter { $0.directoryLabel == label }.map(\.destination) == ["/q"])
    }

    @Test("the root of the bundle is bound first, and the change of root comes last")
    func order() throws {
        let plan = try planRootfs(
            for: configuration { configuration, linux in
                configuration.root?.isReadOnly = true
                configuration.process?.workingDirectory = "/srv"
                configuration.mounts = [MountConfiguration(destination: "/proc", type: "proc", source: "proc")]
                linux.sysctl = ["net.ipv4.ip_forward": "1"]
                linux.readonlyPaths = ["/proc/sys"]
                linux.maskedPaths = ["/proc/kcore"]
            }, bundle: "/bundle")
        #expect(plan.preparation.prefix(2) == [.propagateAll(.slave), .bindRoot("/bundle/rootfs")])
        #expect(
            plan.completion == [
                .directory("/srv"), .sysctl(SysctlSetting(name: "net.ipv4.ip_forward", path: "net/ipv4/ip_forward", value: "1")),
                .makeReadOnly("/proc/sys"), .mask("/proc/kcore"), .makeRootReadOnly, .changeRoot(.pivot),
            ])
        #expect(try planRootfs(for: configuration(), bundle: "/bundle", pivoting: false).completion == [.changeRoot(.move)])
    }

    @Test(
        "rootfsPropagation is set on the whole tree first, and on the root once nothing of ours can spread",
        arguments: [
            (RootfsPropagation?.none, MountPropagation.slave, MountPropagation?.none), (.slave, .slave, nil), (.private, .isPrivate, nil),
            (.shared, .slave, .shared), (.unbindable, .slave, .unbindable),
        ])
    func propagation(configured: RootfsPropagation?, first: MountPropagation, last: MountPropagation?) throws {
        let plan = try planRootfs(for: configuration { _, linux in linux.rootfsPropagation = configured }, bundle: "/bundle")
        #expect(plan.preparation.first == .propagateAll(first))
        let change = last.map { RootfsStep.propagateRoot(PropagationChange(propagation: $0, recursive: false)) }
        #expect(plan.completion == [.changeRoot(.pivot)] + (change.map { [$0] } ?? []))
    }

    @Test("a shared bind stays a peer of the host's mount where the root is shared, its mount namespace new and no user namespace there")
    func peers() throws {
        func staysPeer(
            _ propagation: RootfsPropagation?, _ option: String, _ added: LinuxNamespace? = nil
        ) throws -> Bool {
            let plan = try planRootfs(
                for: configuration { configuration, linux in
                    linux.rootfsPropagation = propagation
                    linux.namespaces = [LinuxNamespace(.mount), added].compactMap { $0 }
                    configuration.mounts = [
                        MountConfiguration(destination: "/v", type: "bind", source: "/v", options: ["rbind", option])
                    ]
                }, bundle: "/bundle")
            return plan.preparation.contains { step in
                guard case .mount(let mount) = step else { return false }
                #expect(mount.hasPreparedSource == mount.staysPeer)
                return mount.staysPeer
            }
        }
        #expect(try staysPeer(.shared, "rshared") && staysPeer(.shared, "shared"))
        #expect(try !staysPeer(.shared, "rslave") && !staysPeer(.shared, "ro"))
        #expect(try !staysPeer(.slave, "rshared") && !staysPeer(nil, "rshared"))
        #expect(try !staysPeer(.shared, "rshared", LinuxNamespace(.user)))
    }

    @Test("mount options are sorted into attributes, propagation and parameters; the later of two wins")
    func options() throws {
        let step = try #require(
            try plan(
                MountConfiguration(
                    destination: "/t", type: "ext4", source: "/dev/x",
                    options: [
                        "defaults", "ro", "rw", "nosuid", "noatime", "strictatime", "rnoexec", "rslave", "private", "size=1k", "sync",
                    ])
            ).first)
        #expect(step.attributes.set == [.noSetUserID, .strictAccessTime])
        #expect(step.attributes.clear == [.readOnly, .accessTimeField])
        #expect(step.recursiveAttributes == AttributeChange(set: .noExecute))
        #expect(
            step.propagation == [
                PropagationChange(propagation: .slave, recursive: true), PropagationChange(propagation: .isPrivate, recursive: false),
            ])
        let parameters = [FileSystemParameter(key: "size", value: "1k"), FileSystemParameter(key: "sync", value: nil)]
        #expect(step.kind == .fileSystem(type: "ext4", source: "/dev/x", parameters: parameters))
    }

    @Test("bind mounts keep the attributes that no option names, and relative sources start at the bundle")
    func binds() throws {
        let steps = try plan(
            MountConfiguration(destination: "/a", source: "data", options: ["rbind"]),
            MountConfiguration(destination: "/b", type: "bind", source: "/srv", options: ["bind", "rro", "dev"]))
        #expect(steps[0].kind == .bind(source: "/bundle/data", recursive: true))
        #expect(steps[0].attributes.isEmpty)
        #expect(steps[1].kind == .bind(source: "/srv", recursive: false))
        #expect(steps[1].recursiveAttributes.set == .readOnly)
        #expect(steps[1].attributes.clear == .noDevices)
    }

    @Test("a read-only tmpfs or /dev becomes read-only only once everything in it is made; other file systems at once")
    func readOnlyLater() throws {
        let plan = try planRootfs(
            for: configuration { configuration, _ in
                configuration.mounts = [
                    MountConfiguration(destination: "/dev", type: "tmpfs", source: "tmpfs", options: ["ro"]),
                    MountConfiguration(destination: "/sys", type: "sysfs", source: "sysfs", options: ["ro"]),
                ]
            }, bundle: "/bundle")
        #expect(plan.completion == [.makeMountReadOnly("/dev"), .changeRoot(.pivot)])
        guard case .mount(let dev) = plan.preparation[2], case .mount(let sys) = plan.preparation[3] else {
            Issue.record("two mounts expected")
            return
        }
        #expect(dev.attributes.set.isEmpty)
        #expect(sys.attributes.set == .readOnly)
        #expect(sys.kind == .fileSystem(type: "sysfs", source: "sysfs", parameters: [FileSystemParameter(key: "ro", value: nil)]))
    }

    @Test(
        "A09 nothing but procfs may be mounted over /proc, and nothing inside it but files that lxcfs replaces",
        arguments: ["/proc", "/proc/", "/proc/sys", "/proc/self/../sys", "/proc/self/attr", "proc", "/foo/../proc/acpi"])
    func overProc(destination: String) {
        let tmpfs = problem(MountConfiguration(destination: destination, type: "tmpfs", source: "tmpfs"))
        #expect(tmpfs?.code == .invalidConfiguration)
        #expect(tmpfs?.description.hasPrefix("mounts[0].destination: /proc") == true)
    }

    @Test("A09 the container's own procfs and the files of lxcfs are allowed")
    func allowedOnProc() {
        #expect(problem(MountConfiguration(destination: "/proc", type: "proc", source: "proc")) == nil)
        #expect(problem(MountConfiguration(destination: "/proc/meminfo", source: "/lxcfs/meminfo", options: ["bind"])) == nil)
        #expect(problem(MountConfiguration(destination: "/proc/meminfo", type: "tmpfs", source: "t")) != nil)
        #expect(problem(MountConfiguration(destination: "/procedures", type: "tmpfs", source: "t")) == nil)
    }

    @Test(
        "an option that makes no sense for a mount being made is refused by its name",
        arguments: ["move"])
    func refusedOption(option: String) {
        let problem = problem(MountConfiguration(destination: "/t", type: "tmpfs", source: "t", options: [option]))
        #expect(problem?.code == .unsupported)
        #expect(problem?.description == "mounts[0].options: the mount option '\(option)' is not supported")
    }

    @Test("mounts that make no sense are refused, naming the field")
    func senseless() {
        #expect(problem(MountConfiguration(destination: "/t"))?.step == "mounts[0].type")
        #expect(problem(MountConfiguration(destination: "/t", options: ["bind"]))?.step == "mounts[0].source")
        #expect(problem(MountConfiguration(destination: "/a/..", type: "tmpfs", source: "t"))?.step == "mounts[0].destination")
        // A bind has no file system to hand a value to: it is passed over, as the kernel does.
        #expect(problem(MountConfiguration(destination: "/t", source: "/s", options: ["bind", "mode=1"])) == nil)
        var mapped = MountConfiguration(destination: "/t", source: "/s", options: ["bind"])
        mapped.uidMappings = [IDMapping(containerID: 0, hostID: 1, size: 1)]
        #expect(problem(mapped)?.description == "mounts[0].uidMappings: uidMappings and gidMappings go together")
        mapped.gidMappings = mapped.uidMappings
        #expect(problem(mapped) == nil)
        mapped.options = []
        mapped.type = "tmpfs"
        #expect(problem(mapped)?.description == "mounts[0].uidMappings: only bind mounts are id-mapped")
        #expect(problem(MountConfiguration(destination: "/t", source: "/s", options: ["bind", "idmap"]))?.step == "mounts[0].options")
        #expect(problem(MountConfiguration(destination: "/t", source: "/s", options: ["bind", "tmpcopyup"]))?.step == "mounts[0].options")
        #expect(problem(MountConfiguration(destination: "/t", type: "tmpfs", options: ["copy-symlink"]))?.step == "mounts[0].options")
    }

    @Test("every container has the default devices and links, and configured ones replace those of the same path")
    func devices() throws {
        let plan = try planRootfs(
            for: configuration { _, linux in
                linux.devices = [
                    LinuxDevice(.character, path: "/dev/null", major: 1, minor: 3, fileMode: 0o100600, uid: 7, gid: 8),
                    LinuxDevice(.fifo, path: "/dev/pipe"),
                ]
            }, bundle: "/bundle")
        let devices = plan.preparation.compactMap { if case .device(let device) = $0 { device } else { nil } }
        #expect(devices.map(\.path) == ["/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty", "/dev/null", "/dev/pipe"])
        #expect(devices.allSatisfy { !$0.boundFromHost })
        #expect(devices[5].mode == 0o600 && devices[5].userID == 7 && devices[5].groupID == 8)
        #expect(devices[6].type == .pipe)
        #expect(plan.preparation.contains(.replaceByLink(path: "/dev/ptmx", target: "pts/ptmx")))
        #expect(plan.preparation.contains(.link(path: "/dev/stderr", target: "/proc/self/fd/2")))
    }

    @Test("in a user namespace device nodes are bound from the host; a /dev bound from the host is left as it is")
    func devicesElsewhere() throws {
        let user = try planRootfs(for: configuration { _, linux in linux.namespaces.append(LinuxNamespace(.user)) }, bundle: "/bundle")
        #expect(user.preparation.contains { if case .device(let device) = $0 { device.boundFromHost } else { false } })
        let bound = try planRootfs(
            for: configuration { configuration, _ in
                configuration.mounts = [MountConfiguration(destination: "/dev/", source: "/dev", options: ["rbind"])]
            }, bundle: "/bundle")
        #expect(bound.preparation.count == 3)
    }

    @Test(
        "A20 a sysctl of no namespace of the container is refused",
        arguments: [
            "kernel.core_pattern", "kernel/../kernel/core_pattern", "vm.swappiness", "kernel.msgmax.x", "net", "net..ipv4", "/net/ipv4",
        ])
    func foreignSysctl(name: String) {
        #expect(problem { _, linux in linux.sysctl = [name: "1"] }?.code == .invalidConfiguration)
    }

    @Test("A20 a sysctl is refused when its namespace is shared with the host, by absence or by path")
    func hostSysctl() {
        #expect(problem { _, linux in linux.sysctl = ["kernel.msgmax": "1"] } == nil)
        let absent = problem { _, linux in
            linux.sysctl = ["net.ipv4.ip_forward": "1"]
            linux.namespaces.removeAll { $0.kind == .network }
        }
        #expect(absent?.code == .invalidConfiguration)
        let joined = problem { _, linux in
            linux.sysctl = ["net.ipv4.ip_forward": "1"]
            linux.namespaces = [LinuxNamespace(.mount), LinuxNamespace(.network, path: "/proc/self/ns/net")]
        }
        #expect(joined?.problem == "would change the host: the container shares its network namespace")
    }

    @Test("a sysctl with a dot in an interface's name keeps it")
    func dottedInterface() throws {
        let plan = try planRootfs(
            for: configuration { _, linux in linux.sysctl = ["net/ipv4/conf/eth0.1/forwarding": "1"] }, bundle: "/bundle")
        let setting = SysctlSetting(name: "net/ipv4/conf/eth0.1/forwarding", path: "net/ipv4/conf/eth0.1/forwarding", value: "1")
        #expect(plan.completion.first == .sysctl(setting))
    }

    @Test("without a mount namespace everything is mounted below the root's own mount, and what would protect the host is refused")
    func noMountNamespace() throws {
        let plan = try planRootfs(for: configuration { _, linux in linux.namespaces = [] }, bundle: "/bundle")
        let isolation = RootfsStep.propagateRoot(PropagationChange(propagation: .isPrivate, recursive: true))
        #expect(plan.preparation.prefix(2) == [.bindRoot("/bundle/rootfs"), isolation])
        #expect(plan.completion.last == .changeRoot(.chroot))
        let masked = problem { _, linux in
            linux.namespaces = []
            linux.maskedPaths = ["/x"]
        }
        #expect(masked?.description == "linux.maskedPaths: needs a mount namespace in linux.namespaces")
    }

    @Test("a user namespace without a mount namespace can mount nothing: what would have to be is refused, and the root is only changed to")
    func noMountNamespaceInUserNamespace() throws {
        let plan = try planRootfs(for: configuration { _, linux in linux.namespaces = [LinuxNamespace(.user)] }, bundle: "/bundle")
        #expect(plan.preparation == [.openRoot("/bundle/rootfs")] && plan.completion == [.changeRoot(.chroot)])
        let mounts = problem { configuration, linux in
            linux.namespaces = [LinuxNamespace(.user)]
            configuration.mounts = [MountConfiguration(destination: "/proc", type: "proc", source: "proc")]
        }
        #expect(mounts?.description == "mounts: needs a mount namespace in linux.namespaces")
    }

    @Test("steps name themselves as an error line needs them")
    func descriptions() throws {
        let steps = try plan(
            MountConfiguration(destination: "/proc", type: "proc", source: "proc"),
            MountConfiguration(destination: "/data", source: "/srv", options: ["bind"]))
        #expect(steps.map(\.description) == ["mount proc onto /proc", "bind /srv onto /data"])
        #expect(RootfsStep.mask("/proc/kcore").description == "mask /proc/kcore")
        #expect(RootfsStep.changeRoot(.pivot).description == "pivot_root")
    }
}
