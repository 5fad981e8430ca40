import Netlink
import Testing

@Suite("Link messages")
struct LinksTests {
    @Test("the request that brings a link up is RTM_NEWLINK with IFF_UP as flag and as mask")
    func request() {
        let bytes = linkUpRequest(index: 1, sequence: 7)
        let words: [UInt32] = [32, 16 | 0x05 << 16, 7, 0, 0, 1, 1, 1]
        let expected = words.flatMap { word in (0..<4).map { UInt8(truncatingIfNeeded: word.littleEndian >> UInt32($0 * 8)) } }
        #expect(bytes == expected)
    }

    @Test("an acknowledgement is errno 0, a refusal its positive errno, anything else no answer")
    func acknowledgement() {
        func answer(_ type: UInt8, _ error: Int32) -> [UInt8] {
            [36, 0, 0, 0, type, 0, 0, 0] + [UInt8](repeating: 0, count: 8)
                + (0..<4).map { UInt8(truncatingIfNeeded: UInt32(bitPattern: error) >> UInt32($0 * 8)) }
        }
        #expect(acknowledgedErrno(answer(2, 0)) == 0)
        #expect(acknowledgedErrno(answer(2, -1)) == 1)
        #expect(acknowledgedErrno(answer(2, .min)) == nil)
        #expect(acknowledgedErrno(answer(3, 0)) == nil)
        #expect(acknowledgedErrno([UInt8](repeating: 0, count: 19)) == nil)
    }
}
