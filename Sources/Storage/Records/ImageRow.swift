internal import CoreTypes
internal import GRDB

struct ImageRow: Codable, FetchableRecord, PersistableRecord {
    static let databaseTableName = "image"

    var id: String
    var manifestDigest: String
    var created: String
    var platform: String
    var sizeBytes: Int64

    init(_ image: ImageRecord) {
        id = image.id.description
        manifestDigest = image.manifestDigest.description
        created = image.created.fixedWidth
        platform = image.platform.description
        sizeBytes = Int64(clamping: image.size.bytes)
    }

    /// The record of an image; nil where there is none that can be read, of which `ImageRecords.unreadable` tells.
    static func read(_ id: Digest, in database: Database) throws -> NamedImage? {
        try fetchOne(database, key: id.description)?.reading(in: database).image
    }

    /// What the rows of an image come to.
    enum Reading {
        case image(NamedImage)
        /// They cannot be read, for this reason.
        case damaged(String)

        var image: NamedImage? { if case .image(let image) = self { image } else { nil } }
        var damage: String? { if case .damaged(let reason) = self { reason } else { nil } }
    }

    func reading(in database: Database) throws -> Reading {
        do { return .image(try named(in: database)) } catch let refusal as DatabaseError { throw refusal } catch {
            return .damaged("\(error)")
        }
    }

    private func named(in database: Database) throws -> NamedImage {
        let layers = try ImageLayerRow.filter(Column("imageID") == id).order(Column("position")).fetchAll(database)
        let blobs = try ImageBlobRow.filter(Column("imageID") == id).fetchAll(database)
        let names = try ListedName.ofImage(id, in: database)
        return try named(layers: layers, blobs: blobs, names: names)
    }

    func named(layers: [ImageLayerRow], blobs: [ImageBlobRow], names: [ListedName]) throws -> NamedImage {
        let references = try names.map { try $0.reference }
        let manifests = try zip(references, names).map { ($0, try Digest($1.manifestDigest)) }
        let pulls = try zip(references, names).filter { $0.1.pulledAs != nil }.map { ($0, try $1.pulls) }
        let image = ImageRecord(
            id: try Digest(id), manifestDigest: try Digest(manifestDigest), created: try Timestamp(created),
            platform: Platform(recorded: platform), size: ByteCount(UInt64(clamping: sizeBytes)),
            layers: try layers.map { try $0.record }, blobs: Set(try blobs.map { try Digest($0.digest) }))
        return NamedImage(
            image: image, tags: references.filter { $0.tag != nil }, repositoryDigests: references.filter { $0.digest != nil },
            manifests: Dictionary(manifests, uniquingKeysWith: { $1 }),
            pulls: Dictionary(pulls, uniquingKeysWith: { $1 }))
    }
}

struct ImageLayerRow: Codable, FetchableRecord, PersistableRecord {
    static let databaseTableName = "imageLayer"

    var imageID: String
    var position: Int
    var diffID: String
    var chainID: String
    var sizeBytes: Int64

    init(_ layer: LayerRecord, of image: Digest, at position: Int) {
        imageID = image.description
        self.position = position
        diffID = layer.diffID.description
        chainID = layer.chainID.description
        sizeBytes = Int64(clamping: layer.size.bytes)
    }

    var record: LayerRecord {
        get throws {
            LayerRecord(diffID: try Digest(diffID), chainID: try Digest(chainID), size: ByteCount(UInt64(clamping: sizeBytes)))
        }
    }
}

struct ImageBlobRow: Codable, FetchableRecord, PersistableRecord {
    static let databaseTableName = "imageBlob"

    var imageID: String
    var digest: String
}

struct ImageNameRow: Codable, FetchableRecord, PersistableRecord {
    static let databaseTableName = "imageName"

    var name: String
    var imageID: String
}

/// A name with its manifest.
struct ListedName: Codable, FetchableRecord {
    var name: String
    var imageID: String
    var manifestDigest: String
    /// Tags, with spaces in between.
    var pulledAs: String?

    var pulls: [ImageReference] {
        get throws { try (pulledAs ?? "").split(separator: " ").sorted().map { try ImageReference(String($0)) } }
    }

    /// Those of them that can be read.
    var readablePulls: [ImageReference] { (pulledAs ?? "").split(separator: " ").compactMap { try? ImageReference(String($0)) } }

    /// The name as it was written down: complete, with a tag or a digest.
    var reference: ImageReference {
        get throws {
            let reference = try ImageReference(name)
            guard reference.description == name, (reference.tag == nil) != (reference.digest == nil) else {
                throw InvalidImageReference(text: name, problem: "\(name) is no complete name of an image")
            }
            return reference
        }
    }

    private static let query = """
        SELECT name, imageID, manifestDigest, (SELECT group_concat(tagged, ' ') FROM imagePulledAs WHERE pinned = imageName.name) AS pulledAs
        FROM imageName JOIN imageNameManifest USING (name)
        """

    static func all(in database: Database) throws -> [ListedName] {
        try fetchAll(database, sql: "\(query) ORDER BY name")
    }

    static func ofImage(_ id: String, in database: Database) throws -> [ListedName] {
        try fetchAll(database, sql: "\(query) WHERE imageID = ? ORDER BY name", arguments: [id])
    }
}
