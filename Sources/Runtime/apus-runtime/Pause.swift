internal import RuntimeCore

extension Verb {
    static let pause = Verb("pause", "suspend all processes of a container") { (invocation) throws(RuntimeError) in
        try invocation.container().pause()
        return 0
    }
}
