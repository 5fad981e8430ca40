import EngineAPI
import Testing

@testable import Engine

@Suite struct ContainerOrderTests {
    @Test("what is needed begins first") func whatIsNeededBeginsFirst() {
        let order = ContainerOrder(needs: ["a": ["b"], "b": ["c"], "c": [], "d": [], "e": ["c", "d"]])
        #expect(order.waves == [["c", "d"], ["b", "e"], ["a"]])
    }

    @Test("who is not there is not waited for") func whoIsNotThereIsNotWaitedFor() {
        #expect(ContainerOrder(needs: ["a": ["gone"], "b": ["a"]]).waves == [["a"], ["b"]])
    }

    @Test("a circle is tried together, with those who need it") func aCircleIsTriedTogether() {
        #expect(ContainerOrder(needs: ["a": ["b"], "b": ["a"], "c": ["a"], "d": []]).waves == [["d"], ["a", "b", "c"]])
    }

    @Test("nothing has no order") func nothingHasNoOrder() { #expect(ContainerOrder(needs: [:]).waves.isEmpty) }

    @Test("namespaces, volumes and links name others") func namespacesVolumesAndLinksNameOthers() {
        var host = HostConfig()
        host.networkMode = "container:net"
        host.ipcMode = "container:ipc"
        host.pidMode = "host"
        host.links = ["linked:alias"]
        host.volumesFrom = ["data:ro"]
        #expect(Set(ContainerOrder.names(in: host)) == ["net", "ipc", "linked", "data"])
    }
}
