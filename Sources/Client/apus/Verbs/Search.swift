internal import EngineAPI
internal import EngineClient
internal import Templates

let searchVerb = Verb(
    ["search"], "[OPTIONS] TERM", "Search Docker Hub for images",
    flags: [
        Flag("filter", "f", .list, "Filter output based on conditions provided", placeholder: "filter"),
        Flag("format", nil, .string, "Pretty-print search using a Go template"),
        Flag("limit", nil, .integer, "Max number of search results"),
        Flag("no-trunc", nil, .bool(default: false), "Don't truncate output"),
    ], operands: .exactly(1)
) { invocation in
    let (arguments, environment) = (invocation.arguments, invocation.environment)
    let term = arguments.operands[0]
    let host = term.split(separator: "/", maxSplits: 1).first.map(String.init) ?? ""
    let namesRegistry = term.contains("/") && (host.contains(".") || host.contains(":") || host == "localhost")
    let results = try await environment.client.searchImages(
        term, limit: arguments.integer("limit").flatMap { Int(exactly: $0) }, filters: try filters(arguments.list("filter")),
        credentials: environment.credentials(for: namesRegistry ? host : "docker.io"))
    let rows = results.map { row($0, isWhole: arguments.bool("no-trunc")) }
    let columns = [
        Column("Description", "DESCRIPTION"), Column("IsAutomated", "AUTOMATED"), Column("IsOfficial", "OFFICIAL"), Column("Name", "NAME"),
        Column("StarCount", "STARS"),
    ]
    let byDefault = ["Name", "Description", "StarCount", "IsOfficial"]
    StandardStream.output.write(
        try listText(rows, of: .searchResult, columns: columns, byDefault: byDefault, format: ListFormat(arguments.string("format"))))
    return 0
}

private func row(_ result: ImageSearchResult, isWhole: Bool) -> TemplateValue {
    let description = result.description.replacing("\n", with: " ").replacing("\r", with: " ")
    let fields = [
        ("Description", isWhole ? description : shortened(description, to: 45)), ("IsAutomated", result.isAutomated ? "[OK]" : ""),
        ("IsOfficial", result.isOfficial ? "[OK]" : ""), ("Name", result.name), ("StarCount", String(result.starCount)),
    ]
    return .map(fields.map { .init($0.0, .text(printable($0.1))) })
}
