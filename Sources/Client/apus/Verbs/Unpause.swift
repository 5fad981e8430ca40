let unpauseVerb = Verb(
    ["unpause", "container unpause"], "CONTAINER [CONTAINER...]", "Unpause all processes within one or more containers",
    operands: .atLeast(1)
) { invocation in
    await actOnEach(invocation, "unpause")
}
