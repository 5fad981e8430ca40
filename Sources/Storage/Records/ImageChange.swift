internal import CoreTypes
internal import GRDB

/// What a change of names comes to.
struct ImageChange: Sendable {
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
            released.formUnion(gone.compactMap { try? Digest($0) })
        }
        (self.images, self.released) = (images, released)
    }
}
