internal import CoreTypes
internal import EngineAPI
internal import EngineClient
internal import Templates

let eventsVerb = Verb(
    ["events", "system events"], "[OPTIONS]", "Get real time events from the server",
    flags: [
        Flag("cursor", nil, .string, "Number of the first event to show, and show numbers; survives the daemon"),
        Flag("filter", "f", .list, "Filter output based on conditions provided", placeholder: "filter"),
        Flag("format", nil, .string, objectFormatUsage),
        Flag("since", nil, .string, "Show all events created since timestamp"),
        Flag("until", nil, .string, "Stream events until this timestamp"),
    ]
) { invocation in
    let arguments = invocation.arguments
    let format = arguments.string("format") ?? ""
    let template = format.isEmpty || format == "json" ? nil : try eventTemplate(format)
    var query: [(name: String, value: String)] = []
    for name in ["since", "until"] {
        if let text = arguments.string(name), let moment = try moment(text) { query.append((name, moment)) }
    }
    if let text = arguments.string("cursor") {
        guard UInt64(text) != nil else { throw Complaint("invalid value for \"cursor\": \"\(text)\" is no number of an event") }
        query.append(("cursor", text))
    }
    let wanted = try filters(arguments.list("filter"))
    if !wanted.values.isEmpty { query.append(("filters", try wanted.query)) }
    try await invocation.environment.client.withLines(of: EngineRequest("GET", "/events", query: query)) { line in
        let event = try EngineJSON.decode(TemplateValue.self, from: line)
        let text = try template?.render(document: event, knownAs: .event) ?? (format == "json" ? event.json : eventText(event))
        StandardStream.output.write(text + "\n")
    }
    return 0
}

/// The template that prints one event, tried before there is one.
/// - Throws: `Complaint` in docker's words, with its exit code.
private func eventTemplate(_ text: String) throws(Complaint) -> Template {
    do throws(TemplateError) {
        let template = try Template(text)
        _ = try template.render(document: .map([.init("cursor", .integer(0))]), knownAs: .pointer(.event))
        return template
    } catch { throw Complaint("Error parsing format: \(error.message)", exitCode: 64) }
}

/// One event as docker prints it: `2026-11-21T10:00:00.000000000Z container start ID (image=busybox, name=web)`.
private func eventText(_ event: TemplateValue) -> String {
    var stamp = ""
    if case .integer(let nanoseconds)? = event[key: "timeNano"] {
        let fraction = String(nanoseconds % 1_000_000_000)
        let seconds = Timestamp(seconds: nanoseconds / 1_000_000_000).description
        stamp = "\(seconds.prefix(19)).\(String(repeating: "0", count: max(0, 9 - fraction.count)) + fraction)Z "
    }
    let actor = event[key: "Actor"] ?? .null
    let words = [event[key: "Type"], event[key: "Action"], actor[key: "ID"]].map { printable($0?.printed ?? "") }
    var text = stamp + words.joined(separator: " ")
    if case .map(let attributes)? = actor[key: "Attributes"], !attributes.isEmpty {
        let pairs = attributes.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value.printed)" }
        text += " (\(printable(pairs.joined(separator: ", "))))"
    }
    if case .integer(let number)? = event[key: "cursor"] { text += " #\(number)" }
    return text
}
