internal import CoreTypes
internal import EngineAPI
internal import EngineClient
internal import Templates

let inspectVerb = Verb(
    ["inspect"], "[OPTIONS] NAME|ID [NAME|ID...]", "Return low-level information on objects of the daemon",
    flags: inspectFlags + [sizeFlag, Flag("type", nil, .string, "Only inspect objects of the given type")], operands: .atLeast(1)
) { invocation in
    guard let type = invocation.arguments.string("type"), !type.isEmpty else { return try await inspect(invocation, ObjectKind.allCases) }
    guard let kind = ObjectKind(rawValue: type) else {
        let known = ObjectKind.allCases.map { "\"\($0)\"" }.joined(separator: ", ")
        throw Complaint("unknown type: \(goQuoted(type)): must be one of \(known)")
    }
    return try await inspect(invocation, [kind])
}

let containerInspectVerb = Verb(
    ["container inspect"], "[OPTIONS] CONTAINER [CONTAINER...]", "Display detailed information on one or more containers",
    flags: inspectFlags + [sizeFlag], operands: .atLeast(1)
) { try await inspect($0, [.container]) }

let imageInspectVerb = Verb(
    ["image inspect"], "[OPTIONS] IMAGE [IMAGE...]", "Display detailed information on one or more images",
    flags: inspectFlags + [platformFlag("Inspect the image of the given platform")], operands: .atLeast(1)
) { try await inspect($0, [.image]) }

let volumeInspectVerb = Verb(
    ["volume inspect"], "[OPTIONS] VOLUME [VOLUME...]", "Display detailed information on one or more volumes",
    flags: inspectFlags, operands: .atLeast(1)
) { try await inspect($0, [.volume]) }

let inspectFlags = [Flag("format", "f", .string, objectFormatUsage)]

private let sizeFlag = Flag("size", "s", .bool(default: false), "Display total file sizes if the type is container")

let objectFormatUsage = """
    Format output using a custom template:
    'json':             Print in JSON format
    'TEMPLATE':         Print output using the given Go template
    """

/// What can be inspected, in the order in which a name is looked for.
enum ObjectKind: String, CaseIterable {
    case container
    case image
    case network
    case volume

    /// What templates see of its document.
    var type: GoType {
        switch self {
        case .container: .container
        case .image: .image
        case .network: .network
        case .volume: .volume
        }
    }

    /// - Parameter platform: what an image must be of; nil is any.
    func request(_ name: String, withSize: Bool, isVerbose: Bool, platform: Platform?) throws -> EngineRequest {
        switch self {
        case .container: EngineRequest("GET", "/containers/\(name)/json", query: withSize ? [("size", "1")] : [])
        case .image: try Client.inspection(ofImage: name, platform: platform)
        case .network: EngineRequest("GET", "/networks/\(name)", query: isVerbose ? [("verbose", "true")] : [])
        case .volume: EngineRequest("GET", "/volumes/\(name)")
        }
    }
}

func inspect(_ invocation: Invocation, _ kinds: [ObjectKind]) async throws -> Int32 {
    let arguments = invocation.arguments
    let format = arguments.string("format") ?? ""
    let platform = try arguments.platform()
    let template = format.isEmpty || format == "json" ? nil : try objectTemplate(format)
    var found: [TemplateValue] = []
    var text = ""
    var complaints = ""
    for name in arguments.operands {
        do {
            let (object, kind) = try await object(name, kinds, invocation, platform)
            if let template { text += try template.render(document: object, as: kind.type) + "\n" } else { found.append(object) }
        } catch let error as EngineClientError {
            if case .cannotConnect = error { throw error }
            complaints += "\(error)\n"
        } catch let error as Complaint {
            complaints += "\(error)\n"
        } catch let error as TemplateError {
            complaints += "\(error)\n"
        }
    }
    if template != nil {
        StandardStream.output.write(text.isEmpty ? "\n" : text)
    } else {
        let all = TemplateValue.list(found)
        StandardStream.output.write((format == "json" ? all.json : all.indentedJSON) + "\n")
    }
    StandardStream.error.write(complaints)
    return complaints.isEmpty ? 0 : 1
}

/// The template that prints one object.
/// - Parameter name: as errors show it.
/// - Throws: `Complaint` with docker's exit code for one that cannot be read.
func objectTemplate(_ text: String, name: String = "") throws(Complaint) -> Template {
    do throws(TemplateError) {
        return try Template(text, name: name)
    } catch {
        throw Complaint("\(error)", exitCode: 64)
    }
}

/// Whether a refusal says that there is nothing of that name, which may be none for an image.
private func meansNone(_ status: Int, _ message: String) -> Bool {
    status == 404 || (status == 400 && message.contains("invalid reference format"))
}

/// The first object of that name among `kinds`.
/// - Throws: the daemon's refusal; where several kinds were looked through in vain, `Complaint`.
private func object(
    _ name: String, _ kinds: [ObjectKind], _ invocation: Invocation, _ platform: Platform?
) async throws -> (object: TemplateValue, kind: ObjectKind) {
    for kind in kinds {
        do {
            let arguments = invocation.arguments
            let request = try kind.request(
                name, withSize: arguments.bool("size"), isVerbose: arguments.bool("verbose"), platform: platform)
            return (try EngineJSON.decode(TemplateValue.self, from: try await invocation.environment.client.answer(to: request)), kind)
        } catch EngineClientError.refused(let status, let message) where kinds.count > 1 && meansNone(status, message) {
            continue
        }
    }
    throw Complaint("Error: No such object: \(name)")
}
