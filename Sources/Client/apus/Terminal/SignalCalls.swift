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

/// Whether whoever began this program has it ignore a signal, as nohup(1) does. - Source: sigaction(2).
func isIgnored(_ number: Int32) -> Bool {
    var action = sigaction()
    guard unsafe sigaction(number, nil, &action) == 0 else { return false }
    return unsafe unsafeBitCast(action.__sigaction_handler.sa_handler, to: Int.self) == unsafeBitCast(SIG_IGN, to: Int.self)
}

private func signalSet(_ signals: [Int32]) -> sigset_t {
    var set = sigset_t()
    _ = unsafe sigemptyset(&set)
    for number in signals { _ = unsafe sigaddset(&set, number) }
    return set
}
