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
    /// Whether the kernel confines processes by AppArmor.
    var hasAppArmor = false
    /// Whether the kernel labels processes and files by SELinux.
    var hasSELinux = false
}
