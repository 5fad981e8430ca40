internal import GRDB

/// The tables, version by version. A version that was released is never edited: what changes is a new one.
enum Schema {
    static var migrator: DatabaseMigrator {
        var migrator = DatabaseMigrator()
        migrator.registerMigration("v1") { database in try database.execute(sql: version1) }
        migrator.registerMigration("networks") { database in try database.execute(sql: networks) }
        return migrator
    }

    /// What stands beside the tables of the versions, so that daemons of before go on with the file: the manifest of each name, the blobs of
    /// each manifest, the names that a pull gave, and what is to be told of containers that were removed. The triggers write for whoever does
    /// not know of it; with no OR REPLACE, which the statement that fires them would overrule. Of a manifest whose blobs are not known they
    /// are all of its image's. Done at each opening; a file that has it stays as it is.
    static func extend(_ database: Database) throws {
        for part in [manifestsOfNames, blobsOfManifests, pulledNames, destroyedContainers] { try database.execute(sql: part) }
    }

    private static let destroyedContainers = """
        CREATE TABLE IF NOT EXISTS destroyedContainer (
            id TEXT NOT NULL PRIMARY KEY,
            document BLOB NOT NULL
        ) STRICT;
        """

    private static let pulledNames = """
        CREATE TABLE IF NOT EXISTS imageNamePulled (
            name TEXT NOT NULL PRIMARY KEY REFERENCES imageName(name) ON DELETE CASCADE
        ) STRICT, WITHOUT ROWID;
        CREATE TRIGGER IF NOT EXISTS imageNameTaken AFTER UPDATE ON imageName BEGIN
            DELETE FROM imageNamePulled WHERE name = NEW.name;
        END;
        """

    private static let blobsOfManifests = """
        CREATE TABLE IF NOT EXISTS imageManifestBlob (
            imageID TEXT NOT NULL REFERENCES image(id) ON DELETE CASCADE,
            manifestDigest TEXT NOT NULL,
            digest TEXT NOT NULL,
            PRIMARY KEY (imageID, manifestDigest, digest)
        ) STRICT, WITHOUT ROWID;
        INSERT INTO imageManifestBlob
            SELECT imageID, manifestDigest, digest FROM (
                SELECT id AS imageID, manifestDigest FROM image
                UNION SELECT imageID, manifestDigest FROM imageName JOIN imageNameManifest USING (name)
            ) AS known JOIN imageBlob USING (imageID)
            WHERE NOT EXISTS (
                SELECT 1 FROM imageManifestBlob AS there
                WHERE there.imageID = known.imageID AND there.manifestDigest = known.manifestDigest);
        """

    private static let manifestsOfNames = """
        CREATE TABLE IF NOT EXISTS imageNameManifest (
            name TEXT NOT NULL PRIMARY KEY REFERENCES imageName(name) ON DELETE CASCADE,
            manifestDigest TEXT NOT NULL
        ) STRICT;
        INSERT OR IGNORE INTO imageNameManifest
            SELECT name, manifestDigest FROM imageName JOIN image ON image.id = imageID;
        CREATE TRIGGER IF NOT EXISTS imageNameGiven AFTER INSERT ON imageName BEGIN
            DELETE FROM imageNameManifest WHERE name = NEW.name;
            INSERT INTO imageNameManifest SELECT NEW.name, manifestDigest FROM image WHERE id = NEW.imageID;
        END;
        CREATE TRIGGER IF NOT EXISTS imageNameMoved AFTER UPDATE ON imageName BEGIN
            DELETE FROM imageNameManifest WHERE name = NEW.name;
            INSERT INTO imageNameManifest SELECT NEW.name, manifestDigest FROM image WHERE id = NEW.imageID;
        END;
        """

    private static let networks = """
        CREATE TABLE network (
            id TEXT NOT NULL PRIMARY KEY,
            name TEXT NOT NULL UNIQUE,
            created TEXT NOT NULL,
            document BLOB NOT NULL
        ) STRICT;
        """

    private static let version1 = """
        CREATE TABLE image (
            id TEXT NOT NULL PRIMARY KEY,
            manifestDigest TEXT NOT NULL,
            created TEXT NOT NULL,
            platform TEXT NOT NULL,
            sizeBytes INTEGER NOT NULL
        ) STRICT;

        CREATE TABLE imageLayer (
            imageID TEXT NOT NULL REFERENCES image(id) ON DELETE CASCADE,
            position INTEGER NOT NULL,
            diffID TEXT NOT NULL,
            chainID TEXT NOT NULL,
            sizeBytes INTEGER NOT NULL,
            PRIMARY KEY (imageID, position)
        ) STRICT;

        CREATE TABLE imageBlob (
            imageID TEXT NOT NULL REFERENCES image(id) ON DELETE CASCADE,
            digest TEXT NOT NULL,
            PRIMARY KEY (imageID, digest)
        ) STRICT;

        CREATE TABLE imageName (
            name TEXT NOT NULL PRIMARY KEY,
            imageID TEXT NOT NULL REFERENCES image(id) ON DELETE CASCADE
        ) STRICT;
        CREATE INDEX imageNameByImage ON imageName(imageID);

        CREATE TABLE container (
            id TEXT NOT NULL PRIMARY KEY,
            name TEXT NOT NULL UNIQUE,
            state TEXT NOT NULL,
            created TEXT NOT NULL,
            imageID TEXT,
            document BLOB NOT NULL
        ) STRICT;
        CREATE INDEX containerByState ON container(state);
        CREATE INDEX containerByImage ON container(imageID);
        """
}
