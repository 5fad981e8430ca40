let restartVerb = Verb(
    ["restart", "container restart"], "[OPTIONS] CONTAINER [CONTAINER...]", "Restart one or more containers",
    flags: stopFlags, operands: .atLeast(1)
) { invocation in
    await actOnEach(invocation, "restart", query: stopQuery(invocation.arguments))
}
