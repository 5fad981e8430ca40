/// A call as the kernel shows it to a filter. - Source: linux/seccomp.h, struct seccomp_data.
struct FilteredCall {
    var number: UInt32
    var architecture: UInt32 = FilteredCall.x86_64
    var arguments: [UInt64] = []

    static let x86_64: UInt32 = 0xc000_003e
    static let x86: UInt32 = 0x4000_0003
    static let x32Bit: UInt32 = 0x4000_0000

    /// The 32-bit word at an offset, little-endian.
    func word(at offset: UInt32) -> UInt32? {
        switch offset {
        case 0: return number
        case 4: return architecture
        case 16..<64 where offset % 4 == 0:
            let index = Int(offset - 16) / 8
            let argument = index < arguments.count ? arguments[index] : 0
            return UInt32(truncatingIfNeeded: offset % 8 == 0 ? argument : argument >> 32)
        default: return nil
        }
    }
}

/// Runs a classic BPF program as the kernel does, with the instructions that a filter may have.
/// - Returns: the value returned; nil for a program that the kernel would refuse.
func runFilter(_ program: [UInt8], on call: FilteredCall) -> UInt32? {
    var (accumulator, index): (UInt32, UInt32) = (0, 0)
    var memory = [UInt32](repeating: 0, count: 16)
    var counter = 0
    while counter >= 0, (counter + 1) * 8 <= program.count {
        let instruction = program[(counter * 8)..<(counter * 8 + 8)]
        let bytes = Array(instruction)
        let code = UInt16(bytes[0]) | UInt16(bytes[1]) << 8
        let operand = (4..<8).reversed().reduce(UInt32(0)) { $0 << 8 | UInt32(bytes[$1]) }
        var condition: Bool?
        switch code {
        case 0x20:
            guard let word = call.word(at: operand) else { return nil }
            accumulator = word
        case 0x00: accumulator = operand
        case 0x01: index = operand
        case 0x02: memory[Int(operand)] = accumulator
        case 0x60: accumulator = memory[Int(operand)]
        case 0x54: accumulator &= operand
        case 0x07: index = accumulator
        case 0x87: accumulator = index
        case 0x05: counter += Int(operand)
        case 0x15: condition = accumulator == operand
        case 0x25: condition = accumulator > operand
        case 0x35: condition = accumulator >= operand
        case 0x45: condition = accumulator & operand != 0
        case 0x06: return operand
        default: return nil
        }
        if let condition { counter += Int(condition ? bytes[2] : bytes[3]) }
        counter += 1
    }
    return nil
}

/// Return values of a filter. - Source: seccomp(2).
enum FilterResult {
    static let allow: UInt32 = 0x7fff_0000
    static let log: UInt32 = 0x7ffc_0000
    static let killThread: UInt32 = 0
    static let trap: UInt32 = 0x0003_0000
    static func errno(_ number: UInt32) -> UInt32 { 0x0005_0000 | number }
    static func trace(_ message: UInt32) -> UInt32 { 0x7ff0_0000 | message }
}
