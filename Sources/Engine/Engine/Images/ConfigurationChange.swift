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

    /// Follows instructions one after the other, as a Dockerfile's lines: each may be several, with comments, and go on behind a backslash.
    static func apply(_ texts: [String], to config: inout ContainerConfig) throws(EngineError) {
        var isCommandSet = false
        var line = ""
        for part in texts.joined(separator: "\n").split(separator: "\n", omittingEmptySubsequences: false) {
            let text = String(part).trimmed
            if text.isEmpty || text.hasPrefix("#") { continue }
            if text.hasSuffix("\\") {
                line += text.dropLast()
                continue
            }
            let change = try ConfigurationChange(line + text)
            line = ""
            try change.apply(to: &config, isCommandSet: isCommandSet)
            isCommandSet = isCommandSet || change.keyword == "CMD"
        }
        if !line.isEmpty { try ConfigurationChange(line).apply(to: &config, isCommandSet: isCommandSet) }
    }

    /// - Parameter isCommandSet: whether an instruction before has said the command.
    private func apply(to config: inout ContainerConfig, isCommandSet: Bool) throws(EngineError) {
        try perform(on: &config, isCommandSet: isCommandSet)
        let texts = config.env + config.labels.flatMap { [$0.key, $0.value] } + config.volumes.keys + [config.workingDir, config.user]
        guard texts.reduce(0, { $0 + $1.utf8.count }) <= Self.limitBytes else { throw Self.tooLong(keyword) }
    }

    fileprivate static func tooLong(_ what: String) -> EngineError {
        EngineError(.invalidParameter, "\(what): the configuration becomes longer than \(limitBytes) bytes")
    }

    private func perform(on config: inout ContainerConfig, isCommandSet: Bool) throws(EngineError) {
        switch keyword {
        case "CMD": config.cmd = command(config)
        case "ENTRYPOINT":
            config.entrypoint = command(config)
            // A command that was there before was meant for another program.
            if !isCommandSet { config.cmd = nil }
        case "ENV": for (name, value) in try pairs(config) { Self.set("\(name)=\(value)", in: &config.env) }
        case "LABEL": for (name, value) in try pairs(config) { config.labels[name] = value }
        case "EXPOSE":
            for word in try words(config) { for port in try Self.ports(word) { config.exposedPorts[port] = EmptyObject() } }
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
        return StringSlice((config.shell.isEmpty ? ["/bin/sh", "-c"] : config.shell) + [rest])
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
    private static func ports(_ word: String) throws(EngineError) -> [String] {
        let parts = word.split(separator: "/", omittingEmptySubsequences: false)
        let proto = parts.count == 2 ? parts[1].lowercased() : "tcp"
        let ends = (parts.first ?? "").split(separator: "-", omittingEmptySubsequences: false).map { UInt16($0) }
        guard parts.count <= 2, (1...2).contains(ends.count), let first = ends[0], let last = ends[ends.count - 1], first > 0,
            first <= last, ["tcp", "udp", "sctp"].contains(proto)
        else { throw EngineError(.invalidParameter, "invalid containerPort: \(word)") }
        return (first...last).map { "\($0)/\(proto)" }
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
