package import CoreTypes
internal import GRDB

/// One layer of an image, unpacked.
package struct LayerRecord: Equatable, Sendable {
    /// Digest of the layer's tar archive, uncompressed.
    package let diffID: Digest
    /// Names the layer together with all below it: the key of its snapshot.
    /// - Source: image-spec, config.md, "Layer ChainID".
    package let chainID: Digest
    /// What the layer takes unpacked.
    package let size: ByteCount

    package init(diffID: Digest, chainID: Digest, size: ByteCount) {
        self.diffID = diffID
        self.chainID = chainID
        self.size = size
    }
}

/// One image that is here, whole.
package struct ImageRecord: Equatable, Sendable {
    /// The digest of the image's configuration: Docker's image id.
    package let id: Digest
    /// The manifest that it was last pulled by: of whoever asks by the id.
    package let manifestDigest: Digest
    package let created: Timestamp
    package let platform: Platform
    /// The layers' unpacked sizes added up.
    package let size: ByteCount
    /// From the bottom up.
    package let layers: [LayerRecord]
    /// Every blob to be kept for this image: index, manifest, configuration, layers, of each manifest that it is known by.
    package let blobs: Set<Digest>

    package init(
        id: Digest, manifestDigest: Digest, created: Timestamp, platform: Platform, size: ByteCount, layers: [LayerRecord],
        blobs: Set<Digest>
    ) {
        self.id = id
        self.manifestDigest = manifestDigest
        self.created = created
        self.platform = platform
        self.size = size
        self.layers = layers
        self.blobs = blobs
    }
}

/// An image with what it is called.
package struct NamedImage: Equatable, Sendable {
    package let image: ImageRecord
    /// Names with a tag, sorted.
    package let tags: [ImageReference]
    /// Names with a digest, sorted: where the image was pulled from.
    package let repositoryDigests: [ImageReference]
    /// The tags under which each of `repositoryDigests` was pulled, whatever they stand for by now; none where it was pulled as itself.
    package let pulls: [ImageReference: [ImageReference]]
    /// The manifest of each name: two that differ may share a configuration, which is the image's id.
    private let manifests: [ImageReference: Digest]

    /// - Parameter manifests: of names that are missing it is the image's last.
    package init(
        image: ImageRecord, tags: [ImageReference], repositoryDigests: [ImageReference], manifests: [ImageReference: Digest] = [:],
        pulls: [ImageReference: [ImageReference]] = [:]
    ) {
        self.image = image
        self.tags = tags
        self.repositoryDigests = repositoryDigests
        self.manifests = manifests
        self.pulls = pulls
    }

    /// All names in the order of their whole texts, in which dockerd takes them away: the tags of a repository before its digests.
    package var names: [ImageReference] { (tags + repositoryDigests).sorted { $0.description < $1.description } }

    /// The manifest that a name of the image stands for; for any other word the one that it was last pulled by.
    package func manifest(of name: ImageReference) -> Digest { manifests[name] ?? image.manifestDigest }

    /// Every manifest that the image is known by, the last one first.
    package var manifestDigests: [Digest] {
        [image.manifestDigest]
            + Set(manifests.values).subtracting([image.manifestDigest]).sorted { $0.description < $1.description }
    }
}

/// The images that are here, by id and by name. A name has a tag or a digest, never both and never neither.
package struct ImageRecords: Sendable {
    let file: RecordFile
    private let remembered = RememberedImages()

    init(file: RecordFile) { self.file = file }

    /// Adds an image, or to a known one the blobs of a further manifest, and moves these names to it and to this manifest.
    /// - Parameter isPulled: whether a registry said that the names stand for it.
    /// - Returns: blobs that images let go of: those of manifests that no name stands for any more.
    @discardableResult
    package func store(
        _ image: ImageRecord, names: [ImageReference], isPulled: Bool = false
    ) async throws(RecordsError) -> Set<Digest> {
        let rows = try names.map { name throws(RecordsError) in try nameRow(name, image: image.id) }
        let pulls = (isPulled ? names : []).filter { $0.digest != nil }.flatMap { pinned in
            names.filter { $0.tag != nil && $0.name == pinned.name }.map { (pinned.description, $0.description) }
        }
        var changed: Set<Digest>?
        defer { remembered.forget(changed) }
        let change = try await file.write("store image \(image.id)") { database in
            let owners = try Self.owners(of: rows.map(\.name), in: database)
            try ImageRow(image).upsert(database)
            try ImageLayerRow.filter(Column("imageID") == image.id.description).deleteAll(database)
            for (position, layer) in image.layers.enumerated() {
                try ImageLayerRow(layer, of: image.id, at: position).insert(database)
            }
            for blob in image.blobs {
                try ImageBlobRow(imageID: image.id.description, digest: blob.description).upsert(database)
                try database.execute(
                    sql: "INSERT OR IGNORE INTO imageManifestBlob VALUES (?, ?, ?)",
                    arguments: [image.id.description, image.manifestDigest.description, blob.description])
            }
            for row in rows { try row.upsert(database) }
            for (pinned, tagged) in pulls {
                try database.execute(sql: "INSERT OR IGNORE INTO imagePulledAs VALUES (?, ?)", arguments: [pinned, tagged])
            }
            return try Change(of: owners.union([image.id]), in: database)
        }
        changed = change.images
        return change.released
    }

    /// Gives an image one more name, taking it from the image that had it.
    /// - Parameter manifest: what the name stands for.
    /// - Returns: as `store`.
    /// - Throws: `.absent` where there is no such image, or no name of it stands for that manifest any more.
    @discardableResult
    package func tag(_ id: Digest, as name: ImageReference, manifest: Digest) async throws(RecordsError) -> Set<Digest> {
        let row = try nameRow(name, image: id)
        let path = file.path
        let doing = "tag image \(id) as \(name)"
        var changed: Set<Digest>?
        defer { remembered.forget(changed) }
        let change = try await file.write(doing) { database in
            guard try Change.isKnown(manifest, of: row.imageID, in: database) else {
                throw RecordsError(.absent, doing: doing, path: path)
            }
            let owners = try Self.owners(of: [row.name], in: database)
            try row.upsert(database)
            try database.execute(
                sql: "UPDATE imageNameManifest SET manifestDigest = ? WHERE name = ?", arguments: [manifest.description, row.name])
            return try Change(of: owners.union([id]), in: database)
        }
        changed = change.images
        return change.released
    }

    /// Takes names away from an image, which stays. Names that are not there, or another image's by now, are passed over.
    /// - Parameter keepsName: whether the image is to have a name yet.
    /// - Returns: as `store`; nil where it was not done: where it would have no name left although it is to have one.
    package func untag(_ names: [ImageReference], of id: Digest, keepsName: Bool) async throws(RecordsError) -> Set<Digest>? {
        var changed: Set<Digest>?
        defer { remembered.forget(changed) }
        let gone = Set(names.map(\.description))
        let change = try await file.write("untag \(names.map(\.description).joined(separator: " "))") { database -> Change? in
            let there = try ImageNameRow.filter(Column("imageID") == id.description).fetchAll(database).map(\.name)
            if keepsName && there.allSatisfy(gone.contains) { return nil }
            let owners = try Self.owners(of: names.map(\.description), in: database)
            for name in there where gone.contains(name) { try ImageNameRow.deleteOne(database, key: name) }
            return try Change(of: owners, in: database)
        }
        changed = change?.images ?? []
        return change?.released
    }

    /// What became of an image that was to be removed.
    package enum Removal: Sendable {
        case removed
        /// There was none.
        case absent
        /// It has names, or somebody uses it, of which whoever decided its removal did not know.
        case changed
    }

    /// Removes an image with all its names, unless something about it is otherwise than it was when that was decided.
    /// - Parameters:
    ///   - names: those that it may have.
    ///   - isUsed: asked in the one transaction; `confirm` is in another, before or after it.
    package func remove(
        _ id: Digest, named names: [ImageReference], unless isUsed: @escaping @Sendable () -> Bool
    ) async throws(RecordsError) -> Removal {
        let known = Set(names.map(\.description))
        defer { remembered.forget([id]) }
        return try await file.write("remove image \(id)") { database in
            let found = try ImageNameRow.filter(Column("imageID") == id.description).fetchAll(database)
            if isUsed() || !found.allSatisfy({ known.contains($0.name) }) { return .changed }
            return try ImageRow.deleteOne(database, key: id.description) ? .removed : .absent
        }
    }

    /// Whether an image is here: after every removal that did not yet know of whoever asks, before every one that does.
    package func confirm(_ id: Digest) async throws(RecordsError) -> Bool {
        try await file.write("confirm image \(id)") { database in try ImageRow.exists(database, key: id.description) }
    }

    /// The images that have these names.
    private static func owners(of names: [String], in database: Database) throws -> Set<Digest> {
        Set(try names.compactMap { try ImageNameRow.fetchOne(database, key: $0) }.map { try Digest($0.imageID) })
    }

    /// Every image, newest first.
    package func all() async throws(RecordsError) -> [NamedImage] {
        try await remembered.list(
            all: { () throws(RecordsError) in try await read() }, some: { ids throws(RecordsError) in try await read(ids) })
    }

    private func read(_ ids: Set<Digest>) async throws(RecordsError) -> [NamedImage] {
        try await file.read("list changed images") { database in
            try ids.compactMap { try ImageRow.fetchOne(database, key: $0.description)?.named(in: database) }
        }
    }

    private func read() async throws(RecordsError) -> [NamedImage] {
        try await file.read("list images") { database in
            // Four questions, however many images there are.
            let layers = try Dictionary(grouping: ImageLayerRow.order(Column("position")).fetchAll(database), by: \.imageID)
            let blobs = try Dictionary(grouping: ImageBlobRow.fetchAll(database), by: \.imageID)
            let names = try Dictionary(grouping: ListedName.all(in: database), by: \.imageID)
            return try ImageRow.order(Column("created").desc, Column("id")).fetchAll(database).map { row in
                try row.named(layers: layers[row.id] ?? [], blobs: blobs[row.id] ?? [], names: names[row.id] ?? [])
            }
        }
    }

    /// The image with exactly this id.
    package func find(_ id: Digest) async throws(RecordsError) -> NamedImage? {
        try await file.read("find image \(id)") { database in
            try ImageRow.fetchOne(database, key: id.description)?.named(in: database)
        }
    }

    /// The image that has this complete name.
    package func find(named name: ImageReference) async throws(RecordsError) -> NamedImage? {
        try await file.read("find image named \(name)") { database in
            guard let row = try ImageNameRow.fetchOne(database, key: name.description) else { return nil }
            return try ImageRow.fetchOne(database, key: row.imageID)?.named(in: database)
        }
    }

    /// Ids whose hexadecimal part begins with `prefix`, at most `limit`.
    package func ids(beginningWith prefix: String, limit: Int) async throws(RecordsError) -> [Digest] {
        try await file.read("find images by id \(prefix)") { database in
            var found: [Digest] = []
            for algorithm in Digest.Algorithm.allCases {
                // Ids are lower-case hexadecimal, which sorts below `~`.
                let first = "\(algorithm.rawValue):\(prefix)"
                found += try ImageRow.filter(Column("id") >= first && Column("id") < first + "~")
                    .order(Column("id")).limit(limit).fetchAll(database).map { try Digest($0.id) }
            }
            return Array(found.prefix(limit))
        }
    }

    /// The chain ids and blobs that images refer to: what must not be collected.
    package func referenced() async throws(RecordsError) -> (chains: Set<Digest>, blobs: Set<Digest>) {
        try await file.read("list layers in use") { database in
            let chains = try String.fetchAll(database, sql: "SELECT DISTINCT chainID FROM imageLayer").map { try Digest($0) }
            let blobs = try String.fetchAll(database, sql: "SELECT DISTINCT digest FROM imageBlob").map { try Digest($0) }
            return (Set(chains), Set(blobs))
        }
    }

    private func nameRow(_ name: ImageReference, image: Digest) throws(RecordsError) -> ImageNameRow {
        guard (name.tag == nil) != (name.digest == nil) else {
            throw RecordsError(.refused, doing: "name image \(image)", path: file.path, cause: "\(name) must have a tag or a digest")
        }
        return ImageNameRow(name: name.description, imageID: image.description)
    }
}

/// What a change of names comes to.
private struct Change: Sendable {
    /// Those whose names changed.
    let images: Set<Digest>
    /// Blobs that they let go of.
    let released: Set<Digest>

    /// What an image is known by: manifests of its names, and the last one, which is its only one where it has no name.
    private static let known = """
        SELECT manifestDigest FROM image WHERE id = :image
        UNION SELECT manifestDigest FROM imageName JOIN imageNameManifest USING (name) WHERE imageID = :image
        """

    static func isKnown(_ manifest: Digest, of image: String, in database: Database) throws -> Bool {
        try String.fetchAll(database, sql: known, arguments: ["image": image]).contains(manifest.description)
    }

    /// Takes from each image what no manifest needs that it is known by. By its id it is the one of a name where it has names.
    init(of images: Set<Digest>, in database: Database) throws {
        var released: Set<Digest> = []
        for image in images.map(\.description) {
            let arguments: StatementArguments = ["image": image]
            try database.execute(
                sql: """
                    UPDATE image SET manifestDigest = (
                        SELECT manifestDigest FROM imageName JOIN imageNameManifest USING (name) WHERE imageID = :image ORDER BY name)
                    WHERE id = :image AND id IN (SELECT imageID FROM imageName) AND manifestDigest NOT IN (
                        SELECT manifestDigest FROM imageName JOIN imageNameManifest USING (name) WHERE imageID = :image)
                    """, arguments: arguments)
            let gone = try String.fetchAll(
                database,
                sql: """
                    SELECT digest FROM imageManifestBlob WHERE imageID = :image
                    EXCEPT SELECT digest FROM imageManifestBlob WHERE imageID = :image AND manifestDigest IN (\(Self.known))
                    """, arguments: arguments)
            try database.execute(
                sql: "DELETE FROM imageManifestBlob WHERE imageID = :image AND manifestDigest NOT IN (\(Self.known))", arguments: arguments)
            for digest in gone { try ImageBlobRow(imageID: image, digest: digest).delete(database) }
            released.formUnion(try gone.map { try Digest($0) })
        }
        (self.images, self.released) = (images, released)
    }
}

private struct ImageRow: Codable, FetchableRecord, PersistableRecord {
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

    func named(in database: Database) throws -> NamedImage {
        let layers = try ImageLayerRow.filter(Column("imageID") == id).order(Column("position")).fetchAll(database)
        let blobs = try ImageBlobRow.filter(Column("imageID") == id).fetchAll(database)
        let names = try ListedName.ofImage(id, in: database)
        return try named(layers: layers, blobs: blobs, names: names)
    }

    func named(layers: [ImageLayerRow], blobs: [ImageBlobRow], names: [ListedName]) throws -> NamedImage {
        let references = try names.map { try ImageReference($0.name) }
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

private struct ImageLayerRow: Codable, FetchableRecord, PersistableRecord {
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

private struct ImageBlobRow: Codable, FetchableRecord, PersistableRecord {
    static let databaseTableName = "imageBlob"

    var imageID: String
    var digest: String
}

private struct ImageNameRow: Codable, FetchableRecord, PersistableRecord {
    static let databaseTableName = "imageName"

    var name: String
    var imageID: String
}

/// A name with its manifest.
private struct ListedName: Codable, FetchableRecord {
    var name: String
    var imageID: String
    var manifestDigest: String
    /// Tags, with spaces in between.
    var pulledAs: String?

    var pulls: [ImageReference] {
        get throws { try (pulledAs ?? "").split(separator: " ").sorted().map { try ImageReference(String($0)) } }
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
