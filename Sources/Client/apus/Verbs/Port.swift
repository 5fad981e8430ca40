internal import EngineAPI
internal import EngineClient

let portVerb = Verb(
    ["port", "container port"], "CONTAINER [PRIVATE_PORT[/PROTO]]",
    "List port mappings or a specific mapping for the container", operands: .between(1, 2)
) { invocation in
    let operands = invocation.arguments.operands
    let ports = try await invocation.environment.client.container(operands[0]).networkSettings.ports
    func lines(_ port: String, _ prefix: String) -> [String] {
        (ports[port].flatMap(\.self) ?? []).map { binding in
            "\(prefix)\(binding.hostIP.contains(":") ? "[\(binding.hostIP)]" : binding.hostIP):\(binding.hostPort)\n"
        }
    }
    guard operands.count == 2 else {
        let all = ports.keys.flatMap { lines($0, "\($0) -> ") }
        StandardStream.output.write(all.sorted(by: precedesNaturally).joined())
        return 0
    }
    let found = lines(try privatePort(operands[1]), "")
    if found.isEmpty { throw Complaint("Error: No public port '\(operands[1])' published for \(operands[0])") }
    StandardStream.output.write(found.sorted(by: precedesNaturally).joined())
    return 0
}
