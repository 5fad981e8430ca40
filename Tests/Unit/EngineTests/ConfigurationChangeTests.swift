import EngineAPI
import Testing

@testable import Engine

@Suite("What commit and import change of a configuration")
struct ConfigurationChangeTests {
    private func apply(_ changes: [String]) throws -> ContainerConfig {
        var config = ContainerConfig()
        for change in changes { try ConfigurationChange(change).apply(to: &config) }
        return config
    }

    @Test("variables stand for what they are so far")
    func variables() throws {
        let config = try apply(["ENV a=one", "ENV b=$a-${a} c='$a'", "LABEL l=$b", "WORKDIR /$a"])
        #expect(config.env == ["a=one", "b=one-one", "c=$a"])
        #expect(config.labels == ["l": "one-one"] && config.workingDir == "/one")
    }

    /// Forty such instructions would ask for a terabyte.
    @Test(
        "a variable that names itself twice again and again is refused before it is large",
        arguments: ["ENV a=$a$a", "ENV a=$a b=$a$a$a$a", "LABEL $a=$a$a$a"])
    func doubling(change: String) throws {
        let start = "ENV a=" + String(repeating: "x", count: 1000)
        let doublings = Array(repeating: "ENV a=$a$a", count: 8)
        let error = #expect(throws: EngineError.self) { try apply([start] + doublings + Array(repeating: change, count: 40)) }
        #expect(error?.code == .invalidParameter && error?.message.contains("longer than 1048576 bytes") == true)
    }
}
