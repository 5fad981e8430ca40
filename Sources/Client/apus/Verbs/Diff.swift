internal import EngineAPI
internal import EngineClient
internal import Templates

let diffVerb = Verb(
    ["diff", "container diff"], "CONTAINER", "Inspect changes to files or directories on a container's filesystem", operands: .exactly(1)
) { invocation in
    let request = EngineRequest("GET", "/containers/\(invocation.arguments.operands[0])/changes")
    for change in try await invocation.environment.client.value(request).elements {
        guard case .integer(let kind)? = change[key: "Kind"], case .text(let path)? = change[key: "Path"] else {
            throw EngineClientError.brokenExchange("a change without its kind and path")
        }
        let letter = kind == 0 ? "C" : kind == 1 ? "A" : "D"
        StandardStream.output.write("\(letter) \(printable(path))\n")
    }
    return 0
}
