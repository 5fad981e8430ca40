internal import EngineClient

let renameVerb = Verb(
    ["rename", "container rename"], "CONTAINER NEW_NAME", "Rename a container", operands: .exactly(2)
) { invocation in
    let operands = invocation.arguments.operands
    let (old, new) = (trimmed(operands[0]), trimmed(operands[1]))
    if old.isEmpty || new.isEmpty { throw Complaint("Error: Neither old nor new names may be empty") }
    do {
        try await invocation.environment.client.act("rename", on: old, query: [("name", new)])
        return 0
    } catch let error as EngineClientError {
        if case .cannotConnect = error { throw error }
        throw Complaint("\(error)\nError: failed to rename container named \(old)")
    }
}
