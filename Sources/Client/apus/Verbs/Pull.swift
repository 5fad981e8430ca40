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
        reference, tag: takesAll ? "" : nil, platform: arguments.string("platform"), environment: invocation.environment,
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

/// Shows the progress of a pull, or of an import from an address: a line a layer that is drawn anew on a terminal, a line an event elsewhere.
actor PullDisplay {
    private let stream: StandardStream
    private let isTerminal: Bool
    private var layers: [String] = []

    init(stream: StandardStream) {
        self.stream = stream
        isTerminal = stream.isTerminal
    }

    func show(_ message: ProgressMessage) {
        let status = printable(message.status)
        let isMoving = (message.progressDetail?.current ?? 0) > 0
        if (message.id.isEmpty && !isMoving) || status.hasPrefix("Pulling from") {
            // The same layer of the next image has a line of its own.
            layers = []
            stream.write(message.id.isEmpty ? "\(status)\n" : "\(printable(message.id)): \(status)\n")
        } else if isTerminal {
            redraw(printable(message.id), "\(status)\(isMoving ? " " + bar(message.progressDetail) : "")")
        } else if !isMoving {
            stream.write("\(printable(message.id)): \(status)\n")
        }
    }

    /// Moves up to the layer's line, writes it, and comes back down. - Source: ECMA-48, CUU, EL, CUD.
    private func redraw(_ layer: String, _ text: String) {
        let line: Int
        if let known = layers.firstIndex(of: layer) {
            line = known
        } else {
            line = layers.count
            layers.append(layer)
            stream.write("\n")
        }
        let up = layers.count - line
        let shown = layer.isEmpty ? text : "\(layer): \(text)"
        stream.write("\u{1B}[\(up)A\r\u{1B}[2K\(shown)\r\u{1B}[\(up)B")
    }

    /// The bar and its numbers, as docker draws them: the bar only where a line has room for it.
    private func bar(_ detail: ProgressDetail?) -> String {
        guard let detail else { return "" }
        guard detail.total > 0 else { return humanSize(detail.current, digits: 4) }
        let numbers = "\(humanSize(detail.current, digits: 4))/\(humanSize(detail.total, digits: 4))"
        guard let columns = stream.size?.columns, columns > 110 else { return numbers }
        let width: Int64 = 50
        let done = min(width, max(0, detail.current) / max(1, detail.total / width))
        let drawn = String(repeating: "=", count: Int(done)) + (done < width ? ">" : "")
        return "[\(drawn.padded(to: Int(width) + 1))]  \(numbers)"
    }
}
