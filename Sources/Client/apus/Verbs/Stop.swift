let stopVerb = Verb(
    ["stop", "container stop"], "[OPTIONS] CONTAINER [CONTAINER...]", "Stop one or more running containers",
    flags: stopFlags, operands: .atLeast(1)
) { invocation in
    await actOnEach(invocation, "stop", query: stopQuery(invocation.arguments))
}

/// The flags that `stop` and `restart` share.
let stopFlags = [
    Flag("signal", "s", .string, "Signal to send to the container"),
    Flag("timeout", "t", .integer, "Seconds to wait before killing the container"),
    Flag("time", nil, .integer, "Seconds to wait before killing the container", isHidden: true),
]

func stopQuery(_ arguments: Arguments) -> [(name: String, value: String)] {
    var query: [(name: String, value: String)] = []
    if let signal = arguments.string("signal") { query.append(("signal", signal)) }
    if let seconds = arguments.string("timeout") ?? arguments.string("time") { query.append(("t", seconds)) }
    return query
}
