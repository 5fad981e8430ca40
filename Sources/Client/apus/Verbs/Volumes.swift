internal import EngineAPI
internal import EngineClient
internal import Templates

let volumeCreateVerb = Verb(
    ["volume create"], "[OPTIONS] [VOLUME]", "Create a volume",
    flags: [
        Flag("driver", "d", .string, "Specify volume driver name", defaultText: "\"local\""),
        Flag("label", nil, .list, "Set metadata for a volume"),
        Flag("name", nil, .string, "Specify volume name", isHidden: true),
        Flag("opt", "o", .list, "Set driver specific options", placeholder: "map", defaultText: "map[]"),
    ], operands: .atMost(1)
) { invocation in
    let arguments = invocation.arguments
    let named = arguments.string("name") ?? ""
    if !named.isEmpty && !arguments.operands.isEmpty {
        throw Complaint("conflicting options: cannot specify a volume-name through both --name and as a positional arg")
    }
    var request = VolumeCreateRequest()
    request.name = arguments.operands.first ?? named
    request.driver = arguments.string("driver") ?? "local"
    request.labels = pairs(arguments.list("label"))
    request.driverOptions = pairs(arguments.list("opt"))
    StandardStream.output.write(try await invocation.environment.client.createVolume(request).name + "\n")
    return 0
}

let volumeListVerb = Verb(
    ["volume ls", "volume list"], "[OPTIONS]", "List volumes",
    flags: [
        Flag("filter", "f", .list, "Provide filter values (e.g. \"dangling=true\")", placeholder: "filter"),
        Flag("format", nil, .string, formatUsage),
        Flag("quiet", "q", .bool(default: false), "Only display volume names"),
    ]
) { invocation in
    let arguments = invocation.arguments
    let wanted = try filters(arguments.list("filter"))
    let volumes = try await invocation.environment.client.volumes(filters: wanted).sorted { precedesNaturally($0.name, $1.name) }
    let isQuiet = arguments.bool("quiet")
    let asked = ListFormat(invocation.listFormat("volumesFormat"), raw: "name: {{.Name}}" + (isQuiet ? "" : "\ndriver: {{.Driver}}\n"))
    let format = isQuiet && asked == .table(nil) ? ListFormat("{{.Name}}") : asked
    StandardStream.output.write(
        try listText(volumes.map(volumeRow), of: .volume, columns: volumeColumns, byDefault: ["Driver", "Name"], format: format))
    return 0
}

let volumeColumns = [
    Column("Availability", "AVAILABILITY"), Column("Driver", "DRIVER"), Column("Group", "GROUP"), Column("Labels", "LABELS"),
    Column("Links", "LINKS"), Column("Mountpoint", "MOUNTPOINT"), Column("Name", "VOLUME NAME"), Column("Scope", "SCOPE"),
    Column("Size", "SIZE"), Column("Status", "STATUS"),
]

func volumeRow(_ volume: Volume) -> TemplateValue {
    let labels = volume.labels.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }.joined(separator: ",")
    let fields = [
        ("Availability", "N/A"), ("Driver", volume.driver), ("Group", "N/A"), ("Labels", labels),
        ("Links", volume.usageData.map { String($0.refCount) } ?? "N/A"),
        ("Mountpoint", volume.mountpoint), ("Name", volume.name), ("Scope", volume.scope),
        ("Size", volume.usageData.map { humanSize($0.size, digits: 4) } ?? "N/A"), ("Status", "N/A"),
    ]
    return .map(fields.map { .init($0.0, .text(printable($0.1))) })
}

let volumeRemoveVerb = Verb(
    ["volume rm", "volume remove"], "[OPTIONS] VOLUME [VOLUME...]",
    "Remove one or more volumes. You cannot remove a volume that is in use by a container.",
    flags: [Flag("force", "f", .bool(default: false), "Force the removal of one or more volumes")], operands: .atLeast(1)
) { invocation in
    await forEachOperand(invocation) { name in
        try await invocation.environment.client.removeVolume(name, force: invocation.arguments.bool("force"))
        StandardStream.output.write(name + "\n")
    }
}

let volumePruneVerb = Verb(
    ["volume prune"], "[OPTIONS]", "Remove unused local volumes",
    flags: [
        Flag("all", "a", .bool(default: false), "Remove all unused volumes, not just anonymous ones"),
        Flag("filter", nil, .list, "Provide filter values (e.g. \"label=<label>\")", placeholder: "filter"),
        Flag("force", "f", .bool(default: false), "Do not prompt for confirmation"),
    ]
) { invocation in
    let takesAll = invocation.arguments.bool("all")
    let warning = "WARNING! This will remove \(takesAll ? "all" : "anonymous") local volumes not used by at least one container."
    guard isConfirmed(invocation, warning) else { return 0 }
    let wanted = try pruneFilters(invocation, and: takesAll ? ["all=true"] : [])
    let report = try await invocation.environment.client.pruneVolumes(filters: wanted)
    say("Deleted Volumes:", report.volumesDeleted, reclaimedBytes: Int64(clamping: report.spaceReclaimed))
    return 0
}
