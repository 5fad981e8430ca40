internal import CoreTypes
internal import EngineAPI
internal import EngineClient

let logsVerb = Verb(
    ["logs", "container logs"], "[OPTIONS] CONTAINER", "Fetch the logs of a container",
    flags: [
        Flag("clear", nil, .bool(default: false), "Remove what was logged so far, and show nothing"),
        Flag("details", nil, .bool(default: false), "Show extra details provided to logs"),
        Flag("follow", "f", .bool(default: false), "Follow log output"),
        Flag(
            "since", nil, .string,
            "Show logs since timestamp (e.g. \"2013-01-02T13:23:37Z\") or relative (e.g. \"42m\" for 42 minutes)"),
        Flag("tail", "n", .string, "Number of lines to show from the end of the logs", defaultText: "all"),
        Flag("timestamps", "t", .bool(default: false), "Show timestamps"),
        Flag(
            "until", nil, .string,
            "Show logs before a timestamp (e.g. \"2013-01-02T13:23:37Z\") or relative (e.g. \"42m\" for 42 minutes)"),
    ], operands: .exactly(1)
) { invocation in
    let arguments = invocation.arguments
    let client = invocation.environment.client
    let inspected = try await client.container(arguments.operands[0])
    if arguments.bool("clear") {
        _ = try await client.answer(to: EngineRequest("DELETE", "/containers/\(inspected.id)/logs"))
        return 0
    }
    var query: [(name: String, value: String)] = [("stdout", "1"), ("stderr", "1"), ("tail", arguments.string("tail") ?? "all")]
    for name in ["details", "follow", "timestamps"] where arguments.bool(name) { query.append((name, "1")) }
    for name in ["since", "until"] {
        guard let text = arguments.string(name) else { continue }
        do throws(Complaint) {
            if let moment = try moment(text) { query.append((name, moment)) }
        } catch {
            throw Complaint("invalid value for \"\(name)\": \(error)")
        }
    }
    try await client.withAnswer(to: EngineRequest("GET", "/containers/\(inspected.id)/logs", query: query)) { answer in
        if inspected.config.tty {
            for try await chunk in answer.bytes { StandardStream.output.write(chunk) }
        } else {
            try await showFrames(answer.bytes)
        }
    }
    return 0
}
