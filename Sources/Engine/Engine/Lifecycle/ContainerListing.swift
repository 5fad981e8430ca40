internal import CoreTypes
internal import EngineAPI
internal import Images
internal import LinuxSyscalls
internal import Logging
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
        var named: [String: Digest?] = [:]
        for found in parts.services.index.listed {
            if let limit, limit > 0, lines.count == limit { break }
            var listed =
                switch found {
                case .container(let container): await container.listed()
                case .unreadable(let unreadable): unreadable.listed
                }
            guard wantsAll || listed.phase == .running, filter.accepts(listed) else { continue }
            if size, case .container(let container) = found {
                // A container that goes away meanwhile is none of the answer.
                guard let sizes = await measure(container) else { continue }
                listed.summary.sizeReadWrite = sizes.written
                listed.summary.sizeRootFilesystem = sizes.whole
            }
            listed.summary.image = try await name(of: listed, &named)
            lines.append(listed.summary)
        }
        return lines
    }

    /// The word that the container was made with, while it means the container's image still; else the image's id.
    /// - Parameter named: what words mean, as far as they have been looked up.
    private func name(of listed: ListedContainer, _ named: inout [String: Digest?]) async throws(EngineError) -> String {
        let word = listed.summary.image
        if named[word] == nil {
            do throws(ImageError) { named[word] = .some(try await parts.services.images.lookUp(word).image.id) } catch {
                guard [.notFound, .invalid, .ambiguous].contains(error.code) else { throw EngineError(error) }
                named[word] = .some(nil)
            }
        }
        return named[word] == listed.imageID ? word : listed.imageID?.description ?? ""
    }

    private func measure(_ container: Container) async -> (written: Int64, whole: Int64)? {
        do throws(EngineError) { return try await ContainerSizes.measure(container, parts, measure) } catch {
            if error.code == .notFound { return nil }
            // As Docker says "not counted": one that cannot be measured is no reason to tell of none.
            container.logger.warning("\(error)")
            return (-1, 0)
        }
    }
}

/// What a container takes on the disk.
enum ContainerSizes {
    /// - Returns: bytes written by the container, and those with its image.
    /// - Throws: `.notFound` for a container that goes away meanwhile.
    static func measure(
        _ container: Container, _ parts: ContainerEngine.Parts, _ measure: WrittenSize.Measure = .sizes
    ) async throws(EngineError) -> (written: Int64, whole: Int64) {
        do throws(EngineError) { return try await sizes(container, parts, measure) } catch { throw await container.explained(error) }
    }

    private static func sizes(
        _ container: Container, _ parts: ContainerEngine.Parts, _ measure: WrittenSize.Measure
    ) async throws(EngineError) -> (written: Int64, whole: Int64) {
        let images = parts.services.images
        let imageBytes = try await size(ofImage: container.imageID, images)
        let root: SnapshotMount?
        do throws(ImageError) { root = try await images.rootMounts(of: container.id).last } catch { throw EngineError(error) }
        let written = try await written(root, by: container, images, measure)
        return (written, written.addingClamped(imageBytes))
    }

    /// - Returns: 0 for one that was removed by force from under its container.
    private static func size(ofImage id: Digest, _ images: ImageLibrary) async throws(EngineError) -> Int64 {
        do throws(ImageError) { return Int64(clamping: try await images.lookUp(id.description).image.size.bytes) } catch {
            if error.code == .notFound { return 0 }
            throw EngineError(error)
        }
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
