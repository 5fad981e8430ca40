// Rows: features
import CoreTypes
import Testing

@Suite("Image references")
struct ImageReferenceTests {
    private static let digest = "sha256:" + String(repeating: "ab", count: 32)

    @Test(
        "A21 A22 a short name is completed as Docker completes it",
        arguments: [
            ("ubuntu", "docker.io/library/ubuntu", "ubuntu"), ("ubuntu:22.04", "docker.io/library/ubuntu:22.04", "ubuntu:22.04"),
            ("user/image", "docker.io/user/image", "user/image"), ("docker.io/ubuntu", "docker.io/library/ubuntu", "ubuntu"),
            ("index.docker.io/library/ubuntu", "docker.io/library/ubuntu", "ubuntu"),
            ("library/a/b", "docker.io/library/a/b", "library/a/b"),
            ("localhost/x", "localhost/x", "localhost/x"), ("localhost:5000/x:y", "localhost:5000/x:y", "localhost:5000/x:y"),
            ("127.0.0.1:5000/busybox", "127.0.0.1:5000/busybox", "127.0.0.1:5000/busybox"),
            ("[::1]:5000/a", "[::1]:5000/a", "[::1]:5000/a"),
            ("ghcr.io/a/b-c__d.e:T_1", "ghcr.io/a/b-c__d.e:T_1", "ghcr.io/a/b-c__d.e:T_1"), ("Host/x", "Host/x", "Host/x"),
            ("a@" + digest, "docker.io/library/a@" + digest, "a@" + digest),
            ("a:b@" + digest, "docker.io/library/a:b@" + digest, "a:b@" + digest),
        ])
    func completed(_ text: String, _ canonical: String, _ familiar: String) throws {
        let reference = try ImageReference(text)
        #expect(reference.description == canonical)
        #expect(reference.familiar == familiar)
        #expect(try ImageReference(canonical) == reference)
    }

    @Test(
        "a text that names no image is refused with Docker's words",
        arguments: [
            ("", "invalid reference format"), (":justtag", "invalid reference format"), ("@" + digest, "invalid reference format"),
            ("a//b", "invalid reference format"), ("a:" + String(repeating: "t", count: 129), "invalid reference format"),
            ("-a", "invalid reference format"), ("a-", "invalid reference format"), ("a..b", "invalid reference format"),
            ("a___b", "invalid reference format"), ("a b", "invalid reference format"), ("https://x/y", "invalid reference format"),
            ("host:port/x", "invalid reference format"), ("a/../b", "invalid reference format"),
            ("a@sha256:abc", "invalid reference format"),
            ("Ubuntu", "invalid reference format: repository name (library/Ubuntu) must be lowercase"),
            ("user/Image:T", "invalid reference format: repository name (user/Image) must be lowercase"),
            ("a@sha256:" + String(repeating: "a", count: 63), "invalid checksum digest length"),
            ("a@md5:" + String(repeating: "a", count: 32), "unsupported digest algorithm"),
            (
                String(repeating: "a", count: 64),
                "invalid repository name (\(String(repeating: "a", count: 64))), cannot specify 64-byte hexadecimal strings"
            ),
            ("h/" + String(repeating: "a/", count: 130) + "a", "repository name must not be more than 255 characters"),
        ])
    func refused(_ text: String, _ problem: String) {
        #expect(throws: InvalidImageReference(text: text, problem: problem)) { try ImageReference(text) }
    }

    @Test("B11 the default tag is latest, and only where nothing else is given")
    func defaultTag() throws {
        #expect(try ImageReference("a").withDefaultTag.tag == "latest")
        #expect(try ImageReference("a:b").withDefaultTag.tag == "b")
        #expect(try ImageReference("a@" + Self.digest).withDefaultTag.tag == nil)
        #expect(try ImageReference("a:b").tagged("c_1.D-2").familiar == "a:c_1.D-2")
        #expect(throws: InvalidImageReference(text: ".x", problem: "invalid tag format")) { try ImageReference("a").tagged(".x") }
        #expect(try ImageReference("a:b").pinned(to: try Digest(Self.digest)).familiar == "a@" + Self.digest)
    }
}
