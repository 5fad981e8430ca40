/// A document whose fields changed between the versions of the API.
public protocol VersionedDocument: EngineDocument {
    /// The same document with the fields that clients of `version` know, and without those that came or went.
    func shaped(for version: APIVersion) -> Self
}

extension ContainerInspect: VersionedDocument {
    /// Fields that came after `version` are dropped, those that left before it are filled in.
    public func shaped(for version: APIVersion) -> ContainerInspect {
        var document = self
        document.hostConfig = hostConfig.shaped(for: version)
        document.networkSettings.networks = networkSettings.networks.mapValues { $0.shaped(for: version) }
        if version < APIVersion(1, 48) { document.imageManifestDescriptor = nil }
        if version < APIVersion(1, 45) { document.addShortIDToAliases() }
        return document
    }

    /// Where containers find each other by name, the short id was among an endpoint's aliases until `DNSNames` told it.
    private mutating func addShortIDToAliases() {
        let shortID = String(id.prefix(12))
        for (name, endpoint) in networkSettings.networks
        where !NetworkResource.predefinedNames.contains(name) && !endpoint.aliases.contains(shortID) {
            networkSettings.networks[name]?.aliases.append(shortID)
        }
    }
}

extension HostConfig: VersionedDocument {
    /// Fields that came after `version` are dropped, those that left before it are filled in.
    public func shaped(for version: APIVersion) -> HostConfig {
        var document = self
        if version < APIVersion(1, 43) { document.annotations = [:] }
        // Before 1.42 both were written always, after it only what was asked for, and the former not at all.
        document.kernelMemory = version < APIVersion(1, 42) ? kernelMemory ?? 0 : nil
        document.kernelMemoryTCP = version < APIVersion(1, 42) || kernelMemoryTCP != 0 ? kernelMemoryTCP ?? 0 : nil
        // Go writes an array of two, whatever was asked for.
        if consoleSize.count != 2 { document.consoleSize = [0, 0] }
        return document
    }
}

extension EndpointSettings: VersionedDocument {
    /// Fields that came after `version` are dropped, those that left before it are filled in.
    public func shaped(for version: APIVersion) -> EndpointSettings {
        var document = self
        document.dnsNames = version < APIVersion(1, 44) ? nil : dnsNames ?? []
        document.gatewayPriority = version < APIVersion(1, 48) ? nil : gatewayPriority ?? 0
        return document
    }
}

extension ContainerSummary: VersionedDocument {
    /// Fields that came after `version` are dropped, those that left before it are filled in.
    public func shaped(for version: APIVersion) -> ContainerSummary {
        var document = self
        document.networkSettings.networks = networkSettings.networks.mapValues { $0.shaped(for: version) }
        if version < APIVersion(1, 46) { document.hostConfig.annotations = [:] }
        if version < APIVersion(1, 48) { document.imageManifestDescriptor = nil }
        return document
    }
}

extension ImageSummary: VersionedDocument {
    /// Fields that came after `version` are dropped, those that left before it are filled in.
    public func shaped(for version: APIVersion) -> ImageSummary {
        var document = self
        document.virtualSize = version < APIVersion(1, 44) ? size : nil
        if version < APIVersion(1, 47) { document.manifests = nil }
        if version < APIVersion(1, 48) { document.descriptor = nil }
        return document
    }
}

extension ImageInspect: VersionedDocument {
    /// Fields that came after `version` are dropped, those that left before it are filled in.
    public func shaped(for version: APIVersion) -> ImageInspect {
        var document = self
        document.virtualSize = version < APIVersion(1, 44) ? size : nil
        document.container = version < APIVersion(1, 45) ? container ?? "" : nil
        document.containerConfig = version < APIVersion(1, 45) ? containerConfig ?? ContainerConfig() : nil
        document.config?.writesContainerFields = version < APIVersion(1, 50)
        if version < APIVersion(1, 48) { (document.descriptor, document.manifests) = (nil, nil) }
        return document
    }
}

extension SystemInfo: VersionedDocument {
    /// Fields that came after `version` are dropped, those that left before it are filled in.
    public func shaped(for version: APIVersion) -> SystemInfo {
        var document = self
        document.kernelMemory = version < APIVersion(1, 42) ? kernelMemory ?? false : nil
        document.kernelMemoryTCP = version < APIVersion(1, 42) ? kernelMemoryTCP ?? false : nil
        document.bridgeNfIptables = version < APIVersion(1, 50) ? bridgeNfIptables ?? false : nil
        document.bridgeNfIp6tables = version < APIVersion(1, 50) ? bridgeNfIp6tables ?? false : nil
        if version < APIVersion(1, 44) { document.cdiSpecDirs = nil }
        if version < APIVersion(1, 46) { document.containerd = nil }
        if version < APIVersion(1, 49) {
            document.firewallBackend = nil
            document.containerdCommit.expected = containerdCommit.id
            document.runcCommit.expected = runcCommit.id
            document.initCommit.expected = initCommit.id
            document.registryConfig?.nondistributableCIDRs = []
            document.registryConfig?.nondistributableHostnames = []
        }
        if version < APIVersion(1, 50) { document.discoveredDevices = nil }
        if version < APIVersion(1, 45) { document.runtimes = runtimes.mapValues { $0.withoutStatus } }
        if version < APIVersion(1, 25) {
            document.securityOptions = securityOptions.map(Self.nameAlone)
            document.executionDriver = "<not supported>"
        }
        return document
    }
}

extension SystemInfo {
    /// Of `name=seccomp,profile=builtin`: `seccomp`.
    private static func nameAlone(_ option: String) -> String {
        let name = option.split(separator: ",").first { $0.hasPrefix("name=") }
        return name.map { String($0.dropFirst("name=".count)) } ?? option
    }
}

extension RuntimeInfo {
    fileprivate var withoutStatus: RuntimeInfo {
        var document = self
        document.status = nil
        return document
    }
}
