import CoreTypes
import EngineAPI
import Networking
import Records
import Testing

@testable import Engine

@Suite struct PortTests {
    /// Published ports as the API's map has them: `80/tcp` to places on the host.
    private func bindings(_ entries: [(String, [(String, String)])]) -> PortMap {
        var map: PortMap = [:]
        for (key, places) in entries {
            map.updateValue(
                places.map { place in
                    var binding = PortBinding()
                    (binding.hostIP, binding.hostPort) = place
                    return binding
                }, forKey: key)
        }
        return map
    }

    private typealias Entries = [(String, [(String, String)])]

    private func range(_ ports: ClosedRange<Int>, to first: Int, _ address: String = "", transport: String = "tcp") -> Entries {
        var entries: Entries = []
        for port in ports { entries.append(("\(port)/\(transport)", [(address, String(first + port - ports.lowerBound))])) }
        return entries
    }

    private func exposed(_ map: PortMap) -> [String: EmptyObject] { map.mapValues { _ in EmptyObject() } }

    @Test("what is changed again and again is put back later and later, and at once again after a calm")
    func repairPacing() {
        var pacing = RepairPacing()
        let second: Int64 = 1_000_000_000
        for number in 1..<RepairPacing.promptRepairs { #expect(pacing.repaired("a", now: Int64(number)) == nil) }
        #expect(pacing.repaired("b", now: 9) == nil && !pacing.isResting("a"))
        #expect(pacing.repaired("a", now: 10) == .seconds(1) && pacing.isResting("a") && !pacing.isResting("b"))
        pacing.endRest(of: "a")
        #expect(!pacing.isResting("a") && pacing.repaired("a", now: second) == .seconds(2))
        for _ in 0..<10 { #expect(pacing.repaired("a", now: second).map { $0 <= .seconds(32) } == true) }
        pacing.endRest(of: "a")
        #expect(pacing.repaired("a", now: 62 * second) == nil)
    }

    @Test("ports in a row are one entry of a record, and what is read from it is what was written")
    func runs() throws {
        let odd = bindings([
            ("99/tcp", [("", "")]), ("5000/udp", [("", "9000-9010")]), ("007/tcp", [("", "7")]), ("53", [("", "53")]),
            ("54/TCP", [("", "54")]),
        ])
        var map = bindings(range(100...1099, to: 20_000) + range(2000...2999, to: 30_000, "127.0.0.1", transport: "udp"))
        for port in 200...299 {
            let places: [(String, String)] = [("", String(19_900 + port)), ("::1", String(4000 + port))]
            map.merge(bindings([("\(port)/tcp", places)])) { $1 }
        }
        map.merge(odd) { $1 }
        map.updateValue(nil, forKey: "55/tcp")
        var (config, host) = (ContainerConfig(), HostConfig())
        (config.exposedPorts, host.portBindings) = (exposed(map), map)
        let document = ContainerDocument(config: config, hostConfig: host, endpoints: [:], platform: "linux/amd64")
        let runs = try #require(document.portRuns)
        let found = runs.published.map { [Int($0.first), Int($0.count), $0.places.count] }
        #expect(found == [[100, 100, 1], [200, 100, 2], [300, 800, 1], [2000, 1000, 1]])
        #expect(Set(runs.otherBindings.keys) == ["99/tcp", "5000/udp", "007/tcp", "53", "54/TCP", "55/tcp"])
        let id = try ContainerID(String(repeating: "ab", count: 32))
        let image = try Digest("sha256:" + String(repeating: "cd", count: 32))
        let record = try document.record(id: id, name: "one", created: .zero, image: image)
        #expect(record.document.count < 8000)
        #expect(try ContainerDocument(record) == document)
        // What a start asks for is the same by either way.
        func singles(_ requests: [PortRequest]) -> Set<String> {
            Set(
                requests.flatMap { request in
                    (0..<request.count).map { index in
                        let places = request.hostPorts.map { request.count > 1 ? "\($0.lowerBound + index)" : text(of: $0) } ?? "any"
                        return
                            "\(request.containerPort + index)/\(request.transport) \(request.hostAddress.map(\.description) ?? "") \(places)"
                    }
                })
        }
        func text(of ports: ClosedRange<UInt16>) -> String { ports.count == 1 ? "\(ports.lowerBound)" : "\(ports)" }
        // `54/TCP` and `007/tcp` are read as what they mean.
        #expect(singles(try PortRequest.all(config, host, runs: runs)) == singles(try PortRequest.all(config, host)))
    }

    @Test("few ports are written as the API has them, which earlier engines read")
    func few() throws {
        var host = HostConfig()
        host.portBindings = bindings(range(80...94, to: 8080))
        let document = ContainerDocument(config: ContainerConfig(), hostConfig: host, endpoints: [:], platform: "linux/amd64")
        #expect(document.portRuns == nil && document.version == 1)
    }

    @Test("a record whose runs are no ports is refused")
    func damaged() throws {
        var host = HostConfig()
        host.portBindings = bindings(range(80...179, to: 8080))
        let document = ContainerDocument(config: ContainerConfig(), hostConfig: host, endpoints: [:], platform: "linux/amd64")
        let id = try ContainerID(String(repeating: "ab", count: 32))
        let image = try Digest("sha256:" + String(repeating: "cd", count: 32))
        let record = try document.record(id: id, name: "one", created: .zero, image: image)
        let damages = [("count", 100, 0), ("count", 100, 65_535), ("hostPort", 8080, 0), ("first", 80, 0)]
        for (name, right, wrong) in damages {
            let (word, other) = ("\"\(name)\":\(right)", "\"\(name)\":\(wrong)")
            let text = String(decoding: record.document, as: UTF8.self)
            #expect(text.contains(word))
            let parts = text.split(separator: word, omittingEmptySubsequences: false)
            let damaged = ContainerRecord(
                id: id, name: "one", state: "created", created: .zero, imageID: image, document: Array(parts.joined(separator: other).utf8))
            #expect(refusal { _ = try ContainerDocument(damaged) }?.message.contains("names ports that are none") == true, "\(other)")
        }
    }

    @Test("ranges are taken and given back whole, beside others on other addresses")
    func table() throws {
        func request(_ ports: ClosedRange<UInt16>, _ address: String? = nil) -> PortRequest {
            PortRequest(
                transport: .tcp, containerPort: 100, hostAddress: address.flatMap { IPAddress($0) }, hostPorts: ports,
                count: UInt16(ports.count))
        }
        var table = PortTable()
        let first = try table.take([request(18_400...18_527, "127.0.0.1")], families: [.v4, .v6])
        #expect(first.count == 1 && first.first?.count == 128 && first.first?.singles.count == 128)
        for (ports, address, refused) in [
            (UInt16(18_300)...18_400, String?.none, "0.0.0.0:18400"), (18_527...18_600, "127.0.0.1", "127.0.0.1:18527"),
            (18_450...18_450, "0.0.0.0", "0.0.0.0:18450"),
        ] {
            let said = refusal { _ = try table.take([request(ports, address)], families: [.v4, .v6]) }?.message
            #expect(said == "Bind for \(refused) failed: port is already allocated")
        }
        // Other addresses and what lies beside them are free, and of a request that is refused nothing stays taken.
        let beside = try table.take([request(18_400...18_527, "127.0.0.2"), request(18_528...18_600)], families: [.v4])
        #expect(refusal { _ = try table.take([request(18_700...18_800), request(18_527...18_527)], families: [.v4]) } != nil)
        let after = try table.take([request(18_700...18_800)], families: [.v4])
        table.release(first)
        table.release(beside)
        table.release(after)
        #expect(try table.take([request(18_300...18_900)], families: [.v4, .v6]).map(\.hostAddress) == ["0.0.0.0", "::"])
        // The last port there is.
        #expect(try PortTable().takenAndGivenBack(request(65_535...65_535)).first?.hostPorts == 65_535...65_535)
    }
}

extension PortTable {
    fileprivate func takenAndGivenBack(_ request: PortRequest) throws -> [PublishedPort] {
        var table = self
        let ports = try table.take([request], families: [.v4])
        table.release(ports)
        return ports
    }
}
