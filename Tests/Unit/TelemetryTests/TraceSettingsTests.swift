import Testing
import Tracing

@testable import Telemetry

@Suite("Traces' settings and contexts")
struct TraceSettingsTests {
    private func read(_ variables: String...) throws(TraceSettingsProblem) -> TraceSettings? {
        try TraceSettings(environment: variables, version: "1")
    }

    @Test("without an endpoint, or where the environment says so, there are no traces")
    func off() throws {
        #expect(try read() == nil)
        #expect(try read("OTEL_SERVICE_NAME=x") == nil)
        #expect(try read("OTEL_EXPORTER_OTLP_ENDPOINT=") == nil)
        #expect(try read("OTEL_EXPORTER_OTLP_ENDPOINT=http://a", "OTEL_TRACES_EXPORTER=none") == nil)
        #expect(try read("OTEL_EXPORTER_OTLP_ENDPOINT=nonsense", "OTEL_SDK_DISABLED=true") == nil)
    }

    @Test("the general endpoint is a folder, that of traces is taken as it is")
    func endpoints() throws {
        let general = try #require(try read("OTEL_EXPORTER_OTLP_ENDPOINT=http://collector:4318/x/"))
        #expect(general.host == "collector" && general.port == 4318 && general.path == "/x/v1/traces" && !general.isSecure)
        let own = try #require(try read("OTEL_EXPORTER_OTLP_ENDPOINT=http://a", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=https://[::1]/in"))
        #expect(own.host == "::1" && own.port == 443 && own.path == "/in" && own.isSecure)
        #expect(try read("OTEL_EXPORTER_OTLP_ENDPOINT=http://a")?.path == "/v1/traces")
    }

    @Test("headers and attributes are pairs, percent-encoded")
    func pairs() throws {
        let settings = try #require(
            try read(
                "OTEL_EXPORTER_OTLP_ENDPOINT=http://a", "OTEL_EXPORTER_OTLP_HEADERS=authorization=Basic%20x%3D%3D, tenant=7",
                "OTEL_RESOURCE_ATTRIBUTES=host.name=h,service.name=other", "OTEL_SERVICE_NAME=mine"))
        #expect(settings.headers == [.init(name: "authorization", value: "Basic x=="), .init(name: "tenant", value: "7")])
        #expect(settings.resource.filter { $0.name == "service.name" }.map(\.value) == ["mine"])
        #expect(settings.resource.contains(.init(name: "host.name", value: "h")))
    }

    @Test(
        "what is not served is refused by its name",
        arguments: [
            ("OTEL_EXPORTER_OTLP_PROTOCOL=grpc", "OTEL_EXPORTER_OTLP_PROTOCOL=grpc: it takes http/protobuf alone"),
            ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL=http/json", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL=http/json: it takes http/protobuf"),
            ("OTEL_TRACES_EXPORTER=zipkin", "OTEL_TRACES_EXPORTER=zipkin: it takes otlp or none"),
            ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=collector:4317", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=collector:4317: it takes http://"),
            ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=http://a:0", "it takes http://HOST"),
            ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=http://a/\r\nx: y", "it takes http://HOST"),
            ("OTEL_EXPORTER_OTLP_HEADERS=secret", "OTEL_EXPORTER_OTLP_HEADERS=…: it takes NAME=VALUE"),
            ("OTEL_EXPORTER_OTLP_HEADERS=a=%0D%0Ab", "OTEL_EXPORTER_OTLP_HEADERS=…"),
            ("OTEL_EXPORTER_OTLP_COMPRESSION=gzip", "it takes none"),
            ("OTEL_BSP_SCHEDULE_DELAY=soon", "OTEL_BSP_SCHEDULE_DELAY=soon: it takes a whole number from 1 to 600000"),
        ])
    func refusals(variable: String, reason: String) {
        #expect {
            try read("OTEL_EXPORTER_OTLP_ENDPOINT=http://a", variable)
        } throws: { "\($0)".contains(reason) }
    }

    @Test("a traceparent is read as W3C has it, or is none")
    func contexts() throws {
        let id = "0af7651916cd43dd8448eb211c80319c"
        let context = try #require(TraceContext(header: "00-\(id)-b7ad6b7169203331-01"))
        #expect(context.traceID.first == 0x0A && context.spanID.count == 8 && context.isSampled)
        #expect(TraceContext(header: "00-\(id)-b7ad6b7169203331-00")?.isSampled == false)
        #expect(TraceContext(header: "cc-\(id)-b7ad6b7169203331-01-more") != nil)
        for wrong in [
            "", "00", "00-\(id)-b7ad6b7169203331", "00-\(id.uppercased())-b7ad6b7169203331-01", "ff-\(id)-b7ad6b7169203331-01",
            "00-\(id)-0000000000000000-01", "00-00000000000000000000000000000000-b7ad6b7169203331-01", "00-\(id)-b7ad6b7169203331-01-more",
            "00-\(id)-b7ad6b716920333-01",
        ] {
            #expect(TraceContext(header: wrong) == nil, "\(wrong)")
        }
    }

    @Test("what finds no room is dropped and counted, and without a span nothing is measured")
    func dropping() async throws {
        let tracer = Tracer(capacity: 2) { 1 }
        for _ in 0..<5 { tracer.request("GET", parent: nil)?.end() }
        #expect(tracer.count == 2 && tracer.takeDropped() == 3 && tracer.takeDropped() == 0)
        let taken = try #require(tracer.take(10, resource: [], scope: (name: "s", version: "")))
        #expect(taken.count == 2 && tracer.take(10, resource: [], scope: (name: "s", version: "")) == nil)
        #expect(await traced("nothing") { TraceSpan.current == nil })
        #expect(tracer.request("GET", parent: TraceContext(header: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00")) == nil)
    }
}
