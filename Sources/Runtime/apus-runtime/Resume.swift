internal import RuntimeCore

extension Verb {
    static let resume = Verb("resume", "let the processes of a paused container go on") { (invocation) throws(RuntimeError) in
        try invocation.container().resume()
        invocation.journal.debug("container \(invocation.id): resumed")
        return 0
    }
}
