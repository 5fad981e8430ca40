internal import Archive
internal import EngineAPI
internal import EngineClient
internal import LinuxSyscalls
internal import Synchronization
internal import SystemPackage

let copyVerb = Verb(
    ["cp", "container cp"], "[OPTIONS] CONTAINER:SRC_PATH DEST_PATH|-\n\tapus cp [OPTIONS] SRC_PATH|- CONTAINER:DEST_PATH",
    "Copy files/folders between a container and the local filesystem",
    flags: [
        Flag("archive", "a", .bool(default: false), "Archive mode (copy all uid/gid information)"),
        Flag("follow-link", "L", .bool(default: false), "Always follow symbol link in SRC_PATH"),
        Flag(
            "quiet", "q", .bool(default: false),
            "Suppress progress output during copy. Progress output is automatically suppressed if no terminal is attached"),
    ], operands: .exactly(2)
) { invocation in
    let arguments = invocation.arguments
    let (source, target) = (CopySide(arguments.operands[0]), CopySide(arguments.operands[1]))
    if arguments.operands[0].isEmpty { throw Complaint("source can not be empty") }
    if arguments.operands[1].isEmpty { throw Complaint("destination can not be empty") }
    // Nothing would be the whole root.
    if [source, target].contains(where: { $0.container != nil && $0.path.isEmpty }) { throw Complaint("path cannot be empty") }
    let copy = Copy(
        client: invocation.environment.client, followsLinks: arguments.bool("follow-link"), asUser: arguments.bool("archive"))
    let bytes: Int64?
    switch (source.container, target.container) {
    case (let container?, nil): bytes = try await copy.fetch(source.path, of: container, to: target.path)
    case (nil, let container?): bytes = try await copy.send(source.path, to: target.path, of: container)
    case (_?, _?): throw Complaint("copying between containers is not supported")
    case (nil, nil): throw Complaint("must specify at least one container source")
    }
    let isQuiet = arguments.bool("quiet", default: !StandardStream.output.isTerminal)
    if let bytes, !isQuiet {
        let place = target.container == nil ? CopyPath.here(target.path).text : arguments.operands[1]
        StandardStream.error.write("Successfully copied \(humanSize(bytes)) to \(printable(place))\n")
    }
    return 0
}

/// Files between a container and here. What comes out of a container was made by it: it is unpacked inside of the one directory that was
/// named, and under the one name that was asked for.
private struct Copy: Sendable {
    let client: Client
    let followsLinks: Bool
    let asUser: Bool

    /// Copies out of a container. - Returns: the bytes that came; nil where they went to the standard output.
    func fetch(_ text: String, of container: String, to target: String) async throws -> Int64? {
        let place = CopyPath(text)
        var asked = place
        if followsLinks, let status = try await client.statPath(place.text, of: container), status.isSymbolicLink {
            asked = CopyPath(status.linkTarget)
        }
        if target == "-" {
            try await client.readArchive(asked.text, of: container) { _, bytes in
                for try await chunk in bytes { StandardStream.output.write(chunk) }
            }
            return nil
        }
        let (here, isDirectory) = try CopyPath.here(target).writable()
        let count = Mutex<Int64>(0)
        let (given, called) = (asked.name, asked == place ? nil : place.name)
        try await client.readArchive(asked.text, of: container) { status, bytes in
            let goal = try CopyTarget(here, isDirectory: isDirectory, sourceIsDirectory: status.isDirectory, name: called)
            try await unpack(bytes, at: goal, naming: ArchiveNaming(of: given, becoming: goal.name), count)
        }
        return count.withLock(\.self)
    }

    private func unpack(_ bytes: AnswerBytes, at goal: CopyTarget, naming: ArchiveNaming, _ count: borrowing Mutex<Int64>) async throws {
        let owner = TreeApplier.Owner(user: effectiveUserID(), group: effectiveGroupID())
        try await unpacking { source in
            let root = try openFile(goal.directory, [.readOnly, .directory])
            try TreeApplier(replacesKinds: false, owner: owner, naming: naming, limits: .volume).apply(source, onto: root, at: "/")
        } from: { send in
            for try await chunk in bytes {
                count.withLock { $0 += Int64(chunk.count) }
                if await !send(chunk) { break }
            }
        }
    }

    /// Copies into a container. - Returns: the bytes that went; nil where they came from the standard input.
    func send(_ source: String, to text: String, of container: String) async throws -> Int64? {
        var place = CopyPath(text)
        var status = try await client.statPath(place.text, of: container)
        if let link = status, link.isSymbolicLink {
            place = CopyPath(link.linkTarget)
            status = try await client.statPath(place.text, of: container)
        }
        if let reason = status?.complaint {
            throw Complaint("destination \"\(container):\(text)\" must be a directory or a regular file: \(reason)")
        }
        if source == "-" {
            guard status?.isDirectory == true else { throw Complaint("destination \"\(container):\(text)\" must be a directory") }
            let input = try ByteFile(nil)
            try await client.writeArchive(to: place.text, of: container, asUser: asUser) { try input.next() }
            return nil
        }
        let here = CopyPath.here(source)
        let found = try here.readable(followingLinks: followsLinks)
        let goal = try CopyTarget(place, isDirectory: status?.isDirectory, sourceIsDirectory: found.isDirectory, name: here.name)
        let isUnnamed = here.name == nil && status?.isDirectory == true
        return try await pack(here, as: isUnnamed ? "." : goal.name ?? ".", to: goal.directory.string, of: container)
    }

    private func pack(_ here: CopyPath, as archived: String, to directory: String, of container: String) async throws -> Int64 {
        let count = Mutex<Int64>(0)
        let follows = followsLinks
        try await packing { sink in
            let found = try here.readable(followingLinks: follows)
            var writer = TreeWriter(.tree, to: sink)
            try writer.add(found.name, in: try openFile(found.directory, [.path, .directory]), as: Array(archived.utf8))
            try writer.finish()
        } to: { next in
            try await client.writeArchive(to: directory, of: container, asUser: asUser) {
                let chunk = try await next()
                count.withLock { $0 += Int64(chunk?.count ?? 0) }
                return chunk
            }
        }
        return count.withLock(\.self)
    }
}
