import EngineAPI
import Testing

@Suite("What is wrong with a request's document")
struct RequestFaultTests {
    private func fault<Document: Decodable>(_ type: Document.Type, _ text: String) -> String {
        do throws(DocumentError) {
            _ = try EngineJSON.decodeRequest(type, from: Array(text.utf8))
            return ""
        } catch { return error.fault }
    }

    @Test(
        "a value of another kind is told by its field, its own kind and the field's",
        arguments: [
            (#"{"HostConfig":{"Memory":"much"}}"#, "HostConfig.Memory: cannot unmarshal string into a field of type int64"),
            (#"{"hostconfig":{"memory":1.5}}"#, "hostconfig.memory: cannot unmarshal number 1.5 into a field of type int64"),
            (
                #"{"HostConfig":{"Memory":9223372036854775808}}"#,
                "HostConfig.Memory: cannot unmarshal number 9.223372036854776e+18 into a field of type int64"
            ),
            (#"{"HostConfig":{"Privileged":1}}"#, "HostConfig.Privileged: cannot unmarshal number 1 into a field of type bool"),
            (
                #"{"HostConfig":{"Devices":[{},{"PathOnHost":null},{"PathOnHost":[]}]}}"#,
                "HostConfig.Devices[2].PathOnHost: cannot unmarshal array into a field of type string"
            ),
            (#"{"HostConfig":{"Ulimits":{"a":1}}}"#, "HostConfig.Ulimits: cannot unmarshal object into a field of type array"),
            (#"{"Env":["A=1",null]}"#, "Env[1]: cannot unmarshal null into a field of type string"),
            (#"{"Labels":true}"#, "Labels: cannot unmarshal bool into a field of type object"),
            (#""text""#, "cannot unmarshal string into a field of type object"),
        ])
    func kinds(text: String, words: String) { #expect(fault(ContainerCreateRequest.self, text) == words) }

    @Test("what is no JSON is told by its place, and nesting without end by its limit")
    func syntax() {
        #expect(fault(HostConfig.self, #"{"Memory":1,,}"#) == "expected a member name, found ',', at byte 12")
        #expect(fault(HostConfig.self, #"{"Memory""#) == "Memory: expected ':', found the end of the document, at byte 9")
        #expect(fault(HostConfig.self, "{} x") == "expected the end of the document, found x, at byte 3")
        #expect(fault(HostConfig.self, String(repeating: "[", count: 100_000)).contains("nested deeper than 512 levels"))
    }
}
