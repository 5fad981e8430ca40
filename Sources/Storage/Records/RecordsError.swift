package import CoreTypes

/// A record that could not be read or written: what was being done, to which file, and why.
package struct RecordsError: Error, Sendable, CustomStringConvertible {
    /// What a caller can tell apart.
    package enum Code: Equatable, Sendable {
        /// The name belongs to another container.
        case nameInUse(name: String, by: ContainerID)
        /// A record with this key is there already.
        case exists
        /// No record has this key.
        case absent
        /// There is one, and the disk lost bytes of it, or somebody wrote to it.
        case unreadable
        /// There were records, and the file has none.
        case gone
        /// The file is no database of ours, or its pages contradict each other.
        case damaged
        /// A newer version of the program wrote the file.
        case tooNew
        /// The database refused: disk full, file locked, input or output error.
        case refused
    }

    package let code: Code
    /// The work that failed, as a phrase: `insert container 3f2a…`.
    package let doing: String
    /// The database file.
    package let path: String
    /// The words of the layer below; may be empty.
    package let cause: String

    package init(_ code: Code, doing: String, path: String, cause: String = "") {
        self.code = code
        self.doing = doing
        self.path = path
        self.cause = cause
    }

    package var description: String {
        let problem =
            switch code {
            case .nameInUse(let name, let owner): "the name \(name) is in use by container \(owner)"
            case .exists: "there is such a record already"
            case .absent: "there is no such record"
            case .unreadable: "its record cannot be read"
            case .gone: "there are no records, and there were; put it back from a copy"
            case .damaged: "the database is damaged; put it back from a copy"
            case .tooNew: "the database was written by a newer version of this program"
            case .refused: "the database refused"
            }
        return "\(doing) in \(path): \(problem)" + (cause.isEmpty ? "" : ": \(cause)")
    }
}
