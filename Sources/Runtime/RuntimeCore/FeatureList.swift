package import OCISpec
internal import Rootfs

/// What this runtime can do, for `features`. - Spec: features.md, features-linux.md.
package func runtimeFeatures() -> RuntimeFeatures {
    var features = RuntimeFeatures(ociVersionMin: "1.0.0", ociVersionMax: RuntimeConfiguration.newestVersion)
    features.hooks = ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"]
    features.mountOptions = knownMountOptions.sorted()
    // Settings of systemd's and criu's that a configuration brings along.
    features.potentiallyUnsafeConfigAnnotations = ["org.criu.config", "org.systemd.property."]
    features.linux.netDevicesEnabled = true
    features.linux.idMappedMountsEnabled = true
    features.linux.appArmorEnabled = true
    features.linux.seLinuxEnabled = true
    features.linux.intelRdtEnabled = true
    features.linux.intelRdtSchemata = true
    features.linux.intelRdtMonitoring = true
    features.linux.namespaces = LinuxNamespace.Kind.allCases
    features.linux.capabilities = capabilityNames
    features.linux.cgroup.v1 = true
    features.linux.cgroup.v2 = true
    features.linux.memoryPolicyModes = MemoryPolicy.Mode.allCases
    features.linux.memoryPolicyFlags = MemoryPolicy.Flag.allCases
    features.linux.cgroup.systemd = true
    features.linux.cgroup.systemdUser = true
    features.linux.cgroup.rdma = true
    features.linux.seccomp.enabled = true
    features.linux.seccomp.actions = SeccompConfiguration.Action.allCases.map(\.rawValue)
    features.linux.seccomp.operators = SeccompConfiguration.Comparison.allCases.map(\.rawValue)
    features.linux.seccomp.architectures = SeccompConfiguration.Architecture.allCases.map(\.rawValue)
    features.linux.seccomp.knownFlags = SeccompConfiguration.Flag.allCases.map(\.rawValue)
    features.linux.seccomp.supportedFlags = SeccompConfiguration.Flag.allCases.map(\.rawValue)
    return features
}
