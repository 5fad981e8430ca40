internal import CoreTypes
internal import EngineAPI
internal import EngineClient
internal import FoundationEssentials
internal import Templates

let imagesVerb = Verb(
    ["images", "image ls", "image list"], "[OPTIONS] [REPOSITORY[:TAG]]", "List images",
    flags: [
        Flag("all", "a", .bool(default: false), "Show all images (default hides intermediate images)"),
        Flag("digests", nil, .bool(default: false), "Show digests"),
        Flag("filter", "f", .list, "Filter output based on conditions provided", placeholder: "filter"),
        Flag("format", nil, .string, formatUsage),
        Flag("no-trunc", nil, .bool(default: false), "Don't truncate output"),
        Flag("quiet", "q", .bool(default: false), "Only show image IDs"),
        Flag("tree", nil, .bool(default: false), "Show each image with its names and its platform's manifest"),
    ], operands: .atMost(1)
) { invocation in
    let arguments = invocation.arguments
    let wanted = arguments.list("filter") + arguments.operands.map { "reference=\($0)" }
    let isTree = arguments.bool("tree")
    if isTree { try refuseWithTree(arguments) }
    let images = try await invocation.environment.client.images(
        all: arguments.bool("all"), filters: try filters(wanted), withManifests: isTree)
    if isTree {
        StandardStream.output.write(imageTree(images, isWhole: arguments.bool("no-trunc")))
        return 0
    }
    let isQuiet = arguments.bool("quiet")
    let asked = ListFormat(invocation.listFormat("imagesFormat"), raw: rawRow(isQuiet: isQuiet, withDigest: arguments.bool("digests")))
    let format = isQuiet && asked == .table(nil) ? ListFormat("{{.ID}}") : asked
    let now = Int64(Date().timeIntervalSince1970)
    let showsDigests = arguments.bool("digests")
    let withDigests = showsDigests || format.mentions("Digest")
    let ageless = format == .table(nil) ? "N/A" : ""
    let rows = images.flatMap {
        imageRows($0, now: now, isWhole: arguments.bool("no-trunc"), withDigests: withDigests, ageless: ageless)
    }
    let byDefault = ["Repository", "Tag"] + (showsDigests ? ["Digest"] : []) + ["ID", "CreatedSince", "Size"]
    StandardStream.output.write(try listText(rows, of: .image, columns: imageColumns, byDefault: byDefault, format: format))
    return 0
}

/// What `--format raw` prints of an image.
private func rawRow(isQuiet: Bool, withDigest: Bool) -> String {
    if isQuiet { return "image_id: {{.ID}}" }
    return "repository: {{.Repository}}\ntag: {{.Tag}}\n" + (withDigest ? "digest: {{.Digest}}\n" : "")
        + "image_id: {{.ID}}\ncreated_at: {{.CreatedAt}}\nvirtual_size: {{.Size}}\n"
}

/// What a tree has no place for, in docker's words.
private func refuseWithTree(_ arguments: Arguments) throws(Complaint) {
    if arguments.bool("quiet") { throw Complaint("--quiet is not yet supported with --tree") }
    if arguments.bool("digests") { throw Complaint("--show-digest is not yet supported with --tree") }
    if arguments.string("format") != nil { throw Complaint("--format is not yet supported with --tree") }
}

let imageColumns = [
    Column("Containers", "CONTAINERS"), Column("CreatedAt", "CREATED AT"), Column("CreatedSince", "CREATED"),
    Column("Digest", "DIGEST"), Column("ID", "IMAGE ID"), Column("Repository", "REPOSITORY"), Column("SharedSize", "SHARED SIZE"),
    Column("Size", "SIZE"), Column("Tag", "TAG"), Column("UniqueSize", "UNIQUE SIZE"), Column("VirtualSize", "VIRTUAL SIZE"),
]

/// One row a name: a tag, or a digest of a repository that has no tag here; one row for an image without any.
/// - Parameter ageless: the age of an image of which nobody knows when it was made.
func imageRows(
    _ image: ImageSummary, now: Int64, isWhole: Bool, withDigests: Bool, ageless: String = "N/A"
) -> [TemplateValue] {
    let digests = Dictionary(
        image.repoDigests.map { splitOnce($0, at: "@") }.map { ($0, $1 ?? "") }, uniquingKeysWith: { first, _ in first })
    var names: [(repository: String, tag: String, digest: String)] = image.repoTags.filter { $0 != "<none>:<none>" }.map { name in
        let colon = name.lastIndex(of: ":") ?? name.endIndex
        let repository = String(name[..<colon])
        return (repository, String(name[colon...].dropFirst()), digests[repository] ?? "<none>")
    }
    let tagged = Set(names.map(\.repository))
    names += digests.filter { !tagged.contains($0.key) && $0.key != "<none>" }.sorted { $0.key < $1.key }
        .map { ($0.key, "<none>", $0.value) }
    if names.isEmpty { names = [("<none>", "<none>", "<none>")] }
    return names.map { name in
        let fields: [(String, String)] = [
            ("Containers", image.containers < 0 ? "N/A" : String(image.containers)), ("CreatedAt", tableTime(seconds: image.created)),
            ("CreatedSince", image.created == Timestamp.zero.seconds ? ageless : Ages.words(seconds: now - image.created) + " ago"),
            ("Digest", withDigests ? name.digest : "<none>"), ("ID", isWhole ? image.id : shortID(image.id)),
            ("Repository", name.repository),
            ("SharedSize", image.sharedSize < 0 ? "N/A" : humanSize(image.sharedSize)), ("Size", humanSize(image.size)),
            ("Tag", name.tag), ("UniqueSize", "N/A"), ("VirtualSize", humanSize(image.virtualSize ?? image.size, digits: 4)),
        ]
        return .map(fields.map { .init($0.0, .text(printable($0.1))) })
    }
}
