internal import CoreTypes
package import EngineAPI
internal import Images
internal import LinuxSyscalls
internal import Registry
internal import SystemPackage

/// What the API tells of the engine itself, in the shape of the newest API.
extension ContainerEngine {
    /// `GET /version`.
    package func version() -> SystemVersion {
        var answer = SystemVersion()
        answer.platform.name = "Apus"
        answer.version = Product.version
        answer.apiVersion = APIVersion.newest.description
        answer.minimumAPIVersion = configuration.oldestVersion.description
        answer.goVersion = "swift"
        answer.os = "linux"
        answer.architecture = CoreTypes.Platform.host.architecture
        answer.kernelVersion = (try? parts().host.kernelRelease) ?? ""
        var engine = ComponentVersion()
        engine.name = "Engine"
        engine.version = answer.version
        engine.details = [
            "ApiVersion": answer.apiVersion, "MinAPIVersion": answer.minimumAPIVersion, "Os": answer.os, "Arch": answer.architecture,
            "KernelVersion": answer.kernelVersion, "GoVersion": answer.goVersion, "GitCommit": "", "BuildTime": "",
            "Experimental": "false",
        ]
        answer.components = [engine]
        return answer
    }

    /// `GET /info`.
    package func info() async throws(EngineError) -> SystemInfo {
        let parts = try parts()
        var answer = SystemInfo()
        answer.id = parts.identity
        try await count(parts, into: &answer)
        describeHost(parts.host, into: &answer)
        answer.driver = parts.services.images.storageDriver ?? ""
        let reserve = parts.services.reserve
        let kept = try await BlockingWork.run { () throws(EngineError) in reserve.takenBytes }
        answer.driverStatus = kept > 0 ? [["Disk Reserve", "\(ByteCount(UInt64(kept)))"]] : []
        answer.plugins.volume = [Self.volumeDriver]
        answer.plugins.network = ["bridge", "host", "macvlan", "null"]
        answer.plugins.log = LogDriver.listed
        answer.debug = configuration.debug
        answer.labels = configuration.labels
        answer.fileDescriptors = Self.openDescriptors()
        answer.systemTime = .now
        answer.eventListeners = parts.services.events.listenerCount
        answer.loggingDriver = configuration.completed(LogConfig()).type
        answer.cgroupDriver = parts.host.facts.hasCgroups ? "cgroupfs" : "none"
        answer.cgroupVersion = parts.host.isUnifiedCgroup ? "2" : "1"
        answer.indexServerAddress = "https://index.docker.io/v1/"
        answer.registryConfig = registries()
        answer.rootDirectory = configuration.dataRoot.string
        answer.httpProxy = Self.withoutCredentials(configuration.proxies.http)
        answer.httpsProxy = Self.withoutCredentials(configuration.proxies.https)
        answer.noProxy = configuration.proxies.exceptions
        answer.serverVersion = Product.version
        answer.runtimes = configuration.runtimes.mapValues { path in
            var runtime = RuntimeInfo()
            runtime.path = path.string
            return runtime
        }
        answer.defaultRuntime = configuration.defaultRuntime
        answer.swarm.localNodeState = "inactive"
        answer.liveRestoreEnabled = true
        answer.initBinary = configuration.initPath.lastComponent?.string ?? ""
        answer.securityOptions = Self.securityOptions(configuration, parts.host)
        var firewall = FirewallInfo()
        firewall.driver = "nftables"
        answer.firewallBackend = firewall
        let folders = configuration.cdiFolders
        answer.cdiSpecDirs = folders.map(\.string)
        answer.discoveredDevices = try await BlockingWork.run { () throws(EngineError) in
            CDIRegistry(folders: folders).names.map { DiscoveredDevice(source: "cdi", id: $0) }
        }
        answer.warnings = warnings(parts)
        return answer
    }

    /// Begins to listen to events, to those that were and to those that come.
    /// - Throws: `.invalidParameter` where the end is before the beginning.
    package func events(_ request: EventRequest) throws(EngineError) -> EventSession {
        if let since = request.since, let until = request.until, since > until {
            throw EngineError(
                .invalidParameter,
                "`since` time (\(since / 1_000_000_000)) cannot be after `until` time (\(until / 1_000_000_000))")
        }
        return EventSession(try parts().services.events, request)
    }

    /// What every container has that asks for nothing, by Docker's names, and the profile by ours.
    private static func securityOptions(_ configuration: EngineConfiguration, _ host: HostInformation) -> [String] {
        let isStrict = configuration.securityProfile == .strict
        let hasOwnUsers = configuration.remapsUsers || (isStrict && !configuration.isRootless)
        let usual = configuration.defaults.cgroupNamespace(isUnified: host.isUnifiedCgroup, configuration.securityProfile)
        return (host.facts.hasAppArmorProfile ? ["name=apparmor"] : [])
            + ["name=seccomp,profile=\(profileName(configuration.defaults.seccomp))"]
            + (configuration.isRootless ? ["name=rootless"] : []) + (usual == "private" ? ["name=cgroupns"] : [])
            + (hasOwnUsers ? ["name=userns"] : []) + (isStrict || configuration.forbidsNewPrivileges ? ["name=no-new-privileges"] : [])
            + (isStrict ? ["name=strict"] : [])
    }

    private static func profileName(_ profile: String?) -> String {
        switch profile {
        case nil: "builtin"
        case "unconfined": "unconfined"
        case .some: "custom"
        }
    }

    private func count(_ parts: Parts, into answer: inout SystemInfo) async throws(EngineError) {
        let containers = parts.services.index.all
        answer.containers = containers.count + parts.services.index.unreadable.count
        for container in containers {
            let state = await container.state
            switch state {
            case .paused: answer.containersPaused += 1
            case .running, .stopping, .exiting: answer.containersRunning += 1
            case .created, .starting, .restarting, .exited, .removing, .dead: break
            }
        }
        answer.containersStopped = answer.containers - answer.containersRunning - answer.containersPaused
        do throws(ImageError) { answer.images = try await parts.services.images.list().count } catch { throw EngineError(error) }
    }

    private func describeHost(_ host: HostInformation, into answer: inout SystemInfo) {
        let limits = host.facts.hasCgroups
        answer.memoryLimit = limits
        answer.swapLimit = limits && host.facts.countsSwap
        answer.cpuCfsPeriod = limits
        answer.cpuCfsQuota = limits
        answer.cpuShares = limits
        answer.cpuset = limits
        answer.pidsLimit = limits
        answer.ipv4Forwarding = host.forwardsIPv4
        answer.oomKillDisable = host.facts.limits.has(.oomKillDisable)
        answer.kernelVersion = host.kernelRelease
        answer.operatingSystem = host.operatingSystem
        answer.osVersion = host.operatingSystemVersion
        answer.osType = "linux"
        answer.architecture = CoreTypes.Platform.host.machineName
        answer.cpus = host.facts.processors.count
        answer.memoryTotal = host.memoryBytes
        answer.name = host.facts.hostName
    }

    private func registries() -> RegistryServiceConfig {
        var registries = RegistryServiceConfig()
        registries.insecureRegistryCIDRs = ["::1/128", "127.0.0.0/8"] + configuration.insecureRegistries.filter { $0.contains("/") }
        var index = IndexInfo()
        index.name = ImageReference.defaultDomain
        index.secure = true
        index.official = true
        index.mirrors = configuration.registryMirrors
        registries.mirrors = configuration.registryMirrors
        registries.indexConfigs = [index.name: index]
        for name in configuration.insecureRegistries where !name.contains("/") {
            var insecure = IndexInfo()
            insecure.name = name
            registries.indexConfigs[name] = insecure
        }
        return registries
    }

    private func warnings(_ parts: Parts) -> [String] {
        var warnings: [String] = []
        if !parts.host.facts.countsSwap { warnings.append("WARNING: No swap limit support") }
        if !parts.host.facts.hasCgroups {
            warnings.append("WARNING: Running in rootless-mode without cgroups. Nothing limits or counts what containers use")
        }
        if !configuration.isRootless && !parts.host.forwardsIPv4 { warnings.append("WARNING: IPv4 forwarding is disabled") }
        if let warning = parts.services.images.storageWarning {
            warnings.append("WARNING: \(warning)")
        }
        return warnings + configuration.warnings.map { "WARNING: \($0)" }
    }

    private static func openDescriptors() -> Int {
        do throws(SyscallError) {
            let directory = try openFile("/proc/self/fd", [.readOnly, .directory])
            return try directoryEntries(of: directory).count
        } catch { return 0 }
    }

    /// A proxy's address may hold a password, which is nobody's business.
    static func withoutCredentials(_ address: String) -> String {
        guard let at = address.lastIndex(of: "@") else { return address }
        let slashes = address.firstRange(of: "://")
        return (slashes.map { String(address[..<$0.upperBound]) } ?? "") + "xxxxx:xxxxx" + address[at...]
    }
}
