package import CoreTypes
internal import Foundation
internal import GRDB

/// One network: what the engine looks networks up by, and the document that is the engine's alone.
package struct NetworkRecord: Equatable, Sendable {
    /// 64 hexadecimal digits.
    package let id: String
    /// Unique among networks.
    package let name: String
    package let created: Timestamp
    /// The engine's own encoding; carries its own version.
    package let document: [UInt8]

    package init(id: String, name: String, created: Timestamp, document: [UInt8]) {
        self.id = id
        self.name = name
        self.created = created
        self.document = document
    }
}

/// The networks that exist.
package struct NetworkRecords: Sendable {
    let file: RecordFile

    /// Adds a network. - Throws: `.refused` where its id or name is taken.
    package func insert(_ record: NetworkRecord) async throws(RecordsError) {
        try await file.write("insert network \(record.name)") { database in try NetworkRow(record).insert(database) }
    }

    /// Removes a network. - Returns: false where there was none.
    @discardableResult
    package func remove(_ id: String) async throws(RecordsError) -> Bool {
        try await file.write("remove network \(id)") { database in try NetworkRow.deleteOne(database, key: id) }
    }

    /// Every network, oldest first.
    package func all() async throws(RecordsError) -> [NetworkRecord] {
        try await file.read("list networks") { database in
            try NetworkRow.order(Column("created"), Column("id")).fetchAll(database).map { try $0.record }
        }
    }
}

/// The row as SQLite holds it.
private struct NetworkRow: Codable, FetchableRecord, PersistableRecord {
    static let databaseTableName = "network"

    var id: String
    var name: String
    var created: String
    var document: Data

    init(_ record: NetworkRecord) {
        id = record.id
        name = record.name
        created = record.created.fixedWidth
        document = Data(record.document)
    }

    var record: NetworkRecord {
        get throws { NetworkRecord(id: id, name: name, created: try Timestamp(created), document: [UInt8](document)) }
    }
}
