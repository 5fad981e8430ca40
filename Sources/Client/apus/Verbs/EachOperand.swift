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

/// Does `action` to each container and echoes its name as typed.
func actOnEach(_ invocation: Invocation, _ action: String, query: [(name: String, value: String)] = []) async -> Int32 {
    await forEachOperand(invocation) { name in
        try await invocation.environment.client.act(action, on: name, query: query)
        StandardStream.output.write(name + "\n")
    }
}
