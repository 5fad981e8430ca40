internal import CoreTypes
internal import EngineAPI
internal import Images
internal import LinuxSyscalls
internal import Records
internal import Snapshots

/// `GET /containers/json`.
struct ContainerListing {
    let parts: ContainerEngine.Parts
    let filters: Filters
    /// What counts as a container's size.
    var measure = WrittenSize.Measure.sizes

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
        do throws(EngineError) { return try await ContainerSizes.measure(container, parts, measure) } catch {
            if error.code == .notFound { return nil }
            throw error
        }
    }
}

/// What a container takes on the disk.
enum ContainerSizes {
    /// - Returns: bytes written by the container, and those with its image.
    static func measure(
        _ container: Container, _ parts: ContainerEngine.Parts, _ measure: WrittenSize.Measure = .sizes
    ) async throws(EngineError) -> (written: Int64, whole: Int64) {
        let images = parts.services.images
        let (root, imageBytes): (SnapshotMount?, Int64)
        do throws(ImageError) {
            imageBytes = Int64(clamping: try await images.lookUp(container.imageID.description).image.size.bytes)
            root = try await images.rootMounts(of: container.id).last
        } catch { throw EngineError(error) }
        let written = try await written(root, by: container, images, measure)
        return (written, written.addingReportingOverflow(imageBytes).partialValue)
    }

    /// What is in the writable layer, or, where that is not kept apart, what the snapshot takes.
    private static func written(
        _ root: SnapshotMount?, by container: Container, _ images: ImageLibrary, _ measure: WrittenSize.Measure
    ) async throws(EngineError) -> Int64 {
        guard let upper = root?.upperDirectory else {
            do throws(ImageError) { return Int64(clamping: try await images.rootUsage(of: container.id).bytes) } catch {
                throw EngineError(error)
            }
        }
        return try await BlockingWork.run(.trees) { () throws(EngineError) in
            do throws(SyscallError) { return try WrittenSize(below: upper, measure: measure).bytes } catch {
                throw .system("measure \(upper)", error)
            }
        }
    }
}
