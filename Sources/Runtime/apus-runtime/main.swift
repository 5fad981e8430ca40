internal import CRuntimeEntry
internal import LinuxSyscalls
internal import RuntimeCore

hoardMemory()
let copy = apus_runtime_held_copy()
exitAtOnce(
    Program(
        surroundings: Surroundings(arguments: CommandLine.arguments, environment: processEnvironment()),
        protectedCopy: copy < 0 ? nil : ProtectedCopy(OwnedFD(owning: copy))
    ).run())
