/// One instruction of classic BPF. - Source: linux/filter.h, struct sock_filter.
struct FilterInstruction: Equatable {
    var code: UInt16
    var whenTrue: UInt8 = 0
    var whenFalse: UInt8 = 0
    var operand: UInt32

    /// BPF_LD | BPF_W | BPF_ABS from seccomp_data: the call's number lies at 0, the architecture at 4.
    static func load(offset: UInt32) -> FilterInstruction { FilterInstruction(code: 0x20, operand: offset) }
    /// BPF_RET | BPF_K.
    static func result(_ action: FilterAction) -> FilterInstruction { FilterInstruction(code: 0x06, operand: action.rawValue) }
    /// BPF_JMP | BPF_JA.
    static func jump(over count: UInt32) -> FilterInstruction { FilterInstruction(code: 0x05, operand: count) }
    static func ifEqual(_ value: UInt32, over whenTrue: UInt8, else whenFalse: UInt8) -> FilterInstruction {
        FilterInstruction(code: 0x15, whenTrue: whenTrue, whenFalse: whenFalse, operand: value)
    }
    static func ifGreater(_ value: UInt32, over whenTrue: UInt8, else whenFalse: UInt8) -> FilterInstruction {
        FilterInstruction(code: 0x25, whenTrue: whenTrue, whenFalse: whenFalse, operand: value)
    }
    static func ifAtLeast(_ value: UInt32, over whenTrue: UInt8, else whenFalse: UInt8) -> FilterInstruction {
        FilterInstruction(code: 0x35, whenTrue: whenTrue, whenFalse: whenFalse, operand: value)
    }

    /// The eight bytes in the machine's order.
    var bytes: [UInt8] {
        #if _endian(little)
            let (code, operand) = (code, operand)
        #else
            let (code, operand) = (code.byteSwapped, operand.byteSwapped)
        #endif
        return [UInt8(truncatingIfNeeded: code), UInt8(truncatingIfNeeded: code >> 8), whenTrue, whenFalse]
            + stride(from: 0, to: 32, by: 8).map { UInt8(truncatingIfNeeded: operand >> UInt32($0)) }
    }
}

/// The newest call that a profile knows in one calling convention.
struct NewestCall: Equatable {
    let architecture: AuditArchitecture
    /// With the convention's number base.
    let number: UInt32
}

/// What runs before the program of libseccomp: a call with a number above the newest known is answered with ENOSYS, as a kernel
/// that does not have it would, whatever the profile's default says. Everything else falls through to the instruction behind.
func newCallStub(_ newest: [NewestCall]) -> [FilterInstruction] {
    // Two conventions under one kernel value (x86_64 and x32) are told apart by the number.
    var blocks: [[FilterInstruction]] = []
    var kernelValues: [UInt32] = []
    for call in newest where !kernelValues.contains(call.architecture.kernelValue) {
        kernelValues.append(call.architecture.kernelValue)
    }
    // Jumps to the end are counted from behind: blocks are made last first.
    var behind: UInt8 = 0
    for kernelValue in kernelValues.reversed() {
        let group = newest.filter { $0.architecture.kernelValue == kernelValue }.sorted {
            $0.architecture.numberBase < $1.architecture.numberBase
        }
        // From the last comparison of this block: `behind` instructions, the jump to the end, then the result.
        var block: [FilterInstruction] = []
        if let low = group.first, let high = group.dropFirst().first {
            block = [
                .ifAtLeast(high.architecture.numberBase, over: 1, else: 0),
                .ifGreater(low.number, over: behind + 2, else: behind + 3),
                .ifGreater(high.number, over: behind + 1, else: behind + 2),
            ]
        } else if let only = group.first {
            block = [.ifGreater(only.number, over: behind + 1, else: behind + 2)]
        }
        block = [.ifEqual(kernelValue, over: 0, else: UInt8(block.count + 1)), .load(offset: 0)] + block
        blocks.insert(block, at: 0)
        behind += UInt8(block.count)
    }
    if blocks.isEmpty { return [] }
    return [.load(offset: 4)] + blocks.flatMap { $0 } + [.jump(over: 1), .result(.errno(callNotImplemented))]
}
