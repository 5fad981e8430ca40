import Archive
import CoreTypes
import LinuxSyscalls
import OCISpec
import SystemPackage

@testable import Registry

func readReferences(_ bytes: [UInt8]) {
    let text = String(decoding: bytes, as: UTF8.self)
    if let reference = try? ImageReference(text) {
        let again = try? ImageReference(reference.description)
        require(again == reference, "the reference is another one once it was written")
    }
    if let digest = try? Digest(text) {
        require((try? Digest("\(digest)")) == digest, "the digest is another one once it was written")
    }
    _ = try? Platform(parsing: text)
    _ = try? ContainerID(text)
    _ = try? ByteCount(parsing: text)
    _ = try? Timestamp(text)
    _ = try? Timestamp(secondsSinceEpoch: text)
}

/// WWW-Authenticate, one field a line.
func readChallenge(_ bytes: [UInt8]) {
    _ = Challenge.parse(String(decoding: bytes, as: UTF8.self).split(separator: "\n").map(String.init))
}

/// hosts.toml and registries.conf.
func readRegistrySettings(_ bytes: [UInt8]) {
    guard let table = try? TOMLParser.parse(bytes) else { return }
    _ = try? HostsFile(folder: "/dev/null", domain: "a.test", repository: "one").endpoints(table)
    _ = try? RegistriesFile.entries(table, "registries.conf")
}

/// A registry's challenge on the first line, the token service's answer behind it.
func readTokenAnswer(_ bytes: [UInt8]) {
    let line = bytes.prefix { $0 != UInt8(ascii: "\n") }
    if let grant = TokenRequest.grant(in: Array(bytes.dropFirst(line.count)), now: 1000) {
        // It becomes a field of a request's head.
        require(grant.field.utf8.allSatisfy { (0x20...0x7e).contains($0) }, "a token breaks out of its field")
        require(grant.expiresAt.map { (1050...87_400).contains($0) } ?? false, "a token lasts for ever")
    }
    let challenges = Challenge.parse([String(decoding: line, as: UTF8.self)])
    guard let registry = WebAddress("https://registry.example/v2/") else { return require(false, "the registry's address") }
    let all =
        [.anonymous, .password(user: "u", password: "secret"), .identityToken("secret"), .registryToken("secret")] as [RegistryCredentials]
    for credentials in all {
        let answer = try? ChallengeAnswer.choose(
            challenges, credentials: credentials, scope: "repository:a/b:pull", registry: registry, doing: "fuzzing")
        guard case .askForToken(let request) = answer, let message = request.message(verifiesPeer: true) else { continue }
        let isPrivate = message.address.scheme == "https" || RegistryHost.isLoopback(message.address.host)
        require(isPrivate, "a token is asked for without TLS")
        for (name, value) in message.headers {
            require((name + value).utf8.allSatisfy { (0x20...0x7e).contains($0) }, "a field breaks out of the request's head")
        }
        require(!message.address.text.utf8.contains { $0 <= 0x20 || $0 == 0x7f }, "an address breaks out of the request's line")
    }
}

/// Link fields of a page of tags, one a line: the next page is one of theirs, and the address of one page alone.
func readNextPage(_ bytes: [UInt8]) {
    var head = ResponseHead(status: 200)
    for line in bytes.split(separator: UInt8(ascii: "\n")) { head.headers.append("Link", String(decoding: line, as: UTF8.self)) }
    guard let link = RepositorySession.nextPage(head) else { return }
    require(!link.contains("<") && !link.contains(">"), "a target of two targets")
    require(head.headers.all("link").contains { $0.contains("<\(link)>") }, "a target that no field has")
    guard let page = WebAddress("https://registry.example/v2/a/tags/list"), let next = WebAddress(link, relativeTo: page) else { return }
    require(["http", "https"].contains(next.scheme), "an address of another kind")
    require(!next.text.utf8.contains { $0 <= 0x20 || $0 == 0x7f }, "an address breaks out of the request's line")
    require(WebAddress(next.text) == next, "the address is another one once it was written")
}

func readImageDocuments(_ bytes: [UInt8]) {
    _ = try? ImageDocument.decode(bytes)
    _ = try? ImageConfiguration.decode(bytes)
    _ = try? DistributionErrors.decode(bytes)
}

/// A layer, unpacked into a directory of its own with a canary beside it.
func unpackTar(_ bytes: [UInt8]) {
    let folder = Scratch.folder.appending("tar")
    let root = folder.appending("root"), canary = folder.appending("canary")
    Scratch.attempt("the scratch directory") {
        try makeDirectories(root)
        try writeFileDurably(Array("canary".utf8), to: canary)
        defer { try? removeTree(folder) }
        _ = try? LayerApplier(limits: .layer).apply(MemorySource(bytes), onto: try openFile(root, [.path, .directory]), observer: nil)
        let left = try directoryEntries(of: try openFile(folder, [.readOnly, .directory])).map { $0.name.string }.sorted()
        require(left == ["canary", "root"], "the layer wrote beside its root")
    }
}
