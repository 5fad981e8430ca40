internal import EngineClient

/// Does the same to each operand and goes on past those that fail: their errors go to standard error, and the exit
/// code is then 1.
func forEachOperand(_ invocation: Invocation, _ body: (String) async throws -> Void) async -> Int32 {
    var exitCode: Int32 = 0
    for operand in invocation.arguments.operands {
        do {
            try await body(operand)
        } catch {
            StandardStream.error.write("\(error)\n")
            exitCode = 1
            // Nobody there: the other operands would only say the same again.
            if case EngineClientError.cannotConnect = error { break }
        }
    }
    return exitCode
}
