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
    /// each manifest, the tags of each pull, and what is to be told of containers that were removed. The triggers write for whoever does
    /// not know of it; with no OR REPLACE, which the statement that fires them would overrule. Of a manifest whose blobs are not known they
    /// are all of its image's. Done at each opening; a file that has it stays as it is.
    static func extend(_ database: Database) throws {
        let knowsPulls = try database.tableExists("imagePulledAs")
        for part in [manifestsOfNames, blobsOfManifests, pulls, destroyedContainers] { try database.execute(sql: part) }
        if !knowsPulls { try database.execute(sql: pullsOfBefore) }
    }

    private static let destroyedContainers = """
        CREATE TABLE IF NOT EXISTS destroyedContainer (
            id TEXT NOT NULL PRIMARY KEY,
            document BLOB NOT NULL
        ) STRICT;
        """

    /// Kept with the name of the repository and the digest: a tag may go or be given to another image, and what was pulled as it stays so.
    private static let pulls = """
        CREATE TABLE IF NOT EXISTS imagePulledAs (
            pinned TEXT NOT NULL REFERENCES imageName(name) ON DELETE CASCADE,
            tagged TEXT NOT NULL,
            PRIMARY KEY (pinned, tagged)
        ) STRICT, WITHOUT ROWID;
        """

    /// In a file that did not know of it, a tag is taken for one of a pull that stands for the same manifest as its repository's digest.
    private static let pullsOfBefore = """
        WITH named AS (SELECT name, imageID, manifestDigest FROM imageName JOIN imageNameManifest USING (name))
        INSERT INTO imagePulledAs
            SELECT pinned.name, tagged.name FROM named AS pinned JOIN named AS tagged USING (imageID, manifestDigest)
            WHERE instr(pinned.name, '@') > 0
                AND substr(tagged.name, 1, instr(pinned.name, '@')) = substr(pinned.name, 1, instr(pinned.name, '@') - 1) || ':';
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
