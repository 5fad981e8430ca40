// Rows: attacks
import Registry
import Testing

@Suite("Numbers that a registry makes up")
struct ForeignNumberTests {
    @Test(
        "E10: a Retry-After of any length is a time that can be counted",
        arguments: [
            ("0", 0.0), ("120", 120), ("31536001", 31_536_000), ("9223372036854775807", 31_536_000),
            ("99999999999999999999999", 31_536_000),
            ("Fri, 31 Dec 9999 23:59:60 GMT", 31_536_000), ("Thu, 01 Jan 1970 00:00:30 GMT", 20), ("Thu, 01 Jan 1970 00:00:01 GMT", 0),
        ])
    func retryAfter(field: String, seconds: Double) { #expect(Retries.retryAfter(field, now: 10) == seconds) }

    @Test("a Retry-After that is neither seconds nor a date says nothing", arguments: ["", "-1", "+1", "1.5", "soon", "Fri, 31 Dec GMT"])
    func nonsense(field: String) { #expect(Retries.retryAfter(field, now: 10) == nil) }

    @Test(
        "E10: an upload goes on within its blob and nowhere else",
        arguments: [
            ("0-0", 0), ("0--1", 0), ("0-1", 2), ("bytes=0-41", 42), ("0-99", 100), ("0-100", nil), ("0-9223372036854775807", nil),
            ("0-99999999999999999999", nil), ("0--9223372036854775808", nil), ("5-9", nil), ("0", nil), ("-5", nil), ("", nil), ("x", nil),
        ] as [(String, Int64?)])
    func uploads(field: String, offset: Int64?) { #expect(UploadRange.offset(behind: field, sizeBytes: 100) == offset) }

    @Test("E10: a token that lasts for ever lasts a day, and one that lasted before it began lasts a minute")
    func lifetimes() {
        let lasting = ["9223372036854775807": 86_390, "-9223372036854775808": 50]
        for (lifetime, expiry) in lasting {
            #expect(
                TokenRequest.grant(in: Array(#"{"token":"a","expires_in":\#(lifetime)}"#.utf8), now: 0)?.expiresAt == expiry, "\(lifetime)")
        }
    }
}

@Suite("What is gone on with")
struct ResumptionTests {
    @Test("R01: what succeeds counts for nothing, however often; one refusal after it is gone on from")
    func successes() {
        var resumptions = Resumptions(fruitlessLimit: 4)
        for _ in 0..<1000 { resumptions.succeed() }
        let goesOn = [resumptions.refuse(hasBrought: true), resumptions.refuse(hasBrought: false)]
        #expect(goesOn == [true, true])
    }

    @Test("R01: refusals in a row that bring nothing end it, and so do very many that bring a little")
    func refusals() {
        var fruitless = Resumptions(fruitlessLimit: 4)
        let goesOn = (0..<4).map { _ in fruitless.refuse(hasBrought: false) }
        #expect(goesOn == [true, true, true, false])
        var trickling = Resumptions(fruitlessLimit: 4)
        var count = 1
        while trickling.refuse(hasBrought: true), count < 10_000 { count += 1 }
        #expect(count == 256)
    }
}
