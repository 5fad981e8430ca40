// Rows: attacks
import CoreTypes
import OCISpec
import Testing

private let digest = "sha256:" + String(repeating: "ab", count: 32)
private func descriptor(_ type: MediaType, _ more: String = "") -> String {
    #"{"mediaType":"\#(type)","digest":"\#(digest)","size":7\#(more)}"#
}
private func platform(_ os: String, _ architecture: String, _ more: String = "") -> String {
    #","platform":{"os":"\#(os)","architecture":"\#(architecture)"\#(more)}"#
}

@Suite("Image documents")
struct ImageDocumentTests {
    private func problem(_ text: String, declared: MediaType? = nil) -> String? {
        do throws(SpecProblem) {
            _ = try ImageDocument.decode(Array(text.utf8), declaredType: declared)
            return nil
        } catch { return error.description }
    }

    private let manifest = #"{"schemaVersion":2,"config":\#(descriptor(.ociConfiguration)),"layers":[\#(descriptor(.ociLayerGzip))]}"#

    @Test("a manifest is read with its layers, in OCI's and in Docker's media types")
    func manifests() throws {
        guard case .manifest(let read) = try ImageDocument.decode(Array(manifest.utf8)) else {
            Issue.record("not a manifest")
            return
        }
        #expect(read.mediaType == .ociManifest)
        #expect(read.layers.map(\.mediaType.layerCompression) == [.gzip])
        #expect(read.configuration.sizeBytes == 7)
        #expect(try ImageDocument.decode(read.encode()) == .manifest(read))
        let docker =
            #"{"schemaVersion":2,"mediaType":"\#(MediaType.dockerManifest)","config":\#(descriptor(.dockerConfiguration)),"layers":[]}"#
        #expect(problem(docker, declared: .dockerManifest) == nil)
    }

    @Test("the best manifest for a platform is chosen, never an attestation")
    func choice() throws {
        let entries = [
            descriptor(
                .ociManifest, platform("unknown", "unknown") + #","annotations":{"vnd.docker.reference.type":"attestation-manifest"}"#),
            descriptor(.ociManifest, platform("windows", "amd64")), descriptor(.ociManifest, platform("linux", "386")),
            descriptor(.ociManifest, platform("linux", "arm", #","variant":"v6""#)),
            descriptor(.ociManifest, platform("linux", "arm", #","variant":"v7""#)),
            descriptor(.ociManifest, platform("linux", "amd64")),
        ]
        let text = #"{"schemaVersion":2,"mediaType":"\#(MediaType.ociIndex)","manifests":[\#(entries.joined(separator: ","))]}"#
        guard case .index(let index) = try ImageDocument.decode(Array(text.utf8), declaredType: .ociIndex) else {
            Issue.record("not an index")
            return
        }
        #expect(index.best(for: try Platform(parsing: "linux/amd64"))?.platform?.description == "linux/amd64")
        #expect(index.best(for: try Platform(parsing: "linux/arm64"))?.platform?.description == "linux/arm/v7")
        #expect(index.best(for: try Platform(parsing: "linux/arm/v6"))?.platform?.description == "linux/arm/v6")
        #expect(index.best(for: try Platform(parsing: "linux/s390x")) == nil)
        #expect(try ImageDocument.decode(index.encode()) == .index(index))
    }

    @Test(
        "D12 a document that could be taken for another kind is refused",
        arguments: [
            (
                #"{"schemaVersion":2,"manifests":[],"layers":[],"config":\#(descriptor(.ociConfiguration))}"#, nil,
                "ambiguous document: it has both manifests and layers"
            ),
            (
                #"{"schemaVersion":2,"manifests":[],"config":\#(descriptor(.ociConfiguration))}"#, nil,
                "ambiguous document: it has both manifests and config"
            ),
            (
                #"{"schemaVersion":2,"mediaType":"\#(MediaType.ociManifest)","manifests":[]}"#, nil,
                "has manifests, but its media type is \(MediaType.ociManifest)"
            ),
            (
                #"{"schemaVersion":2,"mediaType":"\#(MediaType.ociIndex)","config":\#(descriptor(.ociConfiguration)),"layers":[]}"#, nil,
                "its media type is \(MediaType.ociIndex), but it has no manifests"
            ),
            (
                #"{"schemaVersion":2,"mediaType":"\#(MediaType.ociIndex)","manifests":[]}"#, .ociManifest,
                "declared as \(MediaType.ociManifest), but mediaType says \(MediaType.ociIndex)"
            ),
            (#"{"schemaVersion":2,"manifests":[]}"#, .ociManifest, "has manifests, but its media type is \(MediaType.ociManifest)"),
            (#"{"schemaVersion":2,"manifests":[],"fsLayers":[]}"#, nil, "schemaVersion must be 2, found 2"),
            (
                #"{"schemaVersion":1,"fsLayers":[]}"#, nil,
                "Docker schema 1 manifests are not supported: push the image again with a current tool"
            ),
            (
                #"{"schemaVersion":2,"mediaType":"text/html","config":\#(descriptor(.ociConfiguration)),"layers":[]}"#, nil,
                "unsupported media type text/html"
            ),
            (#"{"manifests":[]}"#, nil, "schemaVersion must be 2, found none"),
        ] as [(String, MediaType?, String)])
    func ambiguous(_ text: String, _ declared: MediaType?, _ message: String) {
        #expect(problem(text, declared: declared) == message)
    }

    @Test(
        "D13 E04 a hostile descriptor is refused with its member named",
        arguments: [
            (#""size":9223372036854775808"#, "out of range"), (#""size":-1"#, "must not be negative"),
            (#""size":1e3"#, "expected an integer"), (#""size":NaN"#, "expected an integer"),
            (#""digest":"sha256:../../x""#, "invalid checksum digest length"),
            (#""digest":"\#(digest)","digest":"\#(digest)""#, "duplicate member"),
            (#""platform":{"os":"linux"}"#, "config.platform.architecture: is required"),
        ])
    func hostile(_ member: String, _ message: String) {
        var members = [#""mediaType":"a/b""#, #""digest":"\#(digest)""#, #""size":1"#]
        members.removeAll { $0.hasPrefix(String(member.prefix(6))) }
        let text = #"{"schemaVersion":2,"layers":[],"config":{\#((members + [member]).joined(separator: ","))}}"#
        let found = problem(text) ?? ""
        #expect(found.hasPrefix("config") && found.contains(message), "\(found)")
    }

    @Test("D13 a document with too many descriptors, too long or too deep is refused")
    func sizes() {
        let many = [String](repeating: descriptor(.ociLayer), count: 1025).joined(separator: ",")
        #expect(
            problem(#"{"schemaVersion":2,"config":\#(descriptor(.ociConfiguration)),"layers":[\#(many)]}"#)
                == "layers[1024]: more than 1024 descriptors")
        #expect(problem(String(repeating: " ", count: 4 << 20) + manifest)?.contains("at most 4194304 are allowed") == true)
        #expect(problem(#"{"x":"# + String(repeating: "[", count: 100_000))?.contains("nested deeper than 16 levels") == true)
    }

    @Test("a command may be one word, as Docker reads it")
    func words() throws {
        let text = #"""
            {"architecture":"amd64","os":"linux","config":{"Entrypoint":"/e x","Cmd":"y","Shell":"/sh"},
            "rootfs":{"type":"layers","diff_ids":[]}}
            """#
        let execution = try ImageConfiguration.decode(Array(text.utf8)).execution
        #expect(execution.entrypoint == ["/e x"])
        #expect(execution.command == ["y"])
        #expect(execution.shell == ["/sh"])
    }

    @Test("a configuration of OCI or Docker survives decoding and encoding")
    func configuration() throws {
        let text = #"""
            {"created":"2024-01-02T03:04:05.678Z","author":"a","architecture":"amd64","os":"linux","os.version":"1","config":{"User":"1:2","ExposedPorts":{"80/tcp":{},"53/udp":{}},
            "Env":["A=b"],"Entrypoint":["/e"],"Cmd":null,"Volumes":{"/v":{}},"WorkingDir":"/w","Labels":{"l":"m"},"StopSignal":"SIGINT","ArgsEscaped":true,"Shell":["/bin/sh"],
            "OnBuild":["RUN x"],"Healthcheck":{"Test":["CMD","x"],"Interval":1000000000,"Retries":3},"Hostname":"ignored"},
            "rootfs":{"type":"layers","diff_ids":["\#(digest)"]},"history":[{"created":"2024-01-02T03:04:05Z","created_by":"x","empty_layer":true},{"comment":"y"}]}
            """#
        let configuration = try ImageConfiguration.decode(Array(text.utf8))
        #expect(try ImageConfiguration.decode(configuration.encode()) == configuration)
        #expect(configuration.execution.exposedPorts == ["53/udp", "80/tcp"])
        #expect(configuration.execution.entrypoint == ["/e"])
        #expect(configuration.execution.command == nil)
        #expect(configuration.execution.healthcheck?.intervalNanoseconds == 1_000_000_000)
        #expect(configuration.history.map(\.isEmptyLayer) == [true, false])
        #expect(configuration.created?.description == "2024-01-02T03:04:05.678Z")
    }

    @Test("layouts and registries' errors are read")
    func others() throws {
        try ImageLayout.checkMarker(ImageLayout.marker)
        #expect(throws: SpecProblem.self) { try ImageLayout.checkMarker(Array(#"{"imageLayoutVersion":"2.0.0"}"#.utf8)) }
        let errors = try DistributionErrors.decode(
            Array(#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown","detail":{"Tag":"x"}}]}"#.utf8))
        #expect(errors.description == "manifest unknown: manifest unknown")
        #expect(errors.entries.first?.detail == #"{"Tag":"x"}"#)
    }
}
