// Rows: attacks
import CoreTypes
import Registry
import Testing

@Suite("Where registries are")
struct AddressTests {
    @Test(
        "this machine, and what is listed, may be spoken to in plain http; all else only with TLS",
        arguments: [
            ("127.0.0.1:5000", true), ("127.8.9.1", true), ("localhost:5000", true), ("[::1]:5000", true), ("10.1.2.3:5000", true),
            ("plain.example", true), ("plain.example:8080", true), ("other.example:5000", true), ("other.example", false),
            ("11.1.2.3", false), ("128.0.0.1", false), ("127.0.0.1.evil.example", false), ("127.1", false), ("docker.io", false),
        ])
    func insecure(domain: String, isInsecure: Bool) {
        let host = RegistryHost(domain: domain, insecureRegistries: ["10.0.0.0/8", "plain.example", "other.example:5000"])
        #expect(host.isInsecure == isInsecure)
        #expect(host.schemes == (isInsecure ? ["https", "http"] : ["https"]))
    }

    @Test("Docker Hub is asked at its registry's name")
    func hub() { #expect(RegistryHost(domain: "docker.io", insecureRegistries: []).authority == "registry-1.docker.io") }

    @Test("a block of addresses that is none lists nothing")
    func malformedBlocks() {
        for entry in ["10.0.0.0/33", "10.0.0/8", "/8", "10.0.0.0/", "010.0.0.0/8x"] {
            #expect(!RegistryHost(domain: "10.1.2.3", insecureRegistries: [entry]).isInsecure, "\(entry)")
        }
    }

    @Test("addresses are split and joined as they are asked for")
    func addresses() throws {
        #expect(WebAddress("https://Registry.Example/v2/")?.origin == "https://registry.example:443")
        let base = try #require(WebAddress("https://registry.example/v2/a/blobs/x"))
        #expect(WebAddress("/other?sig=secret#f", relativeTo: base)?.text == "https://registry.example/other?sig=secret")
        #expect(WebAddress("/other?sig=secret", relativeTo: base)?.withoutQuery == "https://registry.example/other")
        #expect(WebAddress("http://[fe80::1]:81/x")?.origin == "http://fe80::1:81")
    }

    @Test(
        "what is no http address, or brings its own password, is no address",
        arguments: [
            "file:///etc/passwd", "ftp://a/", "gopher://a/", "https://u:p@host/", "https://u@host/", "", "https://", "http://a:99999/",
        ])
    func refused(text: String) { #expect(WebAddress(text) == nil) }

    @Test(
        "E03: an address is of one link in each way of writing it that leads there",
        arguments: [
            ("169.254.169.254", true), ("fe80::1", true), ("febf::1", true), ("::ffff:169.254.169.254", true), ("::ffff:a9fe:a9fe", true),
            ("::169.254.169.254", true), ("64:ff9b::169.254.169.254", true), ("169.255.0.1", false), ("127.0.0.1", false), ("::1", false),
            ("::ffff:127.0.0.1", false), ("64:ff9b::8.8.8.8", false), ("fec0::a9fe:a9fe", false), ("2001:db8::a9fe:a9fe", false),
        ])
    func oneLink(text: String, expected: Bool) throws { #expect(try #require(IPAddress(text)).leadsToOneLink == expected) }

    @Test("base 64 is padded as RFC 4648 pads it")
    func base64() {
        for (text, encoded) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg==")] {
            #expect(TextEncodings.base64(text) == encoded)
        }
    }
}
