import CoreTypes
import EngineAPI
import OCISpec
import Records
import Testing

@testable import Engine

/// What the engine wrote down and must read again, whatever version wrote it. A document of before a member was there lacks it: so what is required of a
/// document is required for ever, and each list here is of its first version. A new member is `@Defaulted` or optional, or old containers are lost.
@Suite struct RecordDocumentTests {
    private static let phase = ["version", "phase", "platform", "pid", "startedAt", "finishedAt", "exitCode", "error", "oomKilled"]

    @Test("a container's record needs what its first version had, and no more") func containers() throws {
        let expected =
            Self.phase + ["config", "hostConfig"]
            + ["name", "destination", "isReadOnly", "mode", "copiesImage"].map { "volumes[].\($0)" }
            + [
                "source", "destination", "mode", "isReadOnly", "readsOnlyRecursively", "propagation", "isRecursive", "makesSource",
            ].map { "inheritedBinds[].\($0)" } + ["action", "attributes", "time"].map { "untold[].\($0)" }
            + ["published", "exposed", "otherBindings", "otherExposed"].map { "portRuns.\($0)" }
            + ["transport", "first", "count", "places", "places[].hostIP", "places[].hostPort"].map { "portRuns.published[].\($0)" }
            + ["transport", "first", "count", "places"].map { "portRuns.exposed[].\($0)" } + [
                "userNamespace.users", "userNamespace.groups",
            ]
            + ["users", "groups"].flatMap { run in ["inside", "outside", "count"].map { "userNamespace.\(run)[].\($0)" } }
        let record = try fullContainer().record(
            id: try ContainerID(String(repeating: "ab", count: 32)), name: "web", created: .zero,
            image: try Digest("sha256:" + String(repeating: "0", count: 64)))
        #expect(try required(record.document) { try EngineJSON.decode(ContainerDocument.self, from: $0) } == Set(expected))
    }

    private func fullContainer() throws -> ContainerDocument {
        var (config, host) = (ContainerConfig(), HostConfig())
        (config.image, config.cmd, config.labels) = ("busybox", ["true"], ["a": "b"])
        for port in 8000..<8016 {
            var binding = PortBinding()
            (binding.hostIP, binding.hostPort) = ("127.0.0.1", "\(port)")
            host.portBindings.updateValue([binding], forKey: "\(port)/tcp")
            config.exposedPorts["\(port)/udp"] = EmptyObject()
        }
        var document = ContainerDocument(
            config: config, hostConfig: host, endpoints: ["bridge": EndpointSettings()], platform: "linux/amd64")
        document.volumes = [VolumeMount(name: "data", destination: "/data", subpath: "inner")]
        document.inheritedBinds = [try BindMount(parsing: "/srv:/srv:ro")]
        document.untold = [.init(action: "die", attributes: ["exitCode": "0"], time: 1, journalNumber: 2)]
        document.userNamespace = UserNamespaceIDs(
            users: [.init(inside: 0, outside: 100_000, count: 65_536)], groups: [.init(inside: 0, outside: 100_000, count: 65_536)])
        document.health = Health()
        return document
    }

    /// As they were written: the first ones of all, and those of before a member came.
    @Test(
        "a container's record of any former version is read",
        arguments: [
            "", #""networkEndpoints":{"bridge":{}},"#, #""restartCount":1,"isManuallyStopped":true,"lifeRevision":7,"#,
            #""volumes":[],"inheritedBinds":[],"removesVolumes":false,"networkEndpoints":{"bridge":{}},"restartCount":0,"#
                + #""isManuallyStopped":false,"lifeRevision":3,"#,
            #""volumes":[{"name":"v","destination":"/v","isReadOnly":false,"mode":"z","copiesImage":true}],"#
                + #""untold":[{"action":"die","attributes":{},"time":5}],"#,
        ])
    func former(members: String) throws {
        let text =
            #"{"version":1,"phase":"running","#
            + members
            + #""config":{"Image":"busybox","Cmd":["sleep","600"]},"hostConfig":{"NetworkMode":"bridge"},"platform":"linux/amd64","pid":42,"#
            + #""startedAt":"2026-11-21T03:00:00Z","finishedAt":"0001-01-01T00:00:00Z","exitCode":0,"error":"","oomKilled":false}"#
        let record = ContainerRecord(
            id: try ContainerID(String(repeating: "cd", count: 32)), name: "old", state: "running", created: .zero, imageID: nil,
            document: Array(text.utf8))
        let document = try ContainerDocument(record)
        #expect(document.phase == .running && document.pid == 42 && document.config.cmd == ["sleep", "600"])
        #expect(!document.readsOnlyTop && document.untold.allSatisfy { $0.journalNumber == 0 })
        // What is written of it is read again.
        #expect(try EngineJSON.decode(ContainerDocument.self, from: try EngineJSON.encode(document)) == document)
    }

    @Test("what is left of a removed container needs what its first version had") func destroyed() throws {
        let document = DestroyedContainer(event: .init(action: "destroy", attributes: [:], time: 1, journalNumber: 1), image: "busybox")
        #expect(
            try required(try EngineJSON.encode(document)) { try EngineJSON.decode(DestroyedContainer.self, from: $0) }
                == ["event", "event.action", "event.attributes", "event.time", "image"])
    }

    @Test("a network's record needs what its first version had") func networks() throws {
        var resource = NetworkResource()
        (resource.name, resource.driver, resource.options, resource.labels) = ("web", "bridge", ["a": "b"], ["c": "d"])
        var block = IPAMConfig()
        block.subnet = "10.1.0.0/16"
        resource.ipam.config = [block]
        let document = NetworkDocument(resource: resource, link: "apus-1", hasChosenBlocks: true)
        #expect(
            try required(try EngineJSON.encode(document)) { try EngineJSON.decode(NetworkDocument.self, from: $0) }
                == ["version", "resource", "link", "hasChosenBlocks"])
    }

    @Test("the file of a running container's network needs what its first version had") func attachments() throws {
        var endpoint = EndpointRecord(
            networkID: "1", networkName: "web", endpointID: "2", hostLink: "veth", insideLink: "eth0", macAddress: "02:00:00:00:00:01")
        (endpoint.opensV4, endpoint.opensV6, endpoint.linkLocalAddresses) = (true, false, ["169.254.1.1"])
        (endpoint.linkSettings, endpoint.links) = (["ipv4/conf/eth0/forwarding": "1"], ["db": "database"])
        var document = NetworkAttachment(sandboxID: "3", endpoints: [endpoint])
        let port = #"{"transport":"tcp","hostAddress":"0.0.0.0","hostPort":80,"containerPort":80,"count":2,"isDirect":true}"#
        document.ports = [try EngineJSON.decode(PublishedPort.self, from: Array(port.utf8))]
        document.nameServers = ["9.9.9.9"]
        let address = ["address", "prefixLength", "gateway"]
        let ofEndpoint =
            [
                "networkID", "networkName", "endpointID", "hostLink", "insideLink", "macAddress", "ipv4", "ipv6", "gatewayPriority",
                "isInternal", "dnsNames",
            ] + address.flatMap { ["ipv4.\($0)", "ipv6.\($0)"] }
        let expected =
            ["version", "sandboxID", "endpoints"] + ofEndpoint.map { "endpoints[].\($0)" }
            + ["transport", "hostAddress", "hostPort", "containerPort"].map { "ports[].\($0)" }
        #expect(try required(try EngineJSON.encode(document)) { try EngineJSON.decode(NetworkAttachment.self, from: $0) } == Set(expected))
    }

    @Test("the files of volumes and execs need what their first versions had") func volumesAndExecs() throws {
        let volume = VolumeDocument(created: .zero, options: ["size": "1m"], labels: ["a": "b"])
        #expect(
            try required(try EngineJSON.encode(volume)) { try EngineJSON.decode(VolumeDocument.self, from: $0) }
                == ["version", "created", "options", "labels"])
        var request = ExecCreateRequest()
        (request.cmd, request.env, request.user) = (["true"], ["A=b"], "0")
        let exec = ExecRecord(created: .zero, request: request, exitCode: 1)
        #expect(
            try required(try EngineJSON.encode(exec)) { try EngineJSON.decode(ExecRecord.self, from: $0) } == [
                "version", "created", "request",
            ])
    }

    /// Records hold these whole, and their members come and go with the API's versions.
    @Test("no document of the API that records hold requires a member") func documentsOfTheAPI() throws {
        func reads(_ type: (some EngineDocument).Type) throws {
            #expect(try EngineJSON.decode(type, from: Array("{}".utf8)) == .zero, "\(type)")
        }
        try reads(ContainerConfig.self)
        try reads(HostConfig.self)
        try reads(EndpointSettings.self)
        try reads(Health.self)
        try reads(NetworkResource.self)
        try reads(IPAMConfig.self)
        try reads(ExecCreateRequest.self)
        try reads(PortBinding.self)
        try reads(Mount.self)
        try reads(VolumeOptions.self)
        try reads(DeviceMapping.self)
        try reads(Ulimit.self)
    }

    /// The members that a document cannot lack, each by its place: taken away one at a time.
    private func required(_ document: [UInt8], read: ([UInt8]) throws -> some Any) throws -> Set<String> {
        _ = try read(document)
        var found: Set<String> = []
        for (place, rest) in try EngineJSON.decode(JSONTree.self, from: document).lackingOne where !found.contains(place) {
            if (try? read(try EngineJSON.encode(rest))) == nil { found.insert(place) }
        }
        return found
    }
}

/// Any JSON, for taking it apart.
private indirect enum JSONTree: Codable {
    case object([String: JSONTree]), list([JSONTree]), text(String), number(Int64), flag(Bool), null

    init(from decoder: any Decoder) throws {
        let value = try decoder.singleValueContainer()
        if value.decodeNil() {
            self = .null
        } else if let flag = try? value.decode(Bool.self) {
            self = .flag(flag)
        } else if let number = try? value.decode(Int64.self) {
            self = .number(number)
        } else if let text = try? value.decode(String.self) {
            self = .text(text)
        } else if let list = try? value.decode([JSONTree].self) {
            self = .list(list)
        } else {
            self = .object(try value.decode([String: JSONTree].self))
        }
    }

    func encode(to encoder: any Encoder) throws {
        var value = encoder.singleValueContainer()
        switch self {
        case .object(let members): try value.encode(members)
        case .list(let elements): try value.encode(elements)
        case .text(let text): try value.encode(text)
        case .number(let number): try value.encode(number)
        case .flag(let flag): try value.encode(flag)
        case .null: try value.encodeNil()
        }
    }

    /// The tree once for each member in it, without that member: by the member's place, in which the elements of a list are one.
    var lackingOne: [(place: String, rest: JSONTree)] {
        switch self {
        case .object(let members):
            members.flatMap { name, value -> [(place: String, rest: JSONTree)] in
                var without = members
                without[name] = nil
                return [(name, .object(without))]
                    + value.lackingOne.map { inner in
                        var changed = members
                        changed[name] = inner.rest
                        return (inner.place.hasPrefix("[]") ? name + inner.place : "\(name).\(inner.place)", .object(changed))
                    }
            }
        case .list(let elements):
            elements.indices.flatMap { index in
                elements[index].lackingOne.map { inner in
                    var changed = elements
                    changed[index] = inner.rest
                    return ("[].\(inner.place)", .list(changed))
                }
            }
        case .text, .number, .flag, .null: []
        }
    }
}
