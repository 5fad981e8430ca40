internal import CoreTypes
internal import EngineAPI
internal import Logging
internal import OCISpec
internal import Protobuf
internal import ShimProtocol

/// How a container is: the shim checks, the engine tells.
extension Container {
    /// What inspect tells; nil for a container that nothing checks.
    func health() async -> Health? {
        guard document.health != nil, let task = state.runningTask else { return document.health }
        do throws(ShimError) { return Health(try await task.shim.health()) } catch {
            // It has ended meanwhile, or its shim has: what was known last.
            logger.debug("health: \(error)")
            return document.health
        }
    }

    /// Takes over what the shim found; a status that is another one is written down, then told.
    func healthTurned(_ change: LifeChange) async {
        guard let report = change.health else { return }
        let health = Health(report)
        let isNews = health.status != document.health?.status
        document.health = health
        let at = change.at.map { Timestamp(unixNanoseconds: $0.unixNanoseconds) }
        await record(isNews ? untold("health_status: \(health.status)", at: at) : nil, .healthRecorded)
    }

    /// A check's command is told of as any exec. What no daemon saw is not: of the many checks only the last ones would be known.
    func tellCheck(_ change: LifeChange) {
        if isRestoring { return }
        let attributes = ["execID": change.execID]
        if change.kind == .checkStarted {
            let command = HealthRequests.arguments(document.config).joined(separator: " ")
            tell("exec_create: \(command)", attributes)
            tell("exec_start: \(command)", attributes)
        } else {
            tell("exec_die", attributes.merging(["exitCode": "\(change.exit?.exitStatus ?? 0)"]) { _, new in new })
        }
    }

    /// Docker's words after those for how long it has been up.
    var healthSentence: String {
        switch document.health?.status {
        case nil: ""
        case "starting"?: " (health: starting)"
        case let status?: " (\(status))"
        }
    }
}

extension Health {
    /// Before the first check of a run. Those of the run before are still to be seen.
    static func starting(after former: Health?) -> Health {
        var health = Health()
        health.status = startingStatus
        health.log = former?.log ?? []
        return health
    }

    static let startingStatus = "starting"

    /// The checks, for a shim that goes on from them.
    fileprivate var results: [HealthResult] {
        log.map { line in
            var result = HealthResult()
            result.start = line.start.unixNanoseconds.map { ProtobufTimestamp(unixNanoseconds: $0) }
            result.end = line.end.unixNanoseconds.map { ProtobufTimestamp(unixNanoseconds: $0) }
            result.exitCode = Int32(clamping: line.exitCode)
            result.output = Array(line.output.utf8)
            return result
        }
    }

    init(_ report: HealthReport) {
        self.init()
        status =
            switch report.status {
            case .healthy: "healthy"
            case .unhealthy: "unhealthy"
            case .starting, .unknown: Self.startingStatus
            }
        failingStreak = Int(report.failingStreak)
        log = report.results.map { result in
            var line = HealthcheckResult()
            line.start = Timestamp(unixNanoseconds: result.start?.unixNanoseconds ?? 0)
            line.end = Timestamp(unixNanoseconds: result.end?.unixNanoseconds ?? 0)
            line.exitCode = Int(result.exitCode)
            line.output = String(decoding: result.output, as: UTF8.self)
            return line
        }
    }
}

/// What a request or an image says of a container's health.
enum HealthRequests {
    private static let millisecond: Int64 = 1_000_000
    private static let second: UInt64 = 1_000_000_000
    /// Docker's, where nothing is said.
    private static let interval = 30 * second
    private static let timeout = 30 * second
    private static let startInterval = 5 * second
    private static let retries: UInt32 = 3

    static let actions: [String: HealthCheck.FailureAction] = [
        "": .nothing, "none": .nothing, "kill": .kill, "restart": .restart, "stop": .stop,
    ]

    /// Whether a container is checked.
    static func isChecked(_ config: ContainerConfig) -> Bool { ["CMD", "CMD-SHELL"].contains(config.healthcheck?.test.first) }

    /// - Throws: `.invalidParameter` in Docker's words, where it has any.
    static func check(_ config: ContainerConfig, _ host: HostConfig) throws(EngineError) {
        guard let action = actions[host.healthOnFailure] else {
            throw EngineError(
                .invalidParameter,
                "invalid HealthOnFailure '\(host.healthOnFailure)': use one of 'none', 'kill', 'restart', or 'stop'")
        }
        guard action == .nothing || isChecked(config) else {
            throw EngineError(.invalidParameter, "HealthOnFailure '\(host.healthOnFailure)' needs a health check, and there is none")
        }
        guard let check = config.healthcheck else { return }
        let spans = [
            ("Interval", check.interval), ("Timeout", check.timeout), ("StartPeriod", check.startPeriod),
            ("StartInterval", check.startInterval),
        ]
        for (name, span) in spans where span != 0 && span < millisecond {
            throw EngineError(.invalidParameter, "\(name) in Healthcheck cannot be less than 1ms")
        }
        guard check.retries >= 0 else { throw EngineError(.invalidParameter, "Retries in Healthcheck cannot be negative") }
        switch check.test.first {
        case "CMD"?, "CMD-SHELL"?:
            guard check.test.count > 1 else {
                throw EngineError(.invalidParameter, "Healthcheck.Test \(check.test[0]) has no command")
            }
        // As Docker: a kind that nobody knows checks nothing.
        default: return
        }
        if let probe = probe(check) {
            do throws(WireError) { _ = try NativeProbe(probe) } catch {
                throw EngineError(.invalidParameter, "invalid health probe \(probe): \(error.subject)")
            }
        }
    }

    /// The command that checks, with the shell that it needs.
    static func arguments(_ config: ContainerConfig) -> [String] {
        guard let test = config.healthcheck?.test else { return [] }
        let shell = config.shell.words.isEmpty ? ["/bin/sh", "-c"] : config.shell.words
        return (test.first == "CMD-SHELL" ? shell : []) + test.dropFirst()
    }

    /// The probe that a command means that is one word and looks like an address.
    private static func probe(_ check: HealthConfig) -> String? {
        check.test.count == 2 && NativeProbe.isMeant(by: check.test[1]) ? check.test[1] : nil
    }

    /// What the shim is to do; nil where nothing is checked.
    /// - Parameter process: the container's first one, whose user, environment and rights a check shares.
    static func healthCheck(_ document: ContainerDocument, process: ProcessConfiguration?) throws(EngineError) -> HealthCheck? {
        let config = document.config
        guard isChecked(config), let asked = config.healthcheck, var process else { return nil }
        var check = HealthCheck()
        if let probe = probe(asked) {
            check.probe = probe
        } else {
            process.arguments = arguments(config)
            process.terminal = false
            process.consoleSize = nil
            check.processJSON = process.encode()
        }
        check.interval = asked.interval > 0 ? UInt64(asked.interval) : interval
        check.timeout = asked.timeout > 0 ? UInt64(asked.timeout) : timeout
        check.startPeriod = UInt64(max(0, asked.startPeriod))
        check.startInterval = asked.startInterval > 0 ? UInt64(asked.startInterval) : startInterval
        check.retries = asked.retries > 0 ? UInt32(clamping: asked.retries) : retries
        check.action = actions[document.hostConfig.healthOnFailure] ?? .nothing
        check.stopSignal = try SignalNames.number(of: config.stopSignal.isEmpty ? "SIGTERM" : config.stopSignal)
        let seconds = config.stopTimeout ?? Container.defaultStopTimeoutSeconds
        // Less than nothing is for ever: as long as can be counted.
        let counted = seconds < 0 ? Container.longestStopTimeoutSeconds : min(seconds, Container.longestStopTimeoutSeconds)
        check.stopTimeout = UInt64(counted) * second
        check.formerResults = document.health?.results ?? []
        return check
    }
}
