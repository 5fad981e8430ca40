import Cgroups
import LinuxSyscalls
import OCISpec
import SystemPackage
import Testing

/// A plain directory stands for resctrl, which few machines have: the writes are the same, but directories fill with files by themselves there.
@Suite("Groups of resctrl")
struct ResourceControlTests {
    private func root(_ name: String) throws -> FilePath {
        let path = FilePath("/tmp/apus-resctrl-\(processID())-\(name)")
        try makeDirectory(path)
        return path
    }

    private func text(_ path: FilePath) throws -> String { String(decoding: try readFile(path, limitBytes: 4096), as: UTF8.self) }

    private func configuration(_ closID: String? = nil, l3: String? = nil, bandwidth: String? = nil, schemata: [String] = []) -> IntelRdt {
        var configuration = IntelRdt()
        configuration.closID = closID
        configuration.l3CacheSchema = l3
        configuration.memBwSchema = bandwidth
        configuration.schemata = schemata
        return configuration
    }

    @Test("the container's own group is made with its schemata and its process, and goes with it")
    func own() throws {
        let root = try root("own")
        var asked = configuration(l3: "L3:0=ff\nMB:0=10", bandwidth: "MB:0=50", schemata: ["L2:0=f"])
        asked.enableMonitoring = true
        let group = try ResourceControlGroup(asked, container: "web", root: root)
        #expect(group.isOwn && group.directory == "\(root)/web" && group.monitor == "\(root)/web/mon_groups/web")
        #expect((try? fileStatus(FilePath(group.directory))) == nil)
        try group.make(asked, process: 42)
        #expect(try text(FilePath("\(root)/web/schemata")) == "L3:0=ff\nMB:0=50\nL2:0=f\n")
        #expect(try text(FilePath("\(root)/web/tasks")) == "42")
        #expect(try text(FilePath("\(root)/web/mon_groups/web/tasks")) == "42")
        for path in ["web/mon_groups/web/tasks", "web/schemata", "web/tasks"] { try removeFile(root.pushing(FilePath(path))) }
        // resctrl removes a group with its mon_groups.
        try removeDirectory(FilePath("\(root)/web/mon_groups/web"))
        try removeDirectory(FilePath("\(root)/web/mon_groups"))
        try group.remove()
        try group.remove()
        #expect((try? fileStatus(FilePath(group.directory))) == nil)
        try removeDirectory(root)
    }

    @Test("a group of others is entered where it says what is asked for, and stays")
    func others() throws {
        let root = try root("others")
        let place = root.appending("gold")
        try makeDirectory(place)
        let file = try openFile(place.appending("schemata"), [.writeOnly, .create], mode: 0o644)
        try writeAll(Array("    L3:0=00ff;1=0f0\n    MB:0=100\n".utf8), to: file.number, subject: "schemata")
        for (asked, isRefused) in [
            (configuration("gold"), false), (configuration("gold", l3: "L3:0=ff"), false),
            (configuration("gold", schemata: ["L3:1=F0;0=ff"]), false),
            (configuration("gold", l3: "L3:0=f"), true), (configuration("gold", bandwidth: "MB:0=10"), true),
            (configuration("silver"), true),
            (configuration("../x"), true), (configuration("info"), true), (configuration(""), true),
        ] {
            let group = try? ResourceControlGroup(asked, container: "web", root: root)
            #expect((group == nil) == isRefused, "\(asked)")
            #expect(group?.isOwn != true)
        }
        let group = try ResourceControlGroup(configuration("gold"), container: "web", root: root)
        try group.make(configuration("gold"), process: 7)
        #expect(try text(place.appending("tasks")) == "7")
        try group.remove()
        #expect(try text(place.appending("schemata")).contains("L3:0=00ff"))
        for name in ["schemata", "tasks"] { try removeFile(place.appending(name)) }
        try removeDirectory(place)
        try removeDirectory(root)
    }
}
