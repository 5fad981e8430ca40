internal import LinuxSyscalls

/// A process whose end the kernel tells, whoever its parent is.
final class ProcessEndWatch: ReactorSource {
    private let process: OwnedFD
    private let ended: @Sendable (_ descriptor: Int32) -> Void

    /// - Parameter ended: called on the reactor's thread, which must not be told of the descriptor any more from then on.
    init(_ process: consuming OwnedFD, ended: @escaping @Sendable (_ descriptor: Int32) -> Void) {
        self.process = process
        self.ended = ended
    }

    var descriptor: Int32 { process.number }

    func handle(_ readiness: Readiness) { ended(process.number) }

    func reactorStopped(_ reason: String) {}
}
