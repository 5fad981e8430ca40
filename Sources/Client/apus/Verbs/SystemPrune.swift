internal import EngineAPI
internal import EngineClient

let systemPruneVerb = Verb(
    ["system prune"], "[OPTIONS]", "Remove unused data",
    flags: [
        Flag("all", "a", .bool(default: false), "Remove all unused images not just dangling ones"),
        Flag("filter", nil, .list, "Provide filter values (e.g. \"label=<key>=<value>\")", placeholder: "filter"),
        Flag("force", "f", .bool(default: false), "Do not prompt for confirmation"),
        Flag("volumes", nil, .bool(default: false), "Prune anonymous volumes"),
    ]
) { invocation in
    let arguments = invocation.arguments
    let (takesAll, takesVolumes) = (arguments.bool("all"), arguments.bool("volumes"))
    let wanted = try pruneFilters(invocation)
    if takesVolumes, wanted.values["until"] != nil {
        throw Complaint("ERROR: The \"until\" filter is not supported with \"--volumes\"")
    }
    guard isConfirmed(invocation, warning(takesAll, takesVolumes, wanted)) else { return 0 }
    let client = invocation.environment.client
    let query = wanted.values.isEmpty ? [] : [(name: "filters", value: try wanted.query)]
    let stopped = try await client.document(ContainersPruneResponse.self, EngineRequest("POST", "/containers/prune", query: query))
    list("Deleted Containers:", stopped.containersDeleted)
    var reclaimed = stopped.spaceReclaimed
    let networks = try await client.document(NetworksPruneResponse.self, EngineRequest("POST", "/networks/prune", query: query))
    list("Deleted Networks:", networks.networksDeleted)
    if takesVolumes {
        let volumes = try await client.pruneVolumes(filters: wanted)
        list("Deleted Volumes:", volumes.volumesDeleted)
        reclaimed += volumes.spaceReclaimed
    }
    let images = try await client.pruneImages(filters: Filters(wanted.values.merging(["dangling": ["\(!takesAll)"]]) { mine, _ in mine }))
    list("Deleted Images:", images.imagesDeleted.map(deletionLine))
    reclaimed += images.spaceReclaimed
    let builds = try await client.document(BuildPruneReport.self, EngineRequest("POST", "/build/prune"))
    list("Deleted build cache objects:", builds.cachesDeleted)
    reclaimed += builds.spaceReclaimed
    StandardStream.output.write("Total reclaimed space: \(humanSize(Int64(clamping: reclaimed), digits: 4))\n")
    return 0
}

private func warning(_ takesAll: Bool, _ takesVolumes: Bool, _ filters: Filters) -> String {
    let subjects =
        ["all stopped containers", "all networks not used by at least one container"]
        + (takesVolumes ? ["all anonymous volumes not used by at least one container"] : [])
        + [takesAll ? "all images without at least one container associated to them" : "all dangling images"]
        + [takesAll ? "all build cache" : "unused build cache"]
    var text = "WARNING! This will remove:\n" + subjects.map { "  - \($0)\n" }.joined()
    let shown = filters.values.flatMap { key, values in values.map { "  - \(key)=\($0)\n" } }.sorted()
    if !shown.isEmpty { text += "\n  Items to be pruned will be filtered with:\n" + shown.joined() }
    return text
}

private func list(_ heading: String, _ lines: [String]) {
    if !lines.isEmpty { StandardStream.output.write("\(heading)\n\(lines.map { "\($0)\n" }.joined())\n") }
}
