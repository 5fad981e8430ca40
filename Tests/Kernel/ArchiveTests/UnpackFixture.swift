import Archive
import Foundation
import LinuxSyscalls
import Synchronization
import SystemPackage
import Testing

/// A directory to unpack into, and beside it a canary that no layer may touch. Gone when the test ends.
final class UnpackFixture {
    private static let counter = Atomic<Int>(0)
    let folder: FilePath
    let root: FilePath
    /// A host file that an attack tries to reach, and a host directory with one file in it.
    let canary: FilePath
    let canaryFolder: FilePath
    private let untouched: [String]

    init() throws {
        folder = FilePath("/tmp/apus-archive-\(getpid())-\(Self.counter.add(1, ordering: .relaxed).newValue)")
        root = folder.appending("root")
        canary = folder.appending("host-canary")
        canaryFolder = folder.appending("host-canary.d")
        try makeDirectories(root)
        try makeDirectories(canaryFolder)
        try writeFileDurably(Array("canary".utf8), to: canary)
        try writeFileDurably(Array("canary".utf8), to: canaryFolder.appending("x"))
        untouched = try Self.listing(folder, leavingOut: "root")
    }

    deinit { try? removeTree(folder) }

    func unpack(_ tar: [UInt8], limits: ArchiveLimits = .layer, observer: (any ByteObserver)? = nil) throws -> AppliedLayer {
        try LayerApplier(limits: limits).apply(
            MemorySource(tar), onto: try openFile(root, [.path, .directory]), observer: observer)
    }

    /// How a layer is refused; nil where it is not.
    func refusal(of tar: [UInt8], limits: ArchiveLimits = .layer) throws -> ArchiveError.Code? {
        do {
            _ = try unpack(tar, limits: limits)
            return nil
        } catch let error as ArchiveError { return error.code }
    }

    func expectCanariesUntouched(_ location: SourceLocation = #_sourceLocation) throws {
        #expect(try Self.listing(folder, leavingOut: "root") == untouched, sourceLocation: location)
    }

    /// Everything below the root: path, type, mode, owner, size, times, links, contents and attributes.
    func listing() throws -> [String] { try Self.listing(root, leavingOut: nil) }

    static func listing(_ top: FilePath, leavingOut: String?) throws -> [String] {
        var lines: [String] = []
        func visit(_ folder: FilePath, _ prefix: String) throws {
            let directory = try openFile(folder, [.readOnly, .directory, .noFollow])
            for entry in try directoryEntries(of: directory) where !(prefix.isEmpty && entry.name.string == leavingOut) {
                let status = try fileStatus(entry.name, at: directory.number)
                let path = folder.pushing(entry.name)
                lines.append("\(prefix)\(entry.name) " + (try describe(path, status)))
                if status.type == .directory { try visit(path, "\(prefix)\(entry.name)/") }
            }
        }
        try visit(top, "")
        return lines.sorted()
    }

    private static func describe(_ path: FilePath, _ status: FileStatus) throws -> String {
        var words = [
            "\(status.type.map(String.init(describing:)) ?? "?")", String(status.mode, radix: 8), "\(status.userID):\(status.groupID)",
        ]
        words.append("\(status.modified.seconds).\(status.modified.nanoseconds)")
        switch status.type {
        case .regular:
            words += ["\(status.sizeBytes)", "links \(status.linkCount)"]
            words.append("hash \(try readFile(path, limitBytes: 64 << 20).hashValue)")
        case .symbolicLink: words.append(String(decoding: try symbolicLinkText(path), as: UTF8.self))
        case .characterDevice, .blockDevice: words.append("\(status.device.major):\(status.device.minor)")
        default: break
        }
        if status.type == .regular || status.type == .directory {
            let file = try openFile(path, [.readOnly, .noFollow])
            for name in try extendedAttributeNames(of: file.number).sorted() {
                words.append("\(name)=\(try extendedAttribute(name, of: file.number) ?? [])")
            }
        }
        return words.joined(separator: " ")
    }
}

/// Runs a program of the machine, feeding and collecting bytes by files.
@discardableResult
func run(_ program: String, _ arguments: [String]) throws -> String {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = [program] + arguments
    let pipe = Foundation.Pipe()
    process.standardOutput = pipe
    try process.run()
    let output = pipe.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    try #require(process.terminationStatus == 0, "\(program) \(arguments)")
    return String(decoding: output, as: UTF8.self)
}

/// A layer of one file, for tests that look elsewhere.
func oneFile(_ data: [UInt8] = Array("content".utf8)) -> [UInt8] {
    var tar = TarBuilder()
    tar.add("file", data: data)
    return tar.finished
}
