internal import FoundationEssentials
internal import Glibc
internal import LinuxSyscalls
internal import Registry
internal import SystemPackage

/// What a file says that the command line may say, too: by docker's names in a daemon.json, as TOML or as JSON.
struct ConfigurationFile {
    private static let usualNames = ["config.toml", "daemon.json"]
    private static let limitBytes = 1 << 20

    /// What a setting looks like, and the flag that it stands for.
    private enum Shape {
        case value(String)
        case list(String)
        /// `NAME = VALUE` of a table becomes `NAME=VALUE` of a flag.
        case pairs(String)
        /// A table of `name = { path = … }`.
        case runtimes
        case proxies
        /// A table of `NAME = { Name = …, Soft = …, Hard = … }`, as dockerd has it.
        case ulimits
        /// A list of tables of `base` and `size`.
        case pools
    }

    private static let known: [String: Shape] = [
        "hosts": .list("--host"), "data-root": .value("--data-root"), "exec-root": .value("--exec-root"), "pidfile": .value("--pidfile"),
        "log-level": .value("--log-level"), "log-format": .value("--log-format"), "log-driver": .value("--log-driver"),
        "log-opts": .pairs("--log-opt"), "bridge": .value("--bridge"), "firewall": .value("--firewall"), "debug": .value("--debug"),
        "runtimes": .runtimes, "default-runtime": .value("--default-runtime"), "insecure-registries": .list("--insecure-registry"),
        "layer-limits": .pairs("--layer-limit"), "image-limits": .pairs("--image-limit"), "manifest-limit": .value("--manifest-limit"),
        "disk-reserve": .value("--disk-reserve"), "registry-certs": .list("--registry-certs"),
        "registries-conf": .value("--registries-conf"), "signature-policy": .value("--signature-policy"),
        "registry-idle-timeout": .value("--registry-idle-timeout"), "registry-token-services": .list("--registry-token-service"),
        "cdi-spec-dirs": .list("--cdi-spec-dir"), "proxies": .proxies,
        "resolv-conf": .value("--resolv-conf"), "shim": .value("--shim"), "tls": .value("--tls"), "tlsverify": .value("--tlsverify"),
        "tlscacert": .value("--tlscacert"), "tlscert": .value("--tlscert"), "tlskey": .value("--tlskey"),
        "insecure-tcp": .value("--insecure-tcp"), "docker-socket": .value("--docker-socket"),
        "metrics-addr": .value("--metrics-addr"), "userns-remap": .value("--userns-remap"),
        "security-profile": .value("--security-profile"),
        "labels": .list("--label"), "registry-mirrors": .list("--registry-mirror"), "default-shm-size": .value("--default-shm-size"),
        "default-ipc-mode": .value("--default-ipc-mode"), "default-cgroupns-mode": .value("--default-cgroupns-mode"),
        "default-ulimits": .ulimits, "default-address-pools": .pools, "init": .value("--init"), "init-path": .value("--init-path"),
        "cgroup-parent": .value("--cgroup-parent"), "no-new-privileges": .value("--no-new-privileges"),
        "seccomp-profile": .value("--seccomp-profile"), "dns": .list("--dns"), "dns-search": .list("--dns-search"),
        "dns-opts": .list("--dns-opt"), "host-gateway-ip": .value("--host-gateway-ip"), "host-gateway-ips": .list("--host-gateway-ip"),
        "icc": .value("--icc"), "ip-masq": .value("--ip-masq"), "ip": .value("--ip"), "mtu": .value("--mtu"), "ipv6": .value("--ipv6"),
        "bip": .value("--bip"), "bip6": .value("--bip6"), "fixed-cidr": .value("--fixed-cidr"), "fixed-cidr-v6": .value("--fixed-cidr-v6"),
        "group": .value("--group"), "min-api-version": .value("--min-api-version"),
        "max-concurrent-downloads": .value("--max-concurrent-downloads"),
        "max-concurrent-uploads": .value("--max-concurrent-uploads"), "max-download-attempts": .value("--max-download-attempts"),
    ]

    let path: String
    private let settings: [(name: String, value: ConfigurationValue)]

    /// - Parameters:
    ///   - path: nil is the usual place, where nothing need be; empty is no file at all.
    ///   - folder: where the usual place is.
    /// - Throws: `UsageError` naming the file, the place in it and what is wrong there.
    init?(_ path: String?, below folder: FilePath) throws(UsageError) {
        guard let path = path ?? Self.usualNames.map({ folder.appending($0).string }).first(where: Self.isThere), !path.isEmpty else {
            return nil
        }
        self.path = path
        let bytes: [UInt8]
        do throws(SyscallError) { bytes = try readFile(FilePath(path), limitBytes: Self.limitBytes) } catch {
            throw UsageError("--config: \(error)")
        }
        settings = try ConfigurationValue.document(bytes, in: path)
    }

    private static func isThere(_ path: String) -> Bool {
        // One that cannot be looked at is not one that is not there.
        do throws(SyscallError) { _ = try fileStatus(FilePath(path)) } catch { if error.errno == ENOENT { return false } }
        return true
    }

    /// Sets what the file says.
    /// - Parameter given: flags of the command line: what stands in both is refused, as docker does.
    func apply(to options: inout DaemonOptions, besides given: Set<String>) throws(UsageError) {
        for (name, value) in settings {
            if let setting = DockerSetting.known[name] {
                let (texts, isList) = value.texts
                do throws(UsageError) {
                    if let warning = try setting.judge(name, texts, isList: isList) { options.warnings.append("\(path): \(warning)") }
                } catch { throw UsageError("\(path): \(error.description)") }
                continue
            }
            guard let shape = Self.known[name] else {
                throw UsageError("\(path): unknown setting '\(name)': known are \(Self.known.keys.sorted().joined(separator: ", "))")
            }
            for (flag, text) in try flags(name, shape, value) {
                if given.contains(flag) { throw UsageError("\(path): '\(name)' is specified both there and by the flag \(flag)") }
                do throws(UsageError) { try options.set(flag, to: text) } catch {
                    throw UsageError("\(path): '\(name)': \(error.description)")
                }
            }
        }
    }

    /// What a setting says as flags and their values.
    private func flags(_ name: String, _ shape: Shape, _ value: ConfigurationValue) throws(UsageError) -> [(String, String)] {
        func wrong(_ wanted: String) -> UsageError { UsageError("\(path): '\(name)' must be \(wanted)") }
        switch (shape, value) {
        case (.value(let flag), .scalar(let text)): return [(flag, text)]
        case (.value, _): throw wrong("one value")
        case (.list(let flag), .list(let texts)): return texts.map { (flag, $0) }
        case (.list, _): throw wrong("a list of strings")
        case (.pairs(let flag), .table(let pairs)):
            return try pairs.map { (pair) throws(UsageError) in
                guard case .scalar(let text) = pair.value else { throw wrong("a table of strings") }
                return (flag, "\(pair.name)=\(text)")
            }
        case (.runtimes, .table(let pairs)):
            return try pairs.map { (pair) throws(UsageError) in
                guard case .table(let parts) = pair.value, parts.count == 1, parts[0].name == "path",
                    case .scalar(let text) = parts[0].value
                else { throw wrong("a table of runtimes, each with a path and nothing else") }
                return ("--runtime", "\(pair.name)=\(text)")
            }
        case (.proxies, .table(let pairs)):
            return try pairs.map { (pair) throws(UsageError) in
                guard ["http-proxy", "https-proxy", "no-proxy"].contains(pair.name), case .scalar(let text) = pair.value else {
                    throw wrong("a table of http-proxy, https-proxy and no-proxy")
                }
                return ("--\(pair.name)", text)
            }
        case (.ulimits, .table(let pairs)):
            return try pairs.map { (pair) throws(UsageError) in
                guard case .table(let parts) = pair.value, let limit = Self.ulimit(pair.name, parts) else {
                    throw wrong("a table of limits, each with Name, Soft and Hard")
                }
                return ("--default-ulimit", limit)
            }
        case (.pools, .list(let texts)) where texts.isEmpty: return []
        case (.pools, .tables(let tables)):
            return try tables.map { (pairs) throws(UsageError) in
                let parts = Dictionary(pairs.map { ($0.name, $0.value) }) { first, _ in first }
                guard pairs.count == 2, case .scalar(let base)? = parts["base"], case .scalar(let size)? = parts["size"] else {
                    throw wrong("a list of tables, each with base and size")
                }
                return ("--default-address-pool", "base=\(base),size=\(size)")
            }
        case (.pools, _): throw wrong("a list of tables, each with base and size")
        case (.pairs, _), (.runtimes, _), (.proxies, _), (.ulimits, _): throw wrong("a table")
        }
    }

    /// A limit as its flag has it; nil for what is none. Docker's names of the members may be written in any case.
    private static func ulimit(_ name: String, _ parts: [(name: String, value: ConfigurationValue)]) -> String? {
        var words: [String: String] = [:]
        for part in parts {
            guard case .scalar(let text) = part.value else { return nil }
            words[part.name.lowercased()] = text
        }
        guard words["name", default: name] == name, let hard = words["hard"] ?? words["soft"],
            words.keys.allSatisfy(["name", "hard", "soft"].contains)
        else { return nil }
        return "\(name)=\(words["soft"] ?? hard):\(hard)"
    }
}

/// A value of a file of settings, whatever the file's language.
enum ConfigurationValue: Equatable {
    /// A string, a number or a boolean, as a flag has it.
    case scalar(String)
    case list([String])
    case table([(name: String, value: ConfigurationValue)])
    case tables([[(name: String, value: ConfigurationValue)]])

    /// What one value or a list says, and whether it is a list; nil for tables.
    var texts: (texts: [String]?, isList: Bool) {
        switch self {
        case .scalar(let text): ([text], false)
        case .list(let texts): (texts, true)
        case .table, .tables: (nil, false)
        }
    }

    static func == (left: ConfigurationValue, right: ConfigurationValue) -> Bool {
        switch (left, right) {
        case (.scalar(let one), .scalar(let other)): one == other
        case (.list(let one), .list(let other)): one == other
        case (.table(let one), .table(let other)): areEqual(one, other)
        case (.tables(let one), .tables(let other)): one.count == other.count && zip(one, other).allSatisfy(areEqual)
        case (.scalar, _), (.list, _), (.table, _), (.tables, _): false
        }
    }

    private static func areEqual(
        _ one: [(name: String, value: ConfigurationValue)], _ other: [(name: String, value: ConfigurationValue)]
    ) -> Bool {
        one.count == other.count && zip(one, other).allSatisfy { $0.name == $1.name && $0.value == $1.value }
    }

    /// Reads a document: JSON where the path ends so, else TOML.
    static func document(_ bytes: [UInt8], in path: String) throws(UsageError) -> [(name: String, value: ConfigurationValue)] {
        if path.hasSuffix(".json") {
            do {
                let document = try JSONDecoder().decode(JSONSetting.self, from: Data(bytes)).value
                guard case .table(let pairs) = document else { throw UsageError("\(path): it is no object") }
                return pairs
            } catch let error as UsageError { throw error } catch { throw UsageError("\(path): \(JSONSetting.words(error))") }
        }
        do throws(SettingsProblem) { return try pairs(of: try TOMLParser.parse(bytes)) } catch {
            throw UsageError("\(path):\(error.line): \(error.words)")
        }
    }

    private static func pairs(of table: TOMLTable) throws(SettingsProblem) -> [(name: String, value: ConfigurationValue)] {
        var pairs: [(name: String, value: ConfigurationValue)] = []
        for name in table.names {
            if let value = table[name] { pairs.append((name, try ConfigurationValue(value))) }
        }
        return pairs
    }

    private init(_ value: TOMLValue) throws(SettingsProblem) {
        switch value.content {
        case .text(let text): self = .scalar(text)
        case .integer(let number): self = .scalar(String(number))
        case .boolean(let isTrue): self = .scalar(isTrue ? "true" : "false")
        case .array(let values):
            if case .table? = values.first?.content {
                var tables: [[(name: String, value: ConfigurationValue)]] = []
                for value in values {
                    guard case .table(let table) = value.content else {
                        // The first one's kind is not that of all: as of any other list, texts are meant.
                        _ = try values[0].text("an element")
                        continue
                    }
                    tables.append(try Self.pairs(of: table))
                }
                self = .tables(tables)
                return
            }
            var texts: [String] = []
            for value in values { texts.append(try value.text("an element")) }
            self = .list(texts)
        case .table(let table): self = .table(try Self.pairs(of: table))
        }
    }
}

/// JSON of any shape.
private struct JSONSetting: Decodable {
    let value: ConfigurationValue

    private struct Name: CodingKey {
        let stringValue: String
        let intValue: Int? = nil
        init(stringValue: String) { self.stringValue = stringValue }
        init?(intValue: Int) { return nil }
    }

    init(from decoder: any Decoder) throws {
        if let object = try? decoder.container(keyedBy: Name.self) {
            value = .table(
                try object.allKeys.sorted { $0.stringValue < $1.stringValue }.map { name in
                    (name.stringValue, try object.decode(JSONSetting.self, forKey: name).value)
                })
            return
        }
        let single = try decoder.singleValueContainer()
        if let flag = try? single.decode(Bool.self) {
            value = .scalar(flag ? "true" : "false")
        } else if let number = try? single.decode(Int64.self) {
            value = .scalar(String(number))
        } else if let text = try? single.decode(String.self) {
            value = .scalar(text)
        } else if let elements = try? single.decode([JSONSetting].self), case .table? = elements.first?.value {
            value = .tables(
                try elements.map { element in
                    if case .table(let pairs) = element.value { return pairs }
                    throw DecodingError.dataCorruptedError(in: single, debugDescription: "a list of tables has another element")
                })
        } else {
            value = .list(try single.decode([String].self))
        }
    }

    /// What is wrong, for a person.
    static func words(_ error: any Error) -> String {
        switch error {
        case DecodingError.dataCorrupted(let context):
            "it is not JSON: \(context.underlyingError.map { "\($0)" } ?? context.debugDescription)"
        case DecodingError.typeMismatch(_, let context):
            "'\(context.codingPath.map(\.stringValue).joined(separator: "."))': \(context.debugDescription)"
        default: "\(error)"
        }
    }
}
