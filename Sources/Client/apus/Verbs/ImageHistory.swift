internal import CoreTypes
internal import EngineAPI
internal import EngineClient
internal import FoundationEssentials
internal import Templates

let historyVerb = Verb(
    ["history", "image history"], "[OPTIONS] IMAGE", "Show the history of an image",
    flags: [
        Flag("format", nil, .string, formatUsage),
        Flag("human", "H", .bool(default: true), "Print sizes and dates in human readable format"),
        Flag("no-trunc", nil, .bool(default: false), "Don't truncate output"),
        platformFlag("Show history for the given platform"),
        Flag("quiet", "q", .bool(default: false), "Only show image IDs"),
    ], operands: .exactly(1)
) { invocation in
    let arguments = invocation.arguments
    let steps = try await invocation.environment.client.imageHistory(arguments.operands[0], platform: try arguments.platform())
    let asked = ListFormat(arguments.string("format"))
    let format = arguments.bool("quiet") && asked == .table(nil) ? ListFormat("{{.ID}}") : asked
    let now = Int64(Date().timeIntervalSince1970)
    let rows = steps.map { historyRow($0, now: now, isWhole: arguments.bool("no-trunc"), isHuman: arguments.bool("human", default: true)) }
    let byDefault = ["ID", "CreatedSince", "CreatedBy", "Size", "Comment"]
    StandardStream.output.write(try listText(rows, of: .history, columns: historyColumns, byDefault: byDefault, format: format))
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
