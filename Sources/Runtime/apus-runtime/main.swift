internal import LinuxSyscalls
internal import RuntimeCore

hoardMemory()
exitAtOnce(Program(surroundings: Surroundings(arguments: CommandLine.arguments, environment: processEnvironment())).run())
