internal import Logging

/// Settings that are read again while the daemon runs.
struct Reload: Sendable {
    let words: [String]
    let options: DaemonOptions
    let level: DaemonLog.Level
    let tls: CurrentTLS?
    let logger: Logger

    /// Reads command line and file again. What is wrong in them is told, and nothing changes then.
    func run() {
        do {
            var read = try DaemonOptions(arguments: words)
            try tls?.renew()
            level.current = read.logLevel
            read.logLevel = options.logLevel
            let message: Logger.Message =
                read == options ? "settings read again" : "settings read again; some wait for the daemon's next start"
            logger.log(level: read == options ? .info : .warning, message, metadata: ["log.level": "\(level.current)"])
        } catch {
            logger.error("settings not read again", metadata: ["error": "\(error)"])
        }
    }
}
