internal import JSON

/// What a registry answers when it refuses.
/// - Spec: distribution-spec v1.1, "Error Codes".
public struct DistributionErrors: Equatable, Sendable, CustomStringConvertible {
    /// One element of `errors`. - Spec: distribution-spec v1.1, "Error Codes".
    public struct Entry: Equatable, Sendable {
        /// `MANIFEST_UNKNOWN`, `DENIED`, `TOOMANYREQUESTS`, …
        public var code: String
        /// For humans; empty where the registry gives none.
        public var message: String
        /// JSON of any shape, as it came.
        public var detail: String?

        /// - Parameter detail: nil where the registry gives none.
        public init(code: String, message: String, detail: String? = nil) {
            self.code = code
            self.message = message
            self.detail = detail
        }
    }
    /// In the registry's order; never empty in what a registry sends.
    public var entries: [Entry]

    /// - Parameter entries: in the order in which they are printed.
    public init(entries: [Entry]) { self.entries = entries }

    /// The messages on one line, as Docker prints them: `manifest unknown: manifest unknown`.
    public var description: String {
        entries.map { entry in
            let code = entry.code.lowercased().map { $0 == "_" ? " " : $0 }
            return entry.message.isEmpty ? String(code) : "\(String(code)): \(entry.message)"
        }.joined(separator: "; ")
    }

    /// Reads the body of a refusal.
    /// - Throws: `SpecProblem` where it is none; show the status instead.
    public static func decode(_ bytes: [UInt8]) throws(SpecProblem) -> DistributionErrors {
        let limits = JSONLimits(maximumBytes: 1 << 20, maximumDepth: 32)
        return try decodeDocument(bytes, limits: limits) { (reader: inout JSONReader) throws(JSONError) in
            var entries: [Entry]?
            try reader.readObject { (reader: inout JSONReader, name: String) throws(JSONError) in
                switch name {
                case "errors":
                    entries = try reader.readArray { (reader: inout JSONReader) throws(JSONError) in try Entry(from: &reader) }
                default: try reader.skipValue()
                }
            }
            return DistributionErrors(entries: try reader.require(entries, "errors"))
        }
    }
}

extension DistributionErrors.Entry {
    init(from reader: inout JSONReader) throws(JSONError) {
        self.init(code: "UNKNOWN", message: "")
        try reader.readObject { (reader: inout JSONReader, name: String) throws(JSONError) in
            switch name {
            case "code": code = try reader.readString()
            case "message": message = try reader.readString()
            case "detail": detail = String(decoding: try reader.readRaw(), as: UTF8.self)
            default: try reader.skipValue()
            }
        }
    }
}
