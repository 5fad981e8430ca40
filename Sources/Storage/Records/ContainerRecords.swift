package import CoreTypes
internal import Foundation
internal import GRDB

/// One container: what the engine looks containers up by, and the document that is the engine's alone.
package struct ContainerRecord: Equatable, Sendable {
    package let id: ContainerID
    /// Unique among containers; without a leading slash.
    package var name: String
    /// The engine's word for the state.
    package var state: String
    package let created: Timestamp
    /// The image's id; nil where the container was made without one.
    package var imageID: Digest?
    /// The engine's own encoding; carries its own version.
    package var document: [UInt8]

    package init(id: ContainerID, name: String, state: String, created: Timestamp, imageID: Digest?, document: [UInt8]) {
        self.id = id
        self.name = name
        self.state = state
        self.created = created
        self.imageID = imageID
        self.document = document
    }
}

/// The containers that exist, by id and by name. What is written from one actor comes into the file in the order in which it was written there.
package struct ContainerRecords: Sendable {
    let file: RecordFile

    /// Adds a container.
    /// - Throws: `.nameInUse` with the owner, or `.exists` where the id is taken.
    nonisolated(nonsending) package func insert(_ record: ContainerRecord) async throws(RecordsError) {
        let path = file.path
        let doing = "insert container \(record.id)"
        try await file.write(doing) { database in
            let row = ContainerRow(record)
            try Self.refuseNameOfAnother(record, doing: doing, path: path, in: database)
            if try ContainerRow.exists(database, key: row.id) { throw RecordsError(.exists, doing: doing, path: path) }
            try row.insert(database)
        }
    }

    /// Replaces everything but the id; `created` is taken as given.
    /// - Throws: `.absent`, or `.nameInUse` with the owner when the name changed to a taken one.
    nonisolated(nonsending) package func update(_ record: ContainerRecord) async throws(RecordsError) { try await update([record]) }

    /// Replaces several, all or none: one wait for the disk.
    /// - Throws: as `update` of one.
    nonisolated(nonsending) package func update(_ records: [ContainerRecord]) async throws(RecordsError) {
        if records.isEmpty { return }
        let path = file.path
        let doing = "update container \(records.map(\.id.text).joined(separator: ", "))"
        try await file.write(doing) { database in
            for record in records {
                try Self.refuseNameOfAnother(record, doing: doing, path: path, in: database)
                let row = ContainerRow(record)
                if try !ContainerRow.exists(database, key: row.id) { throw RecordsError(.absent, doing: doing, path: path) }
                try row.update(database)
            }
        }
    }

    /// Removes a container. - Returns: false where there was none.
    @discardableResult
    nonisolated(nonsending) package func remove(_ id: ContainerID) async throws(RecordsError) -> Bool {
        try await file.write("remove container \(id)") { database in try ContainerRow.deleteOne(database, key: id.text) }
    }

    /// Removes a container and leaves a document in its place, which is none of a container's: all of it or nothing. It is in the way of no name.
    /// - Parameter forgetting: whose documents are needed no more.
    nonisolated(nonsending) package func remove(
        _ id: ContainerID, leaving document: [UInt8], forgetting: [ContainerID]
    ) async throws(RecordsError) {
        try await file.write("remove container \(id)") { database in
            _ = try ContainerRow.deleteOne(database, key: id.text)
            _ = try DestroyedRow.deleteAll(database, keys: forgetting.map(\.text))
            try DestroyedRow(id: id.text, document: Data(document)).upsert(database)
        }
    }

    /// What was left in the places of containers.
    package func destroyed() async throws(RecordsError) -> [ContainerID: [UInt8]] {
        try await file.read("list what is left of containers") { database in
            var found: [ContainerID: [UInt8]] = [:]
            for row in try DestroyedRow.fetchAll(database) { found[try ContainerID(row.id)] = [UInt8](row.document) }
            return found
        }
    }

    /// Has these be all that is left of containers.
    nonisolated(nonsending) package func keepDestroyed(_ documents: [ContainerID: [UInt8]]) async throws(RecordsError) {
        try await file.write("note what is left of containers") { database in
            _ = try DestroyedRow.deleteAll(database)
            for (id, document) in documents { try DestroyedRow(id: id.text, document: Data(document)).insert(database) }
        }
    }

    /// Every container, oldest first.
    package func all() async throws(RecordsError) -> [ContainerRecord] {
        try await file.read("list containers") { database in
            try ContainerRow.order(Column("created"), Column("id")).fetchAll(database).map { try $0.record }
        }
    }

    /// The container with exactly this id.
    package func find(_ id: ContainerID) async throws(RecordsError) -> ContainerRecord? {
        try await file.read("find container \(id)") { database in try ContainerRow.fetchOne(database, key: id.text)?.record }
    }

    /// The container with this name.
    package func find(named name: String) async throws(RecordsError) -> ContainerRecord? {
        try await file.read("find container named \(name)") { database in
            try ContainerRow.filter(Column("name") == name).fetchOne(database)?.record
        }
    }

    /// Containers made from an image.
    package func using(image: Digest) async throws(RecordsError) -> [ContainerRecord] {
        try await file.read("find containers of image \(image)") { database in
            try ContainerRow.filter(Column("imageID") == image.description).order(Column("created"), Column("id"))
                .fetchAll(database).map { try $0.record }
        }
    }

    private static func refuseNameOfAnother(_ record: ContainerRecord, doing: String, path: String, in database: Database) throws {
        let owner = try ContainerRow.filter(Column("name") == record.name && Column("id") != record.id.text).fetchOne(database)
        if let owner {
            throw RecordsError(.nameInUse(name: record.name, by: try owner.record.id), doing: doing, path: path)
        }
    }
}

private struct DestroyedRow: Codable, FetchableRecord, PersistableRecord {
    static let databaseTableName = "destroyedContainer"

    var id: String
    var document: Data
}

/// The row as SQLite holds it.
private struct ContainerRow: Codable, FetchableRecord, PersistableRecord {
    static let databaseTableName = "container"

    var id: String
    var name: String
    var state: String
    var created: String
    var imageID: String?
    var document: Data

    init(_ record: ContainerRecord) {
        id = record.id.text
        name = record.name
        state = record.state
        created = record.created.fixedWidth
        imageID = record.imageID?.description
        document = Data(record.document)
    }

    var record: ContainerRecord {
        get throws {
            ContainerRecord(
                id: try ContainerID(id), name: name, state: state, created: try Timestamp(created),
                imageID: try imageID.map { try Digest($0) }, document: [UInt8](document))
        }
    }
}
