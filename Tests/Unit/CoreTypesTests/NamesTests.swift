// Rows: attacks
import CoreTypes
import Testing

@Suite("Container ids and digests")
struct NamesTests {
    @Test(
        "an id of letters, digits and _ + , - . is accepted",
        arguments: ["a", "Web_1", "0", "a+b,c-d.e", "..a", "a..", String(repeating: "f", count: 255)])
    func accepted(_ text: String) throws {
        #expect(try ContainerID(text).description == text)
    }

    @Test(
        "A18 an id that is no plain file name is refused",
        arguments: [
            "", ".", "..", "../../x", "a/b", "/a", "a\0b", "a b", "-a", "--root", "a\n", "ä", "a:b", "$(x)",
            String(repeating: "a", count: 256),
            String(repeating: "a", count: 300),
        ])
    func refused(_ text: String) {
        #expect(throws: InvalidContainerID(text: text)) { try ContainerID(text) }
    }

    @Test("a digest of the right length in lower-case hexadecimal is accepted")
    func digests() throws {
        let hex = String(repeating: "0a", count: 32)
        #expect(try Digest("sha256:\(hex)").description == "sha256:\(hex)")
        #expect(try Digest(.sha512, hex: hex + hex).short == "0a0a0a0a0a0a")
        #expect(try Digest(.sha256, bytes: [UInt8](repeating: 0x0a, count: 32)).hex == hex)
    }

    @Test(
        "E04 a malformed digest is refused with Docker's words",
        arguments: [
            ("sha256", "invalid checksum digest format"), ("", "invalid checksum digest format"),
            ("sha256:", "invalid checksum digest length"),
            ("sha256:../../etc/passwd", "invalid checksum digest length"),
            ("md5:d41d8cd98f00b204e9800998ecf8427e", "unsupported digest algorithm"),
            ("sha256:" + String(repeating: "A0", count: 32), "invalid checksum digest format"),
            ("sha256:" + String(repeating: "./", count: 32), "invalid checksum digest format"),
            ("SHA256:" + String(repeating: "a0", count: 32), "unsupported digest algorithm"),
            ("sha256:" + String(repeating: "a", count: 1_000_000), "invalid checksum digest length"),
        ])
    func malformedDigests(_ text: String, _ problem: String) {
        #expect(throws: InvalidDigest(text: text, problem: problem)) { try Digest(text) }
    }

    @Test("a platform tells its machine as uname(2) names it, and takes that name for its own")
    func machineNames() throws {
        for (name, machine) in [("amd64", "x86_64"), ("arm64", "aarch64"), ("riscv64", "riscv64"), ("s390x", "s390x")] {
            let platform = Platform(operatingSystem: "linux", architecture: name)
            #expect(platform.machineName == machine)
            #expect(Platform(operatingSystem: "linux", architecture: machine) == platform)
        }
    }

    @Test(
        "a platform is parsed and printed in its usual spelling",
        arguments: [
            ("linux/amd64", "linux/amd64"), ("linux/x86_64", "linux/amd64"), ("linux/arm64/v8", "linux/arm64"), ("aarch64", "linux/arm64"),
            ("linux/arm", "linux/arm/v7"), ("linux/armhf", "linux/arm/v7"), ("linux/arm/v6", "linux/arm/v6"),
            ("windows/amd64", "windows/amd64"),
            ("linux", Platform.host.description),
        ])
    func platforms(_ text: String, _ expected: String) throws {
        #expect(try Platform(parsing: text).description == expected)
    }

    @Test("a text that is no platform is refused", arguments: ["", "/", "linux/", "a/b/c/d", "nothing", "linux/am d64", "../x"])
    func noPlatforms(_ text: String) {
        #expect(throws: InvalidPlatform(text: text)) { try Platform(parsing: text) }
    }

    @Test(
        "whatever an image says that it is for is read again from how it is written down",
        arguments: [
            ("linux", "amd64", nil), ("linux", "arm", "v6"), ("", "", nil), (nil, nil, nil), ("linux", "", "v1"), ("linux", "a/b/c/d", nil),
            ("linux", "amd64", "v1 / x"), ("a/b", "c\0d", "/"), (" ", "\u{1b}", ""), ("linux", "arm/5", nil), ("linux", "amd64/", nil),
            ("linux", "amd64/v1", ""), ("Linux/armhf", "x", "y"), ("/", "/", "/"), ("linux", "arm/", "/6"),
        ] as [(String?, String?, String?)])
    func recordedPlatforms(_ system: String?, _ architecture: String?, _ variant: String?) {
        let platform = Platform(ofImage: system, architecture: architecture, variant: variant)
        #expect(Platform(recorded: platform.description) == platform)
    }

    @Test("what an image does not say of its platform is the host's, also of one that an earlier daemon wrote down")
    func unsaidPlatforms() {
        for (system, architecture) in [(nil, nil), ("", ""), ("linux", nil), (nil, Platform.host.architecture)] as [(String?, String?)] {
            #expect(Platform(ofImage: system, architecture: architecture, variant: nil) == .host)
        }
        #expect(Platform(recorded: "linux/") == .host && Platform(recorded: "") == .host)
    }

    @Test("the nearest platform that runs is preferred, and foreign ones do not run")
    func distances() throws {
        let arm = try Platform(parsing: "linux/arm64")
        #expect(arm.distance(to: arm) == 0)
        let v7 = try #require(arm.distance(to: try Platform(parsing: "linux/arm/v7")))
        let v6 = try #require(arm.distance(to: try Platform(parsing: "linux/arm/v6")))
        #expect(0 < v7 && v7 < v6)
        #expect(arm.distance(to: try Platform(parsing: "linux/amd64")) == nil)
        #expect(try Platform(parsing: "linux/arm/v6").distance(to: try Platform(parsing: "linux/arm/v7")) == nil)
        #expect(try Platform(parsing: "linux/amd64").distance(to: try Platform(parsing: "linux/386")) != nil)
        #expect(try Platform(parsing: "linux/amd64").distance(to: try Platform(parsing: "windows/amd64")) == nil)
    }

    @Test(
        "a size is parsed as Docker's flags take it",
        arguments: [
            ("0", 0), ("32", 32), ("32b", 32), ("1k", 1024), ("32kb", 32 * 1024), ("1.5GiB", 1_610_612_736), ("2g", 2 << 30),
            ("1 MB", 1 << 20),
            ("5P", 5 << 50), ("9223372036854775807", 9_223_372_036_854_775_807),
        ] as [(String, UInt64)])
    func sizes(_ text: String, _ bytes: UInt64) throws {
        #expect(try ByteCount(parsing: text) == ByteCount(bytes))
    }

    @Test(
        "a text that is no size is refused, never wrapped",
        arguments: [
            "", "k", "-1", "1.2.3", "1x", "1bb", "1kib ", "9223372036854775808", "18446744073709551616", "9999999999g", "٣", "0x10", "1e3",
        ])
    func noSizes(_ text: String) {
        #expect(throws: InvalidByteCount(text: text)) { try ByteCount(parsing: text) }
    }

    @Test(
        "a size is printed with its unit",
        arguments: [
            (0, "0B"), (999, "999B"), (1000, "1kB"), (1234, "1.234kB"), (4_261_550, "4.262MB"), (72_800_000, "72.8MB"), (999_999, "1000kB"),
            (UInt64.max, "18.45EB"),
        ] as [(UInt64, String)])
    func printedSizes(_ bytes: UInt64, _ text: String) {
        #expect(ByteCount(bytes).description == text)
        #expect(ByteCount(1_610_612_736).binary(significantDigits: 4) == "1.5GiB")
        #expect(ByteCount(4_261_550).decimal(significantDigits: 3) == "4.26MB")
    }
}
