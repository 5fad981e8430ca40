internal import CoreTypes
internal import Glibc
package import LinuxSyscalls

/// A command that stays until a process of a container has ended: it passes signals on, relays the terminal if it keeps one, and reaps.
package final class Foreground {
    /// Signals that are ours alone: they tell of the program's own faults or its terminal's job control.
    private static let unforwarded = SignalSet(
        SIGKILL, SIGSTOP, SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP, SIGABRT, SIGSYS, SIGTSTP, SIGTTIN, SIGTTOU)

    private let signals: OwnedFD

    /// Call before the process is made: no signal is lost then.
    package init(adoptsOrphans: Bool) throws(RuntimeError) {
        let blocked = SignalSet.all.subtracting(Self.unforwarded)
        do throws(SyscallError) {
            try setSignalMask(blocked)
            signals = try openSignals(blocked)
            if adoptsOrphans { try becomeSubreaper() }
        } catch { throw RuntimeError(doing: "preparing to wait", error) }
    }

    /// Waits for the process to end. Where we cannot go on, such as without whoever reads what the terminal says, it is ended: nobody else
    /// would.
    package func accompany(_ process: borrowing PreparedProcess) throws(RuntimeError) -> ProcessExit {
        do throws(RuntimeError) { return try attend(process) } catch {
            throw error.followed { () throws(RuntimeError) in try endChild(process.handle) }
        }
    }

    private func attend(_ process: borrowing PreparedProcess) throws(RuntimeError) -> ProcessExit {
        let relay = try process.withTerminal { (master) throws(RuntimeError) in try ConsoleRelay(master: master) }
        defer { relay?.end() }
        while true {
            let watched = [AwaitedDescriptor(signals.number, to: .read)] + (relay?.awaited ?? [])
            let ready = try during("waiting for the container") { () throws(SyscallError) in try waitUntilReady(watched) }
            for index in ready where index > 0 { try relay?.pass(watched[index]) }
            guard ready.contains(0) else { continue }
            if let end = try handleSignals(process, relay) {
                if let relay { try drain(relay) }
                return end
            }
        }
    }

    /// Passes on what the terminal still holds once its last user has ended, unless a signal says that nobody wants it.
    private func drain(_ relay: ConsoleRelay) throws(RuntimeError) {
        while let next = relay.nextOfOutput {
            let isOver = try during("waiting for whoever reads us") { () throws(SyscallError) in
                let watched = [next, AwaitedDescriptor(signals.number, to: .read)]
                let ready = try waitUntilReady(watched, timeoutMilliseconds: next.action == .read ? 0 : nil)
                if ready.contains(0) { return false }
                while let signal = try nextSignal(of: signals) {
                    if ![SIGCHLD, SIGWINCH, SIGPIPE, SIGURG].contains(signal) { return true }
                }
                return ready.isEmpty
            }
            if isOver { return }
            try relay.pass(next)
        }
    }

    private func handleSignals(_ process: borrowing PreparedProcess, _ relay: ConsoleRelay?) throws(RuntimeError) -> ProcessExit? {
        do throws(SyscallError) {
            while let signal = try nextSignal(of: signals) {
                switch signal {
                case SIGCHLD: if let end = try reap(process.process) { return end }
                case SIGWINCH: try relay?.resize()
                // Our own troubles with pipes are not the container's.
                case SIGPIPE, SIGURG: break
                default: try process.forward(signal)
                }
            }
            return nil
        } catch { throw RuntimeError(doing: "handling signals", error) }
    }

    /// Takes every child that has ended, adopted ones too. Returns how `process` ended, if it did.
    private func reap(_ process: Int32) throws(SyscallError) -> ProcessExit? {
        var end: ProcessExit?
        do throws(SyscallError) {
            while let child = try waitForExit(.anyChild, block: false) {
                if child.process == process { end = child.exit }
            }
        } catch {
            if error.errno != ECHILD { throw error }
        }
        return end
    }
}

/// How long a child may take to go that was killed because we could not go on.
private let deadlineMilliseconds: Int32 = 10_000

/// Kills and reaps a child by the hold on it: once it was reaped, which it may have been, its number may be another's.
func endChild(_ child: borrowing ProcessHandle) throws(RuntimeError) {
    do throws(SyscallError) {
        do throws(SyscallError) { try child.signal(SIGKILL, subject: "child") } catch {
            if error.errno != ESRCH { throw error }
        }
        if try child.waitForEnd(timeoutMilliseconds: deadlineMilliseconds).isEmpty {
            throw SyscallError("kill", "child", errno: ETIMEDOUT)
        }
        try child.reap()
    } catch { throw RuntimeError(doing: "ending the process", error) }
}

extension PreparedProcess {
    /// Passes a signal on; a process that has just ended needs none.
    fileprivate func forward(_ signal: Int32) throws(SyscallError) {
        do throws(SyscallError) { try handle.signal(signal, subject: "process \(process)") } catch {
            if error.errno != ESRCH { throw error }
        }
    }

    fileprivate func withTerminal<Result>(_ body: (Int32) throws(RuntimeError) -> Result) throws(RuntimeError) -> Result? {
        switch terminal {
        case .some(let master): return try body(master.number)
        case .none: return nil
        }
    }
}
