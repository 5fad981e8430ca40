package import TLSTransport

/// Where spans go, as OpenTelemetry's variables of the environment say.
package struct TraceSettings: Sendable, Equatable {
    /// `http` or `https`.
    package var isSecure = false
    package var host = ""
    package var port = 80
    package var path = "/"
    /// Sent with each request.
    package var headers: [Pair] = []
    /// What the daemon says of itself.
    package var resource: [Pair] = []
    package var files = TLSContext.Files()
    package var timeoutMilliseconds: Int64 = 10_000
    package var delayMilliseconds: Int64 = 5_000
    package var queueCapacity = 2_048
    package var batchSize = 512

    /// A name and its value.
    package struct Pair: Sendable, Equatable {
        package let name: String
        package let value: String
    }

    /// - Parameter environment: `NAME=value` each.
    /// - Parameter version: the daemon's.
    /// - Returns: nil where no traces are asked for.
    /// - Throws: `TraceSettingsProblem` naming the variable, its value and what it takes.
    /// - Spec: OpenTelemetry, "Environment Variable Specification" and "OTLP Exporter Configuration".
    package init?(environment: [String], version: String) throws(TraceSettingsProblem) {
        var variables: [String: String] = [:]
        for entry in environment where entry.hasPrefix("OTEL_") {
            let parts = entry.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
            // An empty variable is as good as none.
            if parts.count == 2, !parts[1].isEmpty { variables[parts[0]] = parts[1] }
        }
        /// What is for traces alone goes before what is for all.
        func value(_ rest: String) -> (name: String, text: String)? {
            for name in ["OTEL_EXPORTER_OTLP_TRACES_\(rest)", "OTEL_EXPORTER_OTLP_\(rest)"] {
                if let text = variables[name] { return (name, text) }
            }
            return nil
        }
        if variables["OTEL_SDK_DISABLED"]?.lowercased() == "true" { return nil }
        switch variables["OTEL_TRACES_EXPORTER"] ?? "otlp" {
        case "none": return nil
        case "otlp": break
        case let other: throw TraceSettingsProblem(name: "OTEL_TRACES_EXPORTER", value: other, takes: "otlp or none")
        }
        guard let endpoint = value("ENDPOINT") else { return nil }
        if let given = value("PROTOCOL"), given.text != "http/protobuf" {
            throw TraceSettingsProblem(
                name: given.name, value: given.text, takes: "http/protobuf alone; collectors serve it, on port 4318 as a rule, beside grpc")
        }
        try read(endpoint: endpoint.text, of: endpoint.name)
        if let given = value("COMPRESSION"), given.text != "none" {
            throw TraceSettingsProblem(name: given.name, value: given.text, takes: "none")
        }
        if let given = value("HEADERS") { headers = try Self.pairs(given.text, of: given.name) }
        if let given = value("TIMEOUT") { timeoutMilliseconds = try Self.number(given, 1...600_000) }
        files.authorities = value("CERTIFICATE")?.text
        files.certificate = value("CLIENT_CERTIFICATE")?.text
        files.key = value("CLIENT_KEY")?.text
        func number(_ name: String, _ range: ClosedRange<Int64>) throws(TraceSettingsProblem) -> Int64? {
            guard let text = variables[name] else { return nil }
            return try Self.number((name, text), range)
        }
        delayMilliseconds = try number("OTEL_BSP_SCHEDULE_DELAY", 1...600_000) ?? delayMilliseconds
        queueCapacity = try number("OTEL_BSP_MAX_QUEUE_SIZE", 1...1_000_000).map(Int.init) ?? queueCapacity
        batchSize = min(queueCapacity, try number("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", 1...1_000_000).map(Int.init) ?? batchSize)
        let own = [
            Pair(name: "service.name", value: variables["OTEL_SERVICE_NAME"] ?? "apusd"), Pair(name: "service.version", value: version),
            Pair(name: "telemetry.sdk.name", value: "apus"), Pair(name: "telemetry.sdk.language", value: "swift"),
            Pair(name: "telemetry.sdk.version", value: version),
        ]
        let further = try Self.pairs(variables["OTEL_RESOURCE_ATTRIBUTES"] ?? "", of: "OTEL_RESOURCE_ATTRIBUTES")
        let names = Set(further.map(\.name)).subtracting(variables["OTEL_SERVICE_NAME"] == nil ? [] : ["service.name"])
        resource = own.filter { !names.contains($0.name) } + further.filter { names.contains($0.name) }
    }

    /// The address that is for traces alone is taken as it is, that for all is the folder in which they go to `v1/traces`.
    private mutating func read(endpoint: String, of name: String) throws(TraceSettingsProblem) {
        let problem = TraceSettingsProblem(name: name, value: endpoint, takes: "http://HOST[:PORT][/PATH] or https://HOST[:PORT][/PATH]")
        var rest = endpoint[...]
        if rest.hasPrefix("https://") {
            isSecure = true
        } else if !rest.hasPrefix("http://") {
            throw problem
        }
        rest = rest.dropFirst(isSecure ? "https://".count : "http://".count)
        let authority = rest.prefix { !"/?#".contains($0) }
        var folder = String(rest.dropFirst(authority.count))
        guard folder.utf8.allSatisfy({ (0x21...0x7E).contains($0) }), folder.isEmpty || folder.hasPrefix("/"), !authority.contains("@")
        else {
            throw problem
        }
        var place = authority
        if place.hasPrefix("[") {
            host = String(place.dropFirst().prefix { $0 != "]" })
            place = place.drop { $0 != "]" }.dropFirst()
        } else {
            host = String(place.prefix { $0 != ":" })
            place = place.dropFirst(host.count)
        }
        port = isSecure ? 443 : 80
        if place.hasPrefix(":") {
            guard let number = UInt16(place.dropFirst()), number > 0 else { throw problem }
            port = Int(number)
        } else if !place.isEmpty {
            throw problem
        }
        guard !host.isEmpty, host.utf8.allSatisfy({ (0x21...0x7E).contains($0) }) else { throw problem }
        if name == "OTEL_EXPORTER_OTLP_ENDPOINT" { folder += folder.hasSuffix("/") ? "v1/traces" : "/v1/traces" }
        path = folder.isEmpty ? "/" : folder
    }

    private static func number(_ given: (name: String, text: String), _ range: ClosedRange<Int64>) throws(TraceSettingsProblem) -> Int64 {
        guard let number = Int64(given.text), range.contains(number) else {
            throw TraceSettingsProblem(
                name: given.name, value: given.text, takes: "a whole number from \(range.lowerBound) to \(range.upperBound)")
        }
        return number
    }

    /// `name=value,name=value`, percent-encoded.
    private static func pairs(_ text: String, of name: String) throws(TraceSettingsProblem) -> [Pair] {
        var pairs: [Pair] = []
        for entry in text.split(separator: ",") {
            let parts = entry.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map { decoded(trimmed($0)) }
            guard parts.count == 2, !parts[0].isEmpty, parts[0].utf8.allSatisfy({ (0x21...0x7E).contains($0) && $0 != 0x3A }),
                !parts[1].utf8.contains(where: { $0 < 0x20 || $0 == 0x7F })
            else {
                // Values may be secrets.
                throw TraceSettingsProblem(name: name, value: "…", takes: "NAME=VALUE, separated by commas")
            }
            pairs.append(Pair(name: parts[0], value: parts[1]))
        }
        return pairs
    }

    private static func trimmed(_ text: Substring) -> Substring {
        var text = text.drop { $0 == " " }
        while text.last == " " { text.removeLast() }
        return text
    }

    private static func decoded(_ text: Substring) -> String {
        var bytes: [UInt8] = []
        var rest = Array(text.utf8)[...]
        while let byte = rest.popFirst() {
            if byte == UInt8(ascii: "%"), let value = UInt8(String(decoding: rest.prefix(2), as: UTF8.self), radix: 16), rest.count >= 2 {
                bytes.append(value)
                rest = rest.dropFirst(2)
            } else {
                bytes.append(byte)
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}

/// A variable that cannot be heeded.
package struct TraceSettingsProblem: Error, Equatable, CustomStringConvertible {
    let name: String
    let value: String
    let takes: String

    package var description: String { "\(name)=\(value): it takes \(takes)" }
}
