internal import CoreTypes
internal import EngineAPI
internal import LinuxSyscalls
internal import Logging
internal import ShimProtocol
internal import SystemPackage

/// Terminal, input, output and log of a container.
extension Container {
    /// - Throws: `.conflict` when it does not run.
    func resize(height: UInt32, width: UInt32) async throws(EngineError) {
        try await startDecided()
        guard let task = state.runningTask else { throw notRunning }
        // As Docker: there is nothing to resize, and nothing wrong.
        guard document.config.tty else { return }
        tell("resize", ["height": "\(height)", "width": "\(width)"])
        do throws(ShimError) { try await task.shim.resize(height: height, width: width) } catch {
            if error.isNotFound { throw notRunning }
            throw .system("resize the terminal of container \(id)", error)
        }
    }

    var notRunning: EngineError { EngineError(.conflict, "container \(id) is not running") }
    var isRestarting: EngineError { EngineError(.conflict, "Container \(id) is restarting, wait until the container is running") }

    /// Joins the process, or waits for it.
    func attach(_ options: AttachOptions) async throws(EngineError) -> AttachSession {
        let session = try await join(options)
        session.onDetach { [weak self] in await self?.tell("detach") }
        return session
    }

    private func join(_ options: AttachOptions) async throws(EngineError) -> AttachSession {
        var options = options
        options.stdin = options.stdin && document.config.openStdin
        // As dockerd, also where only what was logged is asked for.
        if state.isPaused { throw EngineError(.conflict, "container \(id) is paused, unpause the container before attach") }
        if state.isRestarting { throw isRestarting }
        tell("attach")
        let history = options.logs ? try await logs(history(options)) : nil
        guard options.stream else {
            let session = AttachSession(isTerminal: document.config.tty, options: options, history: history)
            session.end()
            return session
        }
        guard let shim = state.runningTask?.shim ?? startingShim else {
            switch state {
            case .removing, .dead: throw EngineError(.conflict, "container is marked for removal and cannot be attached to")
            // Those that come before the process are joined by `launch`.
            case .created, .starting, .exited, .exiting, .running, .paused, .restarting, .stopping:
                return AttachSession(isTerminal: document.config.tty, options: options, history: history, pending: attachments)
            }
        }
        let session = AttachSession(isTerminal: document.config.tty, options: options, history: history)
        do throws(ShimError) {
            try await shim.checkAnswers()
            session.join(try await shim.attach(stdin: options.stdin, stdout: options.stdout, stderr: options.stderr))
        } catch {
            // The process ended, or did not start, between the look and the call: there is nothing more to see.
            if state.runningTask != nil { throw .system("attach to container \(id)", error) }
            session.end()
        }
        return session
    }

    private func history(_ options: AttachOptions) -> LogOptions {
        var history = LogOptions()
        history.stdout = options.stdout
        history.stderr = options.stderr
        return history
    }

    /// What goes with each line of the log.
    func logAttributes() throws(EngineError) -> [String: String] {
        let options = document.hostConfig.logConfig.config
        var attributes = try LogAttributes.chosen(options, config: document.config)
        if let tag = options["tag"], !tag.isEmpty { attributes["tag"] = try logTag.filled(tag) }
        return attributes
    }

    /// What the shim is told of the log, with what is known of the container now.
    func logDelivery(_ settings: LogSettings) throws(EngineError) -> LogDelivery {
        var delivery = settings.delivery
        let options = document.hostConfig.logConfig.config
        let tag = try logTag.filled(options["tag"].flatMap { $0.isEmpty ? nil : $0 } ?? "{{.ID}}")
        delivery.syslog = settings.syslog
        delivery.syslog?.tag = tag
        delivery.syslog?.hostName = services.facts.hostName
        if settings.driver == .journald {
            guard (try? fileStatus(FilePath(JournalTarget.systemSocketPath))) != nil else {
                throw EngineError(.system, "failed to initialize logging driver: journald is not enabled on this host")
            }
            delivery.journal = JournalTarget(
                tag: tag, names: logTag, attributes: try LogAttributes.chosen(options, config: document.config))
        }
        if settings.isCopied {
            var copy = JSONFileTarget()
            copy.path = paths.jsonLog.string
            copy.attributes = try logAttributes().map { "\($0.key)=\($0.value)" }.sorted()
            delivery.jsonFile = copy
        }
        return delivery
    }

    private var logTag: LogTag {
        LogTag(
            containerID: id.text, containerName: name, imageID: imageID.description, created: created, config: document.config,
            options: document.hostConfig.logConfig.config, logPath: paths.jsonLog.string, hostName: services.facts.hostName)
    }

    /// Removes what was logged so far.
    /// - Throws: `.notImplemented` where the driver has no files.
    func clearLogs() async throws(EngineError) {
        let settings = try LogSettings(document.hostConfig.logConfig, defaults: services.configuration.log)
        guard settings.isReadable else { throw EngineError(.notImplemented, "configured logging driver does not support clearing") }
        while true {
            if let task = state.supervisedTask {
                let former = try await keptForFollowers()
                do throws(ShimError) { try await task.shim.clearLog() } catch {
                    throw .system("clear the log of container \(id)", error)
                }
                return try await clearFollowedLog(former)
            }
            switch state {
            case .starting(let decided): _ = await decided.value(within: nil)
            case .exiting(let task): _ = await task.settled.value(within: nil)
            case .removing, .dead: throw EngineError(.conflict, "container \(id) is marked for removal")
            case .created, .exited, .running, .paused, .restarting, .stopping:
                guard let work = rootWork else {
                    let former = try await keptForFollowers()
                    try await clearStoredLog(settings)
                    return try await clearFollowedLog(former)
                }
                _ = await work.value(within: nil)
            }
            if Task.isCancelled { throw EngineError(.unavailable, "the request was cancelled") }
        }
    }

    private func keptForFollowers() async throws(EngineError) -> [FilePath] {
        try await BlockingWork.run { [followedLog] () throws(EngineError) in
            do throws(SyscallError) { return try followedLog.kept() } catch { throw .system("clear the log", error) }
        }
    }

    /// Lets go of what was kept for those who follow the log, or followed it.
    func clearFollowedLog(_ former: [FilePath]) async throws(EngineError) {
        try await BlockingWork.run { [followedLog] () throws(EngineError) in
            do throws(SyscallError) { try followedLog.clear(former) } catch { throw .system("clear the log", error) }
        }
    }

    /// Of a container without a shim, which does not start meanwhile.
    private func clearStoredLog(_ settings: LogSettings) async throws(EngineError) {
        let done = OneShot<Void>()
        rootWork = done
        defer {
            rootWork = nil
            done.settle(())
        }
        let path = paths.log.string
        let copy = settings.isCopied ? paths.jsonLog.string : nil
        try await BlockingWork.run { () throws(EngineError) in
            do throws(SyscallError) { try StoredLog.clear(path, copy: copy, fileCount: settings.fileCount) } catch {
                throw .system("clear the log", error)
            }
        }
    }

    /// nil where the log's disk takes no directory: who reads too slowly is told of a gap then, and reads all the same.
    private func followLog() async throws(EngineError) -> LogFollower? {
        try await BlockingWork.run { [followedLog, logger] () throws(EngineError) in
            do throws(SyscallError) { return try followedLog.begin() } catch {
                guard FollowedLog.isRefusal(error) else { throw .system("follow the log", error) }
                logger.debug("nothing is kept for a follower: \(error)")
                return nil
            }
        }
    }

    /// Opens the log for one client.
    /// - Throws: `.invalidParameter` when neither output is asked for.
    func logs(_ options: LogOptions) async throws(EngineError) -> LogSession {
        guard options.stdout || options.stderr else {
            throw EngineError(.invalidParameter, "Bad parameters: you must choose at least one stream")
        }
        let settings = try LogSettings(document.hostConfig.logConfig, defaults: services.configuration.log)
        guard settings.isReadable else { throw EngineError(.notImplemented, "configured logging driver does not support reading") }
        // Who follows what is about to start follows what it will write.
        if options.follow { try await startDecided() }
        let ended: OneShot<Void>
        var follower: LogFollower?
        if let task = state.supervisedTask {
            ended = task.settled
            if options.follow { follower = try await followLog() }
            // What the process wrote before this request belongs to the answer; a shim that is slow or gone only makes it shorter.
            do throws(ShimError) { try await task.shim.synchronizeLog() } catch { logger.debug("synchronize the log: \(error)") }
        } else if case .exiting(let task) = state {
            ended = task.settled
        } else {
            ended = OneShot(())
        }
        let reader = LogReader(logPath: paths.log.string, fileCount: settings.fileCount, options: options)
        let details = LogAttributes.encoded(try logAttributes())
        do throws(SyscallError) {
            return try LogSession(
                reader: reader, directory: paths.directory, isTerminal: document.config.tty, details: details, follows: options.follow,
                watcher: services.watcher, follower: follower, ended: ended)
        } catch { throw .system("follow the log of container \(id)", error) }
    }
}
