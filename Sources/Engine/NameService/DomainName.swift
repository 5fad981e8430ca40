internal import CoreTypes

/// A name of DNS: labels in lower case, since names are compared without it.
/// - Source: RFC 1035, sections 2.3.3 and 2.3.4.
package struct DomainName: Hashable, Sendable {
    /// As in a message: each label behind its length, without the end's zero; at most 254 bytes.
    let wire: [UInt8]

    static let (limitBytes, labelLimitBytes) = (254, 63)
    private static let (reverseV4, reverseV6) = (DomainName("in-addr.arpa"), DomainName("ip6.arpa"))

    init(wire: [UInt8]) { self.wire = wire }

    /// Parses `db` or `db.example.org`, with or without a dot at its end; nil for what no message can hold.
    package init?(_ text: some StringProtocol) {
        guard let name = SpelledName(text) else { return nil }
        wire = name.wire.map(Self.lowercased)
    }

    static func lowercased(_ byte: UInt8) -> UInt8 { (0x41...0x5a).contains(byte) ? byte | 0x20 : byte }

    /// The name before another one that it ends with; nil where it does not, or is that name.
    func before(_ end: DomainName) -> DomainName? {
        guard wire.count > end.wire.count, wire.hasSuffix(end.wire) else { return nil }
        let head = wire.count - end.wire.count
        // The end must begin where a label does.
        var position = 0
        while position < head { position += 1 + Int(wire[position]) }
        return position == head ? DomainName(wire: Array(wire[..<head])) : nil
    }

    /// The address that a name such as `2.0.18.172.in-addr.arpa` stands for; nil for other names. - Source: RFC 1035, 3.5; RFC 3596, 2.5.
    var reverseAddress: IPAddress? {
        if let head = Self.reverseV4.flatMap(before) {
            let numbers = head.labels.map { UInt8(String(decoding: $0, as: UTF8.self)) }
            return numbers.count == 4 && !numbers.contains(nil) ? IPAddress(bytes: numbers.compactMap { $0 }.reversed()) : nil
        }
        guard let head = Self.reverseV6.flatMap(before), head.labels.count == 32 else { return nil }
        var bits: UInt128 = 0
        for label in head.labels.reversed() {
            guard label.count == 1, let digit = UInt8(String(decoding: label, as: UTF8.self), radix: 16) else { return nil }
            bits = bits << 4 | UInt128(digit)
        }
        return IPAddress(.v6, bits: bits)
    }

    private var labels: [ArraySlice<UInt8>] {
        var found: [ArraySlice<UInt8>] = []
        var position = 0
        while position < wire.count {
            let end = position + 1 + Int(wire[position])
            found.append(wire[position + 1..<end])
            position = end
        }
        return found
    }
}

/// A name as somebody writes it, for an answer: there its letters stay as they are.
struct SpelledName: Equatable, Sendable {
    /// As `DomainName` has it.
    let wire: [UInt8]

    /// nil for what no message can hold.
    init?(_ text: some StringProtocol) {
        var bytes: [UInt8] = []
        for label in (text.hasSuffix(".") ? text.dropLast() : text[...]).utf8.split(
            separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        {
            guard (1...DomainName.labelLimitBytes).contains(label.count) else { return nil }
            // No letter has a number as low as a label's length.
            bytes.append(UInt8(label.count))
            bytes += label
        }
        guard bytes.count <= DomainName.limitBytes else { return nil }
        wire = bytes
    }
}

extension [UInt8] {
    fileprivate func hasSuffix(_ end: [UInt8]) -> Bool { count >= end.count && self[(count - end.count)...].elementsEqual(end) }
}
