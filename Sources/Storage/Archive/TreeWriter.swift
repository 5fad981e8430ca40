internal import Glibc
package import LinuxSyscalls
package import SystemPackage

/// Writes files and trees as a tar. Nothing is followed, no device or pipe is opened, sockets are left out, and what vanishes
/// meanwhile is left out, too: the tree may be in use. Calls block.
/// - Source: image-spec v1.1, layer.md; tar(5).
package struct TreeWriter {
    /// What the files on disk mean.
    package enum Form: Sendable {
        /// What is there.
        case tree
        /// The upper directory of an overlay: a character device 0:0 becomes `.wh.NAME`, the mark of an opaque directory
        /// `.wh..wh..opq`.
        case overlayLayer
    }

    /// Takes the archive chunk by chunk.
    package typealias Sink = ([UInt8]) throws(ArchiveError) -> Void

    /// How much is collected before the sink is called.
    private static let chunkBytes = 256 << 10

    private let form: Form
    private let limits: ArchiveLimits
    private let leftOut: Set<[UInt8]>
    private let shift: OwnerShift?
    private let keepsHoles: Bool
    private let sink: Sink
    private var waiting: [UInt8] = []
    /// What a file with several names is called first.
    private var firstNames: [FileID: [UInt8]] = [:]
    /// How many entries were written, marks of whiteouts included.
    package private(set) var entryCount = 0

    /// - Parameters:
    ///   - paths: names in the archive that are passed over, with all that lies in them.
    ///   - shift: what the tree's ids are in the archive; nil is the same.
    ///   - keepsHoles: whether files with holes are written as GNU's sparse files, and not with zeros in place of holes.
    package init(
        _ form: Form, limits: ArchiveLimits = .layer, leavingOut paths: Set<String> = [], shift: OwnerShift? = nil,
        keepsHoles: Bool = false,
        to sink: @escaping Sink
    ) {
        self.shift = shift
        self.keepsHoles = keepsHoles
        self.form = form
        self.limits = limits
        leftOut = Set(paths.map { Array($0.utf8) })
        self.sink = sink
    }

    /// Writes what a directory holds, in the order of names, without the directory itself.
    /// - Parameter prefix: what names in the archive begin with; empty, or with a slash at its end.
    package mutating func addContents(of directory: borrowing OwnedFD, under prefix: [UInt8] = []) throws(ArchiveError) {
        let opened = Box(try archiving(prefix) { () throws(SyscallError) in try directory.duplicate() })
        try walk(Level(opened, path: prefix, names: try names(in: directory, at: prefix)))
    }

    /// Writes a file, or a directory with all that is in it.
    /// - Parameter name: one component, in `directory`; `.` is the directory itself.
    /// - Parameter archived: what it is called in the archive, without a slash at the end.
    package mutating func add(_ name: FilePath, in directory: borrowing OwnedFD, as archived: [UInt8]) throws(ArchiveError) {
        if let level = try entry(name, in: directory, as: archived) { try walk(level) }
    }

    /// Writes the end of the archive.
    package mutating func finish() throws(ArchiveError) {
        try put(TarHeader.end)
        try flush()
    }

    // MARK: Walking

    /// A directory that is being written: what is left of it.
    private final class Level {
        let directory: Box
        /// Empty, or with a slash at its end.
        let path: [UInt8]
        var names: ArraySlice<FilePath>

        init(_ directory: Box, path: [UInt8], names: [FilePath]) {
            self.directory = directory
            self.path = path
            self.names = names[...]
        }
    }

    /// Goes through a directory without recursion, since its depth is whatever a container made it.
    private mutating func walk(_ top: Level) throws(ArchiveError) {
        var levels = [top]
        while let level = levels.last {
            guard let name = level.names.popFirst() else {
                levels.removeLast()
                continue
            }
            guard let below = try entry(name, in: level.directory.file, as: level.path + pathBytes(name)) else { continue }
            if levels.count > limits.depth {
                throw ArchiveError(.overLimit, doing: "write layer", subject: "\(printable(below.path)): deeper than \(limits.depth)")
            }
            levels.append(below)
        }
    }

    /// Writes one entry. - Returns: what is to be gone through next, for a directory.
    private mutating func entry(_ name: FilePath, in directory: borrowing OwnedFD, as path: [UInt8]) throws(ArchiveError) -> Level? {
        if leftOut.contains(path) { return nil }
        let number = directory.number
        guard let status = try unlessGone(path, { () throws(SyscallError) in try fileStatus(name, at: number) }) else { return nil }
        if form == .overlayLayer && status.isWhiteout {
            try mark(path, Whiteout.prefix)
            return nil
        }
        if let kind = knownLink(status, as: path) {
            try write(TarEntry(path, kind, status))
            return nil
        }
        switch status.type {
        case .directory: return try openLevel(name, in: directory, as: path)
        case .regular: try file(name, in: directory, as: path)
        case .symbolicLink:
            let target = try unlessGone(path) { () throws(SyscallError) in try symbolicLinkText(name, at: number) }
            if let target { try write(TarEntry(path, .symbolicLink(target: target), status)) }
        case .characterDevice: try write(TarEntry(path, .device(.characterDevice, status.device), status))
        case .blockDevice: try write(TarEntry(path, .device(.blockDevice, status.device), status))
        case .pipe: try write(TarEntry(path, .pipe, status))
        case .socket, nil: break
        }
        return nil
    }

    private mutating func openLevel(_ name: FilePath, in directory: borrowing OwnedFD, as path: [UInt8]) throws(ArchiveError) -> Level? {
        let number = directory.number
        let opened = try unlessGone(path) { () throws(SyscallError) in
            Box(try openFile(name, [.readOnly, .directory, .noFollow], at: number))
        }
        guard let opened else { return nil }
        let inside = path + [0x2f]
        let status = try archiving(path) { () throws(SyscallError) in
            try fileStatus(of: opened.file.number, subject: printable(path))
        }
        var entry = TarEntry(inside, .directory, status)
        let isOpaque = try describe(&entry, opened.file, path)
        try write(entry)
        if isOpaque { try mark(inside, []) }
        return Level(opened, path: inside, names: try names(in: opened.file, at: path))
    }

    private func names(in directory: borrowing OwnedFD, at path: [UInt8]) throws(ArchiveError) -> [FilePath] {
        let entries: [DirectoryEntry]
        do throws(SyscallError) { entries = try directoryEntries(of: directory, subject: printable(path)) } catch {
            throw refused(error, path)
        }
        return entries.map(\.name).sorted { pathBytes($0).lexicographicallyPrecedes(pathBytes($1)) }
    }

    // MARK: Files

    private mutating func file(_ name: FilePath, in directory: borrowing OwnedFD, as path: [UInt8]) throws(ArchiveError) {
        let number = directory.number
        let opened = try unlessGone(path) { () throws(SyscallError) in
            Box(try openFile(name, [.readOnly, .noFollow, .nonBlocking], at: number))
        }
        guard let opened else { return }
        let status = try archiving(path) { () throws(SyscallError) in
            try fileStatus(of: opened.file.number, subject: printable(path))
        }
        // Another file may have taken the name since it was looked at.
        guard status.type == .regular else { return }
        if status.linkCount > 1 { firstNames[FileID(status)] = path }
        var entry = TarEntry(path, .regular(sizeBytes: status.sizeBytes), status)
        _ = try describe(&entry, opened.file, path)
        let descriptor = opened.file.number
        // What cannot say where its holes are is read as it is; where they are to be kept, that is an error.
        let map =
            keepsHoles
            ? try archiving(path) { () throws(SyscallError) in try SparseMap(of: descriptor, status) }
            : try? SparseMap(of: descriptor, status)
        if keepsHoles { entry.map = map }
        try write(entry)
        try put(entry.map?.blocks ?? [])
        let segments = map?.segments ?? [SparseMap.Segment(offset: 0, sizeBytes: status.sizeBytes)]
        var end: Int64 = 0
        for segment in segments {
            // Nobody reads what is not there: the kernel would keep it in memory.
            if !keepsHoles { try zeros(segment.offset - end) }
            try data(of: descriptor, segment, path)
            end = segment.offset + segment.sizeBytes
        }
        try put(TarHeader.padding(after: keepsHoles ? segments.reduce(0) { $0 + $1.sizeBytes } : status.sizeBytes))
    }

    private mutating func zeros(_ count: Int64) throws(ArchiveError) {
        var left = count
        while left > 0 {
            try put([UInt8](repeating: 0, count: Int(min(left, Int64(Self.chunkBytes)))))
            left -= Int64(Self.chunkBytes)
        }
    }

    /// Writes exactly so many bytes: of a file that grows no more, of one that shrinks zeros. Holes within are zeros, too.
    private mutating func data(of file: Int32, _ segment: SparseMap.Segment, _ path: [UInt8]) throws(ArchiveError) {
        var (place, left) = (UInt64(segment.offset), segment.sizeBytes)
        while left > 0 {
            let (start, limit) = (place, Int(min(left, Int64(Self.chunkBytes))))
            var chunk = try archiving(path) { () throws(SyscallError) in
                try readChunk(file, at: start, limitBytes: limit, subject: printable(path))
            }
            if chunk.isEmpty { chunk = [UInt8](repeating: 0, count: limit) }
            try put(chunk)
            place += UInt64(chunk.count)
            left -= Int64(chunk.count)
        }
    }

    private func knownLink(_ status: FileStatus, as path: [UInt8]) -> TarEntry.Kind? {
        guard status.linkCount > 1, status.type == .regular else { return nil }
        return firstNames[FileID(status)].map { .hardLink(target: $0) }
    }

    /// Fills in the attributes that a layer may hold. - Returns: whether the directory hides all below it.
    private func describe(_ entry: inout TarEntry, _ file: borrowing OwnedFD, _ path: [UInt8]) throws(ArchiveError) -> Bool {
        var isOpaque = false
        let (number, subject) = (file.number, printable(path))
        let names: [String]
        do throws(SyscallError) { names = try extendedAttributeNames(of: number, subject: subject) } catch {
            if error.errno == EOPNOTSUPP { return false }
            throw refused(error, path)
        }
        for name in names.sorted() {
            if form == .overlayLayer && OverlayMarks.moving.contains(name) {
                throw ArchiveError(
                    .refusedEntry, doing: "write layer",
                    subject: "\(subject): \(name), by which overlayfs finds it elsewhere in a lower layer")
            }
            let isMark = form == .overlayLayer && name == OverlayMarks.opaque
            guard isMark || isLayerAttribute(name) else { continue }
            let value = try archiving(path) { () throws(SyscallError) in try extendedAttribute(name, of: number, subject: subject) }
            guard let value else { continue }
            if isMark { isOpaque = value == [0x79] } else { entry.attributes.append(TarEntry.Attribute(name: name, value: value)) }
        }
        return isOpaque
    }

    // MARK: Writing

    /// An empty file that says something about the layers below: its last component begins with `prefix`; none is the opaque mark.
    private mutating func mark(_ path: [UInt8], _ prefix: [UInt8]) throws(ArchiveError) {
        let start = path.lastIndex(of: 0x2f).map { $0 + 1 } ?? 0
        let name = prefix.isEmpty ? Array(".wh..wh..opq".utf8) : prefix + path[start...]
        try write(
            TarEntry(
                path: path[..<start] + name, kind: .regular(sizeBytes: 0), mode: 0, userID: 0, groupID: 0, modified: FileTime(seconds: 0)))
    }

    private mutating func write(_ entry: TarEntry) throws(ArchiveError) {
        entryCount += 1
        if entryCount > limits.entries {
            throw ArchiveError(.overLimit, doing: "write layer", subject: "more than \(limits.entries) entries")
        }
        guard let shift else { return try put(TarHeader.header(entry)) }
        var entry = entry
        (entry.userID, entry.groupID) = (shift.inside(user: entry.userID), shift.inside(group: entry.groupID))
        try put(TarHeader.header(entry))
    }

    private mutating func put(_ bytes: [UInt8]) throws(ArchiveError) {
        waiting += bytes
        if waiting.count >= Self.chunkBytes { try flush() }
    }

    private mutating func flush() throws(ArchiveError) {
        if waiting.isEmpty { return }
        let chunk = waiting
        waiting = []
        try sink(chunk)
    }

    // MARK: Kernel

    /// Lets a descriptor be optional.
    private final class Box {
        let file: OwnedFD
        init(_ file: consuming OwnedFD) { self.file = file }
    }

    private func archiving<Result: ~Copyable>(
        _ path: [UInt8], _ body: () throws(SyscallError) -> Result
    ) throws(ArchiveError) -> Result {
        do throws(SyscallError) { return try body() } catch { throw refused(error, path) }
    }

    /// nil for what is gone, or has become something else, since its directory was read.
    private func unlessGone<Result>(_ path: [UInt8], _ body: () throws(SyscallError) -> Result) throws(ArchiveError) -> Result? {
        do throws(SyscallError) { return try body() } catch {
            if [ENOENT, ENOTDIR, ELOOP, ENXIO, EINVAL].contains(error.errno) { return nil }
            throw refused(error, path)
        }
    }

    private func refused(_ error: SyscallError, _ path: [UInt8]) -> ArchiveError {
        ArchiveError(.system, doing: "write layer", subject: printable(path), cause: error)
    }

    private func printable(_ path: [UInt8]) -> String { String(decoding: path.prefix(200), as: UTF8.self).debugDescription }
}

extension TarEntry {
    fileprivate init(_ path: [UInt8], _ kind: Kind, _ status: FileStatus) {
        self.init(
            path: path, kind: kind, mode: status.mode, userID: Int64(status.userID), groupID: Int64(status.groupID),
            modified: status.modified)
    }
}
