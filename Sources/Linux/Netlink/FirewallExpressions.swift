/// What a rule of the firewall does, step by step: values are loaded into registers, compared and looked up there; the first step that
/// does not hold ends the rule. - Source: linux/netfilter/nf_tables.h.
package enum FirewallExpression: Sendable, Equatable {
    /// A register: 0 to 15, each of four bytes. A key of several fields lies in neighbours.
    package typealias Register = UInt32

    /// Facts about a packet.
    package enum Meta: UInt32, Sendable {
        case inputLink = 6, outputLink = 7, family = 15, transport = 16
        /// What a link was made as, `bridge`, `veth`: a card has no such word, and the rule ends.
        case inputKind = 26, outputKind = 27
    }
    /// Where an offset into a packet counts from.
    package enum Header: UInt32, Sendable { case link = 0, network = 1, transport = 2 }
    /// What connection tracking knows.
    package enum Tracking: UInt32, Sendable { case state = 0, direction = 1, status = 2 }
    package enum Verdict: Sendable, Equatable {
        case accept, drop, leave
        case jump(String)
    }
    package enum AddressFamily: UInt32, Sendable { case v4 = 2, v6 = 10 }

    case load(Meta, into: Register)
    case loadBytes(Header, offset: UInt32, count: UInt32, into: Register)
    case loadTracking(Tracking, into: Register)
    /// The kind of the destination address: 2 is one of this machine's.
    case loadDestinationKind(into: Register)
    /// Puts a value into registers.
    case constant([UInt8], into: Register)
    case equal(Register, [UInt8])
    case unequal(Register, [UInt8])
    /// Whether any bit of a mask is set in one register, which is cleared but for them.
    case anyBit(Register, mask: UInt32)
    /// Whether no bit of a mask is set in one register, which is cleared but for them; the mask as the bytes lie in the packet.
    case noBit(Register, mask: [UInt8])
    case isIn(set: String, key: Register)
    case isNotIn(set: String, key: Register)
    /// Puts what a map holds for a key into registers.
    case translate(map: String, key: Register, into: Register)
    case destination(AddressFamily, address: Register, port: Register)
    case source(AddressFamily, address: Register)
    case masquerade
    case verdict(Verdict)

    /// One entry of NFTA_RULE_EXPRESSIONS.
    func append(to rule: inout MessageWriter) {
        for (name, body) in steps {
            rule.appendAttribute(1) { element in  // NFTA_LIST_ELEM
                element.appendAttribute(1, text: name)
                element.appendAttribute(2, body)
            }
        }
    }

    private typealias Step = (name: String, body: (inout MessageWriter) -> Void)

    private var steps: [Step] {
        switch self {
        case .load(let key, let register):
            [("meta", { $0.appendNumbers([(1, Self.number(register)), (2, key.rawValue)]) })]
        case .loadBytes(let base, let offset, let count, let register):
            [("payload", { $0.appendNumbers([(1, Self.number(register)), (2, base.rawValue), (3, offset), (4, count)]) })]
        case .loadTracking(let key, let register):
            [("ct", { $0.appendNumbers([(1, Self.number(register)), (2, key.rawValue)]) })]
        case .loadDestinationKind(let register):
            [("fib", { $0.appendNumbers([(1, Self.number(register)), (2, 3), (3, 2)]) })]
        case .constant(let value, let register):
            [
                (
                    "immediate",
                    { writer in
                        writer.appendAttribute(1, bigEndian: Self.number(register))
                        writer.appendAttribute(2) { $0.appendAttribute(1, value) }  // NFTA_DATA_VALUE
                    }
                )
            ]
        case .equal(let register, let value): [Self.comparison(register, isEqual: true, value)]
        case .unequal(let register, let value): [Self.comparison(register, isEqual: false, value)]
        case .anyBit(let register, let mask): Self.masking(register, nativeBytes(mask), isAny: true)
        case .noBit(let register, let mask): Self.masking(register, mask, isAny: false)
        case .isIn(let set, let key): [("lookup", { Self.lookup(&$0, set, key, [(5, 0)]) })]
        case .isNotIn(let set, let key): [("lookup", { Self.lookup(&$0, set, key, [(5, 1)]) })]
        case .translate(let map, let key, let register): [("lookup", { Self.lookup(&$0, map, key, [(3, Self.number(register))]) })]
        case .destination(let family, let address, let port):
            [("nat", { $0.appendNumbers([(1, 1), (2, family.rawValue), (3, Self.number(address)), (5, Self.number(port))]) })]
        case .source(let family, let address):
            [("nat", { $0.appendNumbers([(1, 0), (2, family.rawValue), (3, Self.number(address))]) })]
        case .masquerade: [("masq", { _ in })]
        case .verdict(let verdict):
            [
                (
                    "immediate",
                    { writer in
                        writer.appendAttribute(1, bigEndian: 0)  // NFT_REG_VERDICT
                        writer.appendAttribute(2) { verdict.append(to: &$0) }
                    }
                )
            ]
        }
    }

    /// NFT_REG32_00 and what follows.
    private static func number(_ register: Register) -> UInt32 {
        precondition(register < 16, "there is no register \(register)")
        return 8 + register
    }

    private static func comparison(_ register: Register, isEqual: Bool, _ value: [UInt8]) -> Step {
        (
            "cmp",
            { writer in
                writer.appendNumbers([(1, number(register)), (2, isEqual ? 0 : 1)])
                writer.appendAttribute(3) { $0.appendAttribute(1, value) }
            }
        )
    }

    private static func masking(_ register: Register, _ mask: [UInt8], isAny: Bool) -> [Step] {
        precondition(mask.count == 4, "a register has four bytes")
        let bitwise: Step = (
            "bitwise",
            { writer in
                writer.appendNumbers([(1, number(register)), (2, number(register)), (3, 4)])
                writer.appendAttribute(4) { $0.appendAttribute(1, mask) }
                writer.appendAttribute(5) { $0.appendAttribute(1, nativeBytes(0)) }
            }
        )
        return [bitwise, comparison(register, isEqual: !isAny, nativeBytes(0))]
    }

    private static func lookup(_ writer: inout MessageWriter, _ set: String, _ key: Register, _ more: [(UInt16, UInt32)]) {
        writer.appendAttribute(1, text: set)
        writer.appendNumbers([(2, number(key))] + more)
    }
}

extension FirewallExpression.Verdict {
    func append(to writer: inout MessageWriter) {
        let code: Int32
        switch self {
        case .drop: code = 0
        case .accept: code = 1
        case .jump: code = -3
        case .leave: code = -5
        }
        writer.appendAttribute(2) { verdict in  // NFTA_DATA_VERDICT
            verdict.appendAttribute(1, bigEndian: UInt32(bitPattern: code))
            if case .jump(let chain) = self { verdict.appendAttribute(2, text: chain) }
        }
    }
}

extension MessageWriter {
    /// Attributes that are numbers in network order.
    mutating func appendNumbers(_ numbers: [(UInt16, UInt32)]) {
        for (type, number) in numbers { appendAttribute(type, bigEndian: number) }
    }
}
