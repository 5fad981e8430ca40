/// Input of one client that the shim has not said to have taken: the next shim is sent it again. Places are bytes of the client's input.
struct UntakenInput: Sendable {
    /// The place of the first byte that is kept.
    private(set) var start: UInt64 = 0
    private(set) var bytes: [UInt8] = []
    /// Those at the end that no shim's socket has had.
    private var unsentCount = 0

    var end: UInt64 { start + UInt64(bytes.count) }

    /// Keeps what is about to be sent.
    mutating func append(_ piece: some Collection<UInt8>) {
        bytes += piece
        unsentCount += piece.count
    }

    /// A shim's socket has had all before a place.
    mutating func sent(upTo place: UInt64) {
        guard place <= end else { return }
        unsentCount = min(unsentCount, Int(end - place))
    }

    /// A shim has taken all before a place.
    mutating func taken(upTo place: UInt64) {
        guard place > start, place <= end else { return }
        bytes.removeFirst(Int(place - start))
        start = place
        unsentCount = min(unsentCount, bytes.count)
    }

    /// Keeps the last bytes alone, and what no shim's socket has had: the others are taken for taken.
    mutating func forget(allBut byteCount: Int) {
        taken(upTo: end - UInt64(min(max(byteCount, unsentCount), bytes.count)))
    }

    /// Another shim has taken all before a place; it is sent what is kept then. One that has taken what was never sent, or less than another had, does not know
    /// this input, as where what is known of it went with the keeper: it is sent what no other had, and counts from its own place.
    mutating func resume(at place: UInt64) {
        if place >= start && place <= end { return taken(upTo: place) }
        bytes = Array(bytes.suffix(unsentCount))
        start = place
    }

    /// Another shim does not count. - Returns: what no other had, which is not kept.
    mutating func takeUnsent() -> [UInt8] {
        defer { self = UntakenInput() }
        return Array(bytes.suffix(unsentCount))
    }
}
