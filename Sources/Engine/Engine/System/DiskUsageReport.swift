internal import CoreTypes
package import EngineAPI
internal import Images
internal import Logging
internal import Registry

extension ContainerEngine {
    /// The kinds of objects that `GET /system/df` can be asked for.
    private static let diskUsageTypes: Set<String> = ["container", "image", "volume", "build-cache"]

    /// `GET /system/df`.
    /// - Parameter types: `container`, `image`, `volume`, `build-cache`; empty is all.
    package func diskUsage(of types: [String]) async throws(EngineError) -> SystemDiskUsage {
        if let unknown = types.first(where: { !Self.diskUsageTypes.contains($0) }) {
            throw EngineError(.invalidParameter, "unknown object type: \(unknown)")
        }
        let wanted = types.isEmpty ? Self.diskUsageTypes : Set(types)
        var answer = SystemDiskUsage()
        if wanted.contains("image") { try await measureImages(into: &answer) }
        if wanted.contains("container") { answer.containers = try await measuredContainers() }
        if wanted.contains("volume") { answer.volumes = try await measuredVolumes() }
        if wanted.contains("build-cache") { answer.buildCache = [] }
        return answer
    }

    private func measureImages(into answer: inout SystemDiskUsage) async throws(EngineError) {
        let services = try parts().services
        let usage: DiskUsage
        do throws(ImageError) { usage = try await services.images.diskUsage() } catch { throw EngineError(error) }
        var users: [String: Int64] = [:]
        let used = services.index.all.map(\.imageID) + services.index.unreadable.compactMap(\.imageID)
        for image in used { users[image.description, default: 0] += 1 }
        answer.layersSize = usage.totalBytes
        answer.images = try await images(all: true, filters: Filters()).map { line in
            var line = line
            line.containers = users[line.id] ?? 0
            line.sharedSize = (try? Digest(line.id)).flatMap { usage.sharedBytes[$0] } ?? 0
            return line
        }
    }

    /// With the blocks that they take, so that the report agrees with the disk.
    private func measuredContainers() async throws(EngineError) -> [ContainerSummary] {
        var listing = ContainerListing(parts: try parts(), filters: Filters())
        listing.measure = .blocks
        return try await listing.run(all: true, limit: nil, size: true)
    }

    private func measuredVolumes() async throws(EngineError) -> [Volume] {
        let store = try parts().services.volumes
        var volumes: [Volume] = []
        for (name, document, users) in await store.all {
            var volume = Volume(name, document, in: store.folder)
            var usage = VolumeUsage()
            usage.refCount = Int64(users.count)
            do throws(EngineError) {
                usage.size = try await BlockingWork.run(.trees) { () throws(EngineError) in try store.folder.usedBytes(name) }
            } catch {
                // One that was removed meanwhile is not there any more.
                do throws(EngineError) { _ = try await store.find(name) } catch { continue }
                // As the API says "not counted": one that cannot be measured is no reason to tell of none.
                logger.warning("\(error)")
                usage.size = -1
            }
            volume.usageData = usage
            volumes.append(volume)
        }
        return volumes
    }
}
