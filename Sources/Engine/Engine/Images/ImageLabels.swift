internal import CoreTypes
internal import EngineAPI
internal import Images
internal import OCISpec
internal import Records
internal import Synchronization

/// Labels of images, kept between questions: an image's id is the digest of the document that they stand in, so they never change. No
/// registry is asked for a document that the disk lost: nobody waits for a network to see a list.
final class ImageLabels: Sendable {
    /// With more images than this all are read anew.
    private static let limit = 10_000

    private let known = Mutex<[Digest: [String: String]]>([:])

    /// - Returns: nil where the disk lost them.
    func labels(of image: NamedImage, in library: ImageLibrary) async throws(EngineError) -> [String: String]? {
        let id = image.image.id
        if let labels = known.withLock({ $0[id] }) { return labels }
        guard let labels = try await ImageConfiguration.loadHere(image, from: library)?.execution.labels else { return nil }
        known.withLock { known in
            if known.count >= Self.limit { known = [:] }
            known[id] = labels
        }
        return labels
    }
}
