internal import RuntimeCore

extension Verb {
    static let start = Verb("start", "execute the program of a created container") { (invocation) throws(RuntimeError) in
        try invocation.container().start(invocation.journal)
        return 0
    }
}
