internal import FoundationEssentials
internal import Glibc

let exitCode = await runProgram(Array(CommandLine.arguments.dropFirst()), variables: ProcessInfo.processInfo.environment)
exit(exitCode)
