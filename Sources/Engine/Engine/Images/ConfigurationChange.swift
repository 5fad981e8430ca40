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

    fileprivate static func tooLong(_ what: String) -> EngineError {
        EngineError(.invalidParameter, "\(what): the configuration becomes longer than \(limitBytes) bytes")
    }

    private func perform(on config: inout ContainerConfig, _ progress: inout Progress) throws(EngineError) {
        switch keyword {
        case "CMD": config.cmd = command(config)
        case "ENTRYPOINT":
            config.entrypoint = command(config)
            // A command that was there before was meant for another program.
            if !progress.isCommandSet { config.cmd = nil }
        case "ENV": for (name, value) in try pairs(config) { Self.set("\(name)=\(value)", in: &config.env) }
        case "LABEL": for (name, value) in try pairs(config) { config.labels[name] = value }
        case "EXPOSE":
            for word in try words(config) {
                let (ports, proto) = try Self.ports(word)
                progress.portCount += ports.count
                // Before they are made: a word of seven bytes may stand for all of them.
                if progress.portCount > Self.portLimit {
                    throw EngineError(.invalidParameter, "EXPOSE: more than \(Self.portLimit) ports in one request")
                }
                for port in ports { config.exposedPorts["\(port)/\(proto)"] = EmptyObject() }
            }
        case "VOLUME": for path in try list(config) { config.volumes[path] = EmptyObject() }
        case "USER": config.user = try single(config)
        case "STOPSIGNAL":
            config.stopSignal = try single(config)
            _ = try SignalNames.number(of: config.stopSignal)
        case "WORKDIR":
            let path = try single(config)
            config.workingDir = path.hasPrefix("/") ? path : (config.workingDir.isEmpty ? "/" : "\(config.workingDir)/") + path
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
    private func command(_ config: ContainerConfig) -> StringSlice? {
        if let words = jsonList() { return words.isEmpty ? nil : StringSlice(words) }
        return StringSlice((config.shell.words.isEmpty ? ["/bin/sh", "-c"] : config.shell.words) + [rest])
    }

    private func jsonList() -> [String]? { rest.hasPrefix("[") ? try? EngineJSON.decode([String].self, from: Array(rest.utf8)) : nil }

    private func list(_ config: ContainerConfig) throws(EngineError) -> [String] {
        if let words = jsonList() { return words }
        return try words(config)
    }

    private func single(_ config: ContainerConfig) throws(EngineError) -> String {
        let words = try words(config)
        guard words.count == 1, let word = words.first else {
            throw EngineError(.invalidParameter, "\(keyword) requires exactly one argument")
        }
        return word
    }

    /// `name=value …`, or of old `name value`.
    private func pairs(_ config: ContainerConfig) throws(EngineError) -> [(String, String)] {
        let words = try words(config)
        guard let first = words.first else { return [] }
        if !first.contains("=") {
            let value = String(rest.dropFirst(rest.prefix { !$0.isWhitespace }.count)).trimmed
            if value.isEmpty { throw EngineError(.invalidParameter, "\(keyword) must have two arguments") }
            return [(first, value)]
        }
        var found: [(String, String)] = []
        for word in words {
            guard let equals = word.firstIndex(of: "="), equals != word.startIndex else {
                throw EngineError(.invalidParameter, "Syntax error - can't find = in \"\(word)\". Must be of the form: name=value")
            }
            found.append((String(word[..<equals]), String(word[word.index(after: equals)...])))
        }
        return found
    }

    /// `80`, `80/udp`, `80-82`. - Throws: `.invalidParameter`.
    private static func ports(_ word: String) throws(EngineError) -> (ClosedRange<UInt16>, proto: String) {
        let parts = word.split(separator: "/", omittingEmptySubsequences: false)
        let proto = parts.count == 2 ? parts[1].lowercased() : "tcp"
        let ends = (parts.first ?? "").split(separator: "-", omittingEmptySubsequences: false).map { UInt16($0) }
        guard parts.count <= 2, (1...2).contains(ends.count), let first = ends[0], let last = ends[ends.count - 1], first > 0,
            first <= last, ["tcp", "udp", "sctp"].contains(proto)
        else { throw EngineError(.invalidParameter, "invalid containerPort: \(word)") }
        return (first...last, proto)
    }

    /// The line's words: quotes joined, `\` taken, `$NAME` and `${NAME}` from the variables so far, but not in single quotes.
    private func words(_ config: ContainerConfig) throws(EngineError) -> [String] {
        var scanner = WordScanner(rest, environment: config.env)
        return try scanner.words()
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
        case "NONE": check.test = ["NONE"]
        case "CMD" where !command.isEmpty:
            let words = command.hasPrefix("[") ? try? EngineJSON.decode([String].self, from: Array(command.utf8)) : nil
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

/// Cuts an instruction's line into words as a Dockerfile's are.
private struct WordScanner {
    private var rest: Substring
    private let environment: [String]
    /// Bytes that variables have added.
    private var addedBytes = 0
    /// Substitutions within each other; each is a call within a call.
    private static let depthLimit = 16
    private var depth = 0

    init(_ line: String, environment: [String]) {
        rest = line[...]
        self.environment = environment
    }

    mutating func words() throws(EngineError) -> [String] {
        var words: [String] = []
        while let first = rest.first {
            if first.isWhitespace { rest.removeFirst() } else { words.append(try word()) }
        }
        return words
    }

    /// - Parameter end: what ends the word, and is taken with it, in place of white space.
    private mutating func word(upTo end: Character? = nil) throws(EngineError) -> String {
        depth += 1
        defer { depth -= 1 }
        guard depth <= Self.depthLimit else { throw EngineError(.invalidParameter, "substitutions within substitutions") }
        var word = ""
        var quote: Character?
        while let character = rest.first, quote != nil || end != nil || !character.isWhitespace {
            rest.removeFirst()
            if quote == nil, let end, character == end { return word }
            switch character {
            case "'", "\"":
                if quote == nil { quote = character } else if quote == character { quote = nil } else { word.append(character) }
            case "\\" where quote != "'":
                if let next = rest.popFirst() { word.append(next) }
            case "$" where quote != "'":
                let value = try variable()
                addedBytes += value.utf8.count
                if addedBytes > ConfigurationChange.limitBytes { throw ConfigurationChange.tooLong("$") }
                word += value
            default: word.append(character)
            }
        }
        if let quote { throw EngineError(.invalidParameter, "unexpected end of statement while looking for matching \(quote)") }
        if let end { throw EngineError(.invalidParameter, "syntax error: missing '\(end)'") }
        return word
    }

    private mutating func variable() throws(EngineError) -> String {
        let isBraced = rest.first == "{"
        if isBraced { rest.removeFirst() }
        let name = rest.prefix { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "_") }
        rest = rest.dropFirst(name.count)
        let found = environment.last { ImageDefaults.variableName($0) == name }.map { String($0.dropFirst(name.count + 1)) }
        if isBraced {
            guard rest.first != "}" else {
                rest.removeFirst()
                return name.isEmpty ? "$" : found ?? ""
            }
            return try modified(found, named: String(name))
        }
        return name.isEmpty ? "$" : found ?? ""
    }

    /// `${NAME:-word}`, `${NAME:+word}` and `${NAME:?word}`, behind the name; without the colon an empty value is one.
    private mutating func modified(_ found: String?, named name: String) throws(EngineError) -> String {
        let hasColon = rest.first == ":"
        if hasColon { rest.removeFirst() }
        let modifier = rest.popFirst()
        guard !name.isEmpty, let modifier, "-+?".contains(modifier) else {
            throw EngineError(.invalidParameter, "unsupported modifier in substitution of \(name)")
        }
        let word = try word(upTo: "}")
        let isSet = hasColon ? !(found ?? "").isEmpty : found != nil
        switch modifier {
        case "-": return isSet ? found ?? "" : word
        case "+": return isSet ? word : ""
        default:
            if isSet { return found ?? "" }
            throw EngineError(.invalidParameter, "\(name): \(word.isEmpty ? "is not allowed to be unset" : word)")
        }
    }
}
