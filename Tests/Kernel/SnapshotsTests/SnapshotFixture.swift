import Archive
import CoreTypes
import Foundation
import LinuxSyscalls
import Snapshots
import Synchronization
import SystemPackage
import Testing

/// A snapshotter in a folder of its own; layers are made by shell scripts. Gone when the test ends.
final class SnapshotFixture {
    private static let counter = Atomic<Int>(0)
    let folder: FilePath
    let backEnd: SnapshotBackEnd
    private(set) var snapshotter: any Snapshotter

    init(_ backEnd: SnapshotBackEnd) throws {
        self.backEnd = backEnd
        folder = FilePath("/tmp/apus-s\(getpid())-\(Self.counter.add(1, ordering: .relaxed).newValue)")
        try makeDirectories(folder)
        snapshotter = try openSnapshotter(at: folder.appending("s"), backEnd: backEnd) { Issue.record($0) }
    }

    deinit { try? removeTree(folder) }

    /// Lets the store go and opens it again, as after a crash. `meanwhile` sees it closed.
    func reopen(_ meanwhile: () throws -> Void = {}) throws {
        snapshotter = Closed()
        try meanwhile()
        snapshotter = try openSnapshotter(at: folder.appending("s"), backEnd: backEnd) { Issue.record($0) }
    }

    /// Packs what a script leaves in its working directory, and unpacks it as a layer.
    func layer(_ name: String, on parent: Digest? = nil, members: String = ".", _ script: String) throws -> Digest {
        let key = try SnapshotKey("pull-\(name)")
        let source = folder.appending("source-\(name)")
        try makeDirectory(source)
        try shell("cd \(source)\n\(script)\ntar --xattrs --numeric-owner -cf ../\(name).tar \(members)")
        let tree = try snapshotter.beginLayer(key)
        let archive = try openFile(folder.appending("\(name).tar"), .readOnly)
        let applied = try LayerApplier().apply(
            FileSource(archive, subject: name), onto: try openFile(tree, [.path, .directory]), observer: nil)
        let chain = chainID(name)
        try snapshotter.commitLayer(key, as: chain, parent: parent, applied: applied)
        return chain
    }

    /// Runs a script in a mount namespace of its own where the snapshot is mounted on /mnt; returns what it prints.
    @discardableResult
    func mounted(_ mounts: [SnapshotMount], _ script: String) throws -> String {
        let commands = mounts.map { mount in
            mount.type == "bind"
                ? "mount -o \(mount.options.joined(separator: ",")) '\(mount.source)' /mnt"
                : "mount -t \(mount.type) -o '\(mount.options.joined(separator: ","))' \(mount.source) /mnt"
        }
        return try shell("mount --make-rprivate /\n\(commands.joined(separator: "\n"))\ncd /mnt\n\(script)", in: ["unshare", "-m"])
    }

    /// Any digest, different for different names.
    func chainID(_ name: String) -> Digest {
        let hex = Array(name.utf8).map { String($0, radix: 16) }.joined()
        do { return try Digest(.sha256, hex: String((hex + String(repeating: "0", count: 64)).prefix(64))) } catch {
            preconditionFailure("\(error)")
        }
    }
}

@discardableResult
func shell(_ script: String, in prefix: [String] = []) throws -> String {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = prefix + ["sh", "-euc", script]
    let pipe = Foundation.Pipe()
    process.standardOutput = pipe
    try process.run()
    let output = pipe.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    try #require(process.terminationStatus == 0, "\(script)")
    return String(decoding: output, as: UTF8.self)
}

/// Stands where a snapshotter has been let go.
private struct Closed: Snapshotter {
    let name = "closed"
    let leftovers: [SnapshotError] = []
    private var closed: SnapshotError { SnapshotError(.notFound, doing: "use", subject: "a closed store") }
    func beginLayer(_ key: SnapshotKey) throws(SnapshotError) -> FilePath { throw closed }
    func commitLayer(_ key: SnapshotKey, as chain: Digest, parent: Digest?, applied: AppliedLayer) throws(SnapshotError) { throw closed }
    func contains(layer chain: Digest) -> Bool { false }
    func prepare(_ key: SnapshotKey, parent: Digest?) throws(SnapshotError) -> [SnapshotMount] { throw closed }
    func limit(_ key: SnapshotKey, toBytes bytes: UInt64) throws(SnapshotError) { throw closed }
    func view(_ key: SnapshotKey, parent: Digest) throws(SnapshotError) -> [SnapshotMount] { throw closed }
    func mounts(of key: SnapshotKey) throws(SnapshotError) -> [SnapshotMount] { throw closed }
    func writeLayer(of key: SnapshotKey, leavingOut paths: Set<String>, to sink: @escaping TreeWriter.Sink) throws(SnapshotError) -> Int {
        throw closed
    }
    func commit(_ key: SnapshotKey, as chain: Digest) throws(SnapshotError) { throw closed }
    func remove(_ key: SnapshotKey) throws(SnapshotError) { throw closed }
    func remove(layer chain: Digest) throws(SnapshotError) { throw closed }
    func usage(of key: SnapshotKey) throws(SnapshotError) -> SnapshotUsage { throw closed }
    func defect(ofLayer chain: Digest) -> SnapshotError? { closed }
    func usage(ofLayer chain: Digest) throws(SnapshotError) -> SnapshotUsage { throw closed }
    func differences(of key: SnapshotKey, from chain: Digest, applied: AppliedLayer) throws(SnapshotError) -> [TreeDifference] {
        throw closed
    }
    func replaceLayer(_ chain: Digest, by key: SnapshotKey) throws(SnapshotError) { throw closed }
    func nameDefect(ofLayer chain: Digest) throws(SnapshotError) -> LayerNameDefect? { throw closed }
    func restoreName(ofLayer chain: Digest) throws(SnapshotError) { throw closed }
    func strangers() throws(SnapshotError) -> [FilePath] { throw closed }
    func removeStranger(_ path: FilePath) throws(SnapshotError) { throw closed }
    func layersAllocatedBytes() throws(SnapshotError) -> Int64 { throw closed }
    func list() -> [SnapshotInfo] { [] }
}
