internal import CoreTypes
internal import EngineAPI

/// One instruction of a Dockerfile that changes how containers of an image run: what `commit --change` and `import --change` take.
/// - Source: docs.docker.com, Dockerfile reference; docker commit, "--change".
struct ConfigurationChange {
    private let keyword: String
    private let rest: String

    private static let known: Set<String> = [
        "CMD", "ENTRYPOINT", "ENV", "EXPOSE", "HEALTHCHECK", "LABEL", "ONBUILD", "STOPSIGNAL", "USER", "VOLUME", "WORKDIR",
    ]

    /// - Throws: `.invalidParameter` for an instruction that no configuration can follow.
    init(_ text: String) throws(EngineError) {
        let line = text.trimmed
        let word = line.prefix { !$0.isWhitespace }
        keyword = word.uppercased()
        rest = String(line.dropFirst(word.count)).trimmed
        guard Self.known.contains(keyword) else {
            throw EngineError(.invalidParameter, "\(word.lowercased()) is not a valid change command")
        }
        if rest.isEmpty { throw EngineError(.invalidParameter, "\(keyword) requires at least one argument") }
    }

    /// Variables, labels and volumes of a configuration, and what variables may add to one instruction: one that names itself twice would
    /// double with each instruction. Beyond it no program could be started either.
    static let limitBytes = 1 << 20

    /// Every port of every protocol, once: what all instructions of a request may open.
    private static let portLimit = 3 * Int(UInt16.max)

    /// What instructions of a request have done before the next one.
    private struct Progress {
        /// Whether one has said the command.
        var isCommandSet = false
        var portCount = 0
    }

    /// Follows instructions one after the other, as a Dockerfile's.
    static func apply(_ texts: [String], to config: inout ContainerConfig) throws(EngineError) {
        var progress = Progress()
        for line in DockerfileLines.joined(texts) { try ConfigurationChange(line).apply(to: &config, &progress) }
    }

    private func apply(to config: inout ContainerConfig, _ progress: inout Progress) throws(EngineError) {
        try perform(on: &config, &progress)
        progress.isCommandSet = progress.isCommandSet || keyword == "CMD"
        let texts = config.env + config.labels.flatMap { [$0.key, $0.value] } + config.volumes.keys + [config.workingDir, config.user]
        guard texts.reduce(0, { $0 + $1.utf8.count }) <= Self.limitBytes else { throw Self.tooLong(keyword) }
    }

    static func tooLong(_ what: String) -> EngineError {
        EngineError(.invalidParameter, "\(what): the configuration becomes longer than \(limitBytes) bytes")
    }

    private func perform(on config: inout ContainerConfig, _ progress: inout Progress) throws(EngineError) {
        switch keyword {
        case "CMD": config.cmd = try command(config)
        case "ENTRYPOINT":
            config.entrypoint = try command(config)
            // A command that was there before was meant for another program.
            if !progress.isCommandSet { config.cmd = nil }
        case "ENV": for (name, value) in try pairs(config) { Self.set("\(name)=\(value)", in: &config.env) }
        case "LABEL": for (name, value) in try pairs(config) { config.labels[name] = value }
        case "EXPOSE":
            for word in try ports(config) {
                let (ports, proto) = try Self.ports(word)
                progress.portCount += ports.count
                // Before they are made: a word of seven bytes may stand for all of them.
                if progress.portCount > Self.portLimit {
                    throw EngineError(.invalidParameter, "EXPOSE: more than \(Self.portLimit) ports in one request")
                }
                for port in ports { config.exposedPorts["\(port)/\(proto)"] = EmptyObject() }
            }
        case "VOLUME": for path in try volumes(config) { config.volumes[path] = EmptyObject() }
        case "USER": config.user = try expanded(config)
        case "STOPSIGNAL":
            config.stopSignal = try expanded(config)
            _ = try SignalNames.number(of: config.stopSignal)
        case "WORKDIR":
            let path = try expanded(config)
            if path.isEmpty { throw EngineError(.invalidParameter, "cannot normalize nothing") }
            config.workingDir = path.hasPrefix("/") ? path : Self.cleaned("\(config.workingDir)/\(path)")
        case "ONBUILD":
            let trigger = rest.prefix { !$0.isWhitespace }.uppercased()
            if trigger == "ONBUILD" {
                throw EngineError(.invalidParameter, "Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed")
            }
            if ["FROM", "MAINTAINER"].contains(trigger) {
                throw EngineError(.invalidParameter, "\(trigger) isn't allowed as an ONBUILD trigger")
            }
            config.onBuild.append(rest)
        case "HEALTHCHECK": config.healthcheck = try healthcheck()
        default: throw EngineError(.invalidParameter, "\(keyword.lowercased()) is not a valid change command")
        }
    }

    /// An absolute path without `.`, `..` and doubled slashes.
    private static func cleaned(_ path: String) -> String {
        var parts: [Substring] = []
        for part in path.split(separator: "/") where part != "." {
            if part == ".." { _ = parts.popLast() } else { parts.append(part) }
        }
        return "/" + parts.joined(separator: "/")
    }

    private static func set(_ variable: String, in environment: inout [String]) {
        let name = ImageDefaults.variableName(variable)
        if let place = environment.firstIndex(where: { ImageDefaults.variableName($0) == name }) {
            environment[place] = variable
        } else {
            environment.append(variable)
        }
    }

    // MARK: Arguments

    /// A JSON array of words, or a line for the shell.
    private func command(_ config: ContainerConfig) throws(EngineError) -> StringSlice? {
        if let words = try Self.jsonList(rest) { return words.isEmpty ? nil : StringSlice(words) }
        return StringSlice((config.shell.words.isEmpty ? ["/bin/sh", "-c"] : config.shell.words) + [rest])
    }

    /// - Returns: nil for what is no JSON array: a line may begin with a bracket.
    private static func jsonList(_ text: String) throws(EngineError) -> [String]? {
        guard text.hasPrefix("["), let elements = try? EngineJSON.decode([ListElement].self, from: Array(text.utf8)) else { return nil }
        let words = elements.compactMap(\.word)
        if words.count == elements.count { return words }
        throw EngineError(.invalidParameter, "when using JSON array syntax, arrays must be comprised of strings only")
    }

    private func volumes(_ config: ContainerConfig) throws(EngineError) -> [String] {
        var words = InstructionWords(environment: config.env)
        var paths: [String] = []
        for word in try Self.jsonList(rest) ?? rest.split(whereSeparator: \.isWhitespace).map(String.init) {
            let path = try words.expand(word.trimmed)
            if path.isEmpty { throw EngineError(.invalidParameter, "VOLUME specified can not be an empty string") }
            paths.append(path)
        }
        return paths
    }

    /// The whole line as one word.
    private func expanded(_ config: ContainerConfig) throws(EngineError) -> String {
        var words = InstructionWords(environment: config.env)
        return try words.expand(rest)
    }

    /// `name=value …`, or of old `name value`.
    private func pairs(_ config: ContainerConfig) throws(EngineError) -> [(String, String)] {
        var words = InstructionWords(environment: config.env)
        let parts = InstructionWords.split(rest)
        guard let first = parts.first else { return [] }
        if !first.contains("=") {
            let name = rest.prefix { !$0.isWhitespace }
            let value = String(rest.dropFirst(name.count)).trimmed
            if value.isEmpty { throw EngineError(.invalidParameter, "\(keyword) must have two arguments") }
            return [(try words.expand(String(name)), try words.expand(value))]
        }
        var found: [(String, String)] = []
        for part in parts {
            guard let equals = part.firstIndex(of: "=") else {
                throw EngineError(.invalidParameter, "Syntax error - can't find = in \"\(part)\". Must be of the form: name=value")
            }
            if equals == part.startIndex { throw EngineError(.invalidParameter, "\(keyword) names can not be blank") }
            found.append((try words.expand(String(part[..<equals])), try words.expand(String(part[part.index(after: equals)...]))))
        }
        return found
    }

    /// The ports' words; of one variable may come several.
    private func ports(_ config: ContainerConfig) throws(EngineError) -> [String] {
        var words = InstructionWords(environment: config.env)
        var ports: [String] = []
        for word in rest.split(whereSeparator: \.isWhitespace) {
            ports += try words.expand(String(word)).split(whereSeparator: \.isWhitespace).map(String.init)
        }
        return ports
    }

    /// `80`, `80/udp`, `80-82`; where it would be published, as in `127.0.0.1:8080:80`, is well-formed and says nothing of an image.
    /// - Throws: `.invalidParameter`.
    private static func ports(_ word: String) throws(EngineError) -> (ClosedRange<UInt16>, proto: String) {
        let parts = word.split(separator: "/", omittingEmptySubsequences: false)
        let proto = parts.count == 2 ? parts[1].lowercased() : "tcp"
        let places = (parts.first ?? "").split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count <= 2, let inside = places.last.flatMap(range), inside.lowerBound > 0, ["tcp", "udp", "sctp"].contains(proto)
        else {
            throw EngineError(.invalidParameter, "invalid containerPort: \(word)")
        }
        if places.count > 1, let outer = places.dropLast().last, !outer.isEmpty {
            guard let outside = range(outer) else { throw EngineError(.invalidParameter, "invalid hostPort: \(word)") }
            if outside.count != inside.count && inside.count > 1 {
                throw EngineError(.invalidParameter, "invalid ranges specified for container and host Ports: \(word)")
            }
        }
        let address = places.dropLast(2).joined(separator: ":")
        if !address.isEmpty && IPAddress(address.hasPrefix("[") ? String(address.dropFirst().dropLast()) : address) == nil {
            throw EngineError(.invalidParameter, "invalid IP address: \(word)")
        }
        return (inside, proto)
    }

    private static func range(_ text: Substring) -> ClosedRange<UInt16>? {
        let ends = text.split(separator: "-", omittingEmptySubsequences: false).map { UInt16($0) }
        guard (1...2).contains(ends.count), let first = ends[0], let last = ends[ends.count - 1], first <= last else { return nil }
        return first...last
    }

    // MARK: HEALTHCHECK

    private func healthcheck() throws(EngineError) -> HealthConfig {
        var check = HealthConfig()
        var line = rest[...]
        while line.hasPrefix("--") {
            let option = line.prefix { !$0.isWhitespace }
            line = line.dropFirst(option.count).drop(while: \.isWhitespace)
            try Self.set(option.dropFirst(2), in: &check)
        }
        let type = line.prefix { !$0.isWhitespace }
        let command = String(line.dropFirst(type.count)).trimmed
        switch type.uppercased() {
        case "NONE":
            if !command.isEmpty { throw EngineError(.invalidParameter, "HEALTHCHECK NONE takes no arguments") }
            check.test = ["NONE"]
        case "CMD":
            let words = try Self.jsonList(command)
            if command.isEmpty || words?.isEmpty == true {
                throw EngineError(.invalidParameter, "Missing command after HEALTHCHECK CMD")
            }
            check.test = words.map { ["CMD"] + $0 } ?? ["CMD-SHELL", command]
        default: throw EngineError(.invalidParameter, "Unknown type \"\(type)\" in HEALTHCHECK (try CMD)")
        }
        return check
    }

    /// A span of a health check is none, or this long at least.
    private static let shortestNanoseconds: Int64 = 1_000_000

    private static func set(_ option: Substring, in check: inout HealthConfig) throws(EngineError) {
        let parts = option.split(separator: "=", maxSplits: 1)
        let value = parts.count == 2 ? String(parts[1]) : ""
        if parts.first == "retries", let retries = Int(value), retries >= 0 { return check.retries = retries }
        guard let nanoseconds = SpanText.nanoseconds(value), nanoseconds >= 0 else {
            throw EngineError(.invalidParameter, "HEALTHCHECK: invalid option --\(option)")
        }
        if nanoseconds > 0 && nanoseconds < shortestNanoseconds {
            throw EngineError(.invalidParameter, "Interval \"\(parts.first ?? "")\" cannot be less than 1ms")
        }
        switch parts.first {
        case "interval": check.interval = nanoseconds
        case "timeout": check.timeout = nanoseconds
        case "start-period": check.startPeriod = nanoseconds
        case "start-interval": check.startInterval = nanoseconds
        default: throw EngineError(.invalidParameter, "HEALTHCHECK: unknown option --\(option)")
        }
    }
}

/// One element of a JSON array, which must be a word.
private struct ListElement: Decodable {
    /// nil for anything else.
    let word: String?

    init(from decoder: any Decoder) throws { word = try? decoder.singleValueContainer().decode(String.self) }
}

/// A Dockerfile's lines, with those that go on behind a backslash put together, without comments and empty ones.
private enum DockerfileLines {
    private static let blanks: Set<UInt8> = [0x20, 0x09, 0x0B, 0x0C, 0x0D]

    /// By bytes: a carriage return and the end of its line are one character.
    static func joined(_ texts: [String]) -> [String] {
        var lines: [String] = []
        var open: [UInt8]?
        for bytes in Array(texts.joined(separator: "\n").utf8).split(separator: 0x0A, omittingEmptySubsequences: false) {
            let content = bytes.drop { blanks.contains($0) }
            if content.isEmpty || content.first == UInt8(ascii: "#") { continue }
            var text = bytes.last == 0x0D ? bytes.dropLast() : bytes
            // What an instruction begins with is not its own; before what it goes on with, blanks part words.
            if open == nil { text = text.drop { blanks.contains($0) } }
            if let part = beforeContinuation(text) {
                open = open ?? []
                open?.append(contentsOf: part)
            } else {
                lines.append(String(decoding: (open ?? []) + text, as: UTF8.self))
                open = nil
            }
        }
        if let open, !open.allSatisfy(blanks.contains) { lines.append(String(decoding: open, as: UTF8.self)) }
        return lines
    }

    /// What stands before a single backslash at the end, blanks behind it or not; nil where the line ends here.
    private static func beforeContinuation(_ line: ArraySlice<UInt8>) -> ArraySlice<UInt8>? {
        var end = line
        while let last = end.last, last == 0x20 || last == 0x09 { end.removeLast() }
        guard end.popLast() == UInt8(ascii: "\\"), end.last != UInt8(ascii: "\\") else { return nil }
        return end
    }
}
