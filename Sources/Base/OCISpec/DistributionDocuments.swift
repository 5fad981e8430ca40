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

/// What a token server answers.
/// - Source: distribution, "Token Authentication Specification".
public struct RegistryToken: Equatable, Sendable {
    /// What goes behind `Bearer ` in the header; from `token`, else from `access_token`.
    public var token: String
    /// How long it is good for, from the moment it was asked for; 60 where the server does not say.
    public var expiresInSeconds: Int64
    /// For further tokens, where the server gives one.
    public var refreshToken: String?

    /// - Throws: `SpecProblem` where there is no token in it.
    public static func decode(_ bytes: [UInt8]) throws(SpecProblem) -> RegistryToken {
        let limits = JSONLimits(maximumBytes: 1 << 20, maximumDepth: 16)
        return try decodeDocument(bytes, limits: limits) { (reader: inout JSONReader) throws(JSONError) in
            var token: String?
            var accessToken: String?
            var expiry: Int64 = 60
            var refreshToken: String?
            try reader.readObject { (reader: inout JSONReader, name: String) throws(JSONError) in
                switch name {
                case "token": token = try reader.readString()
                case "access_token": accessToken = try reader.readString()
                case "expires_in": expiry = max(60, try reader.readInteger())
                case "refresh_token": refreshToken = try reader.readString()
                default: try reader.skipValue()
                }
            }
            let text = try reader.require(token?.isEmpty == false ? token : accessToken, "token")
            return RegistryToken(token: text, expiresInSeconds: expiry, refreshToken: refreshToken)
        }
    }
}
