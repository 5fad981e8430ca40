internal import CoreTypes
internal import EngineAPI
internal import Images
internal import LinuxSyscalls
internal import Networking
internal import SystemPackage

/// What clients are told of a container.
extension Container {
    /// `GET /containers/{id}/json`, without sizes.
    func inspection() async -> ContainerInspect {
        let health = await self.health()
        let files = paths.networkFiles
        let command = ImageDefaults.commandLine(document.config)
        var answer = ContainerInspect()
        answer.id = id.text
        answer.created = created
        answer.path = command.first ?? ""
        answer.args = Array(command.dropFirst())
        answer.state = inspectedState()
        answer.state.health = health
        answer.image = imageID.description
        answer.resolvConfPath = files.resolver
        answer.hostnamePath = files.hostname
        answer.hostsPath = files.hosts
        // What reads the file that docker names here reads lines of JSON: the log itself is read through the API.
        let log = try? LogSettings(document.hostConfig.logConfig, defaults: services.configuration.log)
        if log?.isCopied == true { answer.logPath = paths.jsonLog.string }
        answer.name = "/\(name)"
        answer.restartCount = document.restartCount
        answer.driver = services.images.storageDriver ?? ""
        answer.platform = "linux"
        let security = try? SecurityOptions(parsing: document.hostConfig.securityOpt)
        answer.appArmorProfile = security.flatMap { AppArmorProfile.name(for: document.hostConfig, $0, services.facts) } ?? ""
        answer.execIDs = execOrder.filter { if case .running = execs[$0]?.state { true } else { false } }
        answer.hostConfig = document.hostConfig
        answer.graphDriver.name = answer.driver
        answer.mounts = mountPoints
        answer.config = document.config
        answer.networkSettings = await networkSettings()
        return answer
    }

    private func inspectedState() -> EngineAPI.ContainerState {
        var answer = EngineAPI.ContainerState()
        answer.status = state.status
        answer.running = state.phase == .running
        answer.paused = state.isPaused
        answer.restarting = state.isRestarting
        answer.dead = state.phase == .dead
        answer.oomKilled = document.oomKilled
        // None between two runs, and while what the last one left is being taken away.
        answer.pid = state.runningTask == nil ? 0 : Int(document.pid)
        answer.exitCode = answer.running && !answer.restarting ? 0 : document.exitCode
        answer.error = unsupervised?.words ?? blockedSentence ?? document.error
        answer.startedAt = document.startedAt
        answer.finishedAt = document.finishedAt
        return answer
    }

    /// A stored plan was read once already: none is left out here.
    private var mountPoints: [MountPoint] { (try? document.mountPlan(in: services.volumes.folder))?.points ?? [] }

    /// Every network that the container is, or will be, on.
    func endpointSettings() async -> [String: EndpointSettings] {
        var answer: [String: EndpointSettings] = [:]
        for (name, configured) in document.endpoints {
            let id = await services.networks.id(ofNetwork: name)
            if let endpoint = attachment?.endpoint(on: id) {
                answer[name] = endpoint.settings(over: configured)
            } else {
                var settings = configured
                settings.networkID = id
                settings.endpointID = await services.networks.bareEndpoint(of: self.id, on: id)
                answer[name] = settings
            }
        }
        return answer
    }

    private func networkSettings() async -> NetworkSettings {
        var settings = NetworkSettings()
        settings.networks = await endpointSettings()
        if state.phase == .running { settings.ports = attachment?.portMap(exposed: document.config.exposedPorts.keys) ?? [:] }
        if let attachment {
            settings.sandboxID = attachment.sandboxID
            settings.sandboxKey = services.networks.namespace(of: id).path.string
        } else if let task = state.runningTask, document.hostConfig.networkMode != "host" {
            settings.sandboxKey = "/proc/\(task.pid)/ns/net"
        }
        // The oldest clients look here for what the default network is.
        if let bridge = settings.networks["bridge"] {
            settings.endpointID = bridge.endpointID
            settings.gateway = bridge.gateway
            settings.ipAddress = bridge.ipAddress
            settings.ipPrefixLength = bridge.ipPrefixLength
            settings.ipv6Gateway = bridge.ipv6Gateway
            settings.globalIPv6Address = bridge.globalIPv6Address
            settings.globalIPv6PrefixLength = bridge.globalIPv6PrefixLength
            settings.macAddress = bridge.macAddress
        }
        return settings
    }

    /// A command as docker's lists print it: words with spaces in single quotes.
    private static func printed(_ command: [String]) -> String {
        let words = command.enumerated().map { index, word in index > 0 && word.contains(" ") ? "'\(word)'" : word }
        return words.joined(separator: " ")
    }

    /// A line of `GET /containers/json`, with what filters look at beside.
    func listed() async -> ListedContainer {
        var line = ContainerSummary()
        line.id = id.text
        line.names = ["/\(name)"]
        line.image = document.config.image
        line.imageID = imageID.description
        line.command = Self.printed(ImageDefaults.commandLine(document.config))
        line.created = created.seconds
        line.ports = exposedPorts()
        line.labels = document.config.labels
        line.state = state.status
        line.status = statusSentence()
        line.hostConfig.networkMode = document.hostConfig.networkMode
        line.hostConfig.annotations = document.hostConfig.annotations
        line.networkSettings.networks = await endpointSettings()
        line.mounts = mountPoints
        return ListedContainer(
            summary: line, id: id.text, name: name, created: created, imageID: imageID, phase: state.phase,
            exitCode: document.exitCode, hasRun: document.startedAt != .zero, exposedPorts: Set(document.config.exposedPorts.keys),
            networks: Set(line.networkSettings.networks.flatMap { [$0.key, $0.value.networkID] }),
            health: document.health?.status ?? "none")
    }

    /// Ports as lists tell of them: the published ones with their places, then those that are exposed only.
    private func exposedPorts() -> [PortSummary] {
        // As with Docker, ports that are exposed only are told of where they could be published.
        guard state.phase == .running, attachment?.endpoints.contains(where: { !$0.hostLink.isEmpty }) == true else { return [] }
        let published = (attachment?.ports ?? []).flatMap(\.singles)
        let known = Set(published.map(\.key))
        var lines = published.map { port in
            var line = PortSummary()
            line.ip = port.hostAddress
            line.privatePort = port.containerPort
            if port.isDirect == nil { line.publicPort = port.hostPort }
            line.type = port.transport.rawValue
            return line
        }
        for key in document.config.exposedPorts.keys.sorted() {
            guard let (number, transport) = try? PortRequest.port(key) else { continue }
            if known.contains("\(number)/\(transport.rawValue)") { continue }
            var line = PortSummary()
            line.privatePort = number
            line.type = transport.rawValue
            lines.append(line)
        }
        return lines
    }

    /// When the first process began, by the clock as it shows now: it may have been set since.
    private func runningSince(_ now: Timestamp) -> Timestamp {
        guard let task = state.supervisedTask, let age = try? nanosecondsSinceStart(of: Int32(bitPattern: task.pid)) else {
            return document.startedAt
        }
        return Timestamp(seconds: now.seconds - age / 1_000_000_000)
    }

    /// While it is being stopped, and after SIGKILL where it waits in the kernel all the same; nil otherwise.
    private var stoppingSentence: String? {
        if let blockedSentence { return " (\(blockedSentence))" }
        return if case .stopping = state { " (stopping)" } else { nil }
    }

    /// Why SIGKILL has not ended it; nil where it has not had any, or is just about to end.
    private var blockedSentence: String? {
        guard let task = state.runningTask, task.pid == killedPID, let place = BlockedProcess.place(of: task.pid) else { return nil }
        return "stopping, blocked in \(place)"
    }

    private func statusSentence() -> String {
        let now = Timestamp.now
        if state.isRestarting { return "Restarting (\(document.exitCode)) \(Ages.words(from: document.finishedAt, to: now)) ago" }
        switch state.phase {
        case .created: return "Created"
        case .running:
            let more = stoppingSentence ?? (state.isPaused ? " (Paused)" : unsupervised == nil ? healthSentence : " (unsupervised)")
            return "Up \(Ages.words(from: runningSince(now), to: now))\(more)"
        case .exited: return "Exited (\(document.exitCode)) \(Ages.words(from: document.finishedAt, to: now)) ago"
        case .removing: return "Removal In Progress"
        case .dead: return "Dead"
        }
    }
}

/// A container as a list shows it and filters see it.
struct ListedContainer: Sendable {
    var summary: ContainerSummary
    var id: String
    var name: String
    var created: Timestamp
    /// nil where its record does not say.
    var imageID: Digest?
    var phase: ContainerDocument.Phase
    var exitCode: Int
    var hasRun: Bool
    var exposedPorts: Set<String>
    /// Names and ids.
    var networks: Set<String>
    /// `none` where nothing is checked.
    var health: String
}
