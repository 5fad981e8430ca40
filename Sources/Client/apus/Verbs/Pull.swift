internal import CoreTypes
internal import EngineAPI
internal import EngineClient

let pullVerb = Verb(
    ["pull", "image pull"], "[OPTIONS] NAME[:TAG|@DIGEST]", "Download an image from a registry",
    flags: [
        Flag("all-tags", "a", .bool(default: false), "Download all tagged images in the repository"),
        Flag("disable-content-trust", nil, .bool(default: true), "Skip image verification", isHidden: true),
        Flag("platform", nil, .string, "Set platform if server is multi-platform capable"),
        Flag("quiet", "q", .bool(default: false), "Suppress verbose output"),
    ], operands: .exactly(1)
) { invocation in
    let arguments = invocation.arguments
    let name = arguments.operands[0]
    let reference = try parsedReference(name)
    let isQuiet = arguments.bool("quiet")
    let takesAll = arguments.bool("all-tags")
    if takesAll, reference.tag != nil || reference.digest != nil { throw Complaint("tag can't be used with --all-tags/-a") }
    if !isQuiet, !takesAll, reference.tag == nil, reference.digest == nil { StandardStream.output.write("Using default tag: latest\n") }
    try await pull(
        reference, tag: takesAll ? "" : nil, platform: invocation.wantedPlatform, environment: invocation.environment,
        showing: isQuiet ? nil : PullDisplay(stream: .output))
    StandardStream.output.write("\(takesAll ? reference : reference.withDefaultTag)\n")
    return 0
}

/// The image that an operand names.
func parsedReference(_ name: String) throws(Complaint) -> ImageReference {
    do throws(InvalidImageReference) {
        return try ImageReference(name)
    } catch {
        throw Complaint("\(error)")
    }
}

/// Pulls an image with the credentials that `config.json` has for its registry.
/// - Parameters:
///   - tag: in place of what the reference says; empty for all that the repository has.
///   - display: where progress is shown; nil for nowhere.
func pull(
    _ reference: ImageReference, tag: String? = nil, platform: String?, environment: Environment, showing display: PullDisplay?
) async throws {
    let named = reference.digest?.description ?? reference.tag ?? ImageReference.defaultTag
    try await environment.client.pullImage(
        reference.name, tag: tag ?? named, platform: platform,
        credentials: environment.credentials(for: reference.domain)
    ) { await display?.show($0) }
}
