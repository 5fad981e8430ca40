// Rows: attacks
import EngineAPI
import OCISpec
import Testing

@testable import Engine

@Suite struct SpecificationTests {
    @Test("B01 a container's capabilities are Docker's fourteen")
    func defaultCapabilities() throws {
        let sets = try #require(try plainSpecification().process?.capabilities)
        let expected: Set<String> = [
            "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FSETID", "CAP_FOWNER", "CAP_MKNOD", "CAP_NET_RAW", "CAP_SETGID", "CAP_SETUID",
            "CAP_SETFCAP", "CAP_SETPCAP", "CAP_NET_BIND_SERVICE", "CAP_SYS_CHROOT", "CAP_KILL", "CAP_AUDIT_WRITE",
        ]
        #expect(Set(sets.bounding) == expected)
        #expect(sets.effective == sets.bounding && sets.permitted == sets.bounding)
        #expect(sets.inheritable.isEmpty && sets.ambient.isEmpty)
    }

    @Test("a process of another user than root begins without capabilities in effect")
    func capabilitiesOfUser() throws {
        let sets = try #require(try plainSpecification(uid: 1000).process?.capabilities)
        #expect(sets.effective.isEmpty && sets.permitted.isEmpty && sets.bounding.count == 14)
    }

    @Test(
        "capabilities are added and dropped with and without their prefix",
        arguments: [
            (["SYS_ADMIN"], [], true, 15), (["cap_sys_admin"], ["ALL"], true, 1), (["ALL"], ["CAP_SYS_ADMIN"], false, 40),
            ([], ["all"], false, 0),
        ])
    func changedCapabilities(added: [String], dropped: [String], hasAdmin: Bool, count: Int) throws {
        var host = HostConfig()
        host.capAdd = StringSlice(added)
        host.capDrop = StringSlice(dropped)
        let names = try Capabilities.requested(host, highest: 40)
        #expect(names.contains("CAP_SYS_ADMIN") == hasAdmin)
        #expect(names.count == count)
    }

    @Test("an unknown capability is refused by its name")
    func unknownCapability() {
        var host = HostConfig()
        host.capAdd = ["FLY"]
        #expect(refusal { _ = try Capabilities.requested(host, highest: 40) }?.message == "invalid CapAdd: unknown capability: \"CAP_FLY\"")
    }

    @Test("B02 what tells of the host in /proc and /sys is masked or read-only")
    func maskedPaths() throws {
        let linux = try #require(try plainSpecification().linux)
        for path in [
            "/proc/acpi", "/proc/asound", "/proc/interrupts", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/sched_debug",
            "/proc/scsi", "/proc/timer_list", "/proc/timer_stats", "/sys/devices/virtual/powercap", "/sys/firmware",
            "/sys/devices/system/cpu/cpu0/thermal_throttle", "/sys/devices/system/cpu/cpu1/thermal_throttle",
        ] { #expect(linux.maskedPaths.contains(path)) }
        #expect(linux.readonlyPaths == ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"])
    }

    @Test("a container has namespaces of its own, without a network one where the host's network is asked for")
    func namespaces() throws {
        #expect(Set(try #require(try plainSpecification().linux).namespaces.map(\.kind)) == [.mount, .network, .uts, .pid, .ipc, .cgroup])
        var host = HostConfig()
        host.networkMode = "host"
        let configuration = try plainSpecification(host)
        #expect(configuration.linux?.namespace(.network) == nil)
        #expect(configuration.hostname == "machine")
        #expect(configuration.linux?.sysctl.isEmpty == true)
    }

    @Test("the default mounts are Docker's, /sys read-only and 64 MiB of shared memory")
    func defaultMounts() throws {
        let mounts = try plainSpecification().mounts
        let sys = try #require(mounts.first { $0.destination == "/sys" })
        #expect(sys.options.contains("ro"))
        let shared = try #require(mounts.first { $0.destination == "/dev/shm" })
        #expect(shared.options == ["nosuid", "noexec", "nodev", "mode=1777", "size=67108864"])
        #expect(
            mounts.map(\.destination) == [
                "/proc", "/dev", "/dev/pts", "/sys", "/sys/fs/cgroup", "/dev/mqueue", "/dev/shm", "/etc/resolv.conf", "/etc/hostname",
                "/etc/hosts",
            ])
    }

    @Test("a privileged container has everything and no filter")
    func privileged() throws {
        var host = HostConfig()
        host.privileged = true
        let linux = try #require(try plainSpecification(host).linux)
        #expect(linux.seccomp == nil && linux.maskedPaths.isEmpty && linux.readonlyPaths.isEmpty)
        #expect(linux.resources?.devices == [DeviceRule(allow: true)])
        #expect(try #require(try plainSpecification(host).process?.capabilities).bounding.count == 41)
        #expect(try plainSpecification(host).mounts.first { $0.destination == "/sys" }?.options.contains("rw") == true)
    }

    @Test("the limits of the request reach the cgroup, with as much swap as memory and 2048 tasks by default")
    func resources() throws {
        #expect(try plainSpecification().linux?.resources?.pids?.limit == 2048)
        var host = HostConfig()
        host.memory = 64 << 20
        host.nanoCPUs = 500_000_000
        host.cpusetCPUs = "1"
        host.pidsLimit = -1
        let resources = try #require(try plainSpecification(host).linux?.resources)
        #expect(resources.memory?.limitBytes == 64 << 20 && resources.memory?.swapBytes == 128 << 20)
        #expect(resources.cpu?.quotaMicroseconds == 50_000 && resources.cpu?.periodMicroseconds == 100_000 && resources.cpu?.cpus == "1")
        #expect(resources.pids?.limit == -1)
        host.pidsLimit = 0
        #expect(try plainSpecification(host).linux?.resources?.pids?.limit == 2048)
    }

    @Test("a bind mount is recursive, private, read-only all the way down when asked, and else as the host has it")
    func bindMounts() throws {
        let plain = try BindMount(parsing: "/srv/data:/data/./x/")
        #expect(
            plain.configuration
                == MountConfiguration(destination: "/data/x", type: "bind", source: "/srv/data", options: ["rbind", "rprivate"]))
        #expect(try BindMount(parsing: "/srv:/data:rw").configuration.options == ["rbind", "rprivate"])
        let readOnly = try BindMount(parsing: "/srv:/data:ro,rslave")
        #expect(readOnly.configuration.options == ["rbind", "ro", "rro", "rslave"])
        #expect(readOnly.rootfsPropagation == .slave)
    }

    @Test(
        "a bind mount that cannot be is refused in Docker's words",
        arguments: [
            (
                "/a:b",
                "invalid volume specification: '/a:b': invalid mount config for type \"bind\": invalid mount path: 'b' mount path must be absolute"
            ),
            (
                "/a:/b:nocopy",
                "invalid volume specification: '/a:/b:nocopy': invalid mount config for type \"bind\": field VolumeOptions must not be specified"
            ),
            ("/a:ro,z", "invalid volume specification: '/a:ro,z'"), ("/a:/b:fast", "invalid mode: fast"),
            ("/a:/b:ro,rw", "invalid mode: ro,rw"), ("/a::ro", "invalid volume specification: '/a::ro'"),
            ("data:/b", "invalid volume specification: 'data:/b'"),
        ])
    func refusedBinds(text: String, message: String) {
        #expect(refusal { _ = try BindMount(parsing: text) }?.message == message)
    }

    @Test("mounts of the user replace those of the engine, the outer before the inner")
    func mountOrder() throws {
        var host = HostConfig()
        host.binds = ["/a:/x/y", "/b:/x", "/c:/etc/hosts"]
        host.tmpfs = ["/dev/shm": "size=1m", "/run": "exec"]
        let mounts = try plainSpecification(host).mounts
        #expect(mounts.filter { $0.destination == "/etc/hosts" }.map(\.source) == ["/c"])
        #expect(mounts.filter { $0.destination == "/dev/shm" }.map(\.source) == ["tmpfs"])
        let places = mounts.map(\.destination)
        #expect(try #require(places.firstIndex(of: "/x")) < (try #require(places.firstIndex(of: "/x/y"))))
        #expect(mounts.first { $0.destination == "/run" }?.options == ["nosuid", "nodev", "rprivate", "exec"])
    }

    @Test("--init runs the command under apus-init, mounted read-only")
    func initialProcess() throws {
        var host = HostConfig()
        host.initProcess = true
        let configuration = try plainSpecification(host)
        #expect(configuration.process?.arguments == ["/sbin/docker-init", "--", "true"])
        #expect(configuration.mounts.contains { $0.source == "/usr/bin/apus-init" && $0.options.contains("ro") })
    }

    @Test("B06 a container that names no AppArmor profile has Docker's, where the host can load it")
    func appArmor() throws {
        func profile(_ options: [String] = [], privileged: Bool = false, kernel: Bool = true, loads: Bool = true) throws -> String? {
            var host = HostConfig()
            (host.securityOpt, host.privileged) = (options, privileged)
            return try plainSpecification(host) { request in
                (request.facts.hasAppArmor, request.facts.hasAppArmorProfile) = (kernel, loads)
            }.process?.appArmorProfile
        }
        #expect(try profile() == "docker-default")
        #expect(try profile(["apparmor=own"]) == "own")
        #expect(try profile(["apparmor=unconfined"]) == "unconfined")
        #expect(try profile(privileged: true) == "unconfined")
        #expect(try profile(["apparmor=own"], privileged: true) == "own")
        #expect(try profile(loads: false) == nil)
        #expect(try profile(["apparmor=own"], loads: false) == "own")
        #expect(try profile(["apparmor=own"], kernel: false, loads: false) == nil)
    }

    @Test("B06 of the kernel's settings the profile leaves those of message queues, semaphores and shared memory alone")
    func appArmorSettings() {
        // What each pattern of a denial leaves to the next one, letter by letter.
        for pattern in ["[^ms]**", "m[^s]**", "s[^he]**", "se[^m]**", "sh[^m]**"] {
            #expect(AppArmorProfile.text(ofDaemon: "unconfined").contains("deny /proc/sys/kernel/\(pattern) w,"))
        }
    }

    @Test("B06 a daemon that is confined itself may send signals to whom the profile confines")
    func appArmorSignals() {
        #expect(!AppArmorProfile.text(ofDaemon: "unconfined\n").contains("peer=\""))
        #expect(AppArmorProfile.text(ofDaemon: "/usr/bin/apusd (enforce)\n").contains("signal (receive) peer=\"/usr/bin/apusd\","))
    }

    @Test("the configuration of a plain request is valid for the runtime")
    func isValid() throws { try plainSpecification().validate() }
}
