internal import CoreTypes
internal import EngineAPI
internal import Images
internal import Records
internal import Synchronization

/// Labels of images, kept between questions: an image's id is the digest of the document that they stand in, so they never change.
final class ImageLabels: Sendable {
    /// With more images than this all are read anew.
    private static let limit = 10_000

    private let known = Mutex<[Digest: [String: String]]>([:])

    func labels(of image: NamedImage, in library: ImageLibrary) async throws(EngineError) -> [String: String] {
        let id = image.image.id
        if let labels = known.withLock({ $0[id] }) { return labels }
        let labels = try await ImageDescription.config(of: image, in: library).labels
        known.withLock { known in
            if known.count >= Self.limit { known = [:] }
            known[id] = labels
        }
        return labels
    }
}
