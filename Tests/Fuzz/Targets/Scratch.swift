import Glibc
import LinuxSyscalls
import SystemPackage

/// A directory in memory for those readers that read files.
enum Scratch {
    static let folder = FilePath("/dev/shm/apus-fuzz-\(getpid())")

    /// Writes the bytes to a file of a folder that holds nothing else.
    static func place(_ bytes: [UInt8], as name: String, in word: String) -> FilePath {
        let path = folder.appending(word)
        attempt("the scratch file") {
            try removeTree(path)
            try makeDirectories(path)
            try writeAll(bytes, toFile: path.appending(name))
        }
        return path
    }

    static func attempt(_ what: String, _ body: () throws -> Void) {
        do { try body() } catch { require(false, "\(what): \(error)") }
    }

    static func remove() { attempt("the scratch directory") { try removeTree(folder) } }
}
