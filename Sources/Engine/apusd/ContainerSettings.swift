internal import Engine
internal import EngineAPI
internal import LinuxSyscalls
internal import Registry
internal import SystemPackage

/// What containers get that say nothing themselves, and what the daemon says of itself: by the names of dockerd's settings.
extension DaemonOptions {
    private static let profileLimitBytes = 1 << 20

    /// - Returns: whether the flag is one of those.
    mutating func setContainers(_ flag: String, to value: String) throws(UsageError) -> Bool {
        switch flag {
        case "--label":
            guard let mark = value.firstIndex(of: "="), mark != value.startIndex else {
                throw UsageError("--label takes KEY=VALUE, not '\(value)'")
            }
            reloadable.labels.append(value)
        case "--registry-mirror": reloadable.registryMirrors.append(try Self.mirror(value))
        case "--max-concurrent-downloads": reloadable.downloads = try Self.count(flag, value)
        case "--max-concurrent-uploads": reloadable.uploads = try Self.count(flag, value)
        case "--max-download-attempts": reloadable.downloadAttempts = try Self.count(flag, value)
        case "--default-shm-size": reloadable.sharedMemoryBytes = try Self.size(flag, value)
        case "--default-ipc-mode": reloadable.ipcMode = try Self.word(flag, value, among: ["private", "shareable"])
        case "--default-cgroupns-mode": containers.cgroupNamespaceMode = try Self.word(flag, value, among: ["private", "host"])
        case "--default-ulimit": try addUlimit(value)
        case "--default-address-pool": try addAddressPool(value)
        case "--init": containers.hasInit = try Self.isTrue(flag, value)
        case "--init-path": initPath = try Self.directory(flag, value)
        case "--cgroup-parent": containers.cgroupParent = value
        case "--seccomp-profile": containers.seccomp = try Self.profile(value)
        case "--dns": containers.nameServers.append(try Self.address(flag, value))
        case "--dns-search": containers.searchDomains.append(value)
        case "--dns-opt": containers.resolverOptions.append(value)
        case "--host-gateway-ip":
            guard containers.hostGateway == nil else {
                throw UsageError("--host-gateway-ip takes one address: containers get one line for host-gateway")
            }
            containers.hostGateway = try Self.address(flag, value)
        case "--group": socketGroup = value
        case "--min-api-version":
            guard let version = APIVersion(value), version >= .oldest, version <= .newest else {
                throw UsageError("--min-api-version takes \(APIVersion.oldest) to \(APIVersion.newest), not '\(value)'")
            }
            oldestVersion = version
        default: return false
        }
        return true
    }

    /// 0 is the usual, as with dockerd.
    private static func count(_ flag: String, _ value: String) throws(UsageError) -> Int {
        guard let number = Int(value), (0...100).contains(number) else {
            throw UsageError("\(flag) takes a number from 0 to 100, not '\(value)'")
        }
        return number
    }

    /// - Returns: whether the flag is one of the default network's.
    mutating func setDefaultNetwork(_ flag: String, to value: String) throws(UsageError) -> Bool {
        switch flag {
        case "--icc": defaultNetwork.letsContainersTalk = try Self.isTrue(flag, value)
        case "--ip-masq": defaultNetwork.masquerades = try Self.isTrue(flag, value)
        case "--ipv6": defaultNetwork.hasIPv6 = try Self.isTrue(flag, value)
        case "--ip": defaultNetwork.hostAddress = try Self.address(flag, value)
        case "--mtu":
            guard let number = Int(value), number == 0 || (68...65_535).contains(number) else {
                throw UsageError("--mtu takes bytes from 68 to 65535, or 0 for the usual, not '\(value)'")
            }
            defaultNetwork.mtu = number == 0 ? 1500 : number
        case "--bip", "--bip6": defaultNetwork.addresses.append(value)
        case "--fixed-cidr": defaultNetwork.range = value
        case "--fixed-cidr-v6": defaultNetwork.rangeV6 = value
        default: return false
        }
        return true
    }

    private static func word(_ flag: String, _ value: String, among known: [String]) throws(UsageError) -> String {
        guard known.contains(value) else { throw UsageError("\(flag) takes \(known.joined(separator: " or ")), not '\(value)'") }
        return value
    }

    private static func address(_ flag: String, _ value: String) throws(UsageError) -> String {
        guard ContainerDefaults.isAddress(value) else { throw UsageError("\(flag) takes an IP address, not '\(value)'") }
        return value
    }

    /// Bytes, or a number with one of docker's units.
    private static func size(_ flag: String, _ value: String) throws(UsageError) -> Int64 {
        let digits = value.prefix { $0.isASCII && $0.isNumber }
        let units: [String: Int64] = ["": 1, "b": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40]
        var unit = value.dropFirst(digits.count).lowercased()
        for end in ["ib", "b"] where unit.count > end.count && unit.hasSuffix(end) {
            unit.removeLast(end.count)
            break
        }
        guard let number = Int64(digits), let factor = units[unit] else {
            throw UsageError("\(flag) takes a size such as 64m, not '\(value)'")
        }
        let (bytes, overflow) = number.multipliedReportingOverflow(by: factor)
        guard !overflow, bytes > 0 else { throw UsageError("\(flag) takes a size above 0 that fits in 63 bits, not '\(value)'") }
        return bytes
    }

    /// As dockerd's: a server, without anything that only one request could mean.
    private static func mirror(_ value: String) throws(UsageError) -> String {
        guard let address = WebAddress(value), value.contains("://"), address.text == address.withoutQuery, !value.contains("#") else {
            throw UsageError(
                "--registry-mirror takes http://HOST[:PORT] or https://HOST[:PORT] without a password or a query, not '\(value)'")
        }
        return value.hasSuffix("/") ? value : value + "/"
    }

    private mutating func addUlimit(_ value: String) throws(UsageError) {
        let parts = value.split(separator: "=", maxSplits: 1).map(String.init)
        let numbers = parts.count == 2 ? parts[1].split(separator: ":", omittingEmptySubsequences: false).map { Int64($0) } : []
        guard (1...2).contains(numbers.count), let soft = numbers[0], let hard = numbers[numbers.count - 1] else {
            throw UsageError("--default-ulimit takes NAME=SOFT[:HARD], not '\(value)'")
        }
        var limit = Ulimit()
        (limit.name, limit.soft, limit.hard) = (parts[0], soft, hard)
        containers.ulimits.removeAll { $0.name == limit.name }
        containers.ulimits.append(limit)
    }

    private mutating func addAddressPool(_ value: String) throws(UsageError) {
        var pool = EngineConfiguration.AddressPoolWords(base: "", size: 0)
        for part in value.split(separator: ",") {
            let words = part.split(separator: "=", maxSplits: 1).map(String.init)
            switch words.first {
            case "base" where words.count == 2: pool.base = words[1]
            case "size" where words.count == 2 && Int(words[1]) != nil: pool.size = Int(words[1]) ?? 0
            default: throw UsageError("--default-address-pool takes base=BLOCK,size=BITS, not '\(value)'")
            }
        }
        addressPools.append(pool)
    }

    /// `builtin`, `unconfined`, or a file in Docker's format, which is read now.
    private static func profile(_ value: String) throws(UsageError) -> String? {
        switch value {
        case "", "builtin": return nil
        case "unconfined": return "unconfined"
        default:
            let path = try directory("--seccomp-profile", value)
            do throws(SyscallError) {
                return String(decoding: try readFile(path, limitBytes: profileLimitBytes), as: UTF8.self)
            } catch { throw UsageError("--seccomp-profile: \(error)") }
        }
    }

    /// What the containers' settings say together.
    func checkContainers() throws(UsageError) {
        do throws(EngineError) {
            try containers.check()
            try defaultNetwork.check()
            var configuration = EngineConfiguration(
                shimPath: "/", initPath: "/", netPath: "/", settings: ReloadableSettings(runtimes: [:], defaultRuntime: ""))
            try configuration.setAddressPools(addressPools)
        } catch { throw UsageError(error.message) }
    }
}
