package import CoreTypes
internal import GRDB

/// The images that are here, by id and by name. A name has a tag or a digest, never both and never neither.
package struct ImageRecords: Sendable {
    let file: RecordFile
    let remembered = RememberedImages()

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
            try Self.put(image, in: database)
            for row in rows { try row.upsert(database) }
            for (pinned, tagged) in pulls {
                try database.execute(sql: "INSERT OR IGNORE INTO imagePulledAs VALUES (?, ?)", arguments: [pinned, tagged])
            }
            return try ImageChange(of: owners.union([image.id]), in: database)
        }
        changed = change.images
        return change.released
    }

    /// Writes the record itself. What cannot be read of one that is there goes, and what can be is kept.
    static func put(_ image: ImageRecord, in database: Database) throws {
        var remains: ImageRemains?
        if let row = try ImageRow.fetchOne(database, key: image.id.description), try row.reading(in: database).image == nil {
            remains = try ImageRemains(of: row, in: database)
            try row.delete(database)
        }
        try ImageRow(image).upsert(database)
        try put(image.layers, of: image.id, in: database)
        for blob in image.blobs { try put(blob, neededBy: image.manifestDigest, of: image.id, in: database) }
        try remains?.restore(to: image, in: database)
    }

    static func put(_ layers: [LayerRecord], of image: Digest, in database: Database) throws {
        try ImageLayerRow.filter(Column("imageID") == image.description).deleteAll(database)
        for (position, layer) in layers.enumerated() { try ImageLayerRow(layer, of: image, at: position).insert(database) }
    }

    static func put(_ blob: Digest, neededBy manifest: Digest, of image: Digest, in database: Database) throws {
        try ImageBlobRow(imageID: image.description, digest: blob.description).upsert(database)
        try database.execute(
            sql: "INSERT OR IGNORE INTO imageManifestBlob VALUES (?, ?, ?)",
            arguments: [image.description, manifest.description, blob.description])
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
            guard try ImageChange.isKnown(manifest, of: row.imageID, in: database) else {
                throw RecordsError(.absent, doing: doing, path: path)
            }
            let owners = try Self.owners(of: [row.name], in: database)
            try row.upsert(database)
            try database.execute(
                sql: "UPDATE imageNameManifest SET manifestDigest = ? WHERE name = ?", arguments: [manifest.description, row.name])
            return try ImageChange(of: owners.union([id]), in: database)
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
        let change = try await file.write("untag \(names.map(\.description).joined(separator: " "))") { database -> ImageChange? in
            let there = try ImageNameRow.filter(Column("imageID") == id.description).fetchAll(database).map(\.name)
            if keepsName && there.allSatisfy(gone.contains) { return nil }
            let owners = try Self.owners(of: names.map(\.description), in: database)
            for name in there where gone.contains(name) { try ImageNameRow.deleteOne(database, key: name) }
            return try ImageChange(of: owners, in: database)
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
        Set(try names.compactMap { try ImageNameRow.fetchOne(database, key: $0) }.compactMap { try? Digest($0.imageID) })
    }

    /// Every image whose record can be read, newest first: of the others `unreadable` tells.
    package func all() async throws(RecordsError) -> [NamedImage] {
        try await remembered.list(
            all: { () throws(RecordsError) in try await read() }, some: { ids throws(RecordsError) in try await read(ids) })
    }

    private func read(_ ids: Set<Digest>) async throws(RecordsError) -> [NamedImage] {
        try await file.read("list changed images") { database in
            try ids.compactMap { try ImageRow.read($0, in: database) }
        }
    }

    private func read() async throws(RecordsError) -> [NamedImage] {
        try await file.read("list images") { database in
            // Four questions, however many images there are.
            let layers = try Dictionary(grouping: ImageLayerRow.order(Column("position")).fetchAll(database), by: \.imageID)
            let blobs = try Dictionary(grouping: ImageBlobRow.fetchAll(database), by: \.imageID)
            let names = try Dictionary(grouping: ListedName.all(in: database), by: \.imageID)
            return try ImageRow.order(Column("created").desc, Column("id")).fetchAll(database).compactMap { row in
                try? row.named(layers: layers[row.id] ?? [], blobs: blobs[row.id] ?? [], names: names[row.id] ?? [])
            }
        }
    }

    /// The image with exactly this id.
    /// - Throws: `.unreadable` where its record is.
    package func find(_ id: Digest) async throws(RecordsError) -> NamedImage? {
        try await find("find image \(id)") { _ in id.description }
    }

    /// The image that has this complete name.
    /// - Throws: `.unreadable` where its record is.
    package func find(named name: ImageReference) async throws(RecordsError) -> NamedImage? {
        try await find("find image named \(name)") { database in try ImageNameRow.fetchOne(database, key: name.description)?.imageID }
    }

    private func find(
        _ doing: String, _ id: @escaping @Sendable (Database) throws -> String?
    ) async throws(RecordsError) -> NamedImage? {
        let path = file.path
        return try await file.read(doing) { database in
            guard let id = try id(database), let row = try ImageRow.fetchOne(database, key: id) else { return nil }
            switch try row.reading(in: database) {
            case .image(let image): return image
            case .damaged(let reason): throw RecordsError(.unreadable, doing: doing, path: path, cause: reason)
            }
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
                    .order(Column("id")).limit(limit).fetchAll(database).compactMap { try? Digest($0.id) }
            }
            return Array(found.prefix(limit))
        }
    }

    /// The chain ids and blobs that images refer to: what must not be collected.
    package func referenced() async throws(RecordsError) -> (chains: Set<Digest>, blobs: Set<Digest>) {
        try await file.read("list layers in use") { database in
            let chains = try String.fetchAll(database, sql: "SELECT DISTINCT chainID FROM imageLayer").compactMap { try? Digest($0) }
            return (Set(chains), try Self.referencedBlobs(in: database))
        }
    }

    /// Written down in two tables: what cannot be read in the one can be in the other.
    static func referencedBlobs(in database: Database) throws -> Set<Digest> {
        let texts = try String.fetchAll(database, sql: "SELECT digest FROM imageBlob UNION SELECT digest FROM imageManifestBlob")
        return Set(texts.compactMap { try? Digest($0) })
    }

    private func nameRow(_ name: ImageReference, image: Digest) throws(RecordsError) -> ImageNameRow {
        guard (name.tag == nil) != (name.digest == nil) else {
            throw RecordsError(.refused, doing: "name image \(image)", path: file.path, cause: "\(name) must have a tag or a digest")
        }
        return ImageNameRow(name: name.description, imageID: image.description)
    }
}
