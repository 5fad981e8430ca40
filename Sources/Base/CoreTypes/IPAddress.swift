/// An address of IPv4 or IPv6, parsed and printed as Go's netip does: no leading zeros, the longest run of zeros shortened.
public struct IPAddress: Hashable, Comparable, Sendable, CustomStringConvertible {
    /// Which protocol an address is of.
    public enum Family: Hashable, Comparable, Sendable {
        case v4, v6

        /// The length of its addresses.
        public var bitCount: Int { self == .v4 ? 32 : 128 }
    }

    /// IPv4 or IPv6, which also says how many bits there are.
    public let family: Family
    /// The address as a number; at most 32 bits of IPv4.
    public let bits: UInt128

    /// - Parameter bits: more than the family has are cut off.
    public init(_ family: Family, bits: UInt128) {
        self.family = family
        self.bits = family == .v4 ? bits & 0xffff_ffff : bits
    }

    /// The bytes in network order: four or sixteen; nil for another number of them.
    public init?(bytes: some Collection<UInt8>) {
        guard bytes.count == 4 || bytes.count == 16 else { return nil }
        self.init(bytes.count == 4 ? .v4 : .v6, bits: bytes.reduce(0) { $0 << 8 | UInt128($1) })
    }

    /// Parses `192.0.2.1` or `2001:db8::1`, without a zone; nil for anything else.
    public init?(_ text: some StringProtocol) {
        guard text.utf8.count <= 45 else { return nil }
        if text.contains(":") {
            guard let bits = Self.parseV6(text) else { return nil }
            self.init(.v6, bits: bits)
        } else {
            guard let bits = Self.parseV4(text) else { return nil }
            self.init(.v4, bits: UInt128(bits))
        }
    }

    /// In network order.
    public var bytes: [UInt8] {
        stride(from: family.bitCount - 8, through: 0, by: -8).map { UInt8(truncatingIfNeeded: bits >> UInt128($0)) }
    }

    /// Whether it means the machine itself: 127.0.0.0/8 or ::1.
    public var isLoopback: Bool { family == .v4 ? bits >> 24 == 127 : bits == 1 }

    /// Whether it means any address: 0.0.0.0 or ::.
    public var isUnspecified: Bool { bits == 0 }

    /// 169.254.0.0/16 and fe80::/10: addresses that mean something on one link alone.
    public var isLinkLocal: Bool { family == .v4 ? bits >> 16 == 0xa9fe : bits >> 118 == 0x3fa }

    /// IPv4 before IPv6, then by number.
    public static func < (left: IPAddress, right: IPAddress) -> Bool { (left.family, left.bits) < (right.family, right.bits) }

    /// Dotted decimal, or RFC 5952's shortest form of an IPv6 address.
    public var description: String { family == .v4 ? bytes.map(String.init).joined(separator: ".") : textV6 }

    private static func parseV4(_ text: some StringProtocol) -> UInt32? {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 4 else { return nil }
        var bits: UInt32 = 0
        for part in parts {
            guard (1...3).contains(part.utf8.count), part.utf8.allSatisfy({ (0x30...0x39).contains($0) }),
                part.utf8.count == 1 || !part.hasPrefix("0"),
                let byte = UInt8(part)
            else { return nil }
            bits = bits << 8 | UInt32(byte)
        }
        return bits
    }

    private static func parseV6(_ text: some StringProtocol) -> UInt128? {
        var halves: [[Substring]] = [[]]
        // Cut at the one `::`; what is empty otherwise is wrong.
        var rest = Substring(text)
        while let colons = firstDoubleColon(rest) {
            guard halves.count == 1 else { return nil }
            halves[0] = colons.before.isEmpty ? [] : colons.before.split(separator: ":", omittingEmptySubsequences: false)
            halves.append([])
            rest = colons.after
        }
        halves[halves.count - 1] = rest.isEmpty && halves.count == 2 ? [] : rest.split(separator: ":", omittingEmptySubsequences: false)
        var groups: [[UInt16]] = []
        for (index, half) in halves.enumerated() {
            guard let numbers = words(half, mayEndInV4: index == halves.count - 1) else { return nil }
            groups.append(numbers)
        }
        let count = groups.reduce(0) { $0 + $1.count }
        guard halves.count == 1 ? count == 8 : count <= 7 else { return nil }
        let zeros = [UInt16](repeating: 0, count: 8 - count)
        return (groups[0] + zeros + (halves.count == 2 ? groups[1] : [])).reduce(0) { $0 << 16 | UInt128($1) }
    }

    private static func firstDoubleColon(_ text: Substring) -> (before: Substring, after: Substring)? {
        var index = text.startIndex
        while index < text.endIndex {
            let next = text.index(after: index)
            if text[index] == ":", next < text.endIndex, text[next] == ":" { return (text[..<index], text[text.index(after: next)...]) }
            index = next
        }
        return nil
    }

    private static func words(_ parts: [Substring], mayEndInV4: Bool) -> [UInt16]? {
        var words: [UInt16] = []
        for (index, part) in parts.enumerated() {
            if mayEndInV4, index == parts.count - 1, part.contains(".") {
                guard let bits = parseV4(part) else { return nil }
                words += [UInt16(truncatingIfNeeded: bits >> 16), UInt16(truncatingIfNeeded: bits)]
            } else {
                guard (1...4).contains(part.utf8.count), part.utf8.first != UInt8(ascii: "+"), part.utf8.first != UInt8(ascii: "-"),
                    let word = UInt16(part, radix: 16)
                else { return nil }
                words.append(word)
            }
        }
        return words
    }

    private var textV6: String {
        let words = stride(from: 112, through: 0, by: -16).map { UInt16(truncatingIfNeeded: bits >> UInt128($0)) }
        if bits >> 32 == 0xffff { return "::ffff:" + bytes.suffix(4).map(String.init).joined(separator: ".") }
        var longest = 0..<0
        var start = 0
        while start < 8 {
            var end = start
            while end < 8, words[end] == 0 { end += 1 }
            if end - start >= 2, end - start > longest.count { longest = start..<end }
            start = max(end, start + 1)
        }
        func text(_ words: ArraySlice<UInt16>) -> String { words.map { String($0, radix: 16) }.joined(separator: ":") }
        return longest.isEmpty ? text(words[...]) : text(words[..<longest.lowerBound]) + "::" + text(words[longest.upperBound...])
    }
}

/// Neighbouring addresses, `10.0.0.0/24`.
public struct AddressBlock: Hashable, Comparable, Sendable, CustomStringConvertible {
    /// The lowest address.
    public let base: IPAddress
    /// How many bits all its addresses share; 0 to 32 or 128.
    public let prefixLength: Int

    /// The block that an address lies in; nil for a length that its family does not have.
    public init?(containing address: IPAddress, prefixLength: Int) {
        guard (0...address.family.bitCount).contains(prefixLength) else { return nil }
        base = IPAddress(address.family, bits: address.bits & ~Self.hostMask(address.family, prefixLength))
        self.prefixLength = prefixLength
    }

    /// Parses `address/length`; bits of the address beyond the length are cleared. Nil for anything else.
    public init?(_ text: some StringProtocol) {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 2, let address = IPAddress(parts[0]), parts[1].utf8.allSatisfy({ (0x30...0x39).contains($0) }),
            let length = Int(parts[1]), parts[1].count == String(length).count
        else { return nil }
        self.init(containing: address, prefixLength: length)
    }

    /// That of its addresses.
    public var family: IPAddress.Family { base.family }
    /// The highest address.
    public var last: IPAddress { IPAddress(family, bits: base.bits | Self.hostMask(family, prefixLength)) }

    /// Whether an address lies in the block; one of the other family never does.
    public func contains(_ address: IPAddress) -> Bool { address.family == family && base <= address && address <= last }

    /// Whether every address of the other block is one of this.
    public func contains(_ other: AddressBlock) -> Bool { contains(other.base) && contains(other.last) }

    /// Whether the two have an address in common, which is so only when one contains the other.
    public func overlaps(_ other: AddressBlock) -> Bool { contains(other.base) || other.contains(base) }

    /// By base, the larger block first.
    public static func < (left: AddressBlock, right: AddressBlock) -> Bool {
        (left.base, left.prefixLength) < (right.base, right.prefixLength)
    }

    /// CIDR notation, `10.0.0.0/8`.
    public var description: String { "\(base)/\(prefixLength)" }

    private static func hostMask(_ family: IPAddress.Family, _ prefixLength: Int) -> UInt128 {
        let hostBits = family.bitCount - prefixLength
        return hostBits == 128 ? UInt128.max : (UInt128(1) << UInt128(hostBits)) - 1
    }
}

/// The address of a network link: six bytes.
public struct MACAddress: Hashable, Sendable, CustomStringConvertible {
    /// Six.
    public let bytes: [UInt8]

    /// Nil unless there are six.
    public init?(bytes: [UInt8]) {
        guard bytes.count == 6 else { return nil }
        self.bytes = bytes
    }

    /// Parses `02:42:ac:11:00:02`, or the same with dashes; nil for anything else.
    public init?(_ text: some StringProtocol) {
        let parts = text.split(omittingEmptySubsequences: false) { $0 == ":" || $0 == "-" }
        let bytes = parts.compactMap { part in
            part.utf8.count == 2 && part.utf8.first != UInt8(ascii: "+") && part.utf8.first != UInt8(ascii: "-")
                ? UInt8(part, radix: 16) : nil
        }
        guard parts.count == 6, bytes.count == 6 else { return nil }
        self.bytes = bytes
    }

    /// The link-local IPv6 address that a kernel makes of it. - Source: RFC 4291, appendix A.
    public var linkLocalAddress: IPAddress {
        let identifier = [bytes[0] ^ 2, bytes[1], bytes[2], 0xff, 0xfe, bytes[3], bytes[4], bytes[5]]
        return IPAddress(.v6, bits: UInt128(0xfe80) << 112 | identifier.reduce(0) { $0 << 8 | UInt128($1) })
    }

    /// Six pairs of lower-case hex digits between colons.
    public var description: String { bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined(separator: ":") }
}
