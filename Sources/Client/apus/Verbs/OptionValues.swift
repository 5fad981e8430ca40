internal import EngineAPI
internal import FoundationEssentials

/// Splits at the first `mark`; the second part is nil where there is none.
func splitOnce(_ text: String, at mark: Character) -> (String, String?) {
    guard let position = text.firstIndex(of: mark) else { return (text, nil) }
    return (String(text[..<position]), String(text[text.index(after: position)...]))
}

/// `NAME=value` pairs as a map; a bare name has an empty value.
func pairs(_ texts: [String]) throws(UsageError) -> [String: String] {
    var map: [String: String] = [:]
    for text in texts {
        let (name, value) = splitOnce(text, at: "=")
        if name.isEmpty { throw UsageError(flag: "invalid value \"\(text)\": a name must stand before =") }
        map[name] = value ?? ""
    }
    return map
}

/// The variables of `--env-file` and `--env`, in this order; a bare name takes this program's own value, and is left
/// out where it has none.
func environmentVariables(_ invocation: Invocation) throws -> [String] {
    let own = invocation.environment.variables
    return try (linesOfFiles(invocation.arguments.list("env-file")) + invocation.arguments.list("env")).compactMap { text in
        let (name, value) = splitOnce(text, at: "=")
        if name.isEmpty { throw UsageError(flag: "invalid environment variable: \(text)") }
        if value != nil { return text }
        return own[name].map { "\(name)=\($0)" }
    }
}

/// The lines of files, without empty ones and comments.
func linesOfFiles(_ paths: [String]) throws -> [String] {
    try paths.flatMap { path in
        guard let bytes = try? Data(contentsOf: URL(filePath: path)), bytes.count <= 1 << 20 else {
            throw UsageError(flag: "open \(path): no such file, or one over 1 MiB")
        }
        return String(decoding: bytes, as: UTF8.self).split(separator: "\n").map { String($0.drop { $0 == " " || $0 == "\t" }) }
            .filter { !$0.isEmpty && !$0.hasPrefix("#") }
    }
}

/// A bind with its host path made absolute: `./data:/data` is meant from here. Names of volumes stay.
func absoluteBind(_ text: String) -> String {
    let (source, rest) = splitOnce(text, at: ":")
    guard let rest, source.hasPrefix("."), source == "." || source == ".." || source.contains("/") else { return text }
    return URL(filePath: source).standardizedFileURL.path + ":" + rest
}

/// Security options with a profile's file in place of its path: the daemon may not see our files.
func securityOptions(_ options: [String]) throws -> [String] {
    try options.map { option in
        let (name, value) = splitOnce(option, at: option.contains("=") ? "=" : ":")
        guard name == "seccomp", let value, value != "unconfined", value != "builtin" else { return option }
        guard let bytes = try? Data(contentsOf: URL(filePath: value)), bytes.count <= 4 << 20 else {
            throw UsageError(flag: "opening seccomp profile (\(value)) failed: no such file, or one over 4 MiB")
        }
        return "seccomp=" + String(decoding: bytes, as: UTF8.self)
    }
}

/// `no`, `always`, `unless-stopped`, `on-failure[:max-retries]`.
func restartPolicy(_ text: String) throws(UsageError) -> RestartPolicy {
    var policy = RestartPolicy()
    let (name, count) = splitOnce(text, at: ":")
    policy.name = name
    if let count {
        guard let retries = Int(count), retries >= 0 else {
            throw UsageError(flag: "invalid restart policy format: maximum retry count must be an integer")
        }
        policy.maximumRetryCount = retries
    }
    return policy
}

/// One `-p` in its common form `[address:][host-port:]port[/protocol]`.
func publishedPort(_ text: String) throws(UsageError) -> (String, PortBinding) {
    let (ports, transport) = splitOnce(text, at: "/")
    var parts = ports.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
    guard let inner = parts.popLast(), UInt16(inner) != nil, parts.count <= 2 else {
        throw UsageError(flag: "invalid publish format: \(text): use [ADDRESS:][HOST-PORT:]PORT[/PROTOCOL]")
    }
    var binding = PortBinding()
    binding.hostPort = parts.popLast() ?? ""
    binding.hostIP = parts.popLast() ?? ""
    return ("\(inner)/\(transport ?? "tcp")", binding)
}

/// `/dev/host[:/dev/container[:rwm]]`.
func device(_ text: String) -> DeviceMapping {
    let parts = text.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
    var mapping = DeviceMapping()
    mapping.pathOnHost = parts[0]
    mapping.pathInContainer = parts.count > 1 && parts[1].hasPrefix("/") ? parts[1] : parts[0]
    mapping.cgroupPermissions = parts.count > 2 ? parts[2] : parts.count > 1 && !parts[1].hasPrefix("/") ? parts[1] : "rwm"
    return mapping
}

/// `nofile=1024:2048`.
func ulimit(_ text: String) throws(UsageError) -> Ulimit {
    let (name, limits) = splitOnce(text, at: "=")
    let (soft, hard) = splitOnce(limits ?? "", at: ":")
    guard let softLimit = Int64(soft), let hardLimit = Int64(hard ?? soft) else {
        throw UsageError(flag: "invalid argument \"\(text)\" for \"--ulimit\" flag: use TYPE=SOFT[:HARD]")
    }
    guard hardLimit < 0 || softLimit <= hardLimit else {
        throw UsageError(flag: "ulimit soft limit must be less than or equal to hard limit: \(softLimit) > \(hardLimit)")
    }
    var ulimit = Ulimit()
    ulimit.name = name
    ulimit.soft = softLimit
    ulimit.hard = hardLimit
    return ulimit
}
