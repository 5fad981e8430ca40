internal import RuntimeCore

extension Verb {
    static let pause = Verb("pause", "suspend all processes of a container") { (invocation) throws(RuntimeError) in
        try invocation.container().pause()
        invocation.journal.debug("container \(invocation.id): paused")
        return 0
    }
}
