/// The name of a container: the runtime's state directory, its cgroup and its shim carry it, so it is
/// one safe path component.
///
/// Accepts what runc accepts (`^[\w+-.]+$`: ASCII letters, digits, `_ + , - .`), except `.` and `..`, a
/// leading `-` (a flag to every command line it meets) and more bytes than a file name may have.
public struct ContainerID: Hashable, Sendable, CustomStringConvertible {
    /// The longest id: NAME_MAX of Linux file systems.
    public static let maximumLength = 255

    /// The id as it was given.
    public let text: String

    /// - Throws: `InvalidContainerID` with the text refused.
    public init(_ text: String) throws(InvalidContainerID) {
        let bytes = text.utf8
        guard !bytes.isEmpty, bytes.count <= Self.maximumLength, text != ".", text != "..", bytes.first != UInt8(ascii: "-"),
            bytes.allSatisfy(Self.isAllowed)
        else { throw InvalidContainerID(text: text) }
        self.text = text
    }

    /// The id alone.
    public var description: String { text }

    private static func isAllowed(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"):
            true
        case UInt8(ascii: "+")...UInt8(ascii: "."), UInt8(ascii: "_"):
            true
        default:
            false
        }
    }
}

/// A text that cannot name a container.
public struct InvalidContainerID: Error, Equatable, Sendable, CustomStringConvertible {
    /// What was given as an id, at its full length.
    public let text: String

    /// - Parameter text: what was given as an id.
    public init(text: String) { self.text = text }

    /// One line that names the text and what an id may hold.
    public var description: String {
        text.utf8.count > ContainerID.maximumLength
            ? "invalid container ID: \(text.utf8.count) bytes long, at most \(ContainerID.maximumLength) are allowed"
            : "invalid container ID format: \(text.debugDescription)"
    }
}
