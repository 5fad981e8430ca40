/// What a specification must know of the host.
struct HostFacts: Equatable, Sendable {
    var hostName: String
    var processors: ProcessorSet
    /// The number of the newest capability that the kernel knows.
    var highestCapability: Int
    /// Whether the kernel limits swap apart from memory.
    var countsSwap: Bool
    var kernelVersion: KernelVersion
    var limits: KernelLimits
    /// Whether containers get cgroups: without, nothing limits or counts what they use.
    var hasCgroups = true
    /// Whether the engine is root of a user namespace alone.
    var isRootless = false
    /// Whether the kernel confines processes by AppArmor.
    var hasAppArmor = false
    /// Whether containers that name no profile have one of ours.
    var hasAppArmorProfile = false
    /// Whether the kernel labels processes and files by SELinux.
    var hasSELinux = false
}
