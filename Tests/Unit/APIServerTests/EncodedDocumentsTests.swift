import EngineAPI
import Testing

@testable import APIServer

@Suite("Documents that are encoded once")
struct EncodedDocumentsTests {
    private func document(_ id: String, _ status: String) -> ContainerSummary {
        var line = ContainerSummary()
        (line.id, line.status) = (id, status)
        return line
    }

    @Test("what is remembered is what would be encoded, whatever changed, and in the shape of each version")
    func freshness() throws {
        let lines = EncodedDocuments<ContainerSummary>(capacity: 2)
        let (old, new) = (APIVersion(1, 41), APIVersion.newest)
        var networked = document("a", "Up 2 minutes")
        networked.networkSettings.networks = ["bridge": EndpointSettings()]
        for line in [
            document("a", "Created"), document("a", "Created"), networked, document("b", "Created"), document("c", "Dead"), networked,
        ] {
            for version in [old, new, old] {
                #expect(try lines.encode(line, id: line.id, for: version) == EngineJSON.encode(line.shaped(for: version)))
            }
        }
        let list = [document("a", "Dead"), networked, document("b", "Up")]
        #expect(try lines.encode(list, id: \.id, for: old) == EngineJSON.encode(list.map { $0.shaped(for: old) }))
        #expect(try lines.encode([], id: \.id, for: old) == EngineJSON.encode([ContainerSummary]()))
    }
}
