internal import LinuxSyscalls
internal import Protobuf
internal import ShimProtocol
internal import SystemPackage

/// The file in which a shim writes down how the container's process ended.
enum ExitRecordFile {
    /// nil where there is none. Blocks.
    static func read(_ path: FilePath) throws(EngineError) -> ExitRecord? {
        let bytes: [UInt8]
        do throws(SyscallError) { bytes = try readFile(path, limitBytes: ExitRecord.maximumByteCount) } catch {
            if error.errno == Errno.noSuchFileOrDirectory.rawValue { return nil }
            throw .system("read the exit record", error)
        }
        do throws(WireError) { return try ExitRecord(decoding: bytes) } catch { throw .system("read the exit record \(path)", error) }
    }

    /// Takes the former run's record away, so that it is not taken for the next one's. Blocks.
    static func remove(_ path: FilePath) throws(EngineError) {
        do throws(SyscallError) { try removeFile(path) } catch {
            if error.errno != Errno.noSuchFileOrDirectory.rawValue { throw .system("remove the former exit record", error) }
        }
    }
}
