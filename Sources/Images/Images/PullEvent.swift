package import CoreTypes

/// One thing that a pull tells about itself, in the order in which it happens.
package enum PullEvent: TransferEvent {
    /// The pull has begun: Docker's `latest: Pulling from library/busybox`.
    case pulling(from: ImageReference)
    /// A layer moved on; `id` is the first twelve digits of its blob's digest.
    case layer(id: String, LayerProgress)
    /// The digest that the name stands for: manifest or index.
    case resolved(Digest)
    /// The pull is complete.
    case complete(ImageReference, isNew: Bool)
    /// What is not as it was asked for.
    case warning(String)

    /// Docker's `id` field; empty for messages about the whole image.
    package var id: String {
        switch self {
        case .pulling(let reference): reference.tag ?? reference.description
        case .layer(let id, _): id
        case .resolved, .complete, .warning: ""
        }
    }

    /// Whether it is about one layer.
    package var isAboutLayer: Bool { if case .layer = self { true } else { false } }

    /// Docker's `status` field.
    package var status: String {
        switch self {
        case .pulling(let reference): "Pulling from \(reference.path)"
        case .layer(_, let progress): progress.status
        case .resolved(let digest): "Digest: \(digest)"
        case .complete(let reference, let isNew):
            isNew ? "Status: Downloaded newer image for \(reference.familiar)" : "Status: Image is up to date for \(reference.familiar)"
        case .warning(let words): "WARNING: \(words)"
        }
    }

    /// Docker's `progressDetail`: how far a download or an unpacking is. `total` is never 0.
    package var detail: (current: UInt64, total: UInt64)? {
        guard case .layer(_, let progress) = self else { return nil }
        switch progress {
        case .downloading(let current, let total), .extracting(let current, let total): return total > 0 ? (current, total) : nil
        case .pullingFileSystemLayer, .waiting, .verifyingChecksum, .downloadComplete, .pullComplete, .alreadyExists: return nil
        }
    }
}

/// Where a layer is on its way, in bytes of its compressed blob.
package enum LayerProgress: Equatable, Sendable {
    case pullingFileSystemLayer
    case waiting
    case downloading(current: UInt64, total: UInt64)
    case verifyingChecksum
    case downloadComplete
    case extracting(current: UInt64, total: UInt64)
    case pullComplete
    case alreadyExists

    /// Docker's words.
    package var status: String {
        switch self {
        case .pullingFileSystemLayer: "Pulling fs layer"
        case .waiting: "Waiting"
        case .downloading: "Downloading"
        case .verifyingChecksum: "Verifying Checksum"
        case .downloadComplete: "Download complete"
        case .extracting: "Extracting"
        case .pullComplete: "Pull complete"
        case .alreadyExists: "Already exists"
        }
    }
}

/// What a pull left: the image, and whether its name stands for something else than before.
package struct PullResult: Equatable, Sendable {
    /// The image's id, the digest of its configuration.
    package let imageID: Digest
    /// What the name stands for in the registry: manifest or index.
    package let digest: Digest
    package let isNew: Bool
    /// What is not as it was asked for; nil where all is.
    package let warning: String?
}
