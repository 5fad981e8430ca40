import Protobuf
import ShimProtocol
import Testing

@Suite("Health: addresses of probes") struct NativeProbeTests {
    private func probe(_ text: String) -> NativeProbe? { try? NativeProbe(text) }

    @Test("what a probe looks at")
    func probes() {
        let local = NativeProbe.NetworkPlace(address: "127.0.0.1", port: 80)
        #expect(probe("http://localhost") == .http(local, path: "/"))
        #expect(probe("http://127.0.0.1:80/a?b=c#d") == .http(local, path: "/a?b=c"))
        #expect(probe("tcp://[::1]:8080") == .tcp(.init(address: "::1", port: 8080)))
        #expect(probe("http://[fe80::1]/x") == .http(.init(address: "fe80::1", port: 80), path: "/x"))
        #expect(probe("file:/run/ready") == .file(path: "/run/ready"))
        #expect(probe("file:///run/ready") == .file(path: "/run/ready"))
    }

    @Test(
        "what is none is refused",
        arguments: [
            "", "http:/x", "https://127.0.0.1", "tcp://127.0.0.1", "tcp://127.0.0.1:0", "tcp://127.0.0.1:65536", "tcp://127.0.0.1:+1x",
            "http://name", "http://[::1", "http://[::1]x", "http://127.0.0.1:/x", "http://127.0.0.1/a b", "http://127.0.0.1/\r\nx: y",
            "http://127.0.0.1/\u{7f}", "file:relative", "http://" + String(repeating: "1", count: 5000),
        ])
    func refusals(text: String) { #expect(probe(text) == nil) }

    @Test("a report comes back as it went")
    func reports() throws {
        var result = HealthResult()
        result.start = ProtobufTimestamp(unixNanoseconds: 1_000_000_001)
        result.end = ProtobufTimestamp(unixNanoseconds: 2_000_000_002)
        result.exitCode = -1
        result.output = [0, 255]
        var report = HealthReport()
        report.status = .unhealthy
        report.failingStreak = 3
        report.results = [result]
        var change = LifeChange(.health)
        change.health = report
        change.execID = "abc"
        let read = try LifeChange(decoding: change.encoded())
        #expect(read == change)
        #expect(!read.isTurn && LifeChange(.ended).isTurn && LifeChange(.checkEnded).isOfCheck)
    }
}
