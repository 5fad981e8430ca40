// Rows: features
import EngineAPI
import OCISpec
import Testing

@testable import Engine

@Suite struct RequestTests {
    @Test("what docker's own command line always sends is accepted")
    func docker() throws {
        let body = """
            {"Hostname":"","Image":"busybox","Cmd":["true"],"AttachStdout":true,"Volumes":{},"OnBuild":null,"Labels":{},"HostConfig":{"Binds":null,
            "ContainerIDFile":"","LogConfig":{"Type":"","Config":{}},"NetworkMode":"default","PortBindings":{},"RestartPolicy":{"Name":"no",
            "MaximumRetryCount":0},"AutoRemove":true,"ConsoleSize":[40,120],"Dns":[],"DnsOptions":[],"DnsSearch":[],"ExtraHosts":null,
            "Isolation":"","Memory":0,"BlkioWeightDevice":[],"BlkioDeviceReadBps":[],"Devices":[],"DeviceRequests":null,"MemorySwappiness":-1,
            "OomKillDisable":false,"PidsLimit":0,"Ulimits":[],"MaskedPaths":null,"ReadonlyPaths":null},
            "NetworkingConfig":{"EndpointsConfig":{"default":{"IPAMConfig":null,"Links":null,"Aliases":null,"MacAddress":""}}}}
            """
        try Refusal.check(try EngineJSON.decode(ContainerCreateRequest.self, from: Array(body.utf8)))
    }

    @Test("a request's entry point does away with the image's command, its command only with the command")
    func commands() throws {
        var image = ImageConfig()
        image.entrypoint = ["/entry"]
        image.cmd = ["default"]
        var request = ContainerConfig()
        #expect(ImageDefaults.commandLine(try ImageDefaults.merge(request, over: image)) == ["/entry", "default"])
        request.cmd = ["mine"]
        #expect(ImageDefaults.commandLine(try ImageDefaults.merge(request, over: image)) == ["/entry", "mine"])
        request = ContainerConfig()
        request.entrypoint = ["/own"]
        #expect(ImageDefaults.commandLine(try ImageDefaults.merge(request, over: image)) == ["/own"])
        request.entrypoint = [""]
        request.cmd = ["sh"]
        #expect(ImageDefaults.commandLine(try ImageDefaults.merge(request, over: image)) == ["sh"])
        #expect(refusal { _ = try ImageDefaults.merge(ContainerConfig(), over: ImageConfig()) }?.message == "no command specified")
    }

    @Test("C16 the request's variables override the image's, and a bare name takes one away")
    func environment() throws {
        var image = ImageConfig()
        image.env = ["A=image", "B=image", "PATH=/image"]
        var request = ContainerConfig()
        request.cmd = ["true"]
        request.env = ["A=mine", "HOSTNAME"]
        let merged = try ImageDefaults.merge(request, over: image)
        #expect(
            ImageDefaults.environment(hostname: "h", terminal: true, overridden: merged.env) == [
                "PATH=/image", "TERM=xterm", "A=mine", "B=image",
            ])
    }

    @Test(
        "limits that no kernel could keep are refused in Docker's words",
        arguments: [
            ("Minimum memory limit allowed is 6MB", { @Sendable (h: inout HostConfig) in h.memory = 1 << 20 }),
            (
                "Minimum memoryswap limit should be larger than memory limit, see usage",
                {
                    $0.memory = 1 << 24; $0.memorySwap = 1 << 23
                }
            ),
            ("Range of CPUs is from 0.01 to 2.00, as there are only 2 CPUs available", { $0.nanoCPUs = 3_000_000_000 }),
            ("Requested CPUs are not available - requested 7, available: 0-1", { $0.cpusetCPUs = "7" }),
            ("Invalid value 1,x for cpuset cpus: invalid format: 1,x", { $0.cpusetCPUs = "1,x" }),
            ("SHM size can not be less than 0", { $0.shmSize = -1 }),
        ] as [(String, @Sendable (inout HostConfig) -> Void)])
    func limits(message: String, change: @Sendable (inout HostConfig) -> Void) {
        var host = HostConfig()
        change(&host)
        #expect(refusal { _ = try ResourceChecks.adjust(&host, facts: plainFacts) }?.message == message)
    }

    @Test("security options are read in both spellings, and others refused")
    func securityOptions() throws {
        let options = try SecurityOptions(parsing: ["no-new-privileges:true", "seccomp=unconfined"])
        #expect(options.noNewPrivileges && options.seccomp == .unconfined)
        #expect(try SecurityOptions(parsing: ["apparmor=x", "label:disable"]).appArmor == "x")
        #expect(refusal { _ = try SecurityOptions(parsing: ["nonsense"]) }?.code == .invalidParameter)
    }

    @Test("a profile in Docker's format keeps the rules for this machine and these capabilities")
    func seccompProfile() throws {
        let text = """
            {"defaultAction":"SCMP_ACT_ERRNO","defaultErrnoRet":1,"archMap":[{"architecture":"SCMP_ARCH_X86_64","subArchitectures":["SCMP_ARCH_X86"]}],
            "syscalls":[{"names":["read"],"action":"SCMP_ACT_ALLOW"},{"names":["mount"],"action":"SCMP_ACT_ALLOW","includes":{"caps":["CAP_SYS_ADMIN"]}},
            {"names":["clone3"],"action":"SCMP_ACT_ERRNO","errnoRet":38,"excludes":{"caps":["CAP_SYS_ADMIN"]}},
            {"names":["ptrace"],"action":"SCMP_ACT_ALLOW","includes":{"minKernel":"99.0"}}]}
            """
        let profile = try #require(try SeccompProfiles.custom(text, capabilities: [], facts: plainFacts, architecture: .x86_64))
        #expect(profile.architectures == [.x86_64, .x86])
        #expect(profile.rules.map(\.names) == [["read"], ["clone3"]])
        #expect(
            refusal { _ = try SeccompProfiles.custom("{", capabilities: [], facts: plainFacts) }?.message.hasPrefix(
                "Decoding seccomp profile failed: ") == true)
    }

    @Test(
        "signals are read by name and number",
        arguments: [("SIGTERM", 15), ("term", 15), ("9", 9), ("RTMIN+3", 37), ("SIGRTMAX", 64), ("rtmax-1", 63)] as [(String, UInt32)])
    func signals(text: String, number: UInt32) throws { #expect(try SignalNames.number(of: text) == number) }

    @Test(
        "what is no signal is refused", arguments: ["", "0", "65", "SIGFOO", "RTMIN+31", "RTMIN3", "RTMIN-1", "RTMAX+1", "RTMIN++3", "+9"])
    func badSignals(text: String) { #expect(refusal { _ = try SignalNames.number(of: text) }?.message == "invalid signal: \(text)") }
}
