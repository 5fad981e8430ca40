import CoreTypes
import EngineAPI
import Testing

@Suite("Documents of the Engine API")
struct DocumentTests {
    private func text(_ document: some Encodable) throws -> String {
        String(decoding: try EngineJSON.encode(document).dropLast(), as: UTF8.self)
    }

    private func decode<Document: Decodable>(_ type: Document.Type, _ text: String) throws -> Document {
        try EngineJSON.decode(type, from: Array(text.utf8))
    }

    @Test("missing, null and unknown fields of a create request leave the zero values")
    func tolerantDecoding() throws {
        let request = try decode(
            ContainerCreateRequest.self,
            #"{"Image":"busybox","Cmd":null,"Env":null,"Labels":null,"Unknown":{"a":[1]},"HostConfig":{"Binds":null,"Memory":null}}"#)
        #expect(request.config.image == "busybox")
        #expect(request.config.cmd == nil)
        #expect(request.config.env.isEmpty)
        #expect(request.hostConfig == HostConfig())
        #expect(request.networkingConfig == NetworkingConfig())
    }

    @Test("the docker CLI's create request is read whole")
    func createRequest() throws {
        let request = try decode(
            ContainerCreateRequest.self,
            #"""
            {"Hostname":"","Tty":true,"OpenStdin":true,"StdinOnce":true,"Env":["A=b"],"Cmd":["sh","-c","true"],"Image":"busybox",
             "ExposedPorts":{"80/tcp":{}},"Volumes":{},"Entrypoint":["/init"],"StopTimeout":3,
             "HostConfig":{"Binds":["/a:/b:ro"],"NetworkMode":"default","PortBindings":{"80/tcp":[{"HostIp":"","HostPort":"8080"}]},
              "AutoRemove":true,"ConsoleSize":[24,80],"CapAdd":["ALL"],"PidsLimit":5,"OomKillDisable":false,"Init":true,
              "Ulimits":[{"Name":"nofile","Hard":10,"Soft":5}],"NanoCpus":1500000000,"ReadonlyPaths":[]},
             "NetworkingConfig":{"EndpointsConfig":{"default":null,"other":{"Aliases":["x"]}}}}
            """#)
        #expect(request.config.cmd == ["sh", "-c", "true"])
        #expect(request.config.entrypoint == ["/init"])
        #expect(request.config.exposedPorts.keys.sorted() == ["80/tcp"])
        #expect(request.config.stopTimeout == 3)
        #expect(request.hostConfig.binds == ["/a:/b:ro"])
        #expect(request.hostConfig.portBindings["80/tcp"]??.first?.hostPort == "8080")
        #expect(request.hostConfig.consoleSize == [24, 80])
        #expect(request.hostConfig.capAdd == ["ALL"])
        #expect(request.hostConfig.pidsLimit == 5)
        #expect(request.hostConfig.oomKillDisable == false)
        #expect(request.hostConfig.initProcess == true)
        #expect(request.hostConfig.ulimits.first?.soft == 5)
        #expect(request.hostConfig.readonlyPaths == [])
        #expect(request.hostConfig.maskedPaths == nil)
        #expect(request.networkingConfig.endpointsConfig["other"]??.aliases == ["x"])
        #expect(try decode(ContainerCreateRequest.self, text(request)) == request)
    }

    @Test("a command may be one word", arguments: [#"{"Cmd":"true"}"#, #"{"Cmd":["true"]}"#])
    func stringSlice(json: String) throws {
        #expect(try decode(ContainerConfig.self, json).cmd == ["true"])
    }

    @Test("a field of the wrong type is refused by its path")
    func wrongType() {
        #expect {
            try decode(ContainerCreateRequest.self, #"{"HostConfig":{"Memory":"much"}}"#)
        } throws: { error in
            (error as? DocumentError)?.path == "HostConfig.Memory"
        }
    }

    @Test("nesting without end is refused, not followed")
    func nesting() {
        let text = String(repeating: #"{"HostConfig":"#, count: 10_000)
        #expect(throws: DocumentError.self) { try decode(ContainerCreateRequest.self, text) }
        #expect(throws: DocumentError.self) { try decode(ContainerCreateRequest.self, String(repeating: "[", count: 100_000)) }
    }

    @Test("empty fields are written as Go writes them: kept, null or left out")
    func emptyFields() throws {
        let config = try text(ContainerConfig())
        #expect(config.contains(#""Cmd":null"#))
        #expect(config.contains(#""Env":[]"#))
        #expect(config.contains(#""Volumes":null"#))
        #expect(!config.contains("ExposedPorts"))
        let host = try text(HostConfig())
        #expect(host.contains(#""PidsLimit":null"#))
        #expect(host.contains(#""Binds":null"#))
        #expect(!host.contains(#""Mounts""#))
        #expect(!host.contains(#""Init""#))
    }

    @Test("slashes are not escaped")
    func slashes() throws {
        #expect(try text(ErrorResponse("a/b")) == #"{"message":"a/b"}"#)
    }

    @Test("a moment that never was is Go's zero time")
    func zeroTime() throws {
        #expect(try text(ContainerState()).contains(#""FinishedAt":"0001-01-01T00:00:00Z""#))
    }

    @Test("an inspected image has VirtualSize and ContainerConfig before they went, and not after")
    func imageShapes() throws {
        var image = ImageInspect()
        image.size = 7
        image.config = ImageConfig()
        let old = try text(image.shaped(for: APIVersion(1, 41)))
        #expect(old.contains(#""VirtualSize":7"#))
        #expect(old.contains(#""ContainerConfig":{"#))
        #expect(old.contains(#""AttachStdin":false"#))
        let new = try text(image.shaped(for: APIVersion(1, 50)))
        #expect(!new.contains("VirtualSize"))
        #expect(!new.contains("ContainerConfig"))
        #expect(!new.contains("AttachStdin"))
    }

    @Test("an endpoint has DNSNames and GwPriority only for clients that know them")
    func endpointShapes() throws {
        let old = try text(EndpointSettings().shaped(for: APIVersion(1, 41)))
        #expect(!old.contains("DNSNames") && !old.contains("GwPriority"))
        let new = try text(EndpointSettings().shaped(for: APIVersion(1, 50)))
        #expect(new.contains(#""DNSNames":[]"#) && new.contains(#""GwPriority":0"#))
    }

    @Test("an image's configuration keeps what the image set, and drops what only a container has")
    func imageConfig() throws {
        let config = try decode(ImageConfig.self, #"{"Hostname":"x","Env":["A=b"],"Cmd":["sh"],"WorkingDir":"/w","Entrypoint":null}"#)
        #expect(try text(config) == #"{"Cmd":["sh"],"Env":["A=b"],"WorkingDir":"/w"}"#)
    }
}
