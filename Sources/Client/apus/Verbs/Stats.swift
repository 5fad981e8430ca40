internal import CoreTypes
internal import EngineAPI
internal import EngineClient
internal import Templates

let statsVerb = Verb(
    ["stats", "container stats"], "[OPTIONS] [CONTAINER...]", "Display a live stream of container(s) resource usage statistics",
    flags: [
        Flag("all", "a", .bool(default: false), "Show all containers (default shows just running)"),
        Flag("format", nil, .string, formatUsage),
        Flag("no-stream", nil, .bool(default: false), "Disable streaming stats and only pull the first result"),
        Flag("no-trunc", nil, .bool(default: false), "Do not truncate output"),
    ], operands: .atLeast(0)
) { invocation in
    let arguments = invocation.arguments
    let client = invocation.environment.client
    let format = ListFormat(invocation.listFormat("statsFormat"))
    // Two looks a second apart give the first shares of processor time.
    var last = try await samples(invocation, client)
    repeat {
        try await Task.sleep(for: .seconds(1))
        let now = try await samples(invocation, client)
        let rows = now.map { sample in
            row(of: sample, since: last.first { $0.statistics.id == sample.statistics.id }, isWhole: arguments.bool("no-trunc"))
        }
        let text = try listText(rows, of: .statistics, columns: columns, byDefault: defaultColumns, format: format)
        // From the top of the screen, nothing behind any line and nothing below the last, as long as it goes on.
        StandardStream.output.write(
            arguments.bool("no-stream") ? text : "\u{1b}[H" + text.replacing("\n", with: "\u{1b}[K\n") + "\u{1b}[J")
        last = now
    } while !arguments.bool("no-stream")
    return 0
}

/// One look at one container.
private struct Sample: Sendable {
    /// As the user named it.
    let word: String
    let statistics: ContainerStatistics
}

/// Requests under way at the same time.
private let simultaneousRequests = 16

/// Looks at every container that is asked for; with none named, at those that there are now.
private func samples(_ invocation: Invocation, _ client: Client) async throws -> [Sample] {
    let operands = invocation.arguments.operands
    if !operands.isEmpty {
        return try await samples(operands, client)
    }
    let all = invocation.arguments.bool("all")
    let listed = try await client.containers(all: all, limit: nil, withSizes: false, filters: Filters([:]))
    // One that is gone since does not matter.
    return try await samples(listed.map { shortID($0.id) }, client, passingOverMissing: true)
}

private func samples(
    _ words: [String], _ client: Client, passingOverMissing: Bool = false
) async throws -> [Sample] {
    try await withThrowingTaskGroup(of: (Sample, Int)?.self) { group in
        var found: [(Sample, Int)] = []
        for (index, word) in words.enumerated() {
            if index >= simultaneousRequests, let next = try await group.next() { found += [next].compactMap(\.self) }
            group.addTask {
                do {
                    return (Sample(word: word, statistics: try await client.statistics(of: word)), index)
                } catch EngineClientError.refused(let status, _) where status == 404 && passingOverMissing { return nil }
            }
        }
        for try await next in group { found += [next].compactMap(\.self) }
        return found.sorted { $0.1 < $1.1 }.map(\.0)
    }
}

private let columns = [
    Column("BlockIO", "BLOCK I/O"), Column("CPUPerc", "CPU %"), Column("Container", "CONTAINER"), Column("ID", "CONTAINER ID"),
    Column("MemPerc", "MEM %"), Column("MemUsage", "MEM USAGE / LIMIT"), Column("Name", "NAME"), Column("NetIO", "NET I/O"),
    Column("PIDs", "PIDS"),
]
private let defaultColumns = ["ID", "Name", "CPUPerc", "MemUsage", "MemPerc", "NetIO", "BlockIO", "PIDs"]

private func row(of sample: Sample, since last: Sample?, isWhole: Bool) -> TemplateValue {
    let now = sample.statistics
    let memory = now.memory.usageWithoutCache
    let networks = now.networks.values
    let fields: [(String, String)] = [
        ("BlockIO", pair(now.blockIO.bytes("r"), now.blockIO.bytes("w"))),
        ("CPUPerc", percent(cpuShare(now.cpu, since: last?.statistics.cpu ?? CPUStatistics()))), ("Container", sample.word),
        ("ID", isWhole ? now.id : shortID(now.id)),
        ("MemPerc", percent(now.memory.limit == 0 ? 0 : Double(memory) / Double(now.memory.limit))),
        ("MemUsage", "\(humanBinarySize(Int64(clamping: memory))) / \(humanBinarySize(Int64(clamping: now.memory.limit)))"),
        ("Name", now.name.hasPrefix("/") ? String(now.name.dropFirst()) : now.name),
        ("NetIO", pair(networks.map(\.receivedBytes).reduce(0, &+), networks.map(\.sentBytes).reduce(0, &+))),
        ("PIDs", String(now.pids.current)),
    ]
    return .map(fields.map { TemplateValue.Entry($0.0, .text(printable($0.1))) })
}

private func pair(_ first: UInt64, _ second: UInt64) -> String {
    "\(humanSize(Int64(clamping: first))) / \(humanSize(Int64(clamping: second)))"
}

/// The container's part of the machine's processor time between two looks; 1 is one processor.
private func cpuShare(_ now: CPUStatistics, since last: CPUStatistics) -> Double {
    let processors = now.onlineProcessors == 0 ? now.usage.each.count : Int(now.onlineProcessors)
    guard now.usage.total > last.usage.total, now.systemNanoseconds > last.systemNanoseconds else { return 0 }
    let own = Double(now.usage.total - last.usage.total)
    return own / Double(now.systemNanoseconds - last.systemNanoseconds) * Double(processors)
}

/// A share with two decimals: `12.34%`.
private func percent(_ share: Double) -> String {
    let hundredths = Int64((min(share, 1e12) * 10_000).rounded())
    let rest = hundredths % 100
    return "\(hundredths / 100).\(rest < 10 ? "0" : "")\(rest)%"
}

extension MemoryStatistics {
    /// As Docker counts: page cache that can be dropped at once is no use of memory. The name is v1's, else v2's.
    fileprivate var usageWithoutCache: UInt64 {
        let cache = counters["total_inactive_file"] ?? counters["inactive_file"] ?? 0
        return cache < usage ? usage - cache : usage
    }
}

extension BlockIOStatistics {
    /// What was read or written, `r` or `w`, on all devices.
    fileprivate func bytes(_ initial: String) -> UInt64 {
        (ioServiceBytes ?? []).filter { $0.operation.lowercased().hasPrefix(initial) }.map(\.value).reduce(0, &+)
    }
}
