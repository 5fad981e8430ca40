// The file of this program that calls sigwait(3) and its like.
internal import Glibc

/// Lets write(2) fail where nobody reads any more, in place of SIGPIPE. - Source: signal(7).
func ignoreBrokenPipes() {
    _ = signal(SIGPIPE, SIG_IGN)
}

/// Blocks `signals` in this thread and those it starts: `nextSignal` takes them instead.
/// To be called before there is a second thread. - Source: pthread_sigmask(3).
func blockSignals(_ signals: [Int32]) {
    var blocked = signalSet(signals)
    _ = unsafe pthread_sigmask(SIG_BLOCK, &blocked, nil)
}

/// Waits for one of `signals`, which must be blocked. - Source: sigwait(3).
func nextSignal(of signals: [Int32]) -> Int32 {
    var awaited = signalSet(signals)
    var number: Int32 = 0
    while unsafe sigwait(&awaited, &number) != 0 {}
    return number
}

private func signalSet(_ signals: [Int32]) -> sigset_t {
    var set = sigset_t()
    _ = unsafe sigemptyset(&set)
    for number in signals { _ = unsafe sigaddset(&set, number) }
    return set
}
