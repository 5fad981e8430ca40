import APIServer
import EngineAPI
import Logging
import NIOHTTP1
import SystemPackage
import Testing

@testable import Engine

@Suite("The description of the API")
struct DescriptionTests {
    /// `/containers/{id}/json` and `/containers/{*}/json` alike.
    private func shape(_ method: HTTPMethod, _ path: String) -> String {
        let pieces = path.split(separator: "/").map { $0.hasPrefix("{") ? "{}" : String($0) }
        return "\(method) /\(pieces.joined(separator: "/"))"
    }

    @Test("every route that is served is described, and every path that is described is served")
    func routes() {
        let engine = ContainerEngine(
            configuration: EngineConfiguration(
                shimPath: "/x", initPath: "/x", netPath: "/x", settings: ReloadableSettings(runtimes: [:], defaultRuntime: "")),
            logger: .init(label: "x"))
        let served = APIListener.served(by: engine).map { shape($0.method, $0.pattern.text) }
        let later = Set(LaterRoutes.all.map { shape($0.method, $0.pattern.text) })
        let described = APIDescription.operations.map { shape($0.method, $0.path) }
        #expect(Set(described).count == described.count)
        #expect(Set(served).subtracting(described) == [])
        // What is answered though nothing of its kind is served.
        #expect(Set(described).subtracting(served) == ["POST /build/prune"] && later.contains("POST /build/prune"))
    }

    @Test("of every version, a document refers to nothing that it lacks", arguments: 24...51)
    func references(minor: Int) throws {
        let text = String(decoding: try APIDescription.document(for: APIVersion(1, minor)), as: UTF8.self)
        let names = text.split(separator: "\"#/components/").dropFirst().map { String($0.prefix { $0 != "\"" }) }
        #expect(names.count > 100)
        for name in Set(names.filter { $0.hasPrefix("schemas/") }.map { $0.dropFirst("schemas/".count) }) {
            #expect(text.contains("\"\(name)\":{\"properties\"") || text.contains("\"\(name)\":{\"type\""), "\(name)")
        }
    }
}
