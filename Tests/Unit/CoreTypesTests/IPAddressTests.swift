import CoreTypes
import Testing

@Suite("Addresses of networks")
struct IPAddressTests {
    @Test(
        "an address is read and printed in its shortest form",
        arguments: [
            ("192.0.2.1", "192.0.2.1"), ("0.0.0.0", "0.0.0.0"), ("::", "::"), ("::1", "::1"), ("2001:DB8:0:0:1:0:0:1", "2001:db8::1:0:0:1"),
            ("fe80::", "fe80::"), ("1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8"), ("::ffff:192.0.2.1", "::ffff:192.0.2.1"), ("1::8", "1::8"),
        ])
    func forms(text: String, printed: String) throws {
        let address = try #require(IPAddress(text))
        #expect(address.description == printed)
        #expect(IPAddress(bytes: address.bytes) == address)
    }

    @Test(
        "what is no address is refused",
        arguments: [
            "", "1.2.3", "1.2.3.4.5", "01.2.3.4", "256.1.1.1", "1.2.3.+4", ":", ":::", "1::2::3", "12345::", "1:2:3:4:5:6:7",
            "1:2:3:4:5:6:7:8:9", "::g", "1.2.3.4::", "::-1", "fe80::1%eth0",
        ])
    func refusals(text: String) { #expect(IPAddress(text) == nil) }

    @Test("a block knows its ends, what lies in it and what overlaps it")
    func blocks() throws {
        let block = try #require(AddressBlock("172.17.3.9/16"))
        #expect(block.description == "172.17.0.0/16" && block.last.description == "172.17.255.255")
        let (larger, neighbour) = (try #require(AddressBlock("172.16.0.0/12")), try #require(AddressBlock("172.18.0.0/16")))
        #expect(block.overlaps(larger) && larger.contains(block) && !block.contains(larger) && !block.overlaps(neighbour))
        let everything = try #require(AddressBlock("::/0"))
        #expect(everything.last.bits == .max)
        for text in ["172.17.0.0", "172.17.0.0/33", "172.17.0.0/-1", "172.17.0.0/+8", "172.17.0.0/08", "::/129", "/8"] {
            #expect(AddressBlock(text) == nil)
        }
    }

    @Test("the address of a link is read, printed, and makes a link-local address")
    func linkAddress() throws {
        let address = try #require(MACAddress("02:42:AC-11:00:02"))
        #expect(address.description == "02:42:ac:11:00:02" && address.linkLocalAddress.description == "fe80::42:acff:fe11:2")
        for text in ["02:42:ac:11:00", "02:42:ac:11:00:2", "02:42:ac:11:00:+2", "02:42:ac:11:00:02:03", "zz:42:ac:11:00:02"] {
            #expect(MACAddress(text) == nil)
        }
    }
}
