internal import CoreTypes
internal import EngineAPI
internal import LinuxSyscalls
internal import SystemPackage

/// What the engine remembers of an exec beside its container's bundle, so that the next daemon knows it.
struct ExecRecord: Codable, Equatable, Sendable {
    /// Grows when an older engine could not read the record.
    static let currentVersion = 1

    var version = ExecRecord.currentVersion
    let created: Timestamp
    let request: ExecCreateRequest
    /// nil until it ended.
    var exitCode: Int?
}

/// One file for each exec, in the bundle: they go away with the container's run, as its execs do. Every function blocks.
enum ExecRecordFiles {
    /// The most that is read of one file: a request's body is shorter.
    static let limitBytes = 8 << 20

    static func write(_ record: ExecRecord, of id: String, in directory: FilePath) throws(EngineError) {
        let text: [UInt8]
        do throws(DocumentError) { text = try EngineJSON.encode(record) } catch { throw .system("write the record of exec \(id)", error) }
        do throws(SyscallError) {
            // In a bundle that is there: else the container has ended, and none is to come of this.
            do { try makeDirectory(directory, mode: 0o700) } catch  where error.errno == Errno.fileExists.rawValue {}
            try writeFileDurably(text, to: directory.appending(id))
        } catch { throw .system("write the record of exec \(id)", error) }
    }

    static func remove(_ id: String, in directory: FilePath) throws(EngineError) {
        do throws(SyscallError) { try removeTree(directory.appending(id)) } catch {
            throw .system("remove the record of exec \(id)", error)
        }
    }

    /// Takes every record away.
    static func removeAll(in directory: FilePath) throws(EngineError) {
        do throws(SyscallError) {
            for entry in try directoryEntries(of: try openFile(directory, [.readOnly, .directory]), subject: directory.string) {
                try removeTree(directory.appending(entry.name.string))
            }
        } catch {
            if error.errno != Errno.noSuchFileOrDirectory.rawValue { throw .system("remove the records of execs", error) }
        }
    }

    /// The records by id, and what is wrong with those that cannot be read.
    static func all(in directory: FilePath) throws(EngineError) -> (records: [String: ExecRecord], problems: [EngineError]) {
        var records: [String: ExecRecord] = [:]
        var problems: [EngineError] = []
        for name in try names(in: directory) {
            do throws(EngineError) { records[name] = try read(directory.appending(name)) } catch { problems.append(error) }
        }
        return (records, problems)
    }

    private static func names(in directory: FilePath) throws(EngineError) -> [String] {
        do throws(SyscallError) {
            let opened = try openFile(directory, [.readOnly, .directory])
            // Others are halves of files that a crash cut off.
            return try directoryEntries(of: opened, subject: directory.string).map(\.name.string).filter(Identifiers.isIdentifier)
        } catch {
            if error.errno == Errno.noSuchFileOrDirectory.rawValue { return [] }
            throw .system("look for execs", error)
        }
    }

    private static func read(_ path: FilePath) throws(EngineError) -> ExecRecord {
        let bytes: [UInt8]
        do throws(SyscallError) { bytes = try readFile(path, limitBytes: limitBytes) } catch {
            throw .system("read an exec's record", error)
        }
        let record: ExecRecord
        do throws(DocumentError) { record = try EngineJSON.decode(ExecRecord.self, from: bytes) } catch {
            throw .system("read \(path)", error)
        }
        guard record.version <= ExecRecord.currentVersion else {
            throw EngineError(.system, "\(path) has version \(record.version), written by a newer engine")
        }
        return record
    }
}
