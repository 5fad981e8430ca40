internal import EngineAPI
internal import Images
internal import OCISpec
internal import Records

extension ImageConfiguration {
    /// Reads the document of an image that is here, by the one reader that has let it in.
    static func load(_ image: NamedImage, from library: ImageLibrary) async throws(EngineError) -> ImageConfiguration {
        do throws(ImageError) { return try await library.details(of: image.image.id).configuration } catch { throw EngineError(error) }
    }

    /// The same of what the disk has; nil where it lost the document.
    static func loadHere(_ image: NamedImage, from library: ImageLibrary) async throws(EngineError) -> ImageConfiguration? {
        do throws(ImageError) { return try await library.detailsHere(of: image)?.configuration } catch { throw EngineError(error) }
    }
}

extension ImageConfig {
    /// What containers of an image run: Docker's API and the image specification share it.
    init(_ execution: ImageConfiguration.Execution) {
        self.init()
        user = execution.user
        exposedPorts = Self.set(of: execution.exposedPorts)
        env = execution.environment
        entrypoint = execution.entrypoint.map { StringSlice($0) }
        cmd = execution.command.map { StringSlice($0) }
        volumes = Self.set(of: execution.volumes)
        workingDir = execution.workingDirectory
        labels = execution.labels
        stopSignal = execution.stopSignal ?? ""
        argsEscaped = execution.argsEscaped
        shell = StringSlice(execution.shell)
        onBuild = execution.onBuild
        healthcheck = execution.healthcheck.map { HealthConfig($0) }
    }

    private static func set(of names: [String]) -> [String: EmptyObject] {
        Dictionary(names.map { ($0, EmptyObject()) }, uniquingKeysWith: { first, _ in first })
    }
}

extension HealthConfig {
    fileprivate init(_ check: ImageConfiguration.Healthcheck) {
        self.init()
        test = check.test
        interval = check.intervalNanoseconds
        timeout = check.timeoutNanoseconds
        startPeriod = check.startPeriodNanoseconds
        startInterval = check.startIntervalNanoseconds
        retries = Int(clamping: check.retries)
    }
}

extension ImageConfiguration.Execution {
    /// What of a container's configuration an image keeps.
    init(_ config: ContainerConfig) {
        self.init()
        user = config.user
        exposedPorts = config.exposedPorts.keys.sorted()
        environment = config.env
        entrypoint = config.entrypoint?.words
        command = config.cmd?.words
        volumes = config.volumes.keys.sorted()
        workingDirectory = config.workingDir
        labels = config.labels
        stopSignal = config.stopSignal.isEmpty ? nil : config.stopSignal
        argsEscaped = config.argsEscaped
        shell = config.shell.words
        onBuild = config.onBuild
        guard let check = config.healthcheck else { return }
        var health = ImageConfiguration.Healthcheck()
        health.test = check.test
        health.intervalNanoseconds = check.interval
        health.timeoutNanoseconds = check.timeout
        health.startPeriodNanoseconds = check.startPeriod
        health.startIntervalNanoseconds = check.startInterval
        health.retries = Int64(check.retries)
        healthcheck = health
    }
}
