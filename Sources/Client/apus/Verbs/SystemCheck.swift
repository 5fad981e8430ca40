internal import CoreTypes
internal import EngineAPI
internal import EngineClient
internal import Templates

let systemCheckVerb = Verb(
    ["system check"], "[OPTIONS]", "Compare what lies on the disk with what is on record",
    flags: [
        Flag("format", nil, .string, formatUsage),
        Flag("repair", nil, .bool(default: false), "Fetch what is damaged or missing again, and remove what nothing needs"),
    ]
) { invocation in
    let (arguments, environment) = (invocation.arguments, invocation.environment)
    var request = SystemCheckRequest()
    request.repair = arguments.bool("repair")
    if request.repair { request.credentials = try await knownCredentials(environment) }
    let report = try await environment.client.checkSystem(request)
    let rows = report.findings.map(findingRow)
    let columns = [
        Column("Detail", "DETAIL"), Column("ID", "ID"), Column("Images", "IMAGES"), Column("Kind", "KIND"), Column("Object", "OBJECT"),
        Column("Remark", "REMARK"), Column("State", "STATE"),
    ]
    let format = ListFormat(arguments.string("format"))
    if !rows.isEmpty || format != .table(nil) {
        let byDefault = ["Kind", "Object", "ID", "State", "Detail"]
        StandardStream.output.write(try listText(rows, of: .finding, columns: columns, byDefault: byDefault, format: format))
    }
    let left = report.findings.count { !$0.repaired }
    if format == .table(nil) {
        let checked = "\(report.blobs) blobs, \(report.layers) layers, \(report.containers) containers checked"
        StandardStream.output.write("\(checked); \(report.findings.count) findings, \(report.findings.count - left) repaired\n")
    }
    for finding in report.findings where !finding.remark.isEmpty {
        StandardStream.error.write("not repaired: \(finding.object) \(printable(finding.id)): \(printable(finding.remark))\n")
    }
    return left == 0 ? 0 : 1
}

private func findingRow(_ finding: SystemCheckFinding) -> TemplateValue {
    let fields = [
        ("Detail", finding.detail), ("ID", finding.id), ("Images", finding.images.joined(separator: ",")), ("Kind", finding.kind),
        ("Object", finding.object), ("Remark", finding.remark), ("State", finding.repaired ? "repaired" : "found"),
    ]
    return .map(fields.map { .init($0.0, .text(printable($0.1))) })
}

/// What `config.json` has for the registries that images here were pulled from; no others are told to the daemon.
private func knownCredentials(_ environment: Environment) async throws -> [String: AuthConfig] {
    var known: [String: AuthConfig] = [:]
    for name in try await environment.client.images(all: true, filters: Filters()).flatMap(\.repoDigests) {
        guard let reference = try? parsedReference(name), known[reference.domain] == nil else { continue }
        known[reference.domain] = environment.credentials(for: reference.domain)
    }
    return known
}
