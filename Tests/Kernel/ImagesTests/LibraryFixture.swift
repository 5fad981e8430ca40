import CoreTypes
import Foundation
import Images
import Records
import Registry
import Synchronization
import SystemPackage

/// A library on a data root of its own.
struct Library {
    let images: ImageLibrary
    let records: RecordStore
    let root: String

    /// - Parameter root: one that exists is opened again.
    init(at root: String, containers: Set<ContainerID> = []) async throws {
        self.root = root
        try FileManager.default.createDirectory(atPath: root, withIntermediateDirectories: true)
        records = try RecordStore(openingAt: root + "/engine.sqlite")
        images = ImageLibrary(settings: LibrarySettings(dataRoot: FilePath(root)), registry: RegistryConfiguration(), records: records)
        try await images.start(containers: containers)
    }

    @discardableResult
    func pull(
        _ name: String, credentials: RegistryCredentials = .anonymous, platform: Platform? = nil, into events: EventList = EventList()
    ) async throws -> PullResult {
        try await images.pull(try ImageReference(name), platform: platform, credentials: credentials) { events.add($0) }
    }

    /// Lets go of the data root, as the end of a process does.
    func stop() throws {
        images.stop()
        try records.close()
    }

    /// Blobs, unfinished ingests, layers, and layers in the making, by name.
    func disk() throws -> Disk {
        func names(_ path: String) throws -> [String] {
            let folder = root + "/" + path
            return FileManager.default.fileExists(atPath: folder)
                ? try FileManager.default.contentsOfDirectory(atPath: folder).sorted() : []
        }
        return Disk(
            blobs: try names("content/blobs/sha256"), ingests: try names("content/ingests"),
            layers: try names("snapshots/overlayfs/layers"),
            building: try names("snapshots/overlayfs/building"), active: try names("snapshots/overlayfs/active"))
    }

    struct Disk: Equatable {
        var blobs: [String] = []
        var ingests: [String] = []
        var layers: [String] = []
        var building: [String] = []
        var active: [String] = []
    }
}

/// What a pull told.
final class EventList: Sendable {
    private let events = Mutex<[PullEvent]>([])

    func add(_ event: PullEvent) { events.withLock { $0.append(event) } }

    var all: [PullEvent] { events.withLock { $0 } }

    /// Whether bytes of a layer of at least this size were counted.
    func hasCounted(layerOf bytes: UInt64) -> Bool { all.contains { $0.status == "Downloading" && ($0.detail?.total ?? 0) >= bytes } }

    /// The layers that had this status.
    func layers(_ status: String) -> Set<String> { Set(all.filter { $0.status == status }.map(\.id)) }

    /// How often a layer, or the pull, had this status.
    func count(_ status: String) -> Int { all.filter { $0.status == status }.count }
}
