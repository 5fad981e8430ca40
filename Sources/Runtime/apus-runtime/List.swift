internal import JSON
internal import OCISpec
internal import RuntimeCore

extension Verb {
    static let list = Verb(
        "list", "list the containers below --root", operands: "", operandCount: 0...0,
        flags: [
            .value("format", "f", help: "'table' (default) or 'json'"),
            .toggle("quiet", "q", help: "only the ids"),
        ]
    ) { (invocation) throws(RuntimeError) in
        let summaries = try listedContainers(invocation)
        if invocation.flags.isSet("quiet") {
            try output(Array(summaries.map { $0.state.id + "\n" }.joined().utf8))
            return 0
        }
        switch invocation.flags.text("format") ?? "table" {
        case "table": try output(Array(table(summaries).utf8))
        case "json":
            var writer = JSONWriter(escapesAsGo: true)
            // Of none runc tells null.
            if summaries.isEmpty {
                writer.null()
            } else {
                writer.array { writer in for summary in summaries { summary.write(to: &writer) } }
            }
            try output(writer.bytes + Array("\n".utf8))
        default: throw RuntimeError(.invalidArgument, "invalid format option")
        }
        return 0
    }

    /// Containers may come and go while they are looked at; what cannot be read otherwise is told and left out.
    private static func listedContainers(_ invocation: Invocation) throws(RuntimeError) -> [ContainerSummary] {
        var summaries: [ContainerSummary] = []
        for name in try invocation.globals.containerNames() {
            do throws(RuntimeError) {
                var summary = try ContainerSummary(of: Container(name, in: invocation.globals.stateRoot))
                summary.owner = AccountNames.name(of: summary.record.ownerID)
                summaries.append(summary)
            } catch {
                if error.code != .notFound && error.code != .busy { invocation.journal.warn("load container \(name): \(error)") }
            }
        }
        return summaries
    }

    /// Columns as Go's tabwriter sets them for runc: at least 12 wide, 3 apart.
    private static func table(_ summaries: [ContainerSummary]) -> String {
        var rows = [["ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"]]
        for summary in summaries {
            rows.append([
                summary.state.id, summary.processText, summary.state.status.rawValue, summary.state.bundle, summary.record.created,
                summary.owner,
            ])
        }
        let widths = (0..<5).map { column in max(12, (rows.map { $0[column].count }.max() ?? 0) + 3) }
        return rows.map { row in
            zip(row, widths).map { cell, width in cell + String(repeating: " ", count: width - cell.count) }.joined() + row[5] + "\n"
        }.joined()
    }
}
