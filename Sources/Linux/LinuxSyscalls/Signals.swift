internal import CLinux
internal import Glibc

/// A set of signals, bit n-1 for signal n, 1 to 64.
package struct SignalSet: OptionSet, Hashable, Sendable {
    package let rawValue: UInt64
    package init(rawValue: UInt64) { self.rawValue = rawValue }
    /// Spelled out: the generic default looks up conformances at run time.
    package init(arrayLiteral elements: SignalSet...) { rawValue = elements.reduce(0) { $0 | $1.rawValue } }

    /// The set of some signals by their numbers.
    package init(_ signals: Int32...) {
        self.init(rawValue: signals.reduce(0) { $0 | 1 << UInt64($1 - 1) })
    }

    package static let all = SignalSet(rawValue: UInt64.max)
}

/// Blocks exactly `blocked` in the calling thread and returns what was blocked before. - Source: sigprocmask(2).
@discardableResult
package func setSignalMask(_ blocked: SignalSet) throws(SyscallError) -> SignalSet {
    var previous: UInt64 = 0
    try checked("sigprocmask") { unsafe clinux_set_signal_mask(blocked.rawValue, &previous) }
    return SignalSet(rawValue: previous)
}

/// Gives every signal its default action again, those that our caller had us ignore included. - Source: sigaction(2).
package func restoreDefaultSignals() throws(SyscallError) {
    try checked("sigaction") { clinux_default_signals() }
}

/// Gives one signal its default action again. - Source: sigaction(2).
package func restoreDefaultAction(of signal: Int32) throws(SyscallError) {
    try checked("sigaction", "\(signal)") { clinux_default_signal(signal) }
}

/// Ends the process by a signal, with 128 and its number as the exit status, until it executes a program: for the first process of a pid namespace, which
/// the kernel gives no signal that it does not handle. - Source: pid_namespaces(7), sigaction(2).
package func endBySignal(_ signal: Int32) throws(SyscallError) {
    try checked("sigaction", "\(signal)") { clinux_end_by_signal(signal) }
}

/// Ignores a signal. - Source: sigaction(2).
package func ignoreSignal(_ signal: Int32) throws(SyscallError) {
    try checked("sigaction", "\(signal)") { clinux_ignore_signal(signal) }
}

/// A descriptor that is readable while one of `signals`, which must be blocked, waits. Non-blocking. - Source: signalfd(2).
package func openSignals(_ signals: SignalSet) throws(SyscallError) -> OwnedFD {
    OwnedFD(owning: try checked("signalfd") { clinux_signalfd(signals.rawValue) })
}

/// Takes the next waiting signal of a signalfd, nil when there is none.
package func nextSignal(of descriptor: borrowing OwnedFD) throws(SyscallError) -> Int32? {
    let number = descriptor.number
    let signal = try checked("read", "signalfd") { clinux_read_signal(number) }
    return signal == 0 ? nil : signal
}

/// Sends a signal by number; where the process is not a child, prefer `sendSignal(_:toProcessOf:)`. - Source: kill(2).
package func sendSignal(_ signal: Int32, toProcess process: Int32) throws(SyscallError) {
    try retryingInterrupted("kill", "process \(process)") { kill(process, signal) }
}

/// Sends a signal to every member of a process group. A group's number is nobody else's while it has members. - Source: kill(2).
/// - Parameter group: above 1.
package func sendSignal(_ signal: Int32, toGroup group: Int32) throws(SyscallError) {
    precondition(group > 1, "process group \(group)")
    try retryingInterrupted("kill", "process group \(group)") { kill(-group, signal) }
}
