internal import EngineAPI
internal import EngineClient
internal import FoundationEssentials
internal import Templates

let dfVerb = Verb(
    ["system df"], "[OPTIONS]", "Show docker disk usage",
    flags: [
        Flag("format", nil, .string, formatUsage),
        Flag("verbose", "v", .bool(default: false), "Show detailed information on space usage"),
    ]
) { invocation in
    let arguments = invocation.arguments
    let usage = try await invocation.environment.client.diskUsage()
    let format = ListFormat(arguments.string("format"))
    if arguments.bool("verbose") {
        StandardStream.output.write(try verboseText(usage, format))
        return 0
    }
    let columns = [
        Column("Active", "ACTIVE"), Column("Reclaimable", "RECLAIMABLE"), Column("Size", "SIZE"), Column("TotalCount", "TOTAL"),
        Column("Type", "TYPE"),
    ]
    let byDefault = ["Type", "TotalCount", "Active", "Size", "Reclaimable"]
    StandardStream.output.write(try listText(rows(of: usage), of: .diskUsage, columns: columns, byDefault: byDefault, format: format))
    return 0
}

private func rows(of usage: SystemDiskUsage) -> [TemplateValue] {
    let (images, containers, volumes) = (usage.images ?? [], usage.containers ?? [], usage.volumes ?? [])
    let used = images.filter { $0.containers != 0 && $0.sharedSize >= 0 }.reduce(Int64(0)) { $0 + $1.size - $1.sharedSize }
    func written(_ list: [ContainerSummary]) -> Int64 { list.reduce(0) { $0 + max(0, $1.sizeReadWrite ?? 0) } }
    let idle = containers.filter { !["running", "paused", "restarting"].contains($0.state) }
    func taken(_ list: [Volume]) -> Int64 { list.reduce(0) { $0 + max(0, $1.usageData?.size ?? 0) } }
    let unused = volumes.filter { ($0.usageData?.refCount ?? 0) <= 0 }
    return [
        row("Images", images.count, active: images.count { $0.containers > 0 }, usage.layersSize, reclaimable: usage.layersSize - used),
        row("Containers", containers.count, active: containers.count - idle.count, written(containers), reclaimable: written(idle)),
        row("Local Volumes", volumes.count, active: volumes.count - unused.count, taken(volumes), reclaimable: taken(unused)),
        row("Build Cache", usage.buildCache?.count ?? 0, active: 0, 0, reclaimable: 0),
    ]
}

private func row(_ type: String, _ total: Int, active: Int, _ size: Int64, reclaimable: Int64) -> TemplateValue {
    let share = size > 0 ? " (\(reclaimable * 100 / size)%)" : ""
    let fields = [
        ("Active", String(active)), ("Reclaimable", humanSize(reclaimable, digits: 4) + share), ("Size", humanSize(size, digits: 4)),
        ("TotalCount", String(total)), ("Type", type),
    ]
    return .map(fields.map { .init($0.0, .text($0.1)) })
}

/// A table a kind of object, as docker lays them out; or a template over all of them.
private func verboseText(_ usage: SystemDiskUsage, _ format: ListFormat) throws -> String {
    let now = Int64(Date().timeIntervalSince1970)
    let isTable = if case .table = format { true } else { false }
    let images = (usage.images ?? []).map { imageUsageRow($0, now: now, isWhole: !isTable) }
    let containers = (usage.containers ?? []).map { containerRow($0, now: now, isWhole: !isTable, showsVirtualSize: false) }
    let volumes = (usage.volumes ?? []).map(volumeRow)
    if !isTable {
        let whole = TemplateValue.map([
            .init("Images", .list(images)), .init("Containers", .list(containers)), .init("Volumes", .list(volumes)),
            .init("BuildCache", .list([])),
        ])
        if case .template(let text) = format { return try objectTemplate(text).render(document: whole) }
        return whole.markupSafeJSON
    }
    let imageFields = ["Repository", "Tag", "ID", "CreatedSince", "Size", "SharedSize", "UniqueSize", "Containers"]
    let containerFields = ["ID", "Image", "Command", "LocalVolumes", "Size", "RunningFor", "Status", "Names"]
    var text = "Images space usage:\n\n"
    text += try listText(images, of: .image, columns: imageColumns, byDefault: imageFields, format: .table(nil))
    text += "\nContainers space usage:\n\n"
    text += try listText(containers, of: .container, columns: containerColumns, byDefault: containerFields, format: .table(nil))
    text += "\nLocal Volumes space usage:\n\n"
    text += try listText(volumes, of: .volume, columns: volumeColumns, byDefault: ["Name", "Links", "Size"], format: .table(nil))
    text += "\nBuild cache usage: 0B\n\n"
    return text + tableText([["CACHE ID", "CACHE TYPE", "SIZE", "CREATED", "LAST USED", "USAGE", "SHARED"]])
}

/// One row an image, under the first of its tags.
private func imageUsageRow(_ image: ImageSummary, now: Int64, isWhole: Bool) -> TemplateValue {
    var image = image
    image.repoTags = Array(image.repoTags.prefix(1))
    image.repoDigests = []
    guard case .map(var fields) = imageRows(image, now: now, isWhole: isWhole, withDigests: false).first else { return .null }
    let exact = [
        "Digest": "", "SharedSize": humanSize(image.sharedSize, digits: 4),
        "UniqueSize": humanSize(image.size - max(0, image.sharedSize), digits: 4),
    ]
    for (place, field) in fields.enumerated() where exact[field.key] != nil {
        fields[place] = .init(field.key, .text(exact[field.key] ?? ""))
    }
    return .map(fields)
}
