internal import EngineAPI
internal import LinuxSyscalls
internal import ShimProtocol
internal import SystemPackage

/// A container's logging driver, by Docker's names. `json-file` and `local` are one: files of our own, rotated and compressed.
enum LogDriver: String, CaseIterable, Sendable {
    case jsonFile = "json-file"
    case local
    case none
    case syslog
    case journald

    /// Docker's default. Clients judge by the name whether logs can be read: docker-py asks only `json-file` and `journald`.
    static let standard = LogDriver.jsonFile

    /// What `info` lists: docker leaves `none` out.
    static var listed: [String] { allCases.filter { $0 != .none }.map(\.rawValue).sorted() }

    /// Options of the driver itself.
    private var options: Set<String> {
        switch self {
        case .none: []
        case .jsonFile: Self.attributeOptions.union(["max-file", "max-size", "compress", LogSettings.copyOption])
        case .local: Self.attributeOptions.union(["max-file", "max-size", "compress"])
        case .journald: Self.attributeOptions
        case .syslog:
            Self.attributeOptions.union([
                "syslog-address", "syslog-facility", "syslog-format", "syslog-tls-ca-cert", "syslog-tls-cert", "syslog-tls-key",
                "syslog-tls-skip-verify",
            ])
        }
    }

    private static let attributeOptions: Set<String> = ["labels", "labels-regex", "env", "env-regex", "tag"]

    /// Options of every driver: how the log is delivered, and the copy on disk that `logs` reads where the driver's own cannot be.
    private static let commonOptions: Set<String> = [
        "mode", "max-buffer-size", "cache-disabled", "cache-max-size", "cache-max-file", "cache-compress",
    ]

    /// Finds a driver by name.
    /// - Throws: `.invalidParameter` in Docker's words.
    init(named name: String) throws(EngineError) {
        guard let driver = LogDriver(rawValue: name) else {
            throw EngineError(.invalidParameter, "logger: no log driver named '\(name)' is registered")
        }
        self = driver
    }

    /// Whether lines go to a server, and the files are a copy for `logs`.
    var isRemote: Bool { self == .syslog || self == .journald }

    /// Refuses the first option, by name, that the driver does not have.
    func checkNames(_ names: some Sequence<String>) throws(EngineError) {
        if self == .none { return }
        for name in names.sorted() where !options.contains(name) && !Self.commonOptions.contains(name) {
            let driver = self == .local ? "log driver local" : "\(rawValue) log driver"
            throw EngineError(.invalidParameter, "unknown log opt '\(name)' for \(driver)")
        }
    }
}

/// What a container's `LogConfig` comes to.
struct LogSettings: Equatable, Sendable {
    /// Bytes that wait for the disk where `max-buffer-size` says nothing.
    static let defaultBufferBytes: UInt64 = 1 << 20
    /// As the shim keeps at most.
    static let maximumFileCount = 1000
    /// Whether there is a copy, beside the files, as Docker's json-file driver writes it. An option of ours.
    static let copyOption = "json-copy"

    let driver: LogDriver
    /// Whether there are files: what goes to a server is sent from there.
    let hasFiles: Bool
    /// Whether they may be read.
    let isReadable: Bool
    let fileBytes: UInt64
    /// The current file included.
    let fileCount: UInt32
    let compresses: Bool
    let isCopied: Bool
    /// Output that waits for the disk before more of it is dropped; nil where the process waits instead.
    let bufferBytes: UInt64?
    /// The server, without tag and host; nil where the driver is another one.
    let syslog: SyslogTarget?
    /// Where the server's socket is by the options; nil where it is none of this machine's, or the usual one.
    private let serverSocket: String?

    /// Checks driver and options, as Docker does when the container is created or, for their values, started.
    /// - Parameter defaults: where the options say nothing.
    /// - Throws: `.invalidParameter` in Docker's words.
    init(_ config: LogConfig, defaults: EngineConfiguration.LogLimits) throws(EngineError) {
        driver = try config.type.isEmpty ? .standard : LogDriver(named: config.type)
        let options = config.config
        if driver == .none {
            (hasFiles, fileBytes, fileCount, compresses, bufferBytes) = (false, defaults.fileBytes, 1, false, nil)
            (isReadable, isCopied, syslog, serverSocket) = (false, false, nil, nil)
            return
        }
        bufferBytes = try Self.bufferBytes(options)
        try driver.checkNames(options.keys)
        syslog = driver == .syslog ? try SyslogTarget(options) : nil
        let isNamed = options["syslog-address"]?.isEmpty == false
        serverSocket = isNamed ? syslog.flatMap { $0.path.isEmpty ? nil : $0.path } : nil
        hasFiles = true
        do throws(EngineError) {
            let isCacheDisabled = try OptionText.boolean(options["cache-disabled"] ?? "false")
            isReadable = !(driver.isRemote && isCacheDisabled)
            isCopied = try OptionText.boolean(options[Self.copyOption] ?? "false")
            let files = try Self.files(options, driver: driver, defaults: defaults)
            (fileBytes, fileCount, compresses) = (files.bytes, files.count, files.compresses)
        } catch { throw EngineError(.invalidParameter, "failed to initialize logging driver: \(error.message)") }
    }

    /// Looks whether the server's socket is there; takes as long as its file system does to answer.
    /// - Throws: `.invalidParameter` in Docker's words.
    func checkServer() async throws(EngineError) {
        guard let serverSocket else { return }
        try await BlockingWork.run(.trees) { () throws(EngineError) in
            do throws(SyscallError) { _ = try fileStatus(FilePath(serverSocket)) } catch {
                throw EngineError(.invalidParameter, "stat \(serverSocket): no such file or directory", cause: error)
            }
        }
    }

    /// What the shim is told of it.
    var delivery: LogDelivery {
        var delivery = LogDelivery()
        delivery.compresses = compresses
        delivery.isNonBlocking = bufferBytes != nil
        delivery.bufferByteLimit = bufferBytes ?? 0
        return delivery
    }

    private static func bufferBytes(_ options: [String: String]) throws(EngineError) -> UInt64? {
        let mode = options["mode"] ?? ""
        guard ["", "blocking", "non-blocking"].contains(mode) else {
            throw EngineError(.invalidParameter, "logger: logging mode not supported: \(mode)")
        }
        guard let text = options["max-buffer-size"] else { return mode == "non-blocking" ? defaultBufferBytes : nil }
        guard mode == "non-blocking" else {
            throw EngineError(.invalidParameter, "logger: max-buffer-size option is only supported with 'mode=non-blocking'")
        }
        do throws(EngineError) { return try OptionText.binarySize(text) } catch {
            throw EngineError(.invalidParameter, "error parsing option max-buffer-size: \(error.message)")
        }
    }

    private static func files(
        _ options: [String: String], driver: LogDriver, defaults: EngineConfiguration.LogLimits
    ) throws(EngineError) -> (bytes: UInt64, count: UInt32, compresses: Bool) {
        var (bytes, count) = (defaults.fileBytes, Int(defaults.fileCount))
        // The copy of what goes elsewhere has options of its own.
        let prefix = driver.isRemote ? "cache-" : ""
        if let text = options[prefix + "max-size"] {
            bytes = try OptionText.decimalSize(text)
            guard bytes > 0 else { throw EngineError(.invalidParameter, "max-size must be a positive number") }
            // Whoever says how large the file may be, and not how many there are, means all of the log. As docker.
            if driver == .jsonFile { count = 1 }
        }
        if let text = options[prefix + "max-file"] {
            count = try OptionText.number(text)
            guard count >= 1 else { throw EngineError(.invalidParameter, "max-file cannot be less than 1") }
        }
        var compresses = count > 1
        if let text = options[prefix + "compress"] {
            compresses = try OptionText.boolean(text)
            guard !compresses || count > 1 else {
                throw EngineError(.invalidParameter, "compress cannot be true when max-file is less than 2 or max-size is not set")
            }
        }
        return (bytes, UInt32(min(count, maximumFileCount)), compresses)
    }
}

extension EngineConfiguration {
    /// Refuses a driver for all that there is not, or an option of it.
    package func checkDefaultLog() throws(EngineError) { _ = try LogSettings(defaultLog, defaults: log) }

    /// A container's own driver and options, filled from the daemon's, as inspect shows them.
    func completed(_ config: LogConfig) -> LogConfig {
        var config = config
        if config.type.isEmpty { config.type = defaultLog.type.isEmpty ? LogDriver.standard.rawValue : defaultLog.type }
        if config.type == (defaultLog.type.isEmpty ? LogDriver.standard.rawValue : defaultLog.type) {
            config.config.merge(defaultLog.config) { own, _ in own }
        }
        return config
    }
}
