internal import CoreTypes
internal import EngineAPI
internal import EngineClient
internal import FoundationEssentials

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
            query.append((name, try moment(text)))
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

/// A moment as the API takes it, seconds since the epoch: from RFC 3339, from seconds, or from how long it is ago.
func moment(_ text: String, now: Date = Date()) throws(Complaint) -> String {
    if let nanoseconds = parseDuration(text) {
        return decimalSeconds(now.timeIntervalSince1970 - Double(nanoseconds) / 1e9)
    }
    if let seconds = Double(text), seconds.isFinite { return text }
    let forms = [text, text + "Z", text + ":00Z", text + "T00:00:00Z"]
    for form in forms {
        guard let stamp = try? Timestamp(form) else { continue }
        let fraction = String(stamp.nanoseconds)
        return "\(stamp.seconds).\(String(repeating: "0", count: 9 - fraction.count) + fraction)"
    }
    throw Complaint("failed to parse value as time or duration: \"\(text)\"")
}

private func decimalSeconds(_ seconds: Double) -> String {
    let whole = Int64(seconds.rounded(.down))
    let fraction = String(Int64(((seconds - Double(whole)) * 1e6).rounded(.down)))
    return "\(whole).\(String(repeating: "0", count: max(0, 6 - fraction.count)) + fraction)000"
}
