internal import LinuxSyscalls

hoardMemory()
exitAtOnce(Program(surroundings: Surroundings(arguments: CommandLine.arguments, environment: processEnvironment())).run())
