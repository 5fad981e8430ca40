internal import Templates

/// The least width of a column with the spaces behind it, and how many spaces those are. - Source: docker's tabwriter.
package let leastWidth = 10
private let gap = 3

/// Lays rows out in columns as docker's tables are, with nothing behind the last.
/// - Parameters:
///   - rows: cells by row, the header first; every row as long as the header.
///   - leastWidth: of a column with the spaces behind it.
package func tableText(_ rows: [[String]], leastWidth: Int = leastWidth) -> String {
    guard let header = rows.first else { return "" }
    let widths = header.indices.map { column in rows.map { column < $0.count ? $0[column].count : 0 }.max() ?? 0 }
    return rows.map { row in
        row.enumerated().map { column, cell in
            column == row.count - 1 ? cell : cell.padded(to: max(leastWidth, widths[column] + gap))
        }.joined() + "\n"
    }.joined()
}

/// How a list verb prints.
package enum ListFormat: Sendable, Equatable {
    /// Chosen columns under a header; tab-separated pieces of a template, or the verb's own columns for nil.
    case table(String?)
    case json
    case template(String)

    /// - Parameter raw: the template that the word `raw` stands for, a field a line; nil of a verb that has none.
    package init(_ text: String?, raw: String? = nil) {
        switch text {
        case nil, "", "table"?: self = .table(nil)
        case "json"?: self = .json
        case "raw"? where raw != nil: self = .template(raw ?? "")
        case let text? where text.hasPrefix("table "): self = .table(unescaped(String(text.dropFirst(6))))
        case let text?: self = .template(unescaped(text))
        }
    }

    /// Whether a template names a field that costs something to find out.
    func mentions(_ field: String) -> Bool {
        switch self {
        case .json, .table(nil): false
        case .table(let text?), .template(let text): text.contains("." + field)
        }
    }

    /// Whether a template prints rows whole, `{{json .}}`.
    var printsWholeRows: Bool {
        if case .template(let text) = self { text.contains("json .}") } else { false }
    }
}

/// `\t` and `\n` typed as two characters become what they mean, as docker's formatter does.
private func unescaped(_ text: String) -> String {
    var result = ""
    var rest = Substring(text)
    while let character = rest.popFirst() {
        switch (character, rest.first) {
        case ("\\", "t"): result += "\t"
        case ("\\", "n"): result += "\n"
        default:
            result.append(character)
            continue
        }
        rest = rest.dropFirst()
    }
    return result
}

/// One column that a list verb knows: the field templates name, and the heading of tables.
package struct Column: Sendable {
    package let field: String
    package let heading: String

    package init(_ field: String, _ heading: String) {
        self.field = field
        self.heading = heading
    }
}

/// Whose rows a list has, by what docker's command line calls their type in errors.
enum RowType: String {
    case container = "formatter.ContainerContext"
    case context = "formatter.clientContextContext"
    case diskUsage = "formatter.diskUsageImagesContext"
    /// Of a verb that docker has not.
    case finding = "formatter.Context"
    case history = "image.historyContext"
    case image = "formatter.imageContext"
    case network = "network.networkContext"
    case searchResult = "registry.searchContext"
    case statistics = "container.statsContext"
    case volume = "formatter.volumeContext"

    /// In docker's words: its `ps` tries a template before the list is there.
    fileprivate func complaint(_ error: TemplateError) -> Complaint {
        Complaint(self == .container ? "failed to \(error.stage) template: \(error.message)" : "\(error)")
    }
}

/// Renders the rows of a list verb.
/// - Parameters:
///   - rows: one map a row, its entries named by `columns`' fields.
///   - byDefault: the fields that a plain table shows.
///   - whole: the format as it was given, by whose places a fault is told where docker tries that before it takes the word `table` from it.
/// - Throws: `Complaint` in docker's words for a template that cannot be read or carried out.
func listText(
    _ rows: [TemplateValue], of type: RowType, columns: [Column], byDefault: [String], format: ListFormat, whole: String? = nil
) throws(Complaint) -> String {
    func text(as format: ListFormat) throws(TemplateError) -> String {
        try rendered(rows, of: type.rawValue, columns: columns, byDefault: byDefault, format: format)
    }
    do throws(TemplateError) { return try text(as: format) } catch {
        guard let whole else { throw type.complaint(error) }
        do throws(TemplateError) { _ = try text(as: .template(whole)) } catch { throw type.complaint(error) }
        throw type.complaint(error)
    }
}

/// A field that no row can have is an error without rows, too.
private func checkFields(of template: Template, _ type: String, _ headings: TemplateValue) throws(TemplateError) {
    do throws(TemplateError) { _ = try template.render(row: headings, of: type) } catch {
        // What else a template makes of rows, only rows tell.
        if error.message.contains("can't evaluate field") { throw error }
    }
}

private func rendered(
    _ rows: [TemplateValue], of type: String, columns: [Column], byDefault: [String], format: ListFormat
) throws(TemplateError) -> String {
    let headings = TemplateValue.map(columns.map { .init($0.field, .text($0.heading)) })
    switch format {
    case .json: return rows.map { $0.markupSafeJSON + "\n" }.joined()
    case .template(let text):
        let template = try Template(text)
        if rows.isEmpty { try checkFields(of: template, type, headings) }
        var lines = ""
        for row in rows { lines += try template.render(row: row, of: type) + "\n" }
        return lines
    case .table(let text):
        let template = try Template(text ?? byDefault.map { "{{.\($0)}}" }.joined(separator: "\t"))
        var lines: [String] = []
        if rows.isEmpty { try checkFields(of: template, type, headings) }
        // What makes no heading may make rows: names of columns are all texts.
        do throws(TemplateError) { lines.append(try template.render(row: headings, of: type, isHeading: true)) } catch { lines.append("") }
        for row in rows { lines.append(try template.render(row: row, of: type)) }
        return tableText(lines.map { $0.split(separator: "\t", omittingEmptySubsequences: false).map(String.init) })
    }
}
