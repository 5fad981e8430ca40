package import CoreTypes
internal import GRDB

/// An image that is on record, and of which the record cannot be read: the disk lost bytes of a row, or somebody wrote to it. For everybody
/// else it is not here.
package struct UnreadableImage: Equatable, Sendable {
    /// Its row, whatever the texts in it are.
    let row: Int64
    /// What stands there for its id.
    package let id: String
    /// Why it cannot be read.
    package let reason: String
    /// What can be read of its names.
    package let names: [ImageReference]
    /// Manifests that it may have been known by, the last one first.
    package let manifests: [Digest]
    /// What can be read of the blobs that each of these needs.
    package let blobs: [Digest: Set<Digest>]
    /// What its layers took unpacked, from the bottom up.
    package let layerSizes: [ByteCount]
}

extension ImageRecords {
    /// Images whose records cannot be read, in the order of their rows.
    package func unreadable() async throws(RecordsError) -> [UnreadableImage] {
        try await file.read("look for damaged records of images") { database in
            try Row.fetchAll(database, sql: "SELECT rowid AS place, * FROM image ORDER BY rowid").compactMap { row in
                let image = try ImageRow(row: row)
                guard let reason = try image.reading(in: database).damage else { return nil }
                return UnreadableImage(try ImageRemains(of: image, in: database), row: row["place"], because: reason)
            }
        }
    }

    /// Writes a record anew that cannot be read, with its names. Where the image is on record beside it, that record gets the names alone.
    /// - Parameter image: what the manifest says, which is one of `unreadable`'s.
    /// - Returns: blobs that nothing refers to by it any more; nil where it was not done: it has gone, or become readable, meanwhile.
    package func rebuild(_ unreadable: UnreadableImage, as image: ImageRecord) async throws(RecordsError) -> Set<Digest>? {
        try await replace(unreadable, "rebuild the record of image \(image.id)") { remains, database in
            if try ImageRow.read(image.id, in: database) == nil { try Self.put(image, in: database) }
            try remains.restore(to: image, in: database)
        }
    }

    /// Removes a record that cannot be read, with its names.
    /// - Returns: as `rebuild`.
    package func drop(_ unreadable: UnreadableImage) async throws(RecordsError) -> Set<Digest>? {
        try await replace(unreadable, "drop the record of image \(unreadable.id)") { _, _ in }
    }

    /// Writes down anew which layers an image has, unless it has gone.
    package func correct(layers: [LayerRecord], of image: Digest) async throws(RecordsError) {
        defer { remembered.forget([image]) }
        try await file.write("correct the layers of image \(image)") { database in
            guard var row = try ImageRow.fetchOne(database, key: image.description) else { return }
            row.sizeBytes = Int64(clamping: layers.size.bytes)
            try row.update(database)
            try Self.put(layers, of: image, in: database)
        }
    }

    private func replace(
        _ unreadable: UnreadableImage, _ doing: String, _ write: @escaping @Sendable (ImageRemains, Database) throws -> Void
    ) async throws(RecordsError) -> Set<Digest>? {
        defer { remembered.forget(nil) }
        return try await file.write(doing) { database in
            guard let image = try ImageRow.fetchOne(database, sql: "SELECT * FROM image WHERE rowid = ?", arguments: [unreadable.row]),
                image.id == unreadable.id, try image.reading(in: database).image == nil
            else { return nil }
            let remains = try ImageRemains(of: image, in: database)
            try database.execute(sql: "DELETE FROM image WHERE rowid = ?", arguments: [unreadable.row])
            try write(remains, database)
            // Where the id itself was lost, its other rows belong to nothing that is on record.
            for table in ["imageLayer", "imageBlob", "imageName", "imageManifestBlob"] {
                try database.execute(sql: "DELETE FROM \(table) WHERE imageID NOT IN (SELECT id FROM image)")
            }
            return remains.allBlobs.subtracting(try Self.referencedBlobs(in: database))
        }
    }
}

/// What can be read of an image whose record as a whole cannot.
struct ImageRemains: Sendable {
    struct Name: Sendable {
        let reference: ImageReference
        /// nil where that cannot be read.
        let manifest: Digest?
        let pulls: [ImageReference]
    }

    let id: String
    let names: [Name]
    /// The manifest that it was last pulled by; nil where that cannot be read.
    let lastManifest: Digest?
    let blobs: [Digest: Set<Digest>]
    /// All that it referred to, by whichever manifest.
    let allBlobs: Set<Digest>
    let layerSizes: [ByteCount]

    init(of image: ImageRow, in database: Database) throws {
        id = image.id
        names = try ListedName.ofImage(image.id, in: database).compactMap { listed in
            guard let reference = try? listed.reference else { return nil }
            return Name(reference: reference, manifest: try? Digest(listed.manifestDigest), pulls: listed.readablePulls)
        }
        lastManifest = try? Digest(image.manifestDigest)
        var blobs: [Digest: Set<Digest>] = [:]
        let pairs = try Row.fetchAll(
            database, sql: "SELECT manifestDigest, digest FROM imageManifestBlob WHERE imageID = ?", arguments: [image.id])
        for pair in pairs {
            if let manifest = try? Digest(pair["manifestDigest"]), let digest = try? Digest(pair["digest"]) {
                blobs[manifest, default: []].insert(digest)
            }
        }
        let known = try ImageBlobRow.filter(Column("imageID") == image.id).fetchAll(database).compactMap { try? Digest($0.digest) }
        let own = [image.id, image.manifestDigest].compactMap { try? Digest($0) }
        self.blobs = blobs
        allBlobs = blobs.reduce(into: Set(known + own)) { $0.formUnion($1.value.union([$1.key])) }
        layerSizes = try ImageLayerRow.filter(Column("imageID") == image.id).order(Column("position")).fetchAll(database).map {
            ByteCount(UInt64(clamping: $0.sizeBytes))
        }
    }

    /// Gives these names, each with its manifest, to a record that can be read, and takes away what has the place of a name that cannot.
    func restore(to image: ImageRecord, in database: Database) throws {
        let known = Set(names.compactMap(\.manifest) + [image.manifestDigest])
        for (manifest, digests) in blobs where known.contains(manifest) {
            for digest in digests { try ImageRecords.put(digest, neededBy: manifest, of: image.id, in: database) }
        }
        for name in names {
            try ImageNameRow(name: name.reference.description, imageID: image.id.description).upsert(database)
            if let manifest = name.manifest {
                try database.execute(
                    sql: "UPDATE imageNameManifest SET manifestDigest = ? WHERE name = ?",
                    arguments: [manifest.description, name.reference.description])
            }
            for pull in name.pulls {
                try database.execute(
                    sql: "INSERT OR IGNORE INTO imagePulledAs VALUES (?, ?)", arguments: [name.reference.description, pull.description])
            }
        }
    }
}

extension UnreadableImage {
    fileprivate init(_ remains: ImageRemains, row: Int64, because reason: String) {
        self.row = row
        self.reason = reason
        id = remains.id
        names = remains.names.map(\.reference)
        var manifests: [Digest] = remains.lastManifest.map { [$0] } ?? []
        for manifest in remains.names.compactMap(\.manifest) + remains.blobs.keys.sorted(by: { $0.description < $1.description })
        where !manifests.contains(manifest) { manifests.append(manifest) }
        self.manifests = manifests
        blobs = remains.blobs
        layerSizes = remains.layerSizes
    }
}
