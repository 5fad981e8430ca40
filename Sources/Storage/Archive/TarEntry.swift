internal import LinuxSyscalls

/// One entry of a tar, as its headers say; nothing is checked yet.
struct TarEntry: Equatable {
    enum Kind: Equatable {
        case regular(sizeBytes: Int64)
        case directory
        case symbolicLink(target: [UInt8])
        case hardLink(target: [UInt8])
        case device(FileType, DeviceNumber)
        case pipe
    }

    struct Attribute: Equatable {
        let name: String
        let value: [UInt8]
    }

    var path: [UInt8]
    var kind: Kind
    /// Permissions with set-id and sticky bits.
    var mode: UInt32
    var userID: Int64
    var groupID: Int64
    var modified: FileTime
    var attributes: [Attribute] = []
    /// Whether an archive's map says where the data of the file lies.
    var hasMap = false
    /// Where the data lies of a file that is written with its holes; nil is a file as others are.
    var map: SparseMap?

    var printable: PrintablePath { PrintablePath(bytes: path) }
}

/// A path as an error should print it: escaped, and not longer than a line. It is made into text only where there is an error.
struct PrintablePath: CustomStringConvertible {
    let bytes: [UInt8]

    var description: String {
        let text = String(decoding: bytes.prefix(200), as: UTF8.self)
        return bytes.count > 200 ? "\(text.debugDescription)…" : text.debugDescription
    }
}
