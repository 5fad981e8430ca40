// Rows: attacks
import EngineAPI
import OCISpec
import SystemPackage
import Testing

@testable import Engine

@Suite struct SecurityProfileTests {
    private func asking(_ options: String...) -> HostConfig {
        var host = HostConfig()
        host.securityOpt = options
        return host
    }

    private func configuration(_ profile: SecurityProfile, remaps: Bool = false, rootless: Bool = false) -> EngineConfiguration {
        var configuration = EngineConfiguration(
            shimPath: "/s", initPath: "/i", netPath: "/n", settings: ReloadableSettings(runtimes: [:], defaultRuntime: "apus"))
        (configuration.securityProfile, configuration.remapsUsers, configuration.isRootless) = (profile, remaps, rootless)
        return configuration
    }

    @Test("B01 the strict capabilities are some of Docker's, and none more")
    func capabilities() throws {
        let strict = try Capabilities.requested(asking("profile=strict"), highest: 40)
        #expect(strict == Capabilities.strict && Set(strict).isStrictSubset(of: Capabilities.defaults))
        #expect(
            Set(Capabilities.defaults).subtracting(strict) == [
                "CAP_MKNOD", "CAP_NET_RAW", "CAP_SETFCAP", "CAP_SYS_CHROOT", "CAP_AUDIT_WRITE",
            ])
        #expect(try Capabilities.requested(asking("profile=default"), highest: 40) == Capabilities.defaults)
        var host = asking("profile=strict")
        (host.capAdd, host.capDrop) = (["NET_RAW"], ["KILL"])
        #expect(Set(try Capabilities.requested(host, highest: 40)) == Set(strict).subtracting(["CAP_KILL"]).union(["CAP_NET_RAW"]))
        host.capAdd = ["ALL"]
        #expect(try Capabilities.requested(host, highest: 40).count == 40)
    }

    @Test("B02 B05 strict hides more, gains nothing by execve and has fewer tasks, unless the request says it otherwise")
    func specification() throws {
        let strict = try plainSpecification(asking("profile=strict"))
        let usual = try plainSpecification()
        #expect(strict.process?.noNewPrivileges == true && usual.process?.noNewPrivileges == false)
        #expect(try plainSpecification(asking("profile=strict", "no-new-privileges=false")).process?.noNewPrivileges == false)
        let (hidden, usuallyHidden) = (Set(strict.linux?.maskedPaths ?? []), Set(usual.linux?.maskedPaths ?? []))
        #expect(usuallyHidden.isStrictSubset(of: hidden) && hidden.contains("/proc/kallsyms"))
        #expect(hidden.contains("/sys/devices/system/cpu/cpu1/thermal_throttle"))
        #expect(strict.linux?.readonlyPaths == usual.linux?.readonlyPaths)
        #expect(strict.linux?.resources?.pids?.limit == 1024 && usual.linux?.resources?.pids?.limit == 2048)
        var host = asking("profile=strict")
        (host.maskedPaths, host.readonlyPaths, host.pidsLimit) = ([], [], -1)
        let open = try plainSpecification(host)
        #expect(open.linux?.maskedPaths == [] && open.linux?.readonlyPaths == [] && open.linux?.resources?.pids?.limit == -1)
        #expect(try plainSpecification(asking("profile=strict", "seccomp=unconfined")).linux?.seccomp == nil)
        #expect(strict.linux?.seccomp != usual.linux?.seccomp && strict.linux?.seccomp != nil)
    }

    @Test("a request is told the daemon's profile where it names none, and keeps what it names")
    func settling() throws {
        func settled(_ host: HostConfig, usual: SecurityProfile) throws -> [String] {
            var host = host
            try SecurityProfile.settle(&host, usual: usual)
            return host.securityOpt
        }
        #expect(try settled(asking(), usual: .standard) == [])
        #expect(try settled(asking("label=disable"), usual: .strict) == ["label=disable", "profile=strict"])
        #expect(try settled(asking("profile=default"), usual: .strict) == ["profile=default"])
        #expect(try settled(asking("profile:strict"), usual: .standard) == ["profile:strict"])
        #expect(try settled(asking("profile:strict"), usual: .strict) == ["profile:strict"])
        var privileged = asking()
        privileged.privileged = true
        #expect(try settled(privileged, usual: .standard) == [])
        #expect(
            refusal { _ = try settled(privileged, usual: .strict) }?.message
                == "conflicting options: --privileged and security profile strict, the daemon's: "
                + "say --security-opt profile=default for a container that is to be privileged")
        privileged.securityOpt = ["profile=strict"]
        #expect(refusal { _ = try settled(privileged, usual: .standard) }?.code == .invalidParameter)
        privileged.securityOpt = ["profile=default"]
        #expect(try settled(privileged, usual: .strict) == ["profile=default"])
    }

    @Test("a profile that is none is refused with those that are")
    func refused() {
        for value in ["lax", "", "STRICT", "strict "] {
            #expect(
                refusal { _ = try SecurityOptions(parsing: ["profile=\(value)"]) }?.message
                    == "invalid --security-opt: profile takes default or strict, not \"\(value)\"")
        }
        #expect(refusal { _ = try SecurityOptions(parsing: ["profile=default", "profile=strict"]) }?.code == .invalidParameter)
        #expect((try? SecurityOptions(parsing: ["profile=strict", "profile=strict"]))?.profile == .strict)
    }

    @Test("B07 strict has users of its own, unless it says the host's, or the daemon is in such a namespace itself")
    func users() throws {
        let strict = asking("profile=strict")
        #expect(try UserNamespaceChoice.isOwn(strict, in: configuration(.standard)))
        #expect(try UserNamespaceChoice.isOwn(asking(), in: configuration(.strict)) == false)
        #expect(try UserNamespaceChoice.isOwn(asking(), in: configuration(.standard, remaps: true)))
        #expect(try UserNamespaceChoice.isOwn(strict, in: configuration(.strict, rootless: true)) == false)
        var host = strict
        host.usernsMode = "host"
        #expect(try UserNamespaceChoice.isOwn(host, in: configuration(.strict)) == false)
        host = strict
        host.networkMode = "host"
        #expect(
            refusal { _ = try UserNamespaceChoice.isOwn(host, in: configuration(.strict)) }?.message
                == "cannot share the host's network namespace when user namespaces are enabled: "
                + "security profile strict gives the container one of its own, unless it says --userns host")
    }
}
