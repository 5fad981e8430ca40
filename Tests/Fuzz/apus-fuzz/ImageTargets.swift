import Glibc
import SystemPackage

@testable import Archive
@testable import CoreTypes
@testable import LinuxSyscalls
@testable import OCISpec
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

func readImageDocuments(_ bytes: [UInt8]) {
    _ = try? ImageDocument.decode(bytes)
    _ = try? ImageConfiguration.decode(bytes)
    _ = try? DistributionErrors.decode(bytes)
}

private enum Scratch {
    /// Made once: an unpacked layer is taken away before the next one.
    static let folder = FilePath("/dev/shm/apus-fuzz-\(getpid())")
}

/// A layer, unpacked into a directory of its own with a canary beside it.
func unpackTar(_ bytes: [UInt8]) {
    let root = Scratch.folder.appending("root"), canary = Scratch.folder.appending("canary")
    do {
        try makeDirectories(root)
        try writeFileDurably(Array("canary".utf8), to: canary)
        defer { try? removeTree(Scratch.folder) }
        _ = try? LayerApplier(limits: .layer).apply(MemorySource(bytes), onto: try openFile(root, [.path, .directory]), observer: nil)
        let left = try directoryEntries(of: try openFile(Scratch.folder, [.readOnly, .directory])).map { $0.name.string }.sorted()
        require(left == ["canary", "root"], "the layer wrote beside its root")
    } catch { require(false, "the scratch directory: \(error)") }
}
