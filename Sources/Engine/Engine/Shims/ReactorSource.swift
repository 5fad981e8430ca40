internal import LinuxSyscalls

/// Something that the reactor's thread serves.
protocol ReactorSource: AnyObject, Sendable {
    /// What is waited for.
    var descriptor: Int32 { get }
    /// Called on the reactor's thread; must not block.
    func handle(_ readiness: Readiness)
    /// Called on the reactor's thread when it ends.
    func reactorStopped(_ reason: String)
}
