internal import Glibc

/// What `run`, `start -a` and `attach` pass on to the container's process: what ends programs, and what people use.
let proxiedSignals: [Int32] = [SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGCONT]

/// The name that the API takes for a signal, `TERM`; its number where it has none here.
func signalName(_ number: Int32) -> String {
    switch number {
    case SIGHUP: "HUP"
    case SIGINT: "INT"
    case SIGQUIT: "QUIT"
    case SIGTERM: "TERM"
    case SIGUSR1: "USR1"
    case SIGUSR2: "USR2"
    case SIGCONT: "CONT"
    default: String(number)
    }
}
