internal import RuntimeCore

extension Verb {
    static let pause = Verb("pause", "suspend all processes of a container") { (invocation) throws(RuntimeError) in
        try invocation.container().pause()
        return 0
    }

    static let resume = Verb("resume", "let the processes of a paused container go on") { (invocation) throws(RuntimeError) in
        try invocation.container().resume()
        return 0
    }
}
