/// The name of a content: algorithm and lower-case hexadecimal, `sha256:…`. A value of this type is
/// always well formed, so its parts are safe as path components.
/// - Source: image-spec v1.1, descriptor.md, "Digests".
public struct Digest: Hashable, Sendable, CustomStringConvertible {
    /// The registered algorithms.
    public enum Algorithm: String, Sendable, CaseIterable {
        case sha256
        case sha512

        /// The length of the encoded part.
        public var hexLength: Int {
            switch self {
            case .sha256: 64
            case .sha512: 128
            }
        }
    }

    /// What the hash was made with; it also says how long it is.
    public let algorithm: Algorithm
    /// The encoded part: lower-case hexadecimal of exactly the algorithm's length.
    public let hex: String

    /// Parses `algorithm:hex`.
    /// - Throws: `InvalidDigest` with Docker's words for what is wrong.
    public init(_ text: String) throws(InvalidDigest) {
        guard let colon = text.utf8.firstIndex(of: UInt8(ascii: ":")) else {
            throw InvalidDigest(text: text, problem: "invalid checksum digest format")
        }
        let name = String(text[..<colon])
        guard let algorithm = Algorithm(rawValue: name) else {
            throw InvalidDigest(text: text, problem: "unsupported digest algorithm")
        }
        try self.init(algorithm, hex: String(text[text.utf8.index(after: colon)...]))
    }

    /// - Throws: `InvalidDigest` when `hex` has another length than the algorithm's or other characters
    ///   than `0-9a-f`.
    public init(_ algorithm: Algorithm, hex: String) throws(InvalidDigest) {
        guard hex.utf8.count == algorithm.hexLength else {
            throw InvalidDigest(text: "\(algorithm.rawValue):\(hex)", problem: "invalid checksum digest length")
        }
        guard hex.utf8.allSatisfy(Self.isHexadecimal) else {
            throw InvalidDigest(text: "\(algorithm.rawValue):\(hex)", problem: "invalid checksum digest format")
        }
        self.algorithm = algorithm
        self.hex = hex
    }

    /// The digest whose raw value a hash function returned.
    /// - Throws: `InvalidDigest` when the value has another size than the algorithm's.
    public init(_ algorithm: Algorithm, bytes: some Collection<UInt8>) throws(InvalidDigest) {
        let digits = Array("0123456789abcdef".utf8)
        var text: [UInt8] = []
        text.reserveCapacity(bytes.count * 2)
        for byte in bytes {
            text.append(digits[Int(byte >> 4)])
            text.append(digits[Int(byte & 15)])
        }
        try self.init(algorithm, hex: String(decoding: text, as: UTF8.self))
    }

    /// `ALGORITHM:HEX`, as registries and documents have it. - Spec: image-spec v1.1, descriptor.md, "Digests".
    public var description: String { "\(algorithm.rawValue):\(hex)" }

    /// The first twelve hexadecimal digits, as tables print an id.
    public var short: String { String(hex.prefix(12)) }

    static func isHexadecimal(_ byte: UInt8) -> Bool {
        (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) || (UInt8(ascii: "a")...UInt8(ascii: "f")).contains(byte)
    }
}

/// A text that is no digest of a registered algorithm.
public struct InvalidDigest: Error, Equatable, Sendable, CustomStringConvertible {
    /// What was to be read, at its full length.
    public let text: String
    /// What is wrong with it, in words that go before the text.
    public let problem: String

    /// - Parameters: the text that was to be read, and what is wrong with it.
    public init(text: String, problem: String) {
        self.text = text
        self.problem = problem
    }

    /// The problem and the first 200 characters of the text, in one line.
    public var description: String { "\(problem): \(String(text.prefix(200)).debugDescription)" }
}
