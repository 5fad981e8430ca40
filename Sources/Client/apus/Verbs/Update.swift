internal import EngineAPI
internal import EngineClient
internal import Templates

/// The flags of `run` that a container's limits can be changed by.
private let changeable: Set = [
    "blkio-weight", "cpu-period", "cpu-quota", "cpu-rt-period", "cpu-rt-runtime", "cpu-shares", "cpus", "cpuset-cpus", "cpuset-mems",
    "memory", "memory-reservation", "memory-swap", "pids-limit",
]

let updateVerb = Verb(
    ["update", "container update"], "[OPTIONS] CONTAINER [CONTAINER...]", "Update configuration of one or more containers",
    flags: containerFlags.filter { changeable.contains($0.name) } + [
        Flag("restart", nil, .string, "Restart policy to apply when a container exits")
    ], operands: .atLeast(1)
) { invocation in
    let arguments = invocation.arguments
    guard (changeable.union(["restart"])).contains(where: arguments.has) else {
        throw Complaint("you must provide one or more flags when using this command")
    }
    // What is zero here stays as it is there.
    var changes = HostConfig()
    limit(&changes, by: arguments)
    changes.restartPolicy = try restartPolicy(arguments.string("restart") ?? "")
    let body = try EngineJSON.encode(changes)
    var warnings: [String] = []
    let code = await forEachOperand(invocation) { name in
        let answer = try await invocation.environment.client.value(EngineRequest("POST", "/containers/\(name)/update", body: body))
        warnings += (answer[key: "Warnings"] ?? .null).elements.map(\.printed)
        StandardStream.output.write(name + "\n")
    }
    for warning in warnings { StandardStream.output.write("\(warning)\n") }
    return code
}
