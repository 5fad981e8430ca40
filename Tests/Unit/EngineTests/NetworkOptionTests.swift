import CoreTypes
import EngineAPI
import Networking
import Testing

@testable import Engine

@Suite struct NetworkOptionTests {
    @Test("options of a bridge have Docker's defaults, and unknown ones mean nothing")
    func defaults() throws {
        let plain = try BridgeOptions(checking: ["com.example": "x"])
        #expect(plain == BridgeOptions(of: [:]) && plain.masquerades && plain.letsContainersTalk && plain.insidePrefix == "eth")
        let options = try BridgeOptions(checking: [
            NetworkOption.betweenContainers: "F", NetworkOption.mtu: "9000", NetworkOption.hostAddress: "127.0.0.1",
            NetworkOption.inhibitsIPv4: "true", NetworkOption.insidePrefix: "wire",
        ])
        #expect(!options.letsContainersTalk && options.mtu == 9000 && options.hostAddress == IPAddress("127.0.0.1"))
        #expect(!options.hasIPv4Gateway && options.insidePrefix == "wire")
        #expect(try BridgeOptions(checking: [NetworkOption.hostAddress: "0.0.0.0"]).hostAddress == nil)
        #expect(try BridgeOptions(checking: [NetworkOption.hostAddress: "::"]).hostAddress == IPAddress(.v6, bits: 0))
        #expect(plain.gatewayModes == GatewayModes() && plain.sources.isEmpty && plain.trustedLinks.isEmpty)
        let reached = try BridgeOptions(checking: [
            NetworkOption.gatewayModeV4: "", NetworkOption.gatewayModeV6: "routed", NetworkOption.sourceV4: "192.0.2.1",
            NetworkOption.trustedLinks: "vxlan.1:eth3",
        ])
        #expect(reached.gatewayModes.v4 == .nat && reached.gatewayModes.families { $0 == .routed } == [.v6])
        #expect(reached.sources == [IPAddress("192.0.2.1")] && reached.trustedLinks == ["vxlan.1", "eth3"])
    }

    @Test(
        "an option that cannot be read is refused by its name",
        arguments: [
            (NetworkOption.masquerade, "yes"), (NetworkOption.mtu, "-1"), (NetworkOption.mtu, "70000"), (NetworkOption.hostAddress, "x"),
            (NetworkOption.insidePrefix, "a/b"), (NetworkOption.insidePrefix, "e%"), (NetworkOption.insidePrefix, "thirteenbytes"),
            (NetworkOption.gatewayModeV4, "bridged"),
            (NetworkOption.sourceV4, "fd00::1"), (NetworkOption.trustedLinks, "eth0:a b"),
        ])
    func refused(option: String, value: String) {
        #expect(refusal { _ = try BridgeOptions(checking: [option: value]) }?.message.contains(option) == true)
    }

    @Test("settings of an endpoint are of its own link alone")
    func settings() throws {
        let option = EndpointOptions.settingsOption
        let options = try EndpointOptions([
            option: "net.ipv4.conf.IFNAME.log_martians=1,net.ipv6.neigh.ifname.gc_stale_time=5", "other": "kept",
        ])
        #expect(options.settings(of: "eth7") == ["ipv4/conf/eth7/log_martians": "1", "ipv6/neigh/eth7/gc_stale_time": "5"])
        for text in [
            "net.ipv4.conf.all.forwarding=1", "kernel.x.conf.IFNAME.y=1", "net.ipv4.conf.IFNAME.a/b=1", "net.ipv4.conf.IFNAME.=1",
            "net.ipv4.conf.IFNAME.log_martians", "net.ipv4.ip_forward=1",
        ] {
            #expect(refusal { _ = try EndpointOptions([option: text]) }?.code == .invalidParameter, "\(text)")
        }
        for name in ["a/b", "lo", "eth%d", "sixteen-letters-x"] {
            #expect(refusal { _ = try EndpointOptions([EndpointOptions.linkNameOption: name]) } != nil, "\(name)")
        }
    }

    @Test("where nothing else is asked, ports are published where the network says")
    func hostAddresses() throws {
        var table = PortTable()
        let any = PortRequest(transport: .tcp, containerPort: 80, hostAddress: nil, hostPorts: 18_999...18_999)
        let address = try #require(IPAddress("127.0.0.1"))
        let ports = try table.take([any], families: [.v4, .v6], defaultAddress: address)
        #expect(ports.map(\.hostAddress) == ["127.0.0.1"])
        table.release(ports)
        #expect(try table.take([any], families: [.v4, .v6]).map(\.hostAddress) == ["0.0.0.0", "::"])
    }

    @Test("where a family is routed no port of the host is taken, and the host's address says the family alone")
    func routedPorts() throws {
        var table = PortTable()
        let any = PortRequest(transport: .tcp, containerPort: 80, hostAddress: nil, hostPorts: 18_998...18_998)
        for _ in 0..<2 {
            let ports = try table.take([any], families: [.v4, .v6], routed: [.v4, .v6])
            #expect(ports.map(\.hostAddress) == ["0.0.0.0", "::"] && ports.allSatisfy { $0.isDirect == true && $0.containerPort == 80 })
        }
        let mixed = try table.take([any], families: [.v4, .v6], routed: [.v4])
        #expect(mixed.map(\.isDirect) == [true, nil] && mixed.map(\.hostAddress) == ["0.0.0.0", "::"])
        var one = any
        one.hostAddress = IPAddress("127.0.0.1")
        #expect(try table.take([one], families: [.v4, .v6], routed: [.v4]).map(\.hostAddress) == ["0.0.0.0"])
        table.release(mixed)
        #expect(try table.take([any], families: [.v6]).count == 1)
    }

    @Test("a network of several blocks gives addresses of the first that has one, and those asked for of theirs")
    func leases() throws {
        var resource = NetworkResource()
        resource.driver = "macvlan"
        resource.enableIPv6 = true
        resource.ipam.config = ["10.0.0.0/30", "10.1.0.0/24", "fd00::/64"].map { subnet in
            var config = IPAMConfig()
            config.subnet = subnet
            config.gateway = subnet.hasPrefix("fd") ? "fd00::1" : subnet.firstAddress
            return config
        }
        var network = Network(NetworkDocument(resource: resource, link: "eth0", hasChosenBlocks: true))
        #expect(try network.lease(.v4, "")?.1 == IPAddress("10.0.0.2") && network.lease(.v4, "")?.1 == IPAddress("10.1.0.2"))
        // Those that somebody has still are free when he has let go of them, of which the leases are not told.
        let others = Set(["10.1.0.3", "10.1.0.4"].compactMap { IPAddress($0) })
        #expect(try network.lease(.v4, "", besides: others)?.1 == IPAddress("10.1.0.5"))
        #expect(throws: (any Error).self) { try network.lease(.v4, "10.1.0.4", besides: others) }
        #expect(try network.lease(.v4, "10.1.0.4") != nil && network.lease(.v4, "")?.1 == IPAddress("10.1.0.3"))
        #expect(try network.lease(.v4, "10.1.0.9")?.0 == AddressBlock("10.1.0.0/24"))
        #expect(try network.lease(.v6, "")?.1 == IPAddress("fd00::2"))
        #expect(throws: (any Error).self) { try network.lease(.v4, "10.1.0.9") }
        #expect(throws: (any Error).self) { try network.lease(.v4, "10.9.0.9") }
    }
}

extension String {
    /// `10.0.0.1` of `10.0.0.0/30`.
    fileprivate var firstAddress: String { String(prefix { $0 != "/" }.dropLast()) + "1" }
}
