internal import EngineAPI
internal import EngineClient

let inspectVerb = Verb(
    ["inspect"], "[OPTIONS] NAME|ID [NAME|ID...]", "Return low-level information on Docker objects",
    flags: inspectFlags + [Flag("type", nil, .string, "Only inspect objects of the given type")], operands: .atLeast(1)
) { invocation in
    switch invocation.arguments.string("type") ?? "" {
    case "": try await inspect(invocation, [.container, .image])
    case "container": try await inspect(invocation, [.container])
    case "image": try await inspect(invocation, [.image])
    case let type: throw UsageError(operands: "\"\(type)\" is not a valid value for --type: use container or image")
    }
}

let containerInspectVerb = Verb(
    ["container inspect"], "[OPTIONS] CONTAINER [CONTAINER...]", "Display detailed information on one or more containers",
    flags: inspectFlags, operands: .atLeast(1)
) { try await inspect($0, [.container]) }

let imageInspectVerb = Verb(
    ["image inspect"], "[OPTIONS] IMAGE [IMAGE...]", "Display detailed information on one or more images",
    flags: inspectFlags, operands: .atLeast(1)
) { try await inspect($0, [.image]) }

private let inspectFlags = [
    Flag("format", "f", .string, "Format output using a custom template: 'json' or a Go template"),
    Flag("size", "s", .bool(default: false), "Display total file sizes if the type is container"),
]

/// What can be inspected.
private enum ObjectKind: String {
    case container
    case image

    func request(_ name: String, withSize: Bool) -> EngineRequest {
        switch self {
        case .container: EngineRequest("GET", "/containers/\(name)/json", query: withSize ? [("size", "1")] : [])
        case .image: EngineRequest("GET", "/images/\(name)/json")
        }
    }
}

private func inspect(_ invocation: Invocation, _ kinds: [ObjectKind]) async throws -> Int32 {
    let arguments = invocation.arguments
    let format = arguments.string("format") ?? ""
    let template = format.isEmpty || format == "json" ? nil : try Template(format)
    var found: [TemplateValue] = []
    var complaints = ""
    for name in arguments.operands {
        if let object = try await find(name, kinds, invocation) {
            found.append(object)
        } else {
            complaints +=
                kinds.count == 1 ? "Error response from daemon: No such \(kinds[0]): \(name)\n" : "Error: No such object: \(name)\n"
        }
    }
    if let template {
        for object in found { StandardStream.output.write(try template.render(object) + "\n") }
    } else {
        let all = TemplateValue.list(found)
        StandardStream.output.write((format == "json" ? all.json : all.indentedJSON) + "\n")
    }
    StandardStream.error.write(complaints)
    return complaints.isEmpty ? 0 : 1
}

private func find(_ name: String, _ kinds: [ObjectKind], _ invocation: Invocation) async throws -> TemplateValue? {
    for kind in kinds {
        do {
            let request = kind.request(name, withSize: invocation.arguments.bool("size"))
            return try EngineJSON.decode(TemplateValue.self, from: try await invocation.environment.client.answer(to: request))
        } catch EngineClientError.refused(status: 404, _) {
            continue
        }
    }
    return nil
}
