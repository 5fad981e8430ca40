internal import EngineAPI
internal import FoundationEssentials
internal import Templates

/// Splits at the first `mark`; the second part is nil where there is none.
func splitOnce(_ text: String, at mark: Character) -> (String, String?) {
    guard let position = text.firstIndex(of: mark) else { return (text, nil) }
    return (String(text[..<position]), String(text[text.index(after: position)...]))
}

/// The text without spaces around it.
func trimmed(_ text: String) -> String {
    var middle = Substring(text)
    while middle.first == " " { middle.removeFirst() }
    while middle.last == " " { middle.removeLast() }
    return String(middle)
}

/// `NAME=value` pairs as a map; a bare name has an empty value.
func pairs(_ texts: [String]) -> [String: String] {
    Dictionary(texts.map { splitOnce($0, at: "=") }.map { ($0, $1 ?? "") }, uniquingKeysWith: { _, last in last })
}

/// A domain of `--dns-search` as it is sent: a dot at its end says nothing.
func searchedName(_ text: String) -> String {
    let name = trimmed(text)
    return name.count > 1 && name.hasSuffix(".") ? String(name.dropLast()) : name
}

/// Checks of values that docker's command line makes while it reads them, in its words.
enum ValueCheck {
    @Sendable static func variable(_ text: String) -> String? {
        text.isEmpty || text.hasPrefix("=") ? "invalid environment variable: \(text)" : nil
    }

    @Sendable static func label(_ text: String) -> String? {
        let name = splitOnce(text, at: "=").0.drop { $0 == " " || $0 == "\t" }
        if name.isEmpty { return "invalid label '\(text)': empty name" }
        return name.contains { $0 == " " || $0 == "\t" } ? "label '\(name)' contains whitespaces" : nil
    }

    /// The sysctls that have a namespace of their own. - Source: namespaces(7).
    @Sendable static func sysctl(_ text: String) -> String? {
        let names: Set = [
            "kernel.msgmax", "kernel.msgmnb", "kernel.msgmni", "kernel.sem", "kernel.shmall", "kernel.shmmax", "kernel.shmmni",
            "kernel.shm_rmid_forced",
        ]
        let (name, value) = splitOnce(text, at: "=")
        let isKnown = names.contains(name) || name.hasPrefix("net.") || name.hasPrefix("fs.mqueue.")
        return isKnown && value != nil ? nil : "sysctl '\(text)' is not allowed"
    }

    @Sendable static func ulimit(_ text: String) -> String? {
        switch parsedUlimit(text) {
        case .success: nil
        case .failure(let complaint): complaint.description
        }
    }

    /// Labels between dots, of which one has a letter; a dot alone means that nothing is searched.
    /// - Source: docker/cli, opts.go, ValidateDNSSearch.
    @Sendable static func searchDomain(_ text: String) -> String? {
        let name = searchedName(text)
        let isName = name.utf8.count < 255 && name.split(separator: ".", omittingEmptySubsequences: false).allSatisfy(isLabel)
        return name == "." || (isName && name.contains(where: \.isLetter)) ? nil : "\(trimmed(text)) is not a valid domain"
    }

    private static func isLabel(_ text: Substring) -> Bool {
        let isPlain = text.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "-") }
        return isPlain && !text.isEmpty && text.first != "-" && text.last != "-"
    }

    @Sendable static func address(_ text: String) -> String? {
        let isV4 =
            text.split(separator: ".", omittingEmptySubsequences: false).count == 4
            && text.split(separator: ".").allSatisfy { UInt8($0) != nil }
        let isV6 = text.contains(":") && text.allSatisfy { $0.isHexDigit || $0 == ":" || $0 == "." }
        return isV4 || isV6 ? nil : "IP address is not correctly formatted: \(text)"
    }
}

/// The variables of `--env-file` and `--env`, in this order. A bare name takes this program's own value; where that has
/// none, one from a file is left out, and one from the command line takes the image's or the container's variable away.
/// - Throws: `Complaint` for a file that cannot be read.
func environmentVariables(_ invocation: Invocation) throws(Complaint) -> [String] {
    let own = invocation.environment.variables
    var variables: [String] = []
    for text in try linesOfFiles(invocation.arguments.list("env-file")) {
        if text.contains("=") { variables.append(text) } else if let value = own[text] { variables.append("\(text)=\(value)") }
    }
    for text in invocation.arguments.list("env") {
        variables.append(text.contains("=") ? text : own[text].map { "\(text)=\($0)" } ?? text)
    }
    return variables
}

/// A file's bytes, be it a pipe.
/// - Throws: `Complaint` that names the file and what keeps it from being read.
func contents(of path: String, limitBytes: Int) throws(Complaint) -> Data {
    Data(try ByteFile(path).rest(limitBytes: limitBytes))
}

/// A bind with its host path made absolute: `./data:/data` is meant from here. Names of volumes stay.
func absoluteBind(_ text: String) -> String {
    let (source, rest) = splitOnce(text, at: ":")
    guard let rest, source.hasPrefix("."), source == "." || source == ".." || source.contains("/") else { return text }
    return URL(filePath: source).standardizedFileURL.path + ":" + rest
}

/// Security options with a profile's file in place of its path: the daemon may not see our files.
func securityOptions(_ options: [String]) throws(Complaint) -> [String] {
    var sent: [String] = []
    for option in options {
        let (name, value) = splitOnce(option, at: option.contains("=") ? "=" : ":")
        guard name == "no-new-privileges" || value?.isEmpty == false else { throw Complaint("Invalid --security-opt: \(goQuoted(option))") }
        guard name == "seccomp", let value, value != "unconfined", value != "builtin" else {
            sent.append(option)
            continue
        }
        let bytes: Data
        do throws(Complaint) {
            bytes = try contents(of: value, limitBytes: 4 << 20)
        } catch {
            throw Complaint("opening seccomp profile (\(value)) failed: \(error)")
        }
        do throws(GoSyntaxError) {
            sent.append("seccomp=" + String(decoding: try EngineJSON.compacted(Array(bytes)), as: UTF8.self))
        } catch { throw Complaint("compacting json for seccomp profile (\(value)) failed: \(error)") }
    }
    return sent
}

/// `no`, `always`, `unless-stopped`, `on-failure[:max-retries]`.
func restartPolicy(_ text: String) throws(Complaint) -> RestartPolicy {
    var policy = RestartPolicy()
    let (name, count) = splitOnce(text, at: ":")
    policy.name = name
    if let count {
        guard let retries = Int(count), retries >= 0 else {
            throw Complaint("invalid restart policy format: maximum retry count must be an integer")
        }
        policy.maximumRetryCount = retries
    }
    return policy
}

/// Whether `--device` means a device by its CDI name, `vendor.example/class=name`, and not by a path.
func isDeviceName(_ text: String) -> Bool {
    let (kind, name) = splitOnce(text, at: "=")
    let parts = kind.split(separator: "/", omittingEmptySubsequences: false)
    return name?.isEmpty == false && parts.count == 2 && !parts.contains("")
}

/// `/dev/host[:/dev/container[:rwm]]`.
func device(_ text: String) throws(Complaint) -> DeviceMapping {
    let parts = text.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
    guard !text.isEmpty, parts.count <= 3 else { throw Complaint("bad format for path: \(text)") }
    // What stands second is a mode where it can be one.
    let isPath = parts.count > 2 || parts.count > 1 && !(!parts[1].isEmpty && parts[1].allSatisfy { "rwm".contains($0) })
    var mapping = DeviceMapping()
    mapping.pathOnHost = parts[0]
    mapping.pathInContainer = isPath ? parts[1] : parts[0]
    mapping.cgroupPermissions = parts.count > 2 ? parts[2] : parts.count > 1 && !isPath ? parts[1] : "rwm"
    guard !mapping.cgroupPermissions.isEmpty, mapping.cgroupPermissions.allSatisfy({ "rwm".contains($0) }) else {
        throw Complaint("bad mode specified: \(mapping.cgroupPermissions)")
    }
    guard mapping.pathInContainer.hasPrefix("/") else { throw Complaint("\(mapping.pathInContainer) is not an absolute path") }
    return mapping
}

/// `nofile=1024:2048`, which the flag's check has passed.
func ulimits(_ texts: [String]) throws(Complaint) -> [Ulimit] {
    var limits: [Ulimit] = []
    for text in texts { limits.append(try parsedUlimit(text).get()) }
    return limits
}

private let ulimitNames: Set = [
    "core", "cpu", "data", "fsize", "locks", "memlock", "msgqueue", "nice", "nofile", "nproc", "rss", "rtprio", "rttime", "sigpending",
    "stack",
]

private func parsedUlimit(_ text: String) -> Result<Ulimit, Complaint> {
    let (name, limits) = splitOnce(text, at: "=")
    guard let limits else { return .failure(Complaint("invalid ulimit argument: \(text)")) }
    guard ulimitNames.contains(name) else { return .failure(Complaint("invalid ulimit type: \(name)")) }
    let parts = limits.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
    guard parts.count <= 2 else {
        return .failure(Complaint("too many limit value arguments - \(limits), can only have up to two, `soft[:hard]`"))
    }
    var numbers: [Int64] = []
    for part in parts {
        guard let number = Int64(part) else {
            return .failure(Complaint("strconv.ParseInt: parsing \(goQuoted(part)): invalid syntax"))
        }
        numbers.append(number)
    }
    var ulimit = Ulimit()
    ulimit.name = name
    ulimit.soft = numbers[0]
    ulimit.hard = numbers[numbers.count - 1]
    if ulimit.hard >= 0, ulimit.soft < 0 || ulimit.soft > ulimit.hard {
        return .failure(Complaint("ulimit soft limit must be less than or equal to hard limit: \(ulimit.soft) > \(ulimit.hard)"))
    }
    return .success(ulimit)
}

/// Whether a text is a rule of the devices cgroup, `c 42:* rmw`.
@Sendable func isDeviceRule(_ text: String) -> Bool {
    let words = text.split(separator: " ", omittingEmptySubsequences: false)
    guard words.count == 3, ["a", "c", "b"].contains(words[0]), (1...3).contains(words[2].count) else { return false }
    let numbers = words[1].split(separator: ":", omittingEmptySubsequences: false)
    return words[2].allSatisfy { "rwm".contains($0) } && numbers.count == 2
        && numbers.allSatisfy { $0 == "*" || (!$0.isEmpty && $0.allSatisfy { $0.isASCII && $0.isNumber }) }
}
