internal import CoreTypes
internal import EngineAPI
internal import Images
internal import Records

/// `GET /containers/json`.
struct ContainerListing {
    let parts: ContainerEngine.Parts
    let filters: Filters

    func run(all: Bool, limit: Int?, size: Bool) async throws(EngineError) -> [ContainerSummary] {
        let filter = try await ContainerFilter(filters, resolvingWith: parts)
        let wantsAll = all || (limit ?? 0) > 0 || filter.namesStatus
        var lines: [ContainerSummary] = []
        for container in parts.services.index.all {
            if let limit, limit > 0, lines.count == limit { break }
            var listed = await container.listed()
            guard wantsAll || listed.phase == .running, filter.accepts(listed) else { continue }
            if size {
                // A container that goes away meanwhile is none of the answer.
                guard let sizes = try await measure(container) else { continue }
                listed.summary.sizeReadWrite = sizes.written
                listed.summary.sizeRootFilesystem = sizes.whole
            }
            lines.append(listed.summary)
        }
        return lines
    }

    private func measure(_ container: Container) async throws(EngineError) -> (written: Int64, whole: Int64)? {
        do throws(EngineError) { return try await ContainerSizes.measure(container, parts) } catch {
            if error.code == .notFound { return nil }
            throw error
        }
    }
}

/// What a container takes on the disk.
enum ContainerSizes {
    /// - Returns: bytes written by the container, and those with its image.
    static func measure(
        _ container: Container, _ parts: ContainerEngine.Parts
    ) async throws(EngineError) -> (written: Int64, whole: Int64) {
        do throws(ImageError) {
            let written = Int64(clamping: try await parts.services.images.rootUsage(of: container.id).bytes)
            let image = try await parts.services.images.lookUp(container.imageID.description)
            return (written, written + Int64(clamping: image.image.size.bytes))
        } catch { throw EngineError(error) }
    }
}
