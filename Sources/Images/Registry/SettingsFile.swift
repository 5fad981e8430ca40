internal import LinuxSyscalls
internal import SystemPackage

/// Reads files of settings about registries.
enum SettingsFile {
    /// How long what is no ordinary file is waited for.
    private static let timeoutNanoseconds: Int64 = 1_000_000_000

    /// The document of a file; nil where there is none.
    static func read(_ path: String) throws(RegistryError) -> TOMLTable? {
        // A link to nothing is there, and cannot be read.
        do throws(SyscallError) { _ = try fileStatus(FilePath(path)) } catch {
            let failure = FileFailure(error)
            if failure.isMissing { return nil }
            throw refuse(path, "\(failure)")
        }
        let bytes: [UInt8]
        do throws(SyscallError) { bytes = try content(of: path, limitBytes: TOMLParser.limitBytes) } catch {
            if error.errno == Errno.fileTooLarge.rawValue { throw refuse(path, "at most \(TOMLParser.limitBytes) bytes are read") }
            throw refuse(path, "\(FileFailure(error))")
        }
        return try explain(path) { () throws(SettingsProblem) in try TOMLParser.parse(bytes) }
    }

    /// The bytes of a file that somebody names.
    /// - Throws: EFBIG when there are more than `limitBytes`; ETIMEDOUT for a pipe that does not end.
    static func content(of path: String, limitBytes: Int) throws(SyscallError) -> [UInt8] {
        try readFile(FilePath(path), limitBytes: limitBytes, timeoutNanoseconds: timeoutNanoseconds)
    }

    /// What lies in a folder, in the order of its names.
    static func names(in folder: String) throws(SyscallError) -> [String] {
        let opened = try openFile(FilePath(folder), [.readOnly, .directory])
        return try directoryEntries(of: opened, subject: folder).map(\.name.string).sorted()
    }

    /// Names the file beside the line.
    static func explain<Value>(_ path: String, _ body: () throws(SettingsProblem) -> Value) throws(RegistryError) -> Value {
        do throws(SettingsProblem) { return try body() } catch { throw refuse("\(path):\(error.line)", error.words) }
    }

    static func refuse(_ place: String, _ words: String) -> RegistryError {
        RegistryError(.refused, doing: "", cause: "\(place): \(words)")
    }
}
