internal import CoreTypes
internal import EngineAPI
internal import EngineClient
internal import FoundationEssentials

let historyVerb = Verb(
    ["history", "image history"], "[OPTIONS] IMAGE", "Show the history of an image",
    flags: [
        Flag("format", nil, .string, formatUsage),
        Flag("human", "H", .bool(default: true), "Print sizes and dates in human readable format"),
        Flag("no-trunc", nil, .bool(default: false), "Don't truncate output"),
        Flag("quiet", "q", .bool(default: false), "Only show image IDs"),
    ], operands: .exactly(1)
) { invocation in
    let arguments = invocation.arguments
    let steps = try await invocation.environment.client.imageHistory(arguments.operands[0])
    let asked = ListFormat(arguments.string("format"))
    let format = arguments.bool("quiet") && asked == .table(nil) ? ListFormat("{{.ID}}") : asked
    let now = Int64(Date().timeIntervalSince1970)
    let rows = steps.map { historyRow($0, now: now, isWhole: arguments.bool("no-trunc"), isHuman: arguments.bool("human", default: true)) }
    let byDefault = ["ID", "CreatedSince", "CreatedBy", "Size", "Comment"]
    StandardStream.output.write(try listText(rows, columns: historyColumns, byDefault: byDefault, format: format))
    return 0
}

private let historyColumns = [
    Column("Comment", "COMMENT"), Column("CreatedAt", "CREATED AT"), Column("CreatedBy", "CREATED BY"),
    Column("CreatedSince", "CREATED"), Column("ID", "IMAGE"), Column("Size", "SIZE"),
]

private func historyRow(_ step: ImageHistoryItem, now: Int64, isWhole: Bool, isHuman: Bool) -> TemplateValue {
    let moment = Timestamp(seconds: step.created).description
    let age = step.created <= 0 ? "N/A" : Ages.words(seconds: now - step.created) + " ago"
    let instruction = String(step.createdBy.map { $0 == "\t" ? " " : $0 })
    let fields: [(String, String)] = [
        ("Comment", step.comment), ("CreatedAt", moment), ("CreatedBy", isWhole ? instruction : shortened(instruction, to: 45)),
        ("CreatedSince", isHuman ? age : moment), ("ID", isWhole ? step.id : shortID(step.id)),
        ("Size", isHuman ? humanSize(step.size) : String(step.size)),
    ]
    return .map(fields.map { .init($0.0, .text(printable($0.1))) })
}

let imagePruneVerb = Verb(
    ["image prune"], "[OPTIONS]", "Remove unused images",
    flags: [
        Flag("all", "a", .bool(default: false), "Remove all unused images, not just dangling ones"),
        Flag("filter", nil, .list, "Provide filter values (e.g. \"until=<timestamp>\")", placeholder: "filter"),
        Flag("force", "f", .bool(default: false), "Do not prompt for confirmation"),
    ]
) { invocation in
    let arguments = invocation.arguments
    let warning =
        arguments.bool("all")
        ? "WARNING! This will remove all images without at least one container associated to them.\n"
        : "WARNING! This will remove all dangling images.\n"
    guard arguments.bool("force") || confirmed(warning) else { return 0 }
    let wanted = try filters(arguments.list("filter") + ["dangling=\(!arguments.bool("all"))"])
    let report = try await invocation.environment.client.pruneImages(filters: wanted)
    if !report.imagesDeleted.isEmpty {
        let lines = report.imagesDeleted.map { $0.untagged.isEmpty ? "deleted: \($0.deleted)\n" : "untagged: \($0.untagged)\n" }
        StandardStream.output.write("Deleted Images:\n\(lines.joined())\n")
    }
    StandardStream.output.write("Total reclaimed space: \(humanSize(Int64(clamping: report.spaceReclaimed)))\n")
    return 0
}

/// Asks whether to go on; only `y` is yes.
private func confirmed(_ warning: String) -> Bool {
    StandardStream.output.write("\(warning)Are you sure you want to continue? [y/N] ")
    return readLine().map { ["y", "Y", "yes"].contains($0) } ?? false
}
