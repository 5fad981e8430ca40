/// A version of the Docker Engine API: `1.41`.
public struct APIVersion: Sendable, Hashable, Comparable, CustomStringConvertible {
    /// Before the point.
    public let major: Int
    /// Behind the point.
    public let minor: Int

    /// The newest that Apus speaks, and what an unversioned path means.
    public static let newest = APIVersion(1, 51)
    /// The oldest that Apus speaks.
    public static let oldest = APIVersion(1, 24)

    /// The version `major.minor`.
    public init(_ major: Int, _ minor: Int) {
        self.major = major
        self.minor = minor
    }

    /// Reads `1.41`, at most four digits on each side. Nil when it is not that.
    public init?(_ text: some StringProtocol) {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 2, parts.allSatisfy({ (1...4).contains($0.count) && $0.utf8.allSatisfy({ (48...57).contains($0) }) }),
            let major = Int(parts[0]), let minor = Int(parts[1])
        else { return nil }
        self.init(major, minor)
    }

    /// Orders by major, then by minor number.
    public static func < (left: APIVersion, right: APIVersion) -> Bool {
        (left.major, left.minor) < (right.major, right.minor)
    }

    /// As it is printed.
    public var description: String { "\(major).\(minor)" }
}
