import Archive
import ContentStore
import CoreTypes
import EngineAPI
import LinuxSyscalls
import OCISpec
import SystemPackage

@testable import Engine
@testable import Images
@testable import Registry

/// Opened once.
private let scratchBlobs: BlobStore? = try? BlobStore(openingAt: Scratch.folder.appending("content"))

/// /etc/passwd of an image, its /etc/group, and who is looked for in them: parts between lines of `%`.
func readAccountFiles(_ bytes: [UInt8]) {
    let parts = bytes.split(separator: UInt8(ascii: "%"), omittingEmptySubsequences: false).map(Array.init)
    let files = AccountFiles(passwd: parts[0], group: parts.count > 1 ? parts[1] : [])
    let words = (parts.count > 2 ? parts[2] : []).split(separator: UInt8(ascii: "\n")).map { String(decoding: $0, as: UTF8.self) }
    for word in words + ["", "0", "root"] {
        guard let user = try? files.resolve(word, additional: Array(words.prefix(8))) else { continue }
        require(user.additionalGIDs.count <= AccountFiles.maximumGroupCount, "more groups than a process may be in")
        require(Set(user.additionalGIDs).count == user.additionalGIDs.count, "a group twice")
        require(user.additionalGIDs.contains(user.gid), "the primary group is not among them")
    }
}

/// `--change` of commit and import, an instruction a line, worked into a configuration one after the other.
func readConfigurationChanges(_ bytes: [UInt8]) {
    var config = ContainerConfig()
    for line in String(decoding: bytes, as: UTF8.self).split(separator: "\n") {
        _ = try? ConfigurationChange.apply([String(line)], to: &config)
    }
    var whole = ContainerConfig()
    _ = try? ConfigurationChange.apply([String(decoding: bytes, as: UTF8.self)], to: &whole)
    let longest = config.env.map(\.utf8.count).max() ?? 0
    require(longest <= bytes.count + (1 << 18), "a variable has grown to \(longest) bytes")
    guard let encoded = try? EngineJSON.encode(config) else { return require(false, "the configuration cannot be written") }
    require((try? EngineJSON.decode(ContainerConfig.self, from: encoded)) != nil, "the configuration cannot be read once it was written")
}

/// A document of the Container Device Interface, and what its devices do to a specification.
func readCDIDocument(_ bytes: [UInt8]) {
    let registry = CDIRegistry(folders: [Scratch.place(bytes, as: "fuzzed.json", in: "cdi")])
    guard let edits = try? registry.edits(for: registry.names) else { return require(registry.names.isEmpty, "a device has no edits") }
    var configuration = RuntimeConfiguration(ociVersion: "1.2.0")
    configuration.process = ProcessConfiguration(workingDirectory: "/")
    configuration.linux = LinuxConfiguration()
    configuration.linux?.resources = LinuxResources()
    var injection = CDIInjection(configuration: configuration)
    guard (try? injection.apply(edits)) != nil else { return }
    // The runtime refuses what makes no sense; what it takes is what was meant.
    guard let again = try? RuntimeConfiguration.decode(injection.configuration.encode()) else { return }
    require(again == injection.configuration, "the specification is another one once it was written")
}

/// A text in YAML, and the same as JSON, which is YAML as well.
func readYAML(_ bytes: [UInt8]) {
    guard let value = try? YAMLReader.read(bytes) else { return }
    let written = value.json(numbers: [])
    do throws(YAMLError) {
        require(try YAMLReader.read(written).json(numbers: []) == written, "the value is another one once it was written")
    } catch { require(false, "the value cannot be read once it was written: \(error)") }
}

/// The file of events that a daemon which crashed left: it is opened, read, and written on.
func readEventSegment(_ bytes: [UInt8]) {
    let name = EventSegment(first: 1, newestBefore: 0).fileName
    let heading = Array(EventSegment(first: 1, newestBefore: 0).headingLine.utf8)
    // Half of them with a heading that is right, for else little is read behind it.
    let content = bytes.first.map { $0 % 2 == 0 } == true ? heading + bytes.dropFirst() : bytes
    let folder = Scratch.place(content, as: name, in: "events")
    Scratch.attempt("the events") {
        guard let found = try EventSegment.all(in: folder).last, found.fileName == name, !found.isPacked else { return }
        var file = try SegmentFile(reopening: found, in: folder)
        let before = file.segment
        require(before.newest >= found.newestBefore, "time went back")
        var message = EventMessage()
        message.action = "fuzzed"
        file.append(EventJournal.Entry(time: 7, message: message))
        try file.flush()
        require(file.segment.count == before.count + 1, "an event was not counted")
        var reader = try EventReader(segment: found.first, path: folder.appending(name))
        try reader.skip(to: before.end, within: file.byteCount)
        let last = try reader.next(before: file.segment.end, within: file.byteCount)
        require(last.count == 1 && last[0].time == 7, "what was written behind it is not read")
        let message2 = try? EngineJSON.decode(EventMessage.self, from: Array(last[0].json))
        require(message2?.action == "fuzzed", "what was written behind it is read as something else")
    }
}

/// manifest.json of an archive of Docker's; or with a first byte of 0 a whole archive, and what images are in it.
func readDockerArchive(_ bytes: [UInt8]) {
    let limits = ImageLimits()
    if let items = try? DockerArchiveItem.decode(bytes, limits: limits.manifest) {
        let again = try? DockerArchiveItem.decode(DockerArchiveItem.encode(items), limits: limits.manifest)
        require(again == items, "manifest.json is another one once it was written")
    }
    guard bytes.first == 0, let blobs = scratchBlobs else { return }
    let lease = blobs.takeLease()
    defer {
        blobs.release(lease)
        _ = try? blobs.sweep(keeping: [])
    }
    do {
        let intake = ArchiveIntake(
            blobs: blobs, lease: lease, limits: ArchiveLimits.layer.ofImages(limits), nameLimitBytes: limits.archiveNameBytes,
            linkLimit: limits.archiveLinks)
        let contents = try intake.run(MemorySource(Array(bytes.dropFirst())))
        _ = try ArchiveImages(contents: contents, blobs: blobs, lease: lease, platform: nil, limits: limits).run()
    } catch {}
}
