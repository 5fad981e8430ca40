internal import LinuxSyscalls
internal import RuntimeCore

extension Verb {
    static let state = Verb("state", "output the state of a container") { (invocation) throws(RuntimeError) in
        try output(try ContainerSummary(of: try invocation.container()).document)
        return 0
    }
}

/// Writes a verb's result.
func output(_ bytes: [UInt8]) throws(RuntimeError) {
    try during("writing the result") { () throws(SyscallError) in try writeAll(bytes, to: 1, subject: "standard output") }
}
