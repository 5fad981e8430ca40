// Rows: attacks
import JSON
import Testing

@Suite("JSON reader")
struct JSONReaderTests {
    private func problem(
        _ text: String, limits: JSONLimits = JSONLimits(),
        _ read: (inout JSONReader) throws(JSONError) -> Void = { (r) throws(JSONError) in try r.skipValue() }
    ) -> String? {
        problem(Array(text.utf8), limits: limits, read)
    }

    private func problem(
        _ bytes: [UInt8], limits: JSONLimits = JSONLimits(),
        _ read: (inout JSONReader) throws(JSONError) -> Void = { (r) throws(JSONError) in try r.skipValue() }
    ) -> String? {
        do throws(JSONError) {
            var reader = try JSONReader(bytes, limits: limits)
            try read(&reader)
            try reader.finish()
            return nil
        } catch { return error.description }
    }

    @Test(
        "what RFC 8259 allows is accepted",
        arguments: [
            "null", " true ", "false", "0", "-0", "1.5e+10", "-12E-3", "\"\"", "[]", "{}", "[1,[2,{\"a\":[null]}]]",
            "\t\r\n{ \"a\" : 1 , \"b\" : \"x\" }",
            #""\u0041\ud83d\ude00\n\/""#, "\"ÄĀ€😀\"",
        ])
    func accepted(_ text: String) {
        #expect(problem(text) == nil)
    }

    @Test(
        "D13 what RFC 8259 does not allow is refused",
        arguments: [
            "", " ", "nul", "NaN", "Infinity", "-", "+1", "01", "1.", ".5", "1e", "0x10", "'a'", "\"a", "\"\u{1}\"", "\"\\x\"", "\"\\u12\"",
            "\"\\ud800\"", "\"\\ud800\\u0041\"",
            "\"\\udc00\"", "[1,]", "[1 2]", "[", "{\"a\"}", "{\"a\":}", "{\"a\":1,}", "{a:1}", "{\"a\":1 \"b\":2}", "1 2", "{}x",
            "\u{feff}{}", "// x\n1",
        ])
    func refused(_ text: String) {
        #expect(problem(text) != nil)
    }

    @Test(
        "D13 ill-formed UTF-8 is refused",
        arguments: [
            [0x80], [0xc0, 0x80], [0xc3], [0xe0, 0x80, 0x80], [0xed, 0xa0, 0x80], [0xf0, 0x80, 0x80, 0x80], [0xf4, 0x90, 0x80, 0x80],
            [0xf5, 0x80, 0x80, 0x80], [0xff], [0xe2, 0x82],
        ] as [[UInt8]])
    func utf8(_ bytes: [UInt8]) {
        #expect(problem([0x22] + bytes + [0x22]) == "invalid UTF-8 in a string")
    }

    @Test("D13 a member named twice is refused, also by another spelling and among many")
    func duplicates() {
        #expect(problem(#"{"a":{"b":1,"b":2}}"#) == #"a: duplicate member "b""#)
        #expect(problem(#"{"a":1,"\u0061":2}"#) == #"duplicate member "a""#)
        let many = (0..<100).map { "\"k\($0)\":0" }.joined(separator: ",")
        #expect(problem("{\(many)}") == nil)
        #expect(problem("{\(many),\"k7\":0}") == #"duplicate member "k7""#)
        // Canonically equivalent texts are different names.
        #expect(problem("{\"\u{e9}\":1,\"e\u{301}\":2}") == nil)
    }

    @Test("D13 nesting beyond the limit is refused before the stack grows")
    func nesting() {
        let limits = JSONLimits(maximumDepth: 8)
        #expect(problem(String(repeating: "[", count: 8) + String(repeating: "]", count: 8), limits: limits) == nil)
        #expect(problem(String(repeating: "[", count: 1_000_000))?.contains("nested deeper than 64 levels") == true)
        #expect(problem(String(repeating: "{\"a\":", count: 500_000))?.contains("nested deeper than 64 levels") == true)
    }

    @Test("D13 a text longer than the limit is refused unread")
    func length() {
        #expect(problem("[1,2,3]", limits: JSONLimits(maximumBytes: 6)) == "the document has 7 bytes, at most 6 are allowed")
    }

    @Test("integers are exact to the ends of their types")
    func integers() throws {
        func read<Number: FixedWidthInteger>(_ text: String, as type: Number.Type) throws -> Number {
            var reader = try JSONReader(Array(text.utf8))
            return try reader.readInteger(type)
        }
        #expect(try read("18446744073709551615", as: UInt64.self) == .max)
        #expect(try read("9223372036854775807", as: Int64.self) == .max)
        #expect(try read("-9223372036854775808", as: Int64.self) == .min)
        #expect(try read("9007199254740993", as: Int64.self) == 9_007_199_254_740_993)
        #expect(try read("-0", as: UInt32.self) == 0)
        #expect(try read("4294967295", as: UInt32.self) == .max)
    }

    @Test(
        "A14 A15 D13 an integer that does not fit is refused, never wrapped",
        arguments: ["4294967296", "-1", "18446744073709551616", "99999999999999999999999999", "-9223372036854775809"])
    func overflow(_ text: String) {
        let message = problem(text) { (reader: inout JSONReader) throws(JSONError) in _ = try reader.readInteger(UInt32.self) }
        #expect(message == "\(text) is out of range, expected an integer from 0 to 4294967295")
    }

    @Test("a number that is no plain integer is none", arguments: ["1.0", "1e3", "01", "\"1\"", "true", "[1]", "-"])
    func noIntegers(_ text: String) {
        let message = problem(text) { (reader: inout JSONReader) throws(JSONError) in _ = try reader.readInteger(Int.self) }
        #expect(message?.hasPrefix("expected an integer, found ") == true)
    }

    @Test("an error names the member and what was found there")
    func places() {
        let message = problem(#"{"a":[{"b c":1},{"x":{"y":"no"}}]}"#) { (reader: inout JSONReader) throws(JSONError) in
            try reader.readObject { (reader: inout JSONReader, _: String) throws(JSONError) in
                try reader.readArray { (reader: inout JSONReader) throws(JSONError) in
                    try reader.readObject { (reader: inout JSONReader, name: String) throws(JSONError) in
                        if name == "x" {
                            _ = try reader.readDictionary { (reader: inout JSONReader) throws(JSONError) in try reader.readBool() }
                        } else {
                            try reader.skipValue()
                        }
                    }
                }
            }
        }
        #expect(message == #"a[1].x.y: expected true or false, found the string "no""#)
        #expect(problem(#"{"b c":"#) == #"["b c"]: expected a value, found the end of the document"#)
    }

    @Test("a member whose value is null counts as absent, an element that is null does not")
    func nulls() {
        var seen: [String] = []
        let message = problem(#"{"a":null,"b":1}"#) { (reader: inout JSONReader) throws(JSONError) in
            try reader.readObject { (reader: inout JSONReader, name: String) throws(JSONError) in
                seen.append(name)
                try reader.skipValue()
            }
        }
        #expect(message == nil)
        #expect(seen == ["b"])
        #expect(
            problem("[null]") { (reader: inout JSONReader) throws(JSONError) in _ = try reader.readStrings() }
                == "[0]: expected a string, found null")
    }

    @Test("escapes are undone, and NUL is refused where strings go to the kernel")
    func strings() throws {
        var reader = try JSONReader(Array(#""\"\\\/\b\f\n\r\tA\u00e9\ud83d\ude00""#.utf8))
        #expect(try reader.readString() == "\"\\/\u{8}\u{c}\n\r\tAé😀")
        #expect(problem(#""a\u0000b""#) == nil)
        #expect(problem(#""a\u0000b""#, limits: JSONLimits(allowsNUL: false)) == "NUL character in a string")
    }

    @Test(
        "a value that was read before is passed over by its brackets",
        arguments: [
            "1", "-1.5e+3", "true", "null", #""a\"]}b\\""#, "[]", "{}", #"[1, {"a": ["]", "}"]}, []]"#, #" { "a" : { "b" : "\u00e9" } } "#,
        ])
    func passedOver(_ text: String) throws {
        var reader = try JSONReader(Array("[\(text),7]".utf8))
        var rest: [Int] = []
        var index = 0
        try reader.readArray { (reader: inout JSONReader) throws(JSONError) in
            if index == 0 { try reader.passOver() } else { rest.append(try reader.readInteger()) }
            index += 1
        }
        try reader.finish()
        #expect(rest == [7])
    }

    @Test(
        "D13 what does not end is not passed over",
        arguments: ["", " ", ",", "]", "}", ":", "[", "[1", #"{"a":[}"#, "\"a", "\"a\\", "\"\\\"", "[\u{1}]", "?", "[[[[\"]]]]"])
    func notPassedOver(_ text: String) {
        #expect(problem(text) { (reader: inout JSONReader) throws(JSONError) in try reader.passOver() } != nil)
    }

    @Test("a raw value comes back as it was written")
    func raw() throws {
        var reader = try JSONReader(Array(#" [1, {"a" : "b"}] "#.utf8))
        #expect(String(decoding: try reader.readRaw(), as: UTF8.self) == #"[1, {"a" : "b"}]"#)
    }

    @Test("what the writer writes, the reader reads")
    func writer() throws {
        func write(_ style: JSONWriter.Style) -> String {
            var writer = JSONWriter(style: style)
            writer.object { writer in
                writer.member("text", "quote \" back \\ line \n \u{1} é")
                writer.member("numbers", unlessEmpty: [UInt64.max, 0]) { $0.integer($1) }
                writer.member("none", String?.none)
                writer.member("empty", [])
                writer.member("map", unlessEmpty: ["b": "2", "a": "1"])
                writer.name("object")
                writer.object { _ in }
                writer.member("yes", true)
            }
            return writer.text
        }
        #expect(
            write(.compact)
                == #"{"text":"quote \" back \\ line \n \u0001 é","numbers":[18446744073709551615,0],"empty":[],"map":{"a":"1","b":"2"},"object":{},"yes":true}"#
        )
        #expect(write(.indented).hasPrefix("{\n\t\"text\": \"quote"))
        #expect(write(.indented).hasSuffix("\"object\": {},\n\t\"yes\": true\n}"))
        #expect(write(.indentedByTwo).contains("  \"map\": {\n    \"a\": \"1\",\n    \"b\": \"2\"\n  },\n  \"object\": {},\n"))
        #expect(
            write(.indentedByFour).contains("    \"map\": {\n        \"a\": \"1\",\n        \"b\": \"2\"\n    },\n    \"object\": {},\n"))
        for style in [JSONWriter.Style.compact, .indented, .indentedByTwo, .indentedByFour] { #expect(problem(write(style)) == nil) }
    }

    @Test(
        "what Go escapes is escaped where that is asked for, and is the same text",
        arguments: [
            ("<a href=\"x\">&amp;</a>", #""\u003ca href=\"x\"\u003e\u0026amp;\u003c/a\u003e""#),
            ("\u{2028}\u{2029}\u{2027}é¨©", #""\u2028\u2029\#u{2027}é¨©""#),
            ("\u{8}\u{c}\t\u{7f}'/", "\"\\u0008\\u000c\\t\u{7f}'/\""),
        ])
    func escapesOfGo(_ text: String, _ expected: String) throws {
        var writer = JSONWriter(escapesAsGo: true)
        writer.string(text)
        #expect(writer.text == expected)
        var reader = try JSONReader(writer.bytes)
        #expect(try reader.readString() == text)
        var plain = JSONWriter()
        plain.string("<&>\u{2028}")
        #expect(plain.text == "\"<&>\u{2028}\"")
    }

    @Test("every prefix and every changed byte of a document is read or refused, never a trap")
    func mutations() {
        let document = Array(#"{"a":[1,-2,3.5e7,"\u00e9\ud83d\ude00é",null,true],"b":{"c":""}}"#.utf8)
        for length in 0..<document.count { #expect(problem(Array(document[..<length])) != nil) }
        for index in document.indices {
            for byte: UInt8 in [0, 0x22, 0x2c, 0x5b, 0x5c, 0x7b, 0x7d, 0x80, 0xc3, 0xff] {
                var changed = document
                changed[index] = byte
                _ = problem(changed)
            }
        }
    }
}
