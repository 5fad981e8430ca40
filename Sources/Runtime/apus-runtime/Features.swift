internal import OCISpec
internal import RuntimeCore

extension Verb {
    static let features = Verb("features", "show what this runtime can do", operands: "", operandCount: 0...0) {
        (invocation) throws(RuntimeError) in
        try output(runtimeFeatures().encode(indented: true) + Array("\n".utf8))
        return 0
    }
}
