internal import CoreTypes
internal import EngineAPI
internal import FoundationEssentials
internal import Templates

/// Where lists of manifests are kept until they are pushed: docker's own folder, a folder a list and a file a manifest.
struct ManifestFolder {
    private let folder: String
    private static let sizeLimitBytes = 16 << 20

    init(_ environment: Environment) { folder = environment.configurationFolder + "/manifests" }

    func exists(_ list: ImageReference) -> Bool { FileManager.default.fileExists(atPath: path(of: list)) }

    /// The manifests of a list, by name. - Throws: `Complaint` where there is no such list.
    func manifests(of list: ImageReference) throws -> [KeptManifest] {
        guard exists(list) else { throw Complaint("No such manifest: \(list)") }
        let names = try changing(path(of: list), "open") { try FileManager.default.contentsOfDirectory(atPath: path(of: list)) }
        return try names.sorted().map { name in
            let path = path(of: list) + "/" + name
            let bytes = try contents(of: path, limitBytes: Self.sizeLimitBytes)
            return try KeptManifest(reading: try EngineJSON.decode(TemplateValue.self, from: Array(bytes)), from: path)
        }
    }

    func keep(_ manifest: KeptManifest, in list: ImageReference) throws {
        try changing(path(of: list), "mkdir") {
            try FileManager.default.createDirectory(
                atPath: path(of: list), withIntermediateDirectories: true, attributes: [.posixPermissions: 0o755])
        }
        let file = path(of: list) + "/" + Self.safe(manifest.reference)
        try changing(file, "write") { try Data(manifest.document.json.utf8).write(to: URL(filePath: file), options: .atomic) }
    }

    /// - Throws: `Complaint` where there is no such list.
    func remove(_ list: ImageReference) throws {
        guard exists(list) else { throw Complaint("No such manifest: \(list)") }
        try changing(path(of: list), "remove") { try FileManager.default.removeItem(atPath: path(of: list)) }
    }

    private func path(of list: ImageReference) -> String { folder + "/" + Self.safe(list) }

    private static func safe(_ reference: ImageReference) -> String {
        reference.description.replacing(":", with: "-").replacing("/", with: "_")
    }
}
