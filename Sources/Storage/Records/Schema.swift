internal import GRDB

/// The tables, version by version. A version that was released is never edited: what changes is a new one.
enum Schema {
    static var migrator: DatabaseMigrator {
        var migrator = DatabaseMigrator()
        migrator.registerMigration("v1") { database in try database.execute(sql: version1) }
        migrator.registerMigration("networks") { database in try database.execute(sql: networks) }
        return migrator
    }

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
