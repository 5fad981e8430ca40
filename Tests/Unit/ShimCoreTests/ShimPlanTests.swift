import LinuxSyscalls
import Protobuf
import ShimCore
import ShimProtocol
import SystemPackage
import Testing

@Suite("What the shim decides before it acts")
struct ShimPlanTests {
    @Test("containerd's command line is understood, in every way that Go's flags can be written")
    func containerdCommandLine() throws {
        let invocation = try ShimInvocation(
            arguments: [
                "shim", "-namespace", "default", "--address=/run/c.sock", "-publish-binary", "/bin/c", "-id", "box", "-debug", "start",
            ],
            environment: ["PATH=/bin", "TTRPC_ADDRESS=/run/c.sock.ttrpc"], executable: "/usr/bin/shim")
        #expect(invocation.action == .start && invocation.configuration.id == "box")
        #expect(invocation.configuration.namespace == "default" && invocation.configuration.eventsAddress == "/run/c.sock.ttrpc")
    }

    @Test("The service manager's socket is not handed to runtimes, which would mount it into containers")
    func notifySocket() throws {
        let invocation = try ShimInvocation(
            arguments: ["shim", "-id", "box", "start"], environment: ["NOTIFY_SOCKET=/run/notify", "PATH=/bin"], executable: "")
        #expect(invocation.configuration.environment == ["PATH=/bin"])
    }

    @Test("A failure that quotes a long request is told in few words, whole characters included")
    func longFailure() {
        let status = ShimError(.notFound, String(repeating: "ä", count: 1_000_000)).status
        #expect(status.code == .notFound && status.message.utf8.count <= 4096 + 3)
    }

    @Test(
        "The group of a bundle is that of its more particular annotation",
        arguments: [
            (#"{"annotations":{"io.kubernetes.cri.sandbox-id":"pod"}}"#, "pod"),
            (#"{"annotations":{"io.kubernetes.cri.sandbox-id":"pod","io.containerd.runc.v2.group":"own"},"root":{"path":"x"}}"#, "own"),
            (#"{"annotations":{"io.containerd.runc.v2.group":"","io.kubernetes.cri.sandbox-id":"pod"}}"#, "pod"),
            (#"{"annotations":{"other":"pod"}}"#, nil), (#"{"annotations":null}"#, nil), ("{}", nil),
        ] as [(String, String?)])
    func groupOfBundle(configuration: String, name: String?) throws {
        #expect(try ShimGroup.name(inConfiguration: Array(configuration.utf8)) == name)
    }

    @Test(
        "A config.json of another form names no group but a problem",
        arguments: [#"{"annotations":7}"#, "[]", "", #"{"annotations":{"io.kubernetes.cri.sandbox-id":[]}}"#])
    func noGroup(configuration: String) {
        #expect(throws: (any Error).self) { try ShimGroup.name(inConfiguration: Array(configuration.utf8)) }
    }

    @Test("Groups of other namespaces and of another containerd have other directories, whose names fit a socket's address")
    func groupDirectories() {
        let groups = [("/a", "n", "g"), ("/b", "n", "g"), ("/a", "m", "g"), ("/a", "n", "h"), ("/a", "", "n\ng")].map {
            address, namespace, name in
            ShimGroup(containerdAddress: address, namespace: namespace, name: name)
        }
        #expect(Set(groups.map(\.directoryName)).count == groups.count && groups.allSatisfy { $0.directoryName.utf8.count == 32 })
    }

    @Test("Bootstrap messages are read as they are written") func bootstrapMessages() throws {
        var asked = BootstrapParameters()
        asked.instanceID = "box"
        asked.namespace = "default"
        asked.eventsAddress = "/run/c.ttrpc"
        asked.extensions = [ProtobufAny(typeURL: "containerd.runc.v1.Options", value: [1])]
        #expect(try BootstrapParameters(decoding: asked.encoded()) == asked)
        let told = BootstrapResult(address: "unix:///s")
        #expect(try BootstrapResult(decoding: told.encoded()) == told && told.version == 3)
        #expect(String(decoding: told.json, as: UTF8.self) == #"{"version":3,"address":"unix:///s","protocol":"ttrpc"}"#)
    }

    @Test("With a directory of apusd's, events go to subscribers only")
    func apusdCommandLine() throws {
        let invocation = try ShimInvocation(
            arguments: ["shim", "-id", "box", "-directory", "/run/apus/shims/box", "start"],
            environment: ["TTRPC_ADDRESS=/run/c.sock.ttrpc"], executable: "/usr/bin/shim")
        #expect(invocation.configuration.eventsAddress.isEmpty && invocation.configuration.directory == "/run/apus/shims/box")
    }

    @Test(
        "A command line that makes no sense is refused",
        arguments: [
            [], ["start"], ["-id", "box"], ["-id", "../x", "start"], ["-id", "box", "fly"], ["-id"],
            ["-wings", "2", "-id", "box", "start"],
            ["-id", "box", "-directory", "relative", "start"], ["-id", "box", "serve"], ["-id", "box", "-namespace", "a/b", "start"],
        ] as [[String]])
    func badCommandLine(arguments: [String]) {
        #expect(throws: ShimError.self) { try ShimInvocation(arguments: ["shim"] + arguments, environment: [], executable: "") }
    }

    @Test("The runtime is called as runc's command line has it")
    func runtimeArguments() {
        let command = RuntimeCommand(executable: "/bin/runc", root: "/root", systemdCgroup: true, containerID: "box")
        let common = ["/bin/runc", "--root", "/root", "--log", "/log", "--log-format", "json", "--systemd-cgroup"]
        let create = RuntimeVerb.create(bundle: "/b", pidFile: "/p", consoleSocket: "/c", noPivotRoot: true, noNewKeyring: false)
        #expect(
            command.arguments(create, logPath: "/log") == common + [
                "create", "--bundle", "/b", "--pid-file", "/p", "--console-socket", "/c", "--no-pivot", "box",
            ])
        #expect(
            command.arguments(.exec(processFile: "/x", pidFile: "/p", consoleSocket: nil), logPath: "/log") == common + [
                "exec", "--process", "/x", "--detach", "--pid-file", "/p", "box",
            ])
        #expect(command.arguments(.kill(signal: 15, all: true), logPath: "/log") == common + ["kill", "--all", "box", "15"])
        #expect(command.arguments(.delete(force: true), logPath: "/log") == common + ["delete", "--force", "box"])
        #expect(
            command.arguments(.restore(RestorePlan(bundle: "/b", pidFile: "/p", imagePath: "/i")), logPath: "/log") == common + [
                "restore", "--image-path", "/i", "--work-path", "/b/criu-work", "--bundle", "/b", "--detach", "--no-subreaper",
                "--pid-file",
                "/p", "box",
            ])
        var options = CheckpointOptions()
        var request = CheckpointTaskRequest()
        request.path = "/i"
        #expect(
            command.arguments(.checkpoint(CheckpointPlan(request, options, bundle: "/b")), logPath: "/log") == common + [
                "checkpoint", "--image-path", "/i", "--work-path", "/b/criu-work", "--leave-running", "box",
            ])
        (options.exits, options.openTCP, options.fileLocks, options.imagePath, options.workPath) = (true, true, true, "/j", "/w")
        (options.emptyNamespaces, options.cgroupsMode) = (["network"], "strict")
        #expect(
            command.arguments(.checkpoint(CheckpointPlan(request, options, bundle: "/b")), logPath: "/log") == common + [
                "checkpoint", "--image-path", "/j", "--work-path", "/w", "--tcp-established", "--file-locks", "--empty-ns", "network",
                "--manage-cgroups-mode", "strict", "box",
            ])
        #expect(command.arguments(.pause, logPath: "/log") == common + ["pause", "box"])
        #expect(command.arguments(.update(resourcesFile: "/r"), logPath: "/log") == common + ["update", "--resources", "/r", "box"])
    }

    @Test("A runtime's error is the last one in its log, or its last words")
    func runtimeLog() {
        let log = """
            {"level":"error","msg":"first","time":"now"}
            {"level":"error","msg":"second \\"quoted\\"","time":"now"}
            {"level":"info","msg":"later"}

            """
        #expect(RuntimeLog.problem(in: Array(log.utf8)) == "second \"quoted\"")
        #expect(RuntimeLog.problem(in: Array("noise\nsegmentation fault \n".utf8)) == "segmentation fault")
        #expect(RuntimeLog.problem(in: []) == nil)
    }

    @Test("Options of containerd, of apusd and of neither")
    func options() throws {
        var runc = RuncOptions()
        runc.binaryName = "crun"
        runc.root = "/run/crun"
        let ofContainerd = try TaskOptions(ProtobufAny(wrapping: runc), namespace: "k8s.io")
        #expect(ofContainerd.runtime == "crun" && ofContainerd.runtimeRoot == "/run/crun/k8s.io" && !ofContainerd.usesAttach)
        var apus = ApusOptions()
        apus.logPath = "/log"
        let ofApusd = try TaskOptions(ProtobufAny(wrapping: apus), namespace: "apus")
        #expect(ofApusd.usesAttach && ofApusd.log == LogConfiguration(path: "/log", fileByteLimit: 10_000_000, fileCount: 3))
        apus.logPath = "relative"
        #expect(throws: ShimError.self) { try TaskOptions(ProtobufAny(wrapping: apus), namespace: "apus") }
        #expect(throws: ShimError.self) { try TaskOptions(ProtobufAny(typeURL: "somebody.Else", value: []), namespace: "apus") }
        let ofNoType = try TaskOptions(ProtobufAny(typeURL: "", value: []), namespace: "k8s.io")
        let none = try TaskOptions(nil, namespace: "k8s.io")
        #expect(ofNoType == none)
    }

    @Test("Options of containerd 1.x's client for runtimes that it does not know")
    func legacyOptions() throws {
        // no_pivot_root 1, no_new_keyring 8, shim_cgroup 9, criu_work_path 12.
        let create: [UInt8] = [0x08, 1, 0x40, 1, 0x4a, 2, 0x2f, 0x73, 0x62, 2, 0x2f, 0x77]
        let any = ProtobufAny(typeURL: "containerd.linux.runc.CreateOptions", value: create)
        let options = try TaskOptions(any, namespace: "k8s.io")
        #expect(options.noPivotRoot && options.noNewKeyring && options.criuWorkPath == "/w" && options.runtime.isEmpty)
        #expect(try RuncOptions(any)?.shimCgroup == "/s")
        // exit 1, work_path 8, image_path 9.
        let checkpoint: [UInt8] = [0x08, 1, 0x42, 2, 0x2f, 0x77, 0x4a, 2, 0x2f, 0x69]
        let dumped = try CheckpointOptions(ProtobufAny(typeURL: "containerd.linux.runc.CheckpointOptions", value: checkpoint))
        #expect(dumped?.exits == true && dumped?.workPath == "/w" && dumped?.imagePath == "/i")
    }

    @Test("Mount options are flags, propagation, or the file system's own")
    func mountOptions() {
        let options = FstabOptions(["rw", "ro", "nosuid", "rbind", "rprivate", "lowerdir=/a:/b", "userxattr"])
        #expect(options.flags == [.readOnly, .noSetUserID, .bind, .recursive] && options.propagation == [.isPrivate, .recursive])
        #expect(options.data == "lowerdir=/a:/b,userxattr" && !options.isLoop)
        #expect(FstabOptions(["ro", "nodev", "noatime"]).attributes == [.readOnly, .noDevices, .noAccessTime])
        #expect(FstabOptions(["loop=/dev/loop0"]).isLoop && FstabOptions(["ro", "rw"]).flags.isEmpty)
    }

    @Test("Layers are named from the directory that all of them lie below")
    func shortenedOverlays() throws {
        let short = try #require(shortenedLayers("index=off,lowerdir=/a/b/12/fs:/a/b/2/fs:/a/b/1/2/fs,upperdir=/a/b/3/fs"))
        #expect(short.parent == "/a/b" && short.data == "index=off,lowerdir=12/fs:2/fs:1/2/fs,upperdir=/a/b/3/fs")
        let nested = try #require(shortenedLayers("lowerdir=/a:/a/b"))
        #expect(nested.parent == "/" && nested.data == "lowerdir=a:a/b")
        #expect(shortenedLayers("lowerdir=/a:b") == nil && shortenedLayers("upperdir=/a") == nil)
    }

    @Test("Lines are cut the same way whatever the pieces they arrive in", arguments: [1, 2, 5, 16_384, 16_385, 100_000])
    func lines(pieceSize: Int) {
        let long = [UInt8](repeating: 0x78, count: LogLimits.recordByteCount)
        let text = Array("a\n\nbc\n".utf8) + long + [0x0a] + long + Array("y\nend".utf8)
        var lines = LogLines(stream: .stdout)
        var found: [LogRecord] = []
        for start in stride(from: 0, to: text.count, by: pieceSize) {
            lines.append(text[start..<min(start + pieceSize, text.count)], unixNanoseconds: 1) { found.append($0) }
        }
        lines.finish(unixNanoseconds: 1) { found.append($0) }
        #expect(found.map { $0.text.count } == [1, 0, 2, 16_384, 16_384, 1, 3])
        #expect(found.map(\.isPartial) == [false, false, false, false, true, false, true])
    }

    @Test("Waits between restarts double from 100 ms to a minute, and begin anew after ten seconds of running")
    func restartDelays() {
        var plan = RestartPlan(RestartRule(.always))
        let delays = (0..<12).map { _ in plan.delayAfterEnd(exitStatus: 0, ran: .seconds(9)) }
        let milliseconds = [100, 200, 400, 800, 1600, 3200, 6400, 12_800, 25_600, 51_200, 60_000, 60_000]
        #expect(delays == milliseconds.map { .milliseconds($0) })
        #expect(plan.delayAfterEnd(exitStatus: 0, ran: .seconds(10)) == .milliseconds(100) && plan.count == 13)
        plan.end()
        #expect(plan.delayAfterEnd(exitStatus: 0, ran: .zero) == nil && plan.count == 13)
    }

    @Test("A daemon that does it in a shim's place waits as long as the shim had")
    func restartPauses() {
        var plan = RestartPlan(RestartRule(.always))
        for count in 0..<20 { #expect(plan.delayAfterEnd(exitStatus: 1, ran: .zero) == RestartPause.after(restarts: count)) }
        #expect(RestartPause.after(restarts: -1) == .milliseconds(100) && RestartPause.after(restarts: .max) == .seconds(60))
    }

    @Test("A shim that takes over waits out what is left of a wait, and no less than the first one")
    func restartWaitLeft() {
        var plan = RestartPlan(RestartRule(.always))
        plan.wait(.seconds(12), from: 1_000_000_000)
        let next = RestartPlan(plan.record)
        #expect(next.delayLeft(now: 3_000_000_000) == .seconds(10))
        #expect(next.delayLeft(now: 12_950_000_000) == .milliseconds(100) && next.delayLeft(now: .max) == .milliseconds(100))
        // What an older shim wrote says nothing of it; a clock that another boot began says nothing that could be waited for.
        #expect(RestartPlan(RestartRecord()).delayLeft(now: 3_000_000_000) == .milliseconds(100))
        #expect(next.delayLeft(now: -100_000_000_000) == .seconds(60))
    }

    @Test("A rule for failures counts them, and success ends it")
    func restartOnFailure() {
        var plan = RestartPlan(RestartRule(.onFailure, maximumCount: 2))
        #expect(plan.delayAfterEnd(exitStatus: 0, ran: .zero) == nil)
        #expect(plan.delayAfterEnd(exitStatus: 1, ran: .zero) != nil && plan.delayAfterEnd(exitStatus: 1, ran: .zero) != nil)
        #expect(plan.delayAfterEnd(exitStatus: 1, ran: .zero) == nil)
        plan.rule = RestartRule(.unlessStopped)
        #expect(plan.delayAfterEnd(exitStatus: 0, ran: .zero) != nil && plan.count == 3)
    }

    @Test(
        "Output goes where the client's words say",
        arguments: [
            ("", OutputTarget.nowhere), ("/run/fifo %41?x#y", .fifo("/run/fifo %41?x#y")), ("fifo:///run/fifo", .fifo("/run/fifo")),
            ("file:///var/log/a%20b.log", .file("/var/log/a b.log")), ("file://host/x", .file("/x")), ("FILE:/x", .file("/x")),
            ("binary:///bin/log", .program(path: "/bin/log", arguments: [])),
            (
                "binary:///bin/log?file=%2Ftmp%2Fx&flag&two+words=a+b&file=y#z",
                .program(path: "/bin/log", arguments: ["file", "/tmp/x", "flag", "", "two words", "a b"])
            ),
        ])
    func outputTargets(address: String, target: OutputTarget) throws { #expect(try OutputTarget(address) == target) }

    @Test(
        "An address that nothing serves is refused",
        arguments: ["relative", "npipe:///x", "binary:", "file://host", "file:///%4", "file:///%00", "file:///%+f", "file:///%-0"])
    func outputTargetRefusals(address: String) { #expect(throws: ShimError.self) { try OutputTarget(address) } }

    @Test("What notes how far a log is has its room from the beginning, or is refused")
    func progressHasRoom() throws {
        #expect(throws: SyscallError.self) { try LogProgressFile("/dev/full") }
        let path = "/dev/shm/apus-progress-\(processID())"
        defer { try? removeFile(FilePath(path)) }
        #expect(try LogProgressFile(path).read() == nil)
        #expect(try fileStatus(FilePath(path)).sizeBytes == 56)
    }
}
