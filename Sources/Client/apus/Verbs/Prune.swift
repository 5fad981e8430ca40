internal import EngineAPI
internal import EngineClient
internal import Templates

let containerPruneVerb = Verb(
    ["container prune"], "[OPTIONS]", "Remove all stopped containers", flags: pruneFlags
) { invocation in
    let warning = "WARNING! This will remove all stopped containers."
    guard isConfirmed(invocation, warning) else { return 0 }
    let wanted = try pruneFilters(invocation)
    let query = wanted.values.isEmpty ? [] : [(name: "filters", value: try wanted.query)]
    let pruned = try await invocation.environment.client.value(EngineRequest("POST", "/containers/prune", query: query))
    var reclaimed: Int64 = 0
    if case .integer(let bytes)? = pruned[key: "SpaceReclaimed"] { reclaimed = bytes }
    say("Deleted Containers:", (pruned[key: "ContainersDeleted"] ?? .null).elements.map(\.printed), reclaimedBytes: reclaimed)
    return 0
}

let imagePruneVerb = Verb(
    ["image prune"], "[OPTIONS]", "Remove unused images",
    flags: pruneFlags + [Flag("all", "a", .bool(default: false), "Remove all unused images, not just dangling ones")]
) { invocation in
    let takesAll = invocation.arguments.bool("all")
    let warning =
        takesAll
        ? "WARNING! This will remove all images without at least one container associated to them."
        : "WARNING! This will remove all dangling images."
    guard isConfirmed(invocation, warning) else { return 0 }
    let wanted = try pruneFilters(invocation, and: ["dangling=\(!takesAll)"])
    let report = try await invocation.environment.client.pruneImages(filters: wanted)
    say("Deleted Images:", report.imagesDeleted.map(deletionLine), reclaimedBytes: Int64(clamping: report.spaceReclaimed))
    return 0
}

/// What a prune says of one name or image.
func deletionLine(_ item: ImageDeleteItem) -> String {
    item.untagged.isEmpty ? "deleted: \(item.deleted)" : "untagged: \(item.untagged)"
}

let pruneFlags = [
    Flag("filter", nil, .list, "Provide filter values (e.g. \"until=<timestamp>\")", placeholder: "filter"),
    Flag("force", "f", .bool(default: false), "Do not prompt for confirmation"),
]

/// What a prune is filtered by: what its command line says, and what `config.json` has for every prune where the former does not say the
/// contrary. - Source: docker/cli, cli/command/utils.go, PruneFilters.
func pruneFilters(_ invocation: Invocation, and others: [String] = []) throws(UsageError) -> Filters {
    let asked = invocation.arguments.list("filter")
    let general = invocation.environment.configuration.pruneFilters.filter { text in
        let (key, value) = splitOnce(text, at: "=")
        guard let value else { return false }
        let contrary = ["label": "label!", "label!": "label"][key]
        return !asked.contains(text) && !asked.contains { $0 == "\(contrary ?? "")=\(value)" }
    }
    return try filters(asked + general + others, flag: "--filter")
}

/// Asks before anything goes away for good; `--force` is the answer beforehand.
func isConfirmed(_ invocation: Invocation, _ warning: String) -> Bool {
    if invocation.arguments.bool("force") { return true }
    StandardStream.output.write("\(warning)\nAre you sure you want to continue? [y/N] ")
    let answer = readLine()?.lowercased() ?? ""
    return answer == "y" || answer == "yes"
}

func say(_ heading: String, _ lines: [String], reclaimedBytes: Int64) {
    if !lines.isEmpty { StandardStream.output.write("\(heading)\n\(lines.map { "\($0)\n" }.joined())\n") }
    StandardStream.output.write("Total reclaimed space: \(humanSize(reclaimedBytes, digits: 4))\n")
}
