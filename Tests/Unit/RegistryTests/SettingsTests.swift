import Testing

@testable import Registry

@Suite("Files of settings about registries")
struct SettingsTests {
    private func parse(_ text: String) throws -> TOMLTable { try TOMLParser.parse(Array(text.utf8)) }

    @Test("names and values of every kind that the files are written in are read")
    func values() throws {
        let document = try parse(
            """
            # words
            a = "t\\u00e9\\t\\"x\\""   # more
            b.'c d' = 'C:\\path'
            [list."x.y"]
            numbers = [ 1, -2, # two
              1_000, ]
            inline = { on = true, deep.er = "z" }
            [[many]]
            [[many]]
            name = "last"
            [many.below]
            is = false
            """)
        #expect(try document["a"]?.text("a") == "té\t\"x\"")
        #expect(try document["b"]?.table("b")["c d"]?.text("c d") == "C:\\path")
        let list = try #require(try document["list"]?.table("list")["x.y"]?.table("x.y"))
        #expect(try list["numbers"]?.array("numbers").count == 3)
        #expect(try list["inline"]?.table("inline")["deep"]?.table("deep")["er"]?.text("er") == "z")
        let many = try #require(try document["many"]?.array("many"))
        #expect(many.count == 2)
        #expect(try many[1].table("many")["below"]?.table("below")["is"]?.boolean("is") == false)
        #expect(try many[1].table("many")["name"]?.line == 10)
    }

    @Test(
        "what is malformed is refused with its line",
        arguments: [
            ("a = 1.5", 1), ("\na = 1979-05-27", 2), ("a = tru", 1), ("a", 1), ("a = [1", 1), ("a = {b = 1", 1), ("[a]\n[a]", 2),
            ("a = 1\n[a]", 2), ("a = \"\\x\"", 1), ("a = \"\\ud800\"", 1), ("a = 1 b = 2", 1), ("= 1", 1), ("[a\n", 1),
        ])
    func malformed(text: String, line: Int) {
        let error = #expect(throws: SettingsProblem.self) { try TOMLParser.parse(Array(text.utf8)) }
        #expect(error?.line == line, "\(text): \(String(describing: error))")
    }

    @Test(
        "Retry-After is read in seconds and as a date",
        arguments: [
            ("120", 120.0), ("Thu, 01 Jan 1970 00:01:40 GMT", 90), ("Thu, 01 Jan 1970 00:00:00 GMT", 0), ("soon", nil), ("-1", nil),
            ("Thu, 99 Jan 1970 00:01:40 GMT", nil),
        ] as [(String, Double?)])
    func retryAfter(text: String, seconds: Double?) {
        var head = ResponseHead(status: 429)
        head.headers.append("Retry-After", text)
        #expect(Retries.retryAfter(head, now: 10) == seconds)
    }

    @Test("a date of HTTP is the second that it names")
    func dates() {
        #expect(Retries.httpDate("Sun, 06 Nov 1994 08:49:37 GMT") == 784_111_777)
        #expect(Retries.httpDate("Tue, 29 Feb 2000 23:59:59 GMT") == 951_868_799)
    }
}
