import EngineAPI
import Testing

@Suite("JSON as Go reads it")
struct GoSyntaxTests {
    private func compacted(_ text: String) -> String {
        do throws(GoSyntaxError) { return String(decoding: try EngineJSON.compacted(Array(text.utf8)), as: UTF8.self) } catch {
            return error.description
        }
    }

    @Test(
        "white space between tokens is left out, and nothing else",
        arguments: [
            ("{ }", "{}"), (" [ 1 , -2.5e-3 ,\n\t\"a b\\n\" ] \r\n", "[1,-2.5e-3,\"a b\\n\"]"),
            ("{\"a\" : { \"a\" : null } }", "{\"a\":{\"a\":null}}"), ("0", "0"),
        ])
    func compact(text: String, result: String) { #expect(compacted(text) == result) }

    @Test(
        "what is no JSON is told in the words of Go's decoder",
        arguments: [
            ("", "unexpected end of JSON input"), ("{\"a\":", "unexpected end of JSON input"),
            ("tru", "invalid character ' ' in literal true (expecting 'e')"), ("-", "invalid character ' ' in numeric literal"),
            ("nosuch", "invalid character 'o' in literal null (expecting 'u')"),
            ("{} {}", "invalid character '{' after top-level value"), ("[1 2]", "invalid character '2' after array element"),
            ("{\"a\" 1}", "invalid character '1' after object key"),
            ("{\"a\":1 2}", "invalid character '2' after object key:value pair"),
            ("{\"a\":1,}", "invalid character '}' looking for beginning of object key string"),
            ("\"\\x\"", "invalid character 'x' in string escape code"), ("\"\n\"", "invalid character '\\n' in string literal"),
            ("'", "invalid character '\\'' looking for beginning of value"),
            ("1.x", "invalid character 'x' after decimal point in numeric literal"),
        ])
    func faults(text: String, words: String) { #expect(compacted(text) == words) }

    @Test("nesting without end is refused") func depth() {
        #expect(compacted(String(repeating: "[", count: 100_000)) == "invalid character '[' exceeded max depth")
    }
}
