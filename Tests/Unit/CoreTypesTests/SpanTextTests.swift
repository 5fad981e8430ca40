import CoreTypes
import Testing

@Suite("Spans of time")
struct SpanTextTests {
    @Test(
        "Go's durations are read, and nothing else",
        arguments: [
            ("1h30m", 5_400_000_000_000), ("1.5s", 1_500_000_000), ("300ms", 300_000_000), ("-1m", -60_000_000_000), ("0", 0),
            ("+2us", 2000),
            ("", nil), ("10", nil), ("1x", nil), ("h", nil), ("1..s", nil), ("9999999999h", nil),
        ] as [(String, Int64?)])
    func reading(text: String, nanoseconds: Int64?) {
        #expect(SpanText.nanoseconds(text) == nanoseconds)
    }
}
