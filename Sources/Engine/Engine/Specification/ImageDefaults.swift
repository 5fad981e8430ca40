internal import EngineAPI

/// What an image says about its containers, under what a request says.
enum ImageDefaults {
    /// Most variables of one container.
    static let maximumVariableCount = 4096
    /// The search path where neither image nor request sets one.
    static let path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

    /// The request's configuration with the image's where the request says nothing.
    /// - Throws: `.invalidParameter` when there is no command, or a field makes no sense.
    static func merge(_ request: ContainerConfig, over image: ImageConfig) throws(EngineError) -> ContainerConfig {
        var merged = request
        if merged.user.isEmpty { merged.user = image.user }
        merged.exposedPorts.merge(image.exposedPorts) { mine, _ in mine }
        merged.volumes.merge(image.volumes) { mine, _ in mine }
        merged.labels.merge(image.labels.filter { !Self.isReserved($0.key) }) { mine, _ in mine }
        let named = Set(merged.env.map(variableName))
        merged.env += image.env.filter { !named.contains(variableName($0)) }
        mergeCommand(&merged, image)
        merged.healthcheck = mergedHealthcheck(request.healthcheck, over: image.healthcheck)
        if merged.workingDir.isEmpty { merged.workingDir = image.workingDir }
        if merged.workingDir.hasPrefix("/") { merged.workingDir = cleanedPath(merged.workingDir) }
        if merged.stopSignal.isEmpty { merged.stopSignal = image.stopSignal }
        if merged.shell.words.isEmpty { merged.shell = image.shell }
        try check(merged)
        return merged
    }

    /// What labels begin with by which engines, runtimes and Compose find their own: whoever makes a container may set them, an image may
    /// not, which would then be taken for part of somebody's project.
    private static let reservedLabels = ["io.apus.", "containerd.io/", "io.containerd.", "com.docker.compose."]

    private static func isReserved(_ label: String) -> Bool { reservedLabels.contains { label.hasPrefix($0) } }

    /// A request's entry point does away with the image's command, which was meant for another program.
    private static func mergeCommand(_ merged: inout ContainerConfig, _ image: ImageConfig) {
        if merged.entrypoint?.words.isEmpty ?? true {
            if merged.cmd?.words.isEmpty ?? true { merged.cmd = image.cmd }
            if merged.entrypoint == nil { merged.entrypoint = image.entrypoint }
        }
        if merged.entrypoint?.words == [""] { merged.entrypoint = nil }
    }

    /// A request may name another command, or other spans for the image's.
    private static func mergedHealthcheck(_ request: HealthConfig?, over image: HealthConfig?) -> HealthConfig? {
        guard var merged = request, let image else { return request ?? image }
        if merged.test.isEmpty { merged.test = image.test }
        if merged.interval == 0 { merged.interval = image.interval }
        if merged.timeout == 0 { merged.timeout = image.timeout }
        if merged.startPeriod == 0 { merged.startPeriod = image.startPeriod }
        if merged.startInterval == 0 { merged.startInterval = image.startInterval }
        if merged.retries == 0 { merged.retries = image.retries }
        return merged
    }

    private static func check(_ config: ContainerConfig) throws(EngineError) {
        guard !commandLine(config).isEmpty else { throw EngineError(.invalidParameter, "no command specified") }
        if !config.workingDir.isEmpty && !config.workingDir.hasPrefix("/") {
            throw EngineError(
                .invalidParameter, "the working directory '\(config.workingDir)' is invalid, it needs to be an absolute path")
        }
        for variable in config.env where variable.isEmpty || variable.hasPrefix("=") {
            throw EngineError(.invalidParameter, "invalid environment variable: \(variable)")
        }
        try checkVariableCount(config.env)
        if !config.stopSignal.isEmpty { _ = try SignalNames.number(of: config.stopSignal) }
        if !config.hostname.isEmpty && !isHostName(config.hostname) {
            throw EngineError(.invalidParameter, "invalid hostname: \(config.hostname)")
        }
        try checkForNUL(commandLine(config) + config.env + [config.workingDir, config.user, config.domainName])
    }

    static func checkVariableCount(_ variables: [String]) throws(EngineError) {
        guard variables.count <= maximumVariableCount else {
            throw EngineError(.invalidParameter, "more than \(maximumVariableCount) environment variables")
        }
    }

    static func checkForNUL(_ words: [String]) throws(EngineError) {
        if words.contains(where: { $0.utf8.contains(0) }) {
            throw EngineError(.invalidParameter, "a NUL byte in the command, the environment, the user or the working directory")
        }
    }

    /// - Source: sethostname(2): 64 bytes. A slash or a space in it would only confuse what reads /etc/hostname.
    private static func isHostName(_ name: String) -> Bool {
        name.utf8.count <= 64 && name.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F && $0 != UInt8(ascii: "/") }
    }

    /// Entry point and arguments, as they will be executed.
    static func commandLine(_ config: ContainerConfig) -> [String] {
        (config.entrypoint?.words ?? []) + (config.cmd?.words ?? [])
    }

    /// The environment of a process: defaults, then what was asked for; a bare name takes the variable away.
    static func environment(hostname: String, terminal: Bool, overridden: [String]...) -> [String] {
        var variables = [path, "HOSTNAME=\(hostname)"] + (terminal ? ["TERM=xterm"] : [])
        for list in overridden {
            for variable in list {
                let name = variableName(variable)
                let place = variables.firstIndex { variableName($0) == name }
                switch (place, variable.contains("=")) {
                case (let index?, true): variables[index] = variable
                case (let index?, false): variables.remove(at: index)
                case (nil, true): variables.append(variable)
                case (nil, false): continue
                }
            }
        }
        return variables
    }

    static func variableName(_ variable: String) -> Substring { variable.prefix { $0 != "=" } }
}
