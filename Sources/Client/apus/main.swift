internal import Dispatch
internal import FoundationEssentials
internal import Glibc
internal import LinuxSyscalls

fillStandardDescriptors()

// The main thread keeps the signal mask that SignalTap gives it, so it only waits: the main queue's own loop would
// unblock every signal. The task is the program, and ends with it.
let signals = SignalTap()
Task.detached {
    let words = Array(CommandLine.arguments.dropFirst())
    exit(await runProgram(words, variables: ProcessInfo.processInfo.environment, signals: signals))
}
DispatchSemaphore(value: 0).wait()
