internal import CRuntimeEntry
internal import LinuxSyscalls
internal import RuntimeCore

hoardMemory()
let callersLimit: DescriptorLimit? =
    apus_runtime_has_raised_descriptors() == 0
    ? nil : DescriptorLimit(soft: apus_runtime_callers_descriptors(0), hard: apus_runtime_callers_descriptors(1))
exitAtOnce(
    Program(
        surroundings: Surroundings(
            arguments: CommandLine.arguments, environment: processEnvironment(), descriptorLimit: callersLimit)
    ).run())
