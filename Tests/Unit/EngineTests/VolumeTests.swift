// Rows: attacks
import CoreTypes
import EngineAPI
import LinuxSyscalls
import OCISpec
import Testing

@testable import Engine

@Suite struct VolumeTests {
    private func plan(
        binds: [String] = [], declared: [String] = [], from sources: [(String, ContainerDocument)] = []
    ) throws -> VolumePlan {
        var host = HostConfig()
        host.binds = binds
        var config = ContainerConfig()
        config.volumes = Dictionary(uniqueKeysWithValues: declared.map { ($0, EmptyObject()) })
        return try VolumePlan(config: config, host: host, sources: try sources.map { (try VolumesFrom(parsing: $0.0), $0.1) })
    }

    private func document(binds: [String] = [], volumes: [VolumeMount] = []) -> ContainerDocument {
        var host = HostConfig()
        host.binds = binds
        var document = ContainerDocument(config: ContainerConfig(), hostConfig: host, endpoints: [:], platform: "linux/amd64")
        document.volumes = volumes
        return document
    }

    @Test("a word of -v is a volume unless it begins with a path of the host")
    func words() throws {
        #expect(try VolumeRequest(parsing: "/srv:/data") == nil)
        let named = try #require(try VolumeRequest(parsing: "data:/srv/../x/:ro,nocopy"))
        #expect(named.name == "data" && named.destination == "/x" && named.isReadOnly && !named.copiesImage && named.mode == "ro,nocopy")
        #expect(try VolumeRequest(parsing: "data:/x")?.mode == "z")
        let anonymous = try #require(try VolumeRequest(parsing: "/x"))
        #expect(anonymous.name == nil && anonymous.mode.isEmpty && anonymous.copiesImage)
    }

    @Test(
        "a volume that cannot be is refused in Docker's words",
        arguments: [
            ("a:/x", "create a: volume name is too short, names should be at least two alphanumeric characters"),
            (
                "data:x",
                "invalid volume specification: 'data:x': invalid mount config for type \"volume\": invalid mount path: 'x' mount path must be absolute"
            ),
            (
                "data:/x:rshared",
                "invalid volume specification: 'data:/x:rshared': invalid mount config for type \"volume\": field BindOptions must not be specified"
            ),
            ("data:ro", "invalid volume specification: 'data:ro'"), ("data:/x:fast", "invalid mode: fast"),
            ("data:/x:ro,rw", "invalid mode: ro,rw"), ("data::ro", "invalid volume specification: 'data::ro'"),
            ("a:b:c:d", "invalid volume specification: 'a:b:c:d'"), ("", "invalid volume specification: ''"),
        ])
    func refusedWords(text: String, message: String) {
        #expect(refusal { _ = try VolumeRequest(parsing: text) }?.message == message)
    }

    @Test("owners of a bind's files are shown otherwise by one word, and a volume has no such word")
    func ownerMappings() throws {
        let word = "idmap=uids=1000-0-1#0-1000-1;gids=@0-0-1"
        #expect(try BindMount(parsing: "/srv:/x:ro,\(word)").ownerMapping == word)
        #expect(try BindMount(parsing: "/srv:/x:\(word)").configuration.options.last == word)
        #expect(try BindMount(parsing: "/srv:/x:idmap").ownerMapping == "idmap")
        for text in ["/srv:/x:idmap,idmap", "/srv:/x:idmap=uids=;gids=", "/srv:/x:idmap=uids=0-0-1", "/srv:/x:\(word),\(word)"] {
            #expect(refusal { _ = try BindMount(parsing: text) }?.message.hasPrefix("invalid mode: ") == true, "\(text)")
        }
        #expect(refusal { _ = try VolumeRequest(parsing: "data:/x:\(word)") }?.message == "invalid mode: \(word)")
    }

    @Test("F10: a path inside a volume is relative, and no .. leads above it", arguments: ["/etc", "..", "a/../../b", "a\0b"])
    func subpaths(path: String) {
        var mount = Mount()
        mount.source = "data"
        mount.volumeOptions = VolumeOptions()
        mount.volumeOptions?.subpath = path
        #expect(refusal { _ = try VolumeRequest(mount, at: "/x") }?.message == "subpath must be a relative path within the volume")
        mount.volumeOptions?.subpath = "a/../b"
        #expect(throws: Never.self) { try VolumeRequest(mount, at: "/x") }
    }

    @Test("D14: a name is one component of a path", arguments: ["../x", "..", "a/b", ".hidden", "-x", "a\0b", "é1", "x y"])
    func names(name: String) {
        #expect(refusal { try VolumeNames.check(name) }?.code == .invalidParameter)
    }

    @Test("what is asked for by its place comes before what others have, and that before what the image declares")
    func precedence() throws {
        let other = document(
            binds: ["/srv:/b", "/srv:/c:ro"],
            volumes: [VolumeMount(name: "va", destination: "/a"), VolumeMount(name: "vd", destination: "/d", isReadOnly: true)])
        let plan = try plan(binds: ["mine:/a", "/srv:/z"], declared: ["/d", "/z", "/e/"], from: [("other", other)])
        #expect(plan.requests.map(\.name) == ["mine", nil] && plan.requests.map(\.destination) == ["/a", "/e"])
        #expect(plan.shared.map(\.name) == ["vd"] && plan.shared.allSatisfy { $0.isReadOnly && !$0.copiesImage })
        #expect(plan.inheritedBinds.map(\.destination) == ["/b", "/c"] && plan.inheritedBinds.map(\.isReadOnly) == [false, true])
    }

    @Test("of two containers the later counts, and :ro takes writing away without giving it")
    func sources() throws {
        let first = document(binds: ["/one:/x"], volumes: [VolumeMount(name: "vb", destination: "/y")])
        let second = document(binds: ["/two:/y:rw,rslave"], volumes: [VolumeMount(name: "vx", destination: "/x")])
        let plan = try plan(from: [("first", first), ("second:ro", second)])
        #expect(plan.shared == [VolumeMount(name: "vx", destination: "/x", isReadOnly: true, copiesImage: false)])
        let inherited = try #require(plan.inheritedBinds.first)
        #expect(inherited.source == "/two" && inherited.propagation == "rslave" && inherited.isReadOnly)
        #expect(refusal { _ = try VolumesFrom(parsing: "first:fast") }?.message == "invalid mode: fast")
    }

    @Test("one place is taken once")
    func duplicates() {
        #expect(refusal { _ = try plan(binds: ["va:/x", "/srv:/x/"]) }?.message == "Duplicate mount point: /x")
    }

    @Test("what the options mount follows from them alone")
    func options() throws {
        #expect(LocalVolumeDriver.mount([:]) == nil)
        let memory = try #require(LocalVolumeDriver.mount(["type": "tmpfs", "device": "tmpfs", "o": "size=1m,uid=5"]))
        #expect(memory.type == "tmpfs" && memory.source == "tmpfs" && memory.options == ["size=1m", "uid=5"])
        #expect(LocalVolumeDriver.mount(["type": "none", "device": "/srv", "o": "bind"])?.type == "bind")
        #expect(
            refusal { try LocalVolumeDriver.check(["device": "/srv"], of: "va") }?.message == "create va: missing required option: \"type\""
        )
        let untyped = ["type": "", "device": "/srv", "o": "bind"]
        #expect(refusal { try LocalVolumeDriver.check(untyped, of: "va") } == nil)
        #expect(LocalVolumeDriver.mount(untyped) == FstabMount(type: "", source: "/srv", options: ["bind"]))
        let empty = ["type": "", "device": "", "o": ""]
        #expect(LocalVolumeDriver.mount(empty) == nil && refusal { try LocalVolumeDriver.check(empty, of: "va") } == nil)
        #expect(refusal { try LocalVolumeDriver.check(["type": "", "device": "", "o": "bind"], of: "va") } != nil)
    }

    @Test(
        "a server's name is looked up, an address is not, and the kernel's own file systems have no servers",
        arguments: [
            ("nfs", ":/e", "addr=server,rw", "addr=192.0.2.1,rw"), ("nfs4", ":/e", "rw,addr=192.0.2.9", "rw,addr=192.0.2.9"),
            ("nfs", ":/e", "addr=fd00::1", "addr=fd00::1"), ("cifs", "//server/s", "username=u", "username=u,addr=192.0.2.1"),
            ("cifs", "//192.0.2.9/s", "username=u", "username=u"), ("cifs", "//other/s", "ip=server", "ip=192.0.2.1"),
            ("nfs", ":/e", "addr=", "addr="), ("tmpfs", "tmpfs", "addr=server", "addr=server"),
        ])
    func servers(type: String, device: String, options: String, resolved: String) throws {
        let mount = try #require(LocalVolumeDriver.mount(["type": type, "device": device, "o": options]))
        let found = try LocalVolumeDriver.resolved(mount) { name throws(EngineError) in
            guard name == "server" else { throw EngineError(.system, "no \(name)") }
            return "192.0.2.1"
        }
        #expect(found.options.joined(separator: ",") == resolved && found.source == device && found.type == mount.type)
        let stranger = FstabMount(type: "nfs", source: ":/e", options: ["addr=stranger"])
        #expect(throws: EngineError.self) {
            _ = try LocalVolumeDriver.resolved(stranger) { name throws(EngineError) in throw EngineError(.system, "no \(name)") }
        }
    }
}
