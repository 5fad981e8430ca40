internal import CoreTypes
internal import EngineAPI
internal import EngineClient
internal import FoundationEssentials
internal import Templates

let psVerb = Verb(
    ["ps", "container ls", "container list", "container ps"], "[OPTIONS]", "List containers",
    flags: [
        Flag("all", "a", .bool(default: false), "Show all containers (default shows just running)"),
        Flag("filter", "f", .list, "Filter output based on conditions provided", placeholder: "filter"),
        Flag("format", nil, .string, formatUsage),
        Flag("last", "n", .integer, "Show n last created containers (includes all states)", defaultText: "-1"),
        Flag("latest", "l", .bool(default: false), "Show the latest created container (includes all states)"),
        Flag("no-trunc", nil, .bool(default: false), "Don't truncate output"),
        Flag("quiet", "q", .bool(default: false), "Only display container IDs"),
        Flag("size", "s", .bool(default: false), "Display total file sizes"),
    ]
) { invocation in
    let arguments = invocation.arguments
    let last = arguments.bool("latest") ? 1 : arguments.integer("last").flatMap { $0 > 0 ? Int(exactly: $0) : nil }
    let asked = invocation.listFormat("psFormat")
    let raw = rawRow(isQuiet: arguments.bool("quiet"), withSize: arguments.bool("size"))
    let format = ListFormat(arguments.bool("quiet") && asked != "raw" ? "{{.ID}}" : asked, raw: raw)
    if arguments.bool("quiet"), arguments.has("format") {
        StandardStream.error.write("WARNING: Ignoring custom format, because both --format and --quiet are set.\n")
    }
    // Sizes cost a walk through the container's layer, so they are asked for where they are shown only.
    let withSizes = arguments.bool("size", default: format.mentions("Size") || format.printsWholeRows)
    let containers = try await invocation.environment.client.containers(
        all: arguments.bool("all"), limit: last, withSizes: withSizes, filters: try filters(arguments.list("filter")))
    let now = Int64(Date().timeIntervalSince1970)
    let rows = containers.map { containerRow($0, now: now, isWhole: arguments.bool("no-trunc")) }
    var byDefault = ["ID", "Image", "Command", "RunningFor", "Status", "Ports", "Names"]
    if arguments.bool("size") { byDefault.append("Size") }
    let whole = arguments.bool("quiet") ? nil : asked
    StandardStream.output.write(
        try listText(rows, of: .container, columns: containerColumns, byDefault: byDefault, format: format, whole: whole))
    return 0
}

/// What `--format raw` prints of a container.
private func rawRow(isQuiet: Bool, withSize: Bool) -> String {
    if isQuiet { return "container_id: {{.ID}}" }
    let always = [("container_id", "ID"), ("image", "Image"), ("command", "Command"), ("created_at", "CreatedAt")]
    // No space stands behind the colon of one that is empty.
    let others = ["State", "Status"].map { ($0, false) } + [("Names", true), ("Labels", false), ("Ports", false)]
    var lines = always.map { "\($0.0): {{.\($0.1)}}\n" }
    lines += others.map { field, isPlain in
        "\(field.lowercased()):" + (isPlain ? " {{.\(field)}}\n" : "{{with .\(field)}} {{.}}{{end}}\n")
    }
    return lines.joined() + (withSize ? "size: {{.Size}}\n" : "")
}

let formatUsage = """
    Format output using a custom template:
    'table':            Print output in table format with column headers (default)
    'table TEMPLATE':   Print output in table format using the given Go template
    'json':             Print in JSON format
    'TEMPLATE':         Print output using the given Go template
    """

/// `-f key=value`, repeated, as the API's filters.
/// - Parameter flag: as it is named where one is malformed.
func filters(_ texts: [String], flag: String = "-f, --filter") throws(UsageError) -> Filters {
    var values: [String: [String]] = [:]
    for text in texts where !text.isEmpty {
        let (key, value) = splitOnce(text, at: "=")
        guard let value else {
            throw UsageError(
                flag: "invalid argument \(goQuoted(text)) for \"\(flag)\" flag: bad format of filter (expected name=value)")
        }
        values[trimmed(key).lowercased(), default: []].append(trimmed(value))
    }
    return Filters(values)
}

let containerColumns = [
    Column("Command", "COMMAND"), Column("CreatedAt", "CREATED AT"), Column("ID", "CONTAINER ID"), Column("Image", "IMAGE"),
    Column("Labels", "LABELS"), Column("LocalVolumes", "LOCAL VOLUMES"), Column("Mounts", "MOUNTS"), Column("Names", "NAMES"),
    Column("Networks", "NETWORKS"), Column("Platform", "PLATFORM"), Column("Ports", "PORTS"), Column("RunningFor", "CREATED"),
    Column("Size", "SIZE"),
    Column("State", "STATE"), Column("Status", "STATUS"),
]

/// - Parameter showsVirtualSize: whether the size with the image stands behind what was written.
func containerRow(_ container: ContainerSummary, now: Int64, isWhole: Bool, showsVirtualSize: Bool = true) -> TemplateValue {
    let names = container.names.map { $0.hasPrefix("/") ? String($0.dropFirst()) : $0 }
    let command = goQuoted(isWhole ? container.command : shortened(container.command, to: 20))
    let mounts = container.mounts.map { $0.name.isEmpty ? $0.source : $0.name }.map { isWhole ? $0 : shortened($0, to: 15) }
    let volumes = container.mounts.filter { $0.driver == "local" }.count
    let size =
        container.sizeReadWrite.map { written in
            humanSize(written)
                + (container.sizeRootFilesystem.flatMap { showsVirtualSize ? $0 : nil }.map { " (virtual \(humanSize($0)))" } ?? "")
        } ?? "0B"
    let fields: [(String, String)] = [
        ("Command", command), ("CreatedAt", tableTime(seconds: container.created)),
        ("ID", isWhole ? container.id : shortID(container.id)),
        ("Image", isWhole || !container.image.hasPrefix("sha256:") ? container.image : shortID(container.image)),
        ("Labels", container.labels.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }.joined(separator: ",")),
        ("LocalVolumes", String(volumes)), ("Mounts", mounts.joined(separator: ",")), ("Names", names.joined(separator: ",")),
        ("Networks", container.networkSettings.networks.keys.sorted().joined(separator: ",")),
        ("Ports", portsText(container.ports)),
        ("RunningFor", Ages.words(seconds: now - container.created) + " ago"), ("Size", size),
        ("State", container.state), ("Status", container.status),
    ]
    let entries = fields.map { TemplateValue.Entry($0.0, .text(printable($0.1))) } + [.init("Platform", .null)]
    return .map(entries.sorted { $0.key < $1.key })
}
