import CoreTypes
import EngineAPI
import FoundationEssentials
import Testing

/// What writes the engine's documents, beside Foundation's `JSONEncoder`, whose bytes it is to give.
@Suite("How documents are written")
struct DocumentEncoderTests {
    private struct Sample: Codable {
        struct Inner: Codable {
            var zebra = 1
            var alpha: [Inner]? = []
        }
        enum Word: String, Codable { case first, second }

        var whole = Int64.min
        var unsigned = UInt64.max
        var small: [Int8] = [-128, 0, 127]
        var fraction = 0.1
        var round = 3.0
        var huge = 1e300
        var tiny: Float = 1e-20
        var yes = true
        var word = Word.second
        var nothing: String?
        var gaps: [String?] = ["a", nil, ""]
        var empty: [String: [String]] = [:]
        var lists: [[Int]] = [[], [1], [2, 3]]
        var map: [String: Inner] = [
            "z": Inner(), "a": Inner(alpha: [Inner(alpha: nil)]), "": Inner(), "Ä": Inner(), "aa": Inner(), "é": Inner(),
        ]
        var text = (0..<0x300).compactMap { Unicode.Scalar($0).map(String.init) }.joined() + "/\u{2028}👩‍👩‍👧 \u{FFFD}"
    }

    private func reference(_ document: some Encodable) throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return String(decoding: try encoder.encode(document), as: UTF8.self)
    }

    private func text(_ document: some Encodable) throws -> String {
        String(decoding: try EngineJSON.encode(document).dropLast(), as: UTF8.self)
    }

    @Test("numbers, words, lists, maps and texts of every kind are Foundation's, byte for byte")
    func kinds() throws {
        #expect(try text(Sample()) == reference(Sample()))
        #expect(try text([Sample.Inner()]) == reference([Sample.Inner()]))
        #expect(try text(["b": 1, "a": 2]) == #"{"a":2,"b":1}"#)
        #expect(try text([String: Int]()) == "{}")
        #expect(try text([Int]()) == "[]")
        #expect(try text("a/b\"\\\u{1}\u{1F}\u{7F}") == #""a/b\"\\\u0001\u001f"# + "\u{7F}\"")
    }

    @Test("so are the documents of the Engine API")
    func documents() throws {
        var inspect = ContainerInspect()
        inspect.config.labels = ["z": "1", "a": "2"]
        inspect.hostConfig.capAdd = ["ALL"]
        inspect.networkSettings.networks = ["bridge": EndpointSettings(), "a": EndpointSettings()]
        let (inspected, version) = (inspect, APIVersion(1, 41))
        #expect(try text(inspected) == reference(inspected))
        #expect(try text(inspected.shaped(for: version)) == reference(inspected.shaped(for: version)))
        #expect(try text([ContainerSummary()]) == reference([ContainerSummary()]))
        #expect(try text(SystemInfo()) == reference(SystemInfo()))
        #expect(try text(ImageInspect()) == reference(ImageInspect()))
        #expect(try text(NetworkResource()) == reference(NetworkResource()))
        #expect(try text(Volume()) == reference(Volume()))
        #expect(try text(ContainerStatistics()) == reference(ContainerStatistics()))
    }

    @Test("a number that JSON cannot hold is refused", arguments: [Double.nan, .infinity])
    func noNumber(_ number: Double) {
        #expect(throws: DocumentError.self) { try EngineJSON.encode([number]) }
    }
}
