internal import Templates

/// One flag of a verb: how it is spelled, what it takes, and what help says of it.
package struct Flag: Sendable {
    /// What a flag's value must look like. The name in a help page follows from it.
    package enum Kind: Sendable, Equatable {
        /// `--rm`, `--rm=false`.
        case bool(default: Bool)
        case string
        /// May be given again; each time adds a value.
        case list
        /// The same with several values between commas, as a line of CSV has them.
        case commaSeparated
        /// A signed number, decimal or with the mark of another base.
        case integer
        /// The same without a sign, of so many bits.
        case unsigned(bits: Int)
        /// `1.5`: a number of processors.
        case decimal
        /// `512m`: a size with a binary unit.
        case bytes
        /// As `bytes`, and `-1` where it means "no limit".
        case bytesOrUnlimited
        /// `1m30s`.
        case duration
    }

    package let name: String
    package let short: Character?
    package let kind: Kind
    /// The word help shows for the value, `list` for `--env list`; empty for a bool.
    package let placeholder: String
    package let usage: String
    /// What help shows as `(default …)`; empty for none.
    package let defaultText: String
    /// Kept for scripts of older days: taken, and not shown.
    package let isHidden: Bool
    /// The flag that it is another spelling of, whose values its own are; nil for none.
    let meaning: String?
    /// Why a value that fits the kind cannot be; nil when it can.
    let check: @Sendable (String) -> String?

    package init(
        _ name: String, _ short: Character? = nil, _ kind: Kind, _ usage: String, placeholder: String? = nil, defaultText: String = "",
        isHidden: Bool = false, meaning: String? = nil, check: @escaping @Sendable (String) -> String? = { _ in nil }
    ) {
        self.name = name
        self.short = short
        self.kind = kind
        self.usage = usage
        self.placeholder = placeholder ?? kind.placeholder
        self.defaultText = kind == .bool(default: true) ? "true" : defaultText
        self.isHidden = isHidden
        self.meaning = meaning
        self.check = check
    }

    /// `-m, --memory`, as error messages name a flag.
    var spelling: String {
        short.map { "-\($0), --\(name)" } ?? "--\(name)"
    }

    var isBool: Bool {
        if case .bool = kind { true } else { false }
    }

    /// Why `text` is no value of this flag; nil when it is one.
    func complaint(about text: String) -> String? {
        kind.complaint(about: text) ?? check(text)
    }
}

extension Flag.Kind {
    var placeholder: String {
        switch self {
        case .bool: ""
        case .string: "string"
        case .list: "list"
        case .commaSeparated: "strings"
        case .integer: "int"
        case .unsigned(let bits): "uint\(bits)"
        case .decimal: "decimal"
        case .bytes, .bytesOrUnlimited: "bytes"
        case .duration: "duration"
        }
    }

    /// Why `text` is no value of this kind; nil when it is one. The words are those of docker's CLI.
    func complaint(about text: String) -> String? {
        switch self {
        case .string, .list: nil
        case .commaSeparated: complaintAboutList(text)
        case .bool: parseBool(text) == nil ? "strconv.ParseBool: parsing \"\(text)\": invalid syntax" : nil
        case .integer: complaint("ParseInt", GoNumber.integer(text), text)
        case .unsigned(let bits): complaint("ParseUint", GoNumber.unsigned(text, bits: bits), text)
        case .decimal: complaintAboutProcessors(text)
        case .bytes: complaintAboutByteSize(text)
        case .bytesOrUnlimited: text == "-1" ? nil : complaintAboutByteSize(text)
        case .duration: parseDuration(text) == nil ? "time: invalid duration \"\(text)\"" : nil
        }
    }
}

extension Flag.Kind {
    private func complaint(_ function: String, _ number: Result<some Any, GoNumber.Problem>, _ text: String) -> String? {
        guard case .failure(let problem) = number else { return nil }
        return "strconv.\(function): parsing \(goQuoted(text)): \(problem.rawValue)"
    }
}

private func complaintAboutList(_ text: String) -> String? {
    do throws(Complaint) { _ = try commaSeparated(text) } catch { return text.isEmpty ? nil : error.description }
    return nil
}

/// The spellings of a bool that Go's strconv.ParseBool takes.
func parseBool(_ text: String) -> Bool? {
    switch text {
    case "1", "t", "T", "true", "TRUE", "True": true
    case "0", "f", "F", "false", "FALSE", "False": false
    default: nil
    }
}
