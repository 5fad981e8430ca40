import CoreTypes
import Testing

@Suite("Timestamps")
struct TimestampTests {
    @Test(
        "RFC 3339 is parsed to the nanosecond and printed in UTC",
        arguments: [
            ("1970-01-01T00:00:00Z", 0, 0, "1970-01-01T00:00:00Z"),
            ("2026-11-21T01:02:03.5Z", 1_795_222_923, 500_000_000, "2026-11-21T01:02:03.5Z"),
            ("2026-11-21T01:02:03.123456789+01:30", 1_795_217_523, 123_456_789, "2026-11-20T23:32:03.123456789Z"),
            ("2024-02-29T23:59:59.0000000019z", 1_709_251_199, 1, "2024-02-29T23:59:59.000000001Z"),
            ("1969-12-31T23:59:59.25Z", -1, 250_000_000, "1969-12-31T23:59:59.25Z"),
            ("0001-01-01T00:00:00Z", -62_135_596_800, 0, "0001-01-01T00:00:00Z"),
            ("9999-12-31T23:59:59Z", 253_402_300_799, 0, "9999-12-31T23:59:59Z"),
            ("2000-03-01t00:00:00-00:00", 951_868_800, 0, "2000-03-01T00:00:00Z"),
        ])
    func roundTrip(_ text: String, _ seconds: Int64, _ nanoseconds: Int32, _ printed: String) throws {
        let time = try Timestamp(text)
        #expect(time.seconds == seconds)
        #expect(time.nanoseconds == nanoseconds)
        #expect(time.description == printed)
        #expect(try Timestamp(printed) == time)
    }

    @Test(
        "a text that is no moment is refused",
        arguments: [
            "", "2026-11-21", "2026-11-21 01:02:03Z", "2026-02-29T00:00:00Z", "2026-13-01T00:00:00Z", "2026-00-10T00:00:00Z",
            "2026-11-21T24:00:00Z",
            "2026-11-21T01:02:60Z", "2026-11-21T01:02:03", "2026-11-21T01:02:03.Z", "2026-11-21T01:02:03+1:00", "2026-11-21T01:02:03Zx",
            "0000-01-01T00:00:00Z", "9999-12-31T23:59:59-00:01", "+026-11-21T01:02:03Z",
        ])
    func refused(_ text: String) {
        #expect(throws: InvalidTimestamp(text: text)) { try Timestamp(text) }
    }

    @Test("texts of fixed width sort as their moments do")
    func fixedWidth() {
        let times = [
            Timestamp.zero, Timestamp(seconds: -1), Timestamp(seconds: 0, nanoseconds: 7), Timestamp(seconds: 0, nanoseconds: 70),
            Timestamp(seconds: 9),
        ]
        #expect(times.sorted() == times)
        #expect(times.map(\.fixedWidth).sorted() == times.map(\.fixedWidth))
        #expect(times[2].fixedWidth == "1970-01-01T00:00:00.000000007Z")
    }

    @Test("moments out of range are clamped, surplus nanoseconds carried")
    func clamped() {
        #expect(Timestamp(seconds: .max, nanoseconds: 999_999_999).description == "9999-12-31T23:59:59.999999999Z")
        #expect(Timestamp(seconds: .min, nanoseconds: -1).seconds == Timestamp.zero.seconds)
        #expect(Timestamp(seconds: 1, nanoseconds: -1) == Timestamp(seconds: 0, nanoseconds: 999_999_999))
        #expect(Timestamp(seconds: 0, nanoseconds: 1_000_000_001) == Timestamp(seconds: 1, nanoseconds: 1))
    }

    @Test("Docker's seconds with a fraction are parsed")
    func sinceEpoch() throws {
        #expect(try Timestamp(secondsSinceEpoch: "1136073845.000000001") == Timestamp(seconds: 1_136_073_845, nanoseconds: 1))
        #expect(try Timestamp(secondsSinceEpoch: "5.25") == Timestamp(seconds: 5, nanoseconds: 250_000_000))
        for text in ["", ".5", "1.", "x", "1.x", "1.-5", "99999999999999999999"] {
            #expect(throws: InvalidTimestamp(text: text)) { try Timestamp(secondsSinceEpoch: text) }
        }
    }
}
