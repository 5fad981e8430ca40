internal import CoreTypes
internal import Synchronization

/// The list of images as it was read last. A write says which of them it changed: those alone are read again.
final class RememberedImages: Sendable {
    /// With more changes than that the whole list is read again.
    private static let changeLimit = 64

    private struct State {
        var writes: UInt64 = 0
        /// Newest first; nil where it must be read.
        var list: [NamedImage]?
        /// Images that were added, changed or removed since.
        var changed: Set<Digest> = []
    }

    private let state = Mutex(State())

    /// The list, with what was written since the last time.
    /// - Parameters:
    ///   - all: reads every image.
    ///   - some: reads those of these images that are there.
    func list(
        all: () async throws(RecordsError) -> [NamedImage], some: (Set<Digest>) async throws(RecordsError) -> [NamedImage]
    ) async throws(RecordsError) -> [NamedImage] {
        let known = state.withLock { $0 }
        var list: [NamedImage]
        if let before = known.list {
            if known.changed.isEmpty { return before }
            list = before.filter { !known.changed.contains($0.image.id) }
            for image in try await some(known.changed) { list.insert(image, at: Self.place(of: image, in: list)) }
        } else {
            list = try await all()
        }
        let fresh = list
        // What was written meanwhile may be missing in it.
        state.withLock { state in
            guard state.writes == known.writes else { return }
            state.list = fresh
            state.changed = []
        }
        return fresh
    }

    /// To be called before a write tells that it is done, and also where it failed.
    /// - Parameter changed: the images that the write may have changed; nil where that is not known.
    func forget(_ changed: Set<Digest>?) {
        state.withLock { state in
            state.writes += 1
            if let changed { state.changed.formUnion(changed) }
            if changed == nil || state.changed.count > Self.changeLimit {
                state.list = nil
                state.changed = []
            }
        }
    }

    /// Where an image belongs: newest first, those of one moment by their ids.
    private static func place(of image: NamedImage, in list: [NamedImage]) -> Int {
        var (low, high) = (0, list.count)
        while low < high {
            let middle = (low + high) / 2
            let other = list[middle].image
            let isBefore =
                other.created == image.image.created
                ? other.id.description < image.image.id.description : other.created > image.image.created
            (low, high) = isBefore ? (middle + 1, high) : (low, middle)
        }
        return low
    }
}
