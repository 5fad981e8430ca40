let killVerb = Verb(
    ["kill", "container kill"], "[OPTIONS] CONTAINER [CONTAINER...]", "Kill one or more running containers",
    flags: [Flag("signal", "s", .string, "Signal to send to the container")], operands: .atLeast(1)
) { invocation in
    await actOnEach(invocation, "kill", query: [("signal", invocation.arguments.string("signal") ?? "KILL")])
}
