// Rows: attacks
import OCISpec
import Testing

@Suite("Runtime configuration")
struct RuntimeConfigurationTests {
    private func problem(_ text: String) -> String? {
        do throws(SpecProblem) {
            _ = try RuntimeConfiguration.decode(Array(text.utf8))
            return nil
        } catch { return error.description }
    }

    /// The template with one member replaced, or added, by its path.
    private func problem(_ path: String, _ json: String) -> String? {
        let parts = path.split(separator: ".").map(String.init)
        var text = json
        for part in parts.reversed() { text = "{\"\(part)\":\(text)}" }
        // Members of objects that the specification makes required beside the one under test.
        text = text.replacing("{\"process\":{", with: "{\"process\":{\"cwd\":\"/\",\"args\":[\"sh\"],")
        if path == "process.cwd" || path == "process.args" {
            let other = path == "process.cwd" ? "\"args\":[\"sh\"]" : "\"cwd\":\"/\""
            text = "{\"process\":{\(other),\"\(parts[1])\":\(json)}}"
        }
        if path.hasPrefix("linux.seccomp.") {
            text = text.replacing("\"seccomp\":{", with: "\"seccomp\":{\"defaultAction\":\"SCMP_ACT_ALLOW\",")
        }
        return problem("{\"ociVersion\":\"1.0.2\"," + text.dropFirst())
    }

    @Test("a document with every member of runtime-spec 1.3 survives decoding and encoding")
    func everyMember() throws {
        let configuration = try RuntimeConfiguration.decode(Array(completeConfiguration.utf8))
        #expect(try RuntimeConfiguration.decode(configuration.encode()) == configuration)
        #expect(try RuntimeConfiguration.decode(configuration.encode(indented: true)) == configuration)
        let linux = try #require(configuration.linux)
        #expect(configuration.process?.user.additionalGIDs == [5, 6])
        #expect(configuration.process?.resourceLimits.first?.hard == UInt64.max)
        #expect(linux.resources?.memory?.limitBytes == 9_007_199_254_740_993)
        #expect(
            linux.resources?.devices.last == DeviceRule(allow: true, kind: .character, major: 1, minor: nil, access: [.read, .makeNode]))
        #expect(linux.seccomp?.rules.first?.arguments.first?.value == UInt64.max)
        #expect(linux.namespace(.network)?.path == "/run/netns/x")
        #expect(configuration.hooks.poststop.first?.timeoutSeconds == 3)
        #expect(linux.rootfsPropagation == .slave)
    }

    @Test("what an added process needs of a configuration is read as in the whole")
    func forAddedProcess() throws {
        let configuration = try RuntimeConfiguration.decode(Array(completeConfiguration.utf8))
        let part = try RuntimeConfiguration.decodeForAddedProcess(Array(completeConfiguration.utf8))
        #expect(part.process == configuration.process && part.process != nil)
        #expect(part.linux?.seccomp == configuration.linux?.seccomp && part.linux?.seccomp != nil)
        #expect(part.linux?.personality == configuration.linux?.personality && part.linux?.personality != nil)
        #expect(part.linux?.memoryPolicy == configuration.linux?.memoryPolicy && part.linux?.memoryPolicy != nil)
        #expect(part.linux?.uidMappings == configuration.linux?.uidMappings)
        #expect(part.mounts.isEmpty && part.linux?.resources == nil)
    }

    @Test("members that the specification does not know are ignored")
    func unknownMembers() {
        #expect(problem(#"{"ociVersion":"1.0.2","x":{"y":[1,{"z":null}]},"linux":{"future":1},"windows":{"a":1}}"#) == nil)
    }

    @Test("the templates are valid, and equal after a round trip")
    func templates() throws {
        for configuration in [RuntimeConfiguration.template(), .rootlessTemplate(uid: 1000, gid: 1001)] {
            #expect(try RuntimeConfiguration.decode(configuration.encode(indented: true)) == configuration)
        }
        #expect(RuntimeConfiguration.rootlessTemplate(uid: 7, gid: 8).linux?.uidMappings == [IDMapping(containerID: 0, hostID: 7, size: 1)])
    }

    @Test(
        "a value of the wrong kind is refused with its member named",
        arguments: [
            ("linux.resources.memory.limit", "\"1\"", #"linux.resources.memory.limit: expected an integer, found the string "1""#),
            ("linux.resources.memory.limit", "1.5", "linux.resources.memory.limit: expected an integer, found 1.5"),
            (
                "linux.resources.memory.limit", "9223372036854775808",
                "linux.resources.memory.limit: 9223372036854775808 is out of range, expected an integer from -9223372036854775808 to 9223372036854775807"
            ),
            ("process.args", "[1]", "process.args[0]: expected a string, found 1"),
            ("mounts", "{}", "mounts: expected an array, found an object"),
            ("mounts", "[{}]", "mounts[0].destination: is required"),
            ("root", "{}", "root.path: is required"),
            ("linux.namespaces", "[{\"type\":\"net\"}]", #"linux.namespaces[0].type: unknown value "net""#),
            ("linux.namespaces", "[{\"type\":\"pid\"},{\"type\":\"pid\"}]", "linux.namespaces[1].type: pid appears twice"),
            (
                "linux.namespaces", "[{\"type\":\"pid\",\"path\":\"proc/1\"}]",
                #"linux.namespaces[0].path: must be absolute, found "proc/1""#
            ),
            ("process.cwd", "\"a\"", #"process.cwd: must be absolute, found "a""#),
            ("process.args", "[]", "process.args: must name a program"),
            ("process.env", "[\"A=\",\"B\"]", #"process.env[1]: must be KEY=value, found "B""#),
            ("process.env", "[\"A=\\u0000\"]", "process.env[0]: NUL character in a string"),
            ("process.oomScoreAdj", "1001", "process.oomScoreAdj: must be from -1000 to 1000, found 1001"),
            ("process.rlimits", "[{\"type\":\"RLIMIT_X\",\"soft\":1,\"hard\":1}]", #"process.rlimits[0].type: unknown limit "RLIMIT_X""#),
            (
                "process.rlimits", "[{\"type\":\"RLIMIT_CPU\",\"soft\":2,\"hard\":1}]",
                "process.rlimits[0].soft: 2 is above the hard limit 1"
            ),
            (
                "process.rlimits", "[{\"type\":\"RLIMIT_CPU\",\"soft\":1,\"hard\":1},{\"type\":\"RLIMIT_CPU\",\"soft\":1,\"hard\":1}]",
                "process.rlimits[1].type: RLIMIT_CPU appears twice"
            ),
            ("hostname", "\"x\"", "hostname: cannot be set without a UTS namespace"),
            ("hooks.prestart", "[{\"path\":\"x\"}]", #"hooks.prestart[0].path: must be absolute, found "x""#),
            ("hooks.poststop", "[{\"path\":\"/x\",\"timeout\":0}]", "hooks.poststop[0].timeout: must be greater than zero, found 0"),
            ("linux.uidMappings", "[{\"containerID\":0,\"hostID\":0,\"size\":1}]", "linux.uidMappings: needs a user namespace"),
            (
                "linux.devices", "[{\"type\":\"c\",\"path\":\"/d\",\"major\":4096,\"minor\":0}]",
                "linux.devices[0].major: must be from 0 to 4095, found 4096"
            ),
            ("linux.devices", "[{\"type\":\"x\",\"path\":\"/d\"}]", #"linux.devices[0].type: unknown value "x""#),
            (
                "linux.resources.devices", "[{\"allow\":true,\"access\":\"rx\"}]",
                #"linux.resources.devices[0].access: expected letters of "rwm", found "rx""#
            ),
            ("linux.resources.memory.swappiness", "101", "linux.resources.memory.swappiness: must be from 0 to 100, found 101"),
            ("linux.resources.memory.swap", "4096", "linux.resources.memory.swap: cannot be set without a memory limit"),
            (
                "linux.resources.hugepageLimits", "[{\"pageSize\":\"2M\",\"limit\":1}]",
                #"linux.resources.hugepageLimits[0].pageSize: must be like 2MB, found "2M""#
            ),
            (
                "linux.resources.unified", "{\"../memory.max\":\"1\"}",
                #"linux.resources.unified: "../memory.max" names no file of a cgroup"#
            ),
            ("linux.maskedPaths", "[\"proc\"]", #"linux.maskedPaths[0]: must be absolute, found "proc""#),
            (
                "linux.seccomp.syscalls", "[{\"names\":[],\"action\":\"SCMP_ACT_ALLOW\"}]",
                "linux.seccomp.syscalls[0].names: must not be empty"
            ),
            (
                "linux.seccomp.syscalls", "[{\"names\":[\"a\"],\"action\":\"ALLOW\"}]",
                #"linux.seccomp.syscalls[0].action: unknown value "ALLOW""#
            ),
            ("linux.netDevices", "{\"a/b\":{}}", #"linux.netDevices["a/b"]: "a/b" is no name of a network device"#),
        ])
    func refused(_ path: String, _ json: String, _ message: String) {
        #expect(problem(path, json) == message)
    }

    @Test(
        "A14 A15 a user or group id that no process can have is refused",
        arguments: [
            ("process.user.uid", "4294967295", "process.user.uid: 4294967295 is no id, the largest is 4294967294"),
            ("process.user.gid", "4294967295", "process.user.gid: 4294967295 is no id, the largest is 4294967294"),
            (
                "process.user.additionalGids", "[0,4294967295]",
                "process.user.additionalGids[1]: 4294967295 is no id, the largest is 4294967294"
            ),
            ("process.user.uid", "4294967296", "process.user.uid: 4294967296 is out of range, expected an integer from 0 to 4294967295"),
            ("process.user.uid", "-1", "process.user.uid: -1 is out of range, expected an integer from 0 to 4294967295"),
            ("process.user.uid", "\"0\"", #"process.user.uid: expected an integer, found the string "0""#),
            ("process.user.umask", "512", "process.user.umask: must be at most 511 (0777), found 512"),
        ])
    func users(_ path: String, _ json: String, _ message: String) {
        #expect(problem(path, json) == message)
        #expect(problem("process.user.uid", "4294967294") == nil)
    }

    @Test("A13 a mapping that wraps around the ids, or has none, is refused")
    func mappings() {
        func mapping(_ container: UInt64, _ host: UInt64, _ size: UInt64) -> String? {
            let list = "[{\"containerID\":\(container),\"hostID\":\(host),\"size\":\(size)}]"
            return problem(
                #"{"ociVersion":"1.0.2","linux":{"namespaces":[{"type":"user"}],"uidMappings":\#(list),"gidMappings":[{"containerID":0,"hostID":0,"size":1}]}}"#
            )
        }
        #expect(mapping(0, 1000, 65_536) == nil)
        #expect(mapping(0, 4_294_967_295, 1) == "linux.uidMappings[0].size: the mapping ends at 4294967296, beyond the last id 4294967294")
        #expect(mapping(0, 0, 0) == "linux.uidMappings[0].size: must not be zero")
        #expect(
            problem(#"{"ociVersion":"1.0.2","linux":{"namespaces":[{"type":"user"}]}}"#)
                == "linux.uidMappings: a new user namespace needs at least one mapping")
    }

    @Test(
        "mappings that have an id twice are refused, and those that lie side by side are not",
        arguments: [
            ([(0, 1000, 10), (10, 1010, 1)], nil), ([(10, 1010, 1), (0, 1000, 10)], nil),
            ([(0, 1000, 10), (5, 2000, 10)], "linux.uidMappings[1].containerID: overlaps with the ids of [0]"),
            ([(5, 1000, 10), (0, 2000, 6)], "linux.uidMappings[1].containerID: overlaps with the ids of [0]"),
            ([(0, 1000, 1), (1, 2000, 5), (6, 2004, 5)], "linux.uidMappings[2].hostID: overlaps with the ids of [1]"),
        ] as [([(Int, Int, Int)], String?)])
    func distinctMappings(_ triples: [(Int, Int, Int)], _ message: String?) {
        let list = triples.map { #"{"containerID":\#($0.0),"hostID":\#($0.1),"size":\#($0.2)}"# }.joined(separator: ",")
        let rest = #""namespaces":[{"type":"user"}],"gidMappings":[{"containerID":0,"hostID":0,"size":1}]"#
        #expect(problem(#"{"ociVersion":"1.0.2","linux":{\#(rest),"uidMappings":[\#(list)]}}"#) == message)
    }

    @Test("an offset of a clock has less than a second of nanoseconds", arguments: ["monotonic", "boottime"])
    func nanoseconds(_ clock: String) {
        func offset(_ nanoseconds: UInt32) -> String? {
            let offsets = #"{"\#(clock)":{"secs":-5,"nanosecs":\#(nanoseconds)}}"#
            return problem(#"{"ociVersion":"1.0.2","linux":{"namespaces":[{"type":"time"}],"timeOffsets":\#(offsets)}}"#)
        }
        #expect(offset(999_999_999) == nil)
        #expect(offset(1_000_000_000) == "linux.timeOffsets.\(clock).nanosecs: must be below 1000000000, found 1000000000")
    }

    @Test(
        "A20 a sysctl that is the host's is refused",
        arguments: [
            "kernel.core_pattern", "kernel/core_pattern", "vm.overcommit_memory", "kernel/../kernel/core_pattern",
            "net/../kernel/core_pattern",
            "net.ipv4./../../kernel/core_pattern", "kernel.shmmax", "fs.mqueue.msg_max", "net.ipv4.ip_forward", "kernel.hostname", "net",
            "", "..",
            "/kernel/core_pattern", "kernel.sem.x", "user.max_user_namespaces",
        ])
    func sysctls(_ name: String) {
        #expect(problem("linux.sysctl", "{\"\(name)\":\"1\"}")?.hasPrefix("linux.sysctl[") == true)
    }

    @Test("a sysctl of a namespace that the container has is accepted")
    func ownSysctls() throws {
        func accepted(_ namespace: String, _ name: String) -> Bool {
            problem(#"{"ociVersion":"1.0.2","linux":{"namespaces":[{"type":"\#(namespace)"}],"sysctl":{"\#(name)":"1"}}}"#) == nil
        }
        #expect(accepted("network", "net.ipv4.ip_forward"))
        #expect(accepted("network", "net/ipv4/conf/eth0.100/rp_filter"))
        #expect(accepted("ipc", "kernel.shmmax"))
        #expect(accepted("ipc", "fs.mqueue.msg_max"))
        #expect(!accepted("ipc", "net.ipv4.ip_forward"))
        #expect(try #require(SysctlName("net.ipv4.conf.eth0/100.rp_filter")).path == "net/ipv4/conf/eth0.100/rp_filter")
        #expect(try #require(SysctlName("net/ipv4/conf/eth0.100/rp_filter")).dotted == "net.ipv4.conf.eth0/100.rp_filter")
    }

    @Test(
        "versions that this runtime does not know are refused",
        arguments: [
            "", "1", "2.0.0", "0.9.0", "x", "1.zero.0", "1.0", "1.0.0.0", "1.0.0-", "1.0.0-a..b", "1.0.0-01", "1.0.0+", "1.0.0+a_b",
            "1.02.0", "1..0", "1.0.x", " 1.0.0", "1.0.0 ", "1.0.\u{661}",
        ])
    func versions(_ version: String) {
        #expect(problem("{\"ociVersion\":\"\(version)\"}")?.hasPrefix("ociVersion: unsupported version") == true)
        for known in ["1.3.0-rc.1+dev", "1.0.0-0a.-+01.00", "1.10.20", "1.0.0+a-b"] {
            #expect(problem("{\"ociVersion\":\"\(known)\"}") == nil)
        }
        #expect(problem("{}") == "ociVersion: is required")
    }

    @Test("every truncation of a document is refused, never a trap")
    func truncations() {
        let bytes = Array(completeConfiguration.utf8)
        for length in stride(from: 0, to: bytes.count - 2, by: 3) {
            #expect(throws: SpecProblem.self) { try RuntimeConfiguration.decode(Array(bytes[..<length])) }
        }
    }

    @Test("the state and the features have the members of the specification")
    func stateAndFeatures() throws {
        let state = ContainerState(ociVersion: "1.0.2", id: "a", status: .created, pid: 42, bundle: "/b", annotations: ["k": "v"])
        #expect(
            String(decoding: state.encode(), as: UTF8.self)
                == #"{"ociVersion":"1.0.2","id":"a","status":"created","pid":42,"bundle":"/b","annotations":{"k":"v"}}"#)
        #expect(try ContainerState.decode(state.encode()) == state)
        let stopped = ContainerState(ociVersion: "1.0.2", id: "a", status: .stopped, pid: nil, bundle: "/b")
        #expect(String(decoding: stopped.encode(), as: UTF8.self) == #"{"ociVersion":"1.0.2","id":"a","status":"stopped","bundle":"/b"}"#)
        #expect(try ContainerState.decode(stopped.encode()) == stopped)
        #expect(throws: SpecProblem(field: "status", problem: #"unknown value "dead""#)) {
            try ContainerState.decode(Array(#"{"ociVersion":"1.0.2","id":"a","status":"dead","bundle":"/b"}"#.utf8))
        }
        var features = RuntimeFeatures(ociVersionMin: "1.0.0", ociVersionMax: "1.3.0")
        features.linux.namespaces = [.pid]
        #expect(String(decoding: features.encode(indented: false), as: UTF8.self).contains(#""linux":{"namespaces":["pid"],"#))
    }
}

private let completeConfiguration = #"""
    {"ociVersion":"1.3.0","hostname":"h","domainname":"d","annotations":{"a.b":"c"},
    "root":{"path":"rootfs","readonly":true},
    "process":{"terminal":true,"consoleSize":{"height":24,"width":80},"cwd":"/","env":["A=b"],"args":["sh","-c"],
     "rlimits":[{"type":"RLIMIT_NOFILE","soft":1024,"hard":18446744073709551615}],
     "capabilities":{"bounding":["CAP_KILL"],"effective":["CAP_KILL"],"permitted":["CAP_KILL"],"inheritable":["CAP_KILL"],"ambient":["CAP_KILL"]},
     "noNewPrivileges":true,"apparmorProfile":"p","oomScoreAdj":-5,"selinuxLabel":"l","ioPriority":{"class":"IOPRIO_CLASS_BE","priority":3},
     "scheduler":{"policy":"SCHED_DEADLINE","nice":1,"flags":["SCHED_FLAG_RECLAIM"],"runtime":1,"deadline":2,"period":3},
     "execCPUAffinity":{"initial":"0-1","final":"0"},"user":{"uid":1,"gid":2,"umask":18,"additionalGids":[5,6],"username":"u"}},
    "mounts":[{"destination":"/proc","type":"proc","source":"proc","options":["nosuid"],"uidMappings":[{"containerID":0,"hostID":1,"size":2}],"gidMappings":[{"containerID":0,"hostID":1,"size":2}]}],
    "hooks":{"prestart":[{"path":"/a"}],"createRuntime":[{"path":"/a","args":["a"],"env":["A=b"]}],"createContainer":[{"path":"/a"}],"startContainer":[{"path":"/a"}],"poststart":[{"path":"/a"}],"poststop":[{"path":"/a","timeout":3}]},
    "linux":{"namespaces":[{"type":"mount"},{"type":"pid"},{"type":"network","path":"/run/netns/x"},{"type":"uts"},{"type":"ipc"},{"type":"user"},{"type":"cgroup"},{"type":"time"}],
     "uidMappings":[{"containerID":0,"hostID":1000,"size":10}],"gidMappings":[{"containerID":0,"hostID":1000,"size":10}],
     "timeOffsets":{"boottime":{"secs":-1,"nanosecs":2},"monotonic":{"secs":1}},
     "devices":[{"type":"c","path":"/dev/x","major":1,"minor":2,"fileMode":438,"uid":0,"gid":5},{"type":"p","path":"/dev/fifo"}],
     "netDevices":{"eth1":{"name":"e"},"eth2":{}},"cgroupsPath":"/a/b","mountLabel":"m","rootfsPropagation":"rslave",
     "resources":{"devices":[{"allow":false,"access":"rwm"},{"allow":true,"type":"c","major":1,"minor":-1,"access":"rm"}],
      "memory":{"limit":9007199254740993,"reservation":1,"swap":9007199254740993,"kernel":-1,"kernelTCP":-1,"swappiness":10,"disableOOMKiller":false,"useHierarchy":true,"checkBeforeUpdate":true},
      "cpu":{"shares":1024,"quota":-1,"burst":1,"period":100000,"realtimeRuntime":1,"realtimePeriod":2,"cpus":"0-1","mems":"0","idle":1},
      "pids":{"limit":-1},"blockIO":{"weight":500,"leafWeight":10,"weightDevice":[{"major":8,"minor":0,"weight":10,"leafWeight":20}],
       "throttleReadBpsDevice":[{"major":8,"minor":0,"rate":1}],"throttleWriteBpsDevice":[{"major":8,"minor":0,"rate":2}],"throttleReadIOPSDevice":[{"major":8,"minor":0,"rate":3}],"throttleWriteIOPSDevice":[{"major":8,"minor":0,"rate":4}]},
      "hugepageLimits":[{"pageSize":"2MB","limit":4096}],"network":{"classID":1,"priorities":[{"name":"eth0","priority":2}]},
      "rdma":{"mlx":{"hcaHandles":1,"hcaObjects":2}},"unified":{"memory.high":"max"}},
     "intelRdt":{"closID":"c","schemata":["L3:0=f"],"l3CacheSchema":"L3:0=f","memBwSchema":"MB:0=10","enableMonitoring":true},
     "memoryPolicy":{"mode":"MPOL_BIND","nodes":"0","flags":["MPOL_F_STATIC_NODES"]},"sysctl":{"net.ipv4.ip_forward":"1"},
     "seccomp":{"defaultAction":"SCMP_ACT_ERRNO","defaultErrnoRet":38,"architectures":["SCMP_ARCH_X86_64"],"flags":["SECCOMP_FILTER_FLAG_LOG"],"listenerPath":"/l","listenerMetadata":"m",
      "syscalls":[{"names":["read"],"action":"SCMP_ACT_ERRNO","errnoRet":1,"args":[{"index":5,"value":18446744073709551615,"valueTwo":1,"op":"SCMP_CMP_MASKED_EQ"}]}]},
     "maskedPaths":["/proc/kcore"],"readonlyPaths":["/proc/sys"],"personality":{"domain":"LINUX32","flags":[]}}}
    """#
