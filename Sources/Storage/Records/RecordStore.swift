internal import GRDB

/// The engine's durable records: one SQLite file, written by one process.
///
/// Every write is one transaction and is on the disk when the call returns (WAL, `synchronous = FULL`). A
/// call whose task is cancelled still ends as if it were not: a record is never half of an intention.
package final class RecordStore: Sendable {
    /// How long a statement waits for a lock that another process holds on the file.
    package static let lockTimeoutSeconds = 5.0
    /// Reads that may run beside the one writer.
    package static let readerCount = 2

    /// The images that are here.
    package let images: ImageRecords
    /// The containers that exist.
    package let containers: ContainerRecords
    /// The networks that exist.
    package let networks: NetworkRecords
    private let file: RecordFile

    /// Opens the file, making it or bringing it to the newest schema as needed. Blocks.
    /// - Parameter expectsRecords: whether there were records, so that a file without any is not taken.
    /// - Throws: `RecordsError` naming the file: `.damaged`, `.tooNew`, `.gone` or `.refused`.
    package init(openingAt path: String, expectsRecords: Bool = false) throws(RecordsError) {
        file = try RecordFile(openingAt: path, expectsRecords: expectsRecords)
        images = ImageRecords(file: file)
        containers = ContainerRecords(file: file)
        networks = NetworkRecords(file: file)
    }

    /// Writes the log back into the file and closes it. Blocks; later calls fail with `.refused`.
    package func close() throws(RecordsError) { try file.close() }
}

/// The open file, and the way every statement reaches it.
final class RecordFile: Sendable {
    let path: String
    private let pool: DatabasePool

    init(openingAt path: String, expectsRecords: Bool) throws(RecordsError) {
        self.path = path
        do {
            var configuration = Configuration()
            configuration.label = "engine records"
            configuration.busyMode = .timeout(RecordStore.lockTimeoutSeconds)
            configuration.maximumReaderCount = RecordStore.readerCount
            pool = try DatabasePool(path: path, configuration: configuration)
            // Not when a connection is prepared: opening the pool sets NORMAL after that, and a record then outlives no power cut.
            try pool.writeWithoutTransaction { database in try database.execute(sql: "PRAGMA synchronous = FULL") }
            try pool.write { database in
                try Self.prove(database, path: path)
                if expectsRecords, try Schema.migrator.appliedIdentifiers(database).isEmpty {
                    throw RecordsError(.gone, doing: "open records", path: path)
                }
            }
            try Schema.migrator.migrate(pool)
            try pool.write { database in try Schema.extend(database) }
        } catch {
            throw Self.wrapped(error, doing: "open records", path: path)
        }
    }

    /// Fails on a file that a newer program wrote or whose pages do not hold together.
    private static func prove(_ database: Database, path: String) throws {
        if try Schema.migrator.hasBeenSuperseded(database) {
            throw RecordsError(.tooNew, doing: "open records", path: path)
        }
        let finding = try String.fetchOne(database, sql: "PRAGMA quick_check(1)") ?? "no answer"
        if finding != "ok" { throw RecordsError(.damaged, doing: "open records", path: path, cause: finding) }
    }

    /// The file alone is whole then, for whoever copies it.
    func close() throws(RecordsError) {
        var problem: (any Error)?
        do { try pool.writeWithoutTransaction { database in _ = try database.checkpoint(.truncate) } } catch { problem = error }
        do { try pool.close() } catch { problem = problem ?? error }
        if let problem { throw Self.wrapped(problem, doing: "close records", path: path) }
    }

    /// Runs `body` in one transaction on the writer's own queue. It is in that queue before the caller's actor does anything else, so that
    /// two writes of one actor come in the order in which it made them.
    nonisolated(nonsending) func write<Value: Sendable>(
        _ doing: String, _ body: @escaping @Sendable (Database) throws -> Value
    ) async throws(RecordsError) -> Value {
        let result: Result<Value, any Error> = await withCheckedContinuation { continuation in
            pool.asyncWrite(body) { _, result in continuation.resume(returning: result) }
        }
        return try unwrapped(result, doing: doing)
    }

    /// Runs `body` on a snapshot of what is committed.
    func read<Value: Sendable>(
        _ doing: String, _ body: @escaping @Sendable (Database) throws -> Value
    ) async throws(RecordsError) -> Value {
        let result: Result<Value, any Error> = await withCheckedContinuation { continuation in
            pool.asyncRead { database in
                continuation.resume(returning: database.flatMap { database in Result { try body(database) } })
            }
        }
        return try unwrapped(result, doing: doing)
    }

    private func unwrapped<Value>(_ result: Result<Value, any Error>, doing: String) throws(RecordsError) -> Value {
        do { return try result.get() } catch { throw Self.wrapped(error, doing: doing, path: path) }
    }

    private static func wrapped(_ error: any Error, doing: String, path: String) -> RecordsError {
        if let known = error as? RecordsError { return known }
        guard let refusal = error as? DatabaseError else {
            // All else is a row that does not decode: its text is not what this schema writes.
            return RecordsError(.damaged, doing: doing, path: path, cause: "\(error)")
        }
        let damaged: [ResultCode] = [.SQLITE_NOTADB, .SQLITE_CORRUPT]
        let code: RecordsError.Code = damaged.contains(refusal.resultCode) ? .damaged : .refused
        return RecordsError(code, doing: doing, path: path, cause: refusal.message ?? "SQLite error \(refusal.resultCode.rawValue)")
    }
}
