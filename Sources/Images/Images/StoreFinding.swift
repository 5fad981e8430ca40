/// One thing in which the store is not what the records say.
package struct StoreFinding: Equatable, Sendable {
    package enum Kind: String, Sendable {
        case missing
        case damaged
        /// Of a record.
        case unreadable
        /// It is there, and nothing needs it.
        case extra
    }

    package enum Object: String, Sendable {
        case blob
        case layer
        case file
        case root
        case record
    }

    package let kind: Kind
    package let object: Object
    /// A digest, a container's id or a path.
    package let id: String
    /// What is wrong, and where inside; empty where the kind says all.
    package internal(set) var detail: String
    /// Names of the images that need it.
    package let images: [String]
    package var isRepaired = false
    /// Why it was not repaired; empty where that was not asked for.
    package var remark = ""
}

/// What a check of the store has found.
package struct StoreReport: Equatable, Sendable {
    package internal(set) var findings: [StoreFinding] = []
    /// How many were looked at.
    package internal(set) var blobs = 0
    package internal(set) var layers = 0
    /// Bytes of blobs that were read.
    package internal(set) var readBytes: Int64 = 0
}
