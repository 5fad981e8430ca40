import CoreTypes
import EngineAPI
import OCISpec

@testable import Engine

/// A host with two processors, all capabilities and swap accounting.
let plainFacts = HostFacts(
    hostName: "machine", processors: ProcessorSet(parsing: "0-1") ?? oneProcessor, highestCapability: 40, countsSwap: true,
    kernelVersion: KernelVersion("6.1.0") ?? oldKernel,
    limits: KernelLimits(switches: [.reservation, .oomKillDisable, .readBytes], memoryNodes: oneProcessor))
private let oneProcessor: ProcessorSet = ProcessorSet(parsing: "0") ?? { preconditionFailure("0 is a list") }()
private let oldKernel: KernelVersion = KernelVersion("5.0") ?? { preconditionFailure("5.0 is a version") }()

/// A specification of `true` in an image that says nothing.
func plainSpecification(
    _ host: HostConfig = HostConfig(), uid: UInt32 = 0, change: (inout SpecificationRequest) -> Void = { _ in }
) throws -> RuntimeConfiguration {
    var config = ContainerConfig()
    config.cmd = ["true"]
    var request = SpecificationRequest(
        id: try ContainerID(String(repeating: "ab", count: 32)), config: config, host: host, mounts: try MountPlan(host),
        user: UserConfiguration(uid: uid),
        files: NetworkFiles(hosts: "/data/hosts", hostname: "/data/hostname", resolver: "/data/resolv.conf"),
        seccomp: try SeccompProfiles.configuration(for: host, facts: plainFacts), initPath: "/usr/bin/apus-init", facts: plainFacts)
    change(&request)
    return try Specification.configuration(for: request)
}

/// The message of the refusal that a call ends in; nil when it does not refuse.
func refusal(_ body: () throws -> Void) -> EngineError? {
    do {
        try body()
        return nil
    } catch { return error as? EngineError }
}
