internal import EngineAPI
internal import Synchronization

/// The lines of `GET /images/json` as they were encoded the last time: of many images few change from one question to the next.
final class ImageLines: Sendable {
    /// What a line says; labels and the time of creation are an image's for ever.
    private struct Key: Hashable {
        let id: String
        let names: [String]
        let digests: [String]
        let numbers: [Int64]
        let version: APIVersion
    }

    private let known = Mutex<[Key: [UInt8]]>([:])

    /// The list in the shape of a version, byte for byte as `EngineJSON` writes it.
    func encode(_ images: [ImageSummary], for version: APIVersion) throws -> [UInt8] {
        let before = known.withLock { $0 }
        var lines: [Key: [UInt8]] = [:]
        var body: [UInt8] = [UInt8(ascii: "[")]
        for image in images {
            let key = Key(
                id: image.id, names: image.repoTags, digests: image.repoDigests, numbers: [image.size, image.containers, image.sharedSize],
                version: version)
            let line = try before[key] ?? Array(EngineJSON.encode(image.shaped(for: version)).dropLast())
            lines[key] = line
            if body.count > 1 { body.append(UInt8(ascii: ",")) }
            body += line
        }
        let fresh = lines
        // Questions with filters, and of other versions, leave what is not theirs, up to as much again.
        known.withLock { known in
            if known.count > 2 * fresh.count + 1024 { known = [:] }
            known.merge(fresh) { $1 }
        }
        return body + Array("]\n".utf8)
    }
}
