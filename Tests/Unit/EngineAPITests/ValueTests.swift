import EngineAPI
import Testing

@Suite("Versions, filters, credentials and frames")
struct ValueTests {
    @Test("versions order by number, not by text")
    func versionOrder() throws {
        let nine = try #require(APIVersion("1.9"))
        #expect(nine < APIVersion(1, 41))
        #expect("\(APIVersion(1, 41))" == "1.41")
    }

    @Test("what is no version is none", arguments: ["", "1", "1.", ".1", "1.2.3", "1.x", "-1.2", "1.+2", "1.99999", "١.٢"])
    func brokenVersion(text: String) {
        #expect(APIVersion(text) == nil)
    }

    @Test("both forms of filters are read", arguments: [#"{"label":{"a=b":false}}"#, #"{"label":["a=b"]}"#])
    func filterForms(json: String) throws {
        let filters = try Filters(query: json)
        #expect(filters["label"] == ["a=b"])
        #expect(filters.matchesLabels(["a": "b", "c": "d"]))
        #expect(!filters.matchesLabels(["a": "c"]))
        #expect(filters.unknownKey(besides: ["name"]) == "label")
    }

    @Test("filters that are neither form are refused", arguments: ["[]", #"{"a":1}"#, "x", #"{"a":"b"}"#])
    func brokenFilters(json: String) {
        #expect(throws: DocumentError.self) { try Filters(query: json) }
    }

    @Test("a boolean filter takes one truth value")
    func booleanFilter() throws {
        #expect(try Filters(["dangling": ["true"]]).flag("dangling") == true)
        #expect(try Filters(["dangling": ["0"]]).flag("dangling") == false)
        #expect(try Filters().flag("dangling") == nil)
        #expect(throws: DocumentError.self) { try Filters(["dangling": ["maybe"]]).flag("dangling") }
        #expect(throws: DocumentError.self) { try Filters(["dangling": ["true", "false"]]).flag("dangling") }
    }

    @Test("filters survive the way through a query")
    func filterRoundTrip() throws {
        let filters = Filters(["label": ["a=b"], "status": ["exited"]])
        #expect(try Filters(query: filters.query) == filters)
    }

    @Test("credentials survive the way through their header")
    func authRoundTrip() throws {
        var auth = AuthConfig()
        auth.username = "ü>?"
        auth.password = "p~ß"
        auth.serveraddress = "127.0.0.1:5000"
        let header = try auth.header
        #expect(!header.contains("+") && !header.contains("/"))
        #expect(try AuthConfig(header: header) == auth)
    }

    @Test("credentials are read with and without padding, and from auth")
    func authForms() throws {
        // {"auth":"dTpw"}, u:p
        for header in ["eyJhdXRoIjoiZFRwdyJ9", "eyJhdXRoIjoiZFRwdyJ9===", " eyJhdXRoIjoiZFRwdyJ9"] {
            let auth = try AuthConfig(header: header)
            #expect(auth.username == "u" && auth.password == "p")
        }
        #expect(try AuthConfig(header: "") == AuthConfig())
    }

    @Test("a refused header is not repeated in the error")
    func authSecrecy() {
        #expect {
            try AuthConfig(header: "c2VjcmV0")
        } throws: { error in
            !"\(error)".contains("secret") && !"\(error)".contains("c2VjcmV0")
        }
    }

    @Test("a frame's header is stream, three zeros and a big-endian length")
    func frameHeader() throws {
        let frame = StreamFrame(stream: .standardError, payloadLength: 0x0102)
        #expect(frame.header == [2, 0, 0, 0, 0, 0, 1, 2])
        #expect(try StreamFrame(header: frame.header) == frame)
        #expect(throws: DocumentError.self) { try StreamFrame(header: [9, 0, 0, 0, 0, 0, 0, 0]) }
        #expect(throws: DocumentError.self) { try StreamFrame(header: [1, 0, 0, 0, 255, 255, 255, 255]) }
        #expect(throws: DocumentError.self) { try StreamFrame(header: [1, 0, 0]) }
    }

    @Test("frames are taken apart whatever pieces they come in", arguments: [1, 2, 3, 7, 8, 9, 64])
    func demultiplexing(pieceLength: Int) throws {
        let bytes =
            StreamFrame(stream: .standardOutput, payloadLength: 5).header + Array("hello".utf8)
            + StreamFrame(stream: .standardOutput, payloadLength: 0).header
            + StreamFrame(stream: .standardError, payloadLength: 3).header + Array("bad".utf8)
        var demultiplexer = StreamDemultiplexer()
        var output: [StandardStream: [UInt8]] = [:]
        for start in stride(from: 0, to: bytes.count, by: pieceLength) {
            try demultiplexer.consume(bytes[start..<min(start + pieceLength, bytes.count)]) { output[$0, default: []] += $1 }
        }
        #expect(output[.standardOutput] == Array("hello".utf8))
        #expect(output[.standardError] == Array("bad".utf8))
    }
}
