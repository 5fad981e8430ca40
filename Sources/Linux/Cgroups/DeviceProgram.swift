package import OCISpec

/// The eBPF program that decides about devices in cgroup v2.
///
/// The kernel calls it with `struct bpf_cgroup_dev_ctx { u32 access_type, major, minor }`; a result of 0 denies. The
/// rules are tried from the last to the first: each settles those of the wanted accesses that it names, until one is
/// denied or none is left.
/// - Source: linux/bpf.h; Documentation/bpf/standardization/instruction-set.rst.
package struct DeviceProgram: Equatable, Sendable {
    /// One instruction before it is packed.
    struct Instruction: Equatable, Sendable {
        var code: UInt8
        var destination: UInt8 = 0
        var source: UInt8 = 0
        var offset: Int16 = 0
        var immediate: Int32 = 0
    }

    /// Registers: r0 the result, r1 the context, the rest our own.
    private enum Register {
        static let result: UInt8 = 0
        static let context: UInt8 = 1
        static let kind: UInt8 = 2
        static let access: UInt8 = 3
        static let major: UInt8 = 4
        static let minor: UInt8 = 5
    }

    /// Opcodes: class, operation and operand kind together.
    private enum Code {
        static let load32: UInt8 = 0x61
        static let move: UInt8 = 0xb7
        static let moveRegister: UInt8 = 0xbf
        static let and32: UInt8 = 0x54
        static let shiftRight32: UInt8 = 0x74
        static let jump: UInt8 = 0x05
        static let jumpNotEqual: UInt8 = 0x55
        static let jumpIfAnyBit: UInt8 = 0x45
        static let exit: UInt8 = 0x95
    }

    private(set) var instructions: [Instruction] = []

    /// nil where nothing is denied, so that no program is needed.
    package init?(_ rules: [DeviceRule]) {
        let lastReset = rules.lastIndex { $0.matchesEverything }
        let allowsByDefault = lastReset.map { rules[$0].allow } ?? false
        let relevant = lastReset.map { rules[($0 + 1)...] } ?? rules[...]
        if allowsByDefault && relevant.allSatisfy(\.allow) { return nil }
        instructions = [
            Instruction(code: Code.load32, destination: Register.kind, source: Register.context, offset: 0),
            Instruction(code: Code.moveRegister, destination: Register.access, source: Register.kind),
            Instruction(code: Code.and32, destination: Register.kind, immediate: 0xffff),
            Instruction(code: Code.shiftRight32, destination: Register.access, immediate: 16),
            Instruction(code: Code.load32, destination: Register.major, source: Register.context, offset: 4),
            Instruction(code: Code.load32, destination: Register.minor, source: Register.context, offset: 8),
        ]
        for rule in relevant.reversed() { instructions += Self.block(for: rule) }
        instructions += Self.verdict(allowsByDefault)
    }

    /// The program as the kernel reads it.
    package var bytes: [UInt8] {
        var packed: [UInt8] = []
        packed.reserveCapacity(instructions.count * 8)
        for instruction in instructions {
            packed.append(instruction.code)
            #if _endian(little)
                packed.append(instruction.destination | instruction.source << 4)
            #else
                packed.append(instruction.destination << 4 | instruction.source)
            #endif
            append(instruction.offset, to: &packed)
            append(instruction.immediate, to: &packed)
        }
        return packed
    }

    private static func block(for rule: DeviceRule) -> [Instruction] {
        var body: [Instruction]
        let access = Int32(rule.access.rawValue)
        if rule.allow {
            body = [
                Instruction(code: Code.and32, destination: Register.access, immediate: ~access & 7),
                Instruction(code: Code.jumpNotEqual, destination: Register.access, offset: 2, immediate: 0),
            ]
        } else {
            body = [
                Instruction(code: Code.jumpIfAnyBit, destination: Register.access, offset: 1, immediate: access),
                Instruction(code: Code.jump, offset: 2),
            ]
        }
        body += verdict(rule.allow)
        // Each condition jumps over the conditions after it and the body.
        var conditions: [(register: UInt8, value: Int32)] = []
        switch rule.kind {
        case .block: conditions.append((Register.kind, 1))
        case .character: conditions.append((Register.kind, 2))
        case .all: break
        }
        if let major = rule.major { conditions.append((Register.major, Int32(truncatingIfNeeded: major))) }
        if let minor = rule.minor { conditions.append((Register.minor, Int32(truncatingIfNeeded: minor))) }
        let jumps = conditions.enumerated().map { index, condition in
            Instruction(
                code: Code.jumpNotEqual, destination: condition.register, offset: Int16(conditions.count - 1 - index + body.count),
                immediate: condition.value)
        }
        return jumps + body
    }

    private static func verdict(_ allow: Bool) -> [Instruction] {
        [
            Instruction(code: Code.move, destination: Register.result, immediate: allow ? 1 : 0),
            Instruction(code: Code.exit),
        ]
    }
}

/// Appends a number in the machine's own order.
private func append(_ number: some FixedWidthInteger, to bytes: inout [UInt8]) {
    let width = number.bitWidth / 8
    for position in 0..<width {
        #if _endian(little)
            let shift = position * 8
        #else
            let shift = (width - 1 - position) * 8
        #endif
        bytes.append(UInt8(truncatingIfNeeded: number >> shift))
    }
}
