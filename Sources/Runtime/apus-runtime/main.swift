internal import LinuxSyscalls

exitAtOnce(Program(surroundings: Surroundings(arguments: CommandLine.arguments, environment: processEnvironment())).run())
