let pauseVerb = Verb(
    ["pause", "container pause"], "CONTAINER [CONTAINER...]", "Pause all processes within one or more containers", operands: .atLeast(1)
) { invocation in
    await actOnEach(invocation, "pause")
}
