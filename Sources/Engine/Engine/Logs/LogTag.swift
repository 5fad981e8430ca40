internal import CoreTypes
internal import EngineAPI
internal import Templates

/// What a log option `tag` is filled from: what docker's `logger.Info` has of a container. - Source: moby, daemon/logger/loginfo.go.
struct LogTag: Sendable {
    let containerID: String
    let containerName: String
    let imageID: String
    let created: Timestamp
    let config: ContainerConfig
    /// Of the log.
    let options: [String: String]
    let logPath: String
    let hostName: String

    var imageName: String { config.image }

    /// Fills a template of Go's, with docker's functions.
    /// - Throws: `.invalidParameter` in Docker's words.
    func filled(_ template: String) throws(EngineError) -> String {
        let members = members
        let fields = members.map { GoStructure.Field(name: $0.name, key: $0.name, type: $0.type) }
        let type = GoType.structure(GoStructure(name: "*logger.Info", fields: fields))
        let value = TemplateValue.map(members.map { .init($0.name, $0.value) })
        do throws(TemplateError) {
            return try Template(template, name: "log-tag", limits: .ofStranger).render(value, strictlyAs: type)
        } catch { throw EngineError(.invalidParameter, "failed to initialize logging driver: \(error.message)") }
    }

    /// What a template sees: Go's methods, then its fields.
    private var members: [(name: String, type: GoType, value: TemplateValue)] {
        let words = ImageDefaults.commandLine(config)
        let shortImageID = String(imageID.drop { $0 != ":" }.dropFirst().prefix(12))
        return [
            Self.text("ID", String(containerID.prefix(12))), Self.text("FullID", containerID), Self.text("Name", containerName),
            Self.text("ImageID", shortImageID), Self.text("ImageFullID", imageID), Self.text("ImageName", imageName),
            Self.text("Command", words.joined(separator: " ")), Self.text("Hostname", hostName),
            Self.map("Config", options), Self.text("ContainerID", containerID), Self.text("ContainerName", "/" + containerName),
            Self.text("ContainerEntrypoint", words.first ?? ""), Self.list("ContainerArgs", Array(words.dropFirst())),
            Self.text("ContainerImageID", imageID), Self.text("ContainerImageName", imageName),
            ("ContainerCreated", .time, .text(created.description)), Self.list("ContainerEnv", config.env),
            Self.map("ContainerLabels", config.labels), Self.text("LogPath", logPath), Self.text("DaemonName", "docker"),
        ]
    }

    private static func text(_ name: String, _ text: String) -> (String, GoType, TemplateValue) { (name, string, .text(text)) }

    private static func list(_ name: String, _ words: [String]) -> (String, GoType, TemplateValue) {
        (name, .slice(string, name: nil), .list(words.map { .text($0) }))
    }

    private static func map(_ name: String, _ members: [String: String]) -> (String, GoType, TemplateValue) {
        (name, .map(string, name: nil), .map(members.sorted { $0.key < $1.key }.map { .init($0.key, .text($0.value)) }))
    }

    private static let string = GoType.string("string")
}
