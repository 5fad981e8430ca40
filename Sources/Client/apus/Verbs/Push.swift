internal import CoreTypes
internal import EngineAPI
internal import EngineClient

let pushVerb = Verb(
    ["push", "image push"], "[OPTIONS] NAME[:TAG]", "Upload an image to a registry",
    flags: [
        Flag("all-tags", "a", .bool(default: false), "Push all tags of an image to the repository"),
        Flag("disable-content-trust", nil, .bool(default: true), "Skip image signing", isHidden: true),
        platformFlag("Push only the given platform variant, which is the one that the daemon has"),
        Flag("quiet", "q", .bool(default: false), "Suppress verbose output"),
    ], operands: .exactly(1)
) { invocation in
    let arguments = invocation.arguments
    let reference = try parsedReference(arguments.operands[0])
    let platform = try arguments.platform()
    let isWhole = arguments.bool("all-tags")
    guard reference.digest == nil else { throw Complaint("cannot push a digest reference") }
    if isWhole, reference.tag != nil { throw Complaint("tag can't be used with --all-tags/-a") }
    let isQuiet = arguments.bool("quiet")
    if !isQuiet, !isWhole, reference.tag == nil { StandardStream.output.write("Using default tag: latest\n") }
    let display = isQuiet ? nil : PullDisplay(stream: .output)
    let environment = invocation.environment
    try await environment.client.pushImage(
        reference.name, tag: isWhole ? "" : reference.tag ?? ImageReference.defaultTag, platform: platform,
        credentials: environment.credentials(for: reference.domain)
    ) { message in
        if message.aux == nil { await display?.show(message) }
    }
    if isQuiet { StandardStream.output.write("\(isWhole ? reference : reference.withDefaultTag)\n") }
    return 0
}
