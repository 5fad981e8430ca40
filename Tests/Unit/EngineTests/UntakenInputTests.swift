// Rows: features
import Testing

@testable import Engine

@Suite struct UntakenInputTests {
    /// Ten bytes, of which a shim's socket has had six.
    private var input: UntakenInput {
        var input = UntakenInput()
        input.append([0, 1, 2, 3, 4, 5])
        input.sent(upTo: 6)
        input.append([6, 7, 8, 9])
        return input
    }

    @Test("what a shim has taken is kept no more, and what it says of other input is passed over")
    func taken() {
        var input = input
        input.taken(upTo: 4)
        #expect(input.bytes == [4, 5, 6, 7, 8, 9] && input.start == 4 && input.end == 10)
        input.taken(upTo: 3)
        input.taken(upTo: 11)
        #expect(input.start == 4 && input.end == 10)
        input.taken(upTo: 10)
        #expect(input.bytes == [] && input.start == 10)
    }

    @Test("the next shim is sent what follows what it has", arguments: [UInt64(0), 5, 6, 10])
    func resumed(place: UInt64) {
        var input = input
        input.resume(at: place)
        #expect(input.bytes == Array(UInt8(place)..<10) && input.end == 10)
    }

    @Test("a shim that does not know the input is sent what no other had, at places of its own")
    func unknown() {
        var input = input
        input.taken(upTo: 5)
        input.resume(at: 0)
        #expect(input.bytes == [6, 7, 8, 9] && input.start == 0)
        input.sent(upTo: 4)
        input.resume(at: 99)
        #expect(input.bytes == [] && input.start == 99)
    }

    @Test("of input that nobody says to be taken the last is kept, and all that no shim had", arguments: [(5, UInt64(5)), (1, 6), (20, 0)])
    func forgotten(byteCount: Int, start: UInt64) {
        var input = input
        input.forget(allBut: byteCount)
        #expect(input.start == start && input.end == 10 && input.bytes == Array(UInt8(start)..<10))
        input.resume(at: 8)
        #expect(input.bytes == [8, 9])
    }

    @Test("what was sent again is sent once more to no shim that knows nothing of it")
    func sentAgain() {
        var input = input
        input.resume(at: 4)
        input.sent(upTo: input.end)
        input.resume(at: 0)
        #expect(input.bytes == [] && input.end == 0)
    }

    @Test("a shim that does not count is sent what no other had, once")
    func uncounted() {
        var input = input
        let (first, second) = (input.takeUnsent(), input.takeUnsent())
        #expect(first == [6, 7, 8, 9] && second == [] && input.end == 0)
    }
}
