import CoreTypes
import Testing

@Suite("Clamped sums")
struct ClampedSumTests {
    @Test("a sum that the type does not have is the nearest that it has")
    func bounds() {
        #expect(Int64.max.addingClamped(1) == .max && Int64.min.addingClamped(-1) == .min)
        #expect(Int64.max.addingClamped(-1) == .max - 1 && Int64.min.addingClamped(1) == .min + 1)
        #expect(UInt64.max.addingClamped(1) == .max && UInt64(2).addingClamped(3) == 5)
    }
}
