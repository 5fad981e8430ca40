internal import EngineAPI
internal import EngineClient
internal import Templates

let topVerb = Verb(
    ["top", "container top"], "CONTAINER [ps OPTIONS]", "Display the running processes of a container", operands: .atLeast(1),
    interspersed: false
) { invocation in
    let operands = invocation.arguments.operands
    let options = operands.dropFirst().joined(separator: " ")
    let request = EngineRequest("GET", "/containers/\(operands[0])/top", query: options.isEmpty ? [] : [("ps_args", options)])
    let listed = try await invocation.environment.client.value(request)
    let rows = [listed[key: "Titles"] ?? .list([])] + (listed[key: "Processes"] ?? .null).elements
    StandardStream.output.write(tableText(rows.map { $0.elements.map { printable($0.printed) } }, leastWidth: 20))
    return 0
}
