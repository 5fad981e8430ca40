internal import Glibc
package import LinuxSyscalls
internal import SystemPackage

/// Unpacks one layer into an empty directory, in the form that overlayfs takes: `.wh.NAME` becomes a character device 0:0,
/// `.wh..wh..opq` the attribute `OverlayMarks.opaque`. Decompression, the observer's digest and the writing of files happen
/// in one pass on the calling thread, while `source` may still be receiving.
/// - Source: image-spec v1.1, layer.md.
package struct LayerApplier: Sendable {
    package let limits: ArchiveLimits

    package init(limits: ArchiveLimits = .layer) { self.limits = limits }

    /// Unpacks `source`, plain, gzip or zstd, below `root`.
    /// - Parameters:
    ///   - root: the directory, for the files' sake closed to other users.
    ///   - observer: sees every byte of the tar, those behind its end too; its digest is the layer's diffID. Good only when this returns.
    /// - Throws: what is wrong with the layer. The directory then holds part of it and is to be removed.
    package func apply(
        _ source: any ByteSource, onto root: consuming OwnedFD, observer: (any ByteObserver)?
    ) throws(ArchiveError) -> AppliedLayer {
        let stream = try DecompressedStream(source, limits: limits, observer: observer)
        let reader = try TarReader(stream, limits: limits)
        var unpacking = Unpacking(reader: reader, tree: LayerTree(root, limits: limits), limits: limits, rules: .layer)
        try unpacking.run()
        try reader.drain()
        unpacking.result.uncompressedBytes = stream.uncompressedBytes
        return unpacking.result
    }
}

/// One archive being unpacked.
struct Unpacking {
    /// How many bytes or entries are written between two looks at the free space.
    static let bytesBetweenChecks: Int64 = 64 << 20
    static let entriesBetweenChecks = 4096
    /// So many zeros that come at once are not written where a layer is unpacked.
    static let holeBytes = 64 << 10
    /// The most bytes of a file that is read into memory as a whole.
    static let smallFileBytes: Int64 = 64 << 10

    let reader: TarReader
    let tree: LayerTree
    let limits: ArchiveLimits
    let rules: UnpackingRules
    var result = AppliedLayer()
    private var directoryTimes = DirectoryTimes()
    private var uncheckedBytes: Int64 = 0
    /// Of all files, with their holes.
    private var fileBytes: Int64 = 0

    init(reader: TarReader, tree: LayerTree, limits: ArchiveLimits, rules: UnpackingRules) {
        self.rules = rules
        self.reader = reader
        self.tree = tree
        self.limits = limits
    }

    mutating func run() throws(ArchiveError) {
        // Whoever removes what a refused archive left meets nobody who writes there still.
        defer { tree.endWriting() }
        try tree.checkFreeSpace()
        while let entry = try reader.nextEntry() {
            result.entryCount += 1
            if result.entryCount > limits.entries {
                throw ArchiveError(.overLimit, doing: "unpack layer", subject: "more than \(limits.entries) entries")
            }
            if result.entryCount % Self.entriesBetweenChecks == 0 { try tree.checkFreeSpace() }
            try place(entry)
        }
        try tree.settle()
        try directoryTimes.settle(in: tree)
        result.whiteouts = tree.whiteouts
        result.impliedDirectories = tree.impliedDirectories.sorted { ($0.components.count, $0.string) < ($1.components.count, $1.string) }
    }

    private mutating func place(_ entry: TarEntry) throws(ArchiveError) {
        let path = try entryPath(entry.path, of: entry)
        try directoryTimes.willChange(directoryOf: path, in: tree, printable: entry.printable)
        switch rules.isLayer ? try Whiteout(path, printable: entry.printable) : .none {
        case .none: break
        case .reserved: return
        case .hides(let name): return try tree.hide(name, besides: path, printable: entry.printable)
        case .opaque:
            if path.parent.isEmpty { result.hidesAllBelow = true } else { try tree.hideAll(besides: path, printable: entry.printable) }
            return
        }
        switch entry.kind {
        case .directory: try placeDirectory(entry, at: path)
        case .regular(let sizeBytes): try placeFile(entry, at: path, sizeBytes: sizeBytes)
        case .symbolicLink(let target): try placeSymbolicLink(entry, at: path, to: target)
        case .hardLink(let target): try placeHardLink(entry, at: path, to: target)
        case .device(let type, let number): try placeNode(entry, at: path, type, number)
        case .pipe: try placeNode(entry, at: path, .pipe, DeviceNumber(major: 0, minor: 0))
        }
    }

    private func entryPath(_ bytes: [UInt8], of entry: TarEntry) throws(ArchiveError) -> EntryPath {
        let path = try EntryPath(bytes, limits: limits, printable: entry.printable)
        guard let naming = rules.naming else { return path }
        return try naming.place(of: path, printable: entry.printable)
    }

    private mutating func placeDirectory(_ entry: TarEntry, at path: EntryPath) throws(ArchiveError) {
        // The directory that everything goes into is the tree's own, not the archive's.
        if rules.sparesRoot && path.name == nil { return }
        let directory = try tree.makeDescribed(path, printable: entry.printable)
        try describe(directory, by: entry)
        try directoryTimes.note(path.components, time(of: entry), in: tree)
    }

    /// Holes take no room here, but whoever checks the layer's files meets them. What is copied into a tree has its owner's leave.
    private mutating func accountFile(_ entry: TarEntry, _ sizeBytes: Int64) throws(ArchiveError) {
        guard rules.isLayer else { return }
        if sizeBytes > limits.uncompressedBytes - fileBytes {
            throw ArchiveError(
                .overLimit, doing: "unpack entry",
                subject: "\(entry.printable): \(sizeBytes) bytes, more than \(limits.uncompressedBytes) in all")
        }
        fileBytes += sizeBytes
    }

    private mutating func placeFile(_ entry: TarEntry, at path: EntryPath, sizeBytes: Int64) throws(ArchiveError) {
        try accountFile(entry, sizeBytes)
        if try placeSmallFile(entry, at: path, sizeBytes: sizeBytes) { return }
        let place = try tree.clear(path, printable: entry.printable)
        let file = try unpacking(entry.printable) { () throws(SyscallError) in
            try openFile(place.name, [.writeOnly, .create, .exclusive, .noFollow], mode: 0o600, at: place.directory)
        }
        var (end, writtenEnd): (Int64, Int64) = (0, 0)
        try reader.readData { bytes, offset throws(ArchiveError) in
            try account(bytes.count)
            let blockEnd = offset + Int64(bytes.count)
            end = max(end, blockEnd)
            // A hole, as it was before it was packed, or as good as one; a map may lead back to what is written already.
            if rules.isLayer && bytes.count >= Self.holeBytes && offset >= writtenEnd && areZeros(bytes) { return }
            writtenEnd = max(writtenEnd, blockEnd)
            do throws(SyscallError) { try writeAll(bytes, at: offset, to: file.number) } catch {
                throw refusal(error, entry.printable)
            }
        }
        // A map may name places behind the end that its header tells.
        if end > sizeBytes { try accountFile(entry, end - sizeBytes) }
        try unpacking(entry.printable) { () throws(SyscallError) in
            if writtenEnd < max(end, sizeBytes) { try setSize(of: file.number, bytes: max(end, sizeBytes)) }
        }
        try describe(file, by: entry)
        try unpacking(entry.printable) { () throws(SyscallError) in
            try setTimes(of: file.number, to: time(of: entry))
        }
    }

    /// Places a file that is read into memory at once, as most of a layer's are; nothing else is known of it than every file has.
    /// - Returns: false for any other, of which nothing is read.
    private mutating func placeSmallFile(_ entry: TarEntry, at path: EntryPath, sizeBytes: Int64) throws(ArchiveError) -> Bool {
        guard rules.isLayer, sizeBytes <= Self.smallFileBytes, !entry.hasMap, entry.attributes.isEmpty, let name = path.name else {
            return false
        }
        var bytes = try reader.readWhole(limitBytes: Int(Self.smallFileBytes))
        try account(bytes.count)
        // A header may tell a larger size than there is data, without a map.
        if bytes.count < sizeBytes { bytes += [UInt8](repeating: 0, count: Int(sizeBytes) - bytes.count) }
        if bytes.count > sizeBytes { try accountFile(entry, Int64(bytes.count) - sizeBytes) }
        try tree.place(
            NewFile(
                path: path, directory: try tree.directory(of: path, printable: entry.printable), name: filePath(bytes: name), bytes: bytes,
                owner: try owner(of: entry), mode: entry.mode, modified: time(of: entry), printable: entry.printable))
        return true
    }

    /// Looks at the free space once so many bytes were read.
    private mutating func account(_ readBytes: Int) throws(ArchiveError) {
        uncheckedBytes += Int64(readBytes)
        if uncheckedBytes < Self.bytesBetweenChecks { return }
        try tree.checkFreeSpace()
        uncheckedBytes = 0
    }

    private mutating func placeSymbolicLink(_ entry: TarEntry, at path: EntryPath, to target: [UInt8]) throws(ArchiveError) {
        if target.isEmpty || target.count > limits.pathBytes {
            throw ArchiveError(.refusedEntry, doing: "unpack entry", subject: "\(entry.printable): a link of \(target.count) bytes")
        }
        let owner = try owner(of: entry)
        let place = try tree.clear(path, printable: entry.printable)
        try unpacking(entry.printable) { () throws(SyscallError) in
            try makeSymbolicLink(place.name, saying: target, at: place.directory)
            try changeOwner(place.name, userID: owner.user, groupID: owner.group, at: place.directory)
            try setTimes(place.name, accessed: time(of: entry), modified: time(of: entry), at: place.directory)
        }
        result.droppedAttributeCount += entry.attributes.count
    }

    /// Owner, mode and times are those of the file that is linked to: an entry cannot change them through a second name.
    private func placeHardLink(_ entry: TarEntry, at path: EntryPath, to target: [UInt8]) throws(ArchiveError) {
        let targetPath = try entryPath(target, of: entry)
        let mark: Whiteout = rules.isLayer ? try Whiteout(targetPath, printable: entry.printable) : .none
        guard mark == .none else {
            throw ArchiveError(.refusedEntry, doing: "unpack entry", subject: "\(entry.printable): a hard link to a whiteout")
        }
        try tree.link(path, to: targetPath, printable: entry.printable)
    }

    private mutating func placeNode(
        _ entry: TarEntry, at path: EntryPath, _ type: LinuxSyscalls.FileType, _ number: DeviceNumber
    ) throws(ArchiveError) {
        if rules.isLayer && type == .characterDevice && number == DeviceNumber(major: 0, minor: 0) {
            throw ArchiveError(.refusedEntry, doing: "unpack entry", subject: "\(entry.printable): a forged whiteout")
        }
        let owner = try owner(of: entry)
        let place = try tree.clear(path, printable: entry.printable)
        // No user namespace makes devices, and containers get theirs elsewhere: left out, as Docker does.
        if rules.isLayer && type != .pipe && OverlayMarks.areUsers {
            result.droppedDeviceCount += 1
            return
        }
        try unpacking(entry.printable) { () throws(SyscallError) in
            try makeNode(place.name, type, mode: 0o600, device: number, at: place.directory)
            try changeOwner(place.name, userID: owner.user, groupID: owner.group, at: place.directory)
            let node = try openFile(place.name, [.path, .noFollow], at: place.directory)
            try changeMode(procfsName(of: node.number), to: entry.mode)
            try setTimes(place.name, accessed: time(of: entry), modified: time(of: entry), at: place.directory)
        }
        result.droppedAttributeCount += entry.attributes.count
    }

    // MARK: Metadata

    /// Owner before mode and attributes: chown(2) clears set-id bits and capabilities.
    private mutating func describe(_ file: borrowing OwnedFD, by entry: TarEntry) throws(ArchiveError) {
        let owner = try owner(of: entry)
        let descriptor = file.number
        try unpacking(entry.printable) { () throws(SyscallError) in
            try changeOwner(of: descriptor, userID: owner.user, groupID: owner.group)
            try changeMode(of: descriptor, to: entry.mode)
        }
        for attribute in entry.attributes {
            if !isLayerAttribute(attribute.name) && !isTrustedAttribute(attribute.name) {
                result.droppedAttributeCount += 1
                continue
            }
            do throws(SyscallError) {
                try setExtendedAttribute(attribute.name, to: attribute.value, of: descriptor, subject: entry.printable.description)
            } catch {
                // A file system without such attributes loses them, and who may not set trusted ones; capabilities are never lost in silence.
                let isLost =
                    error.errno == EOPNOTSUPP && attribute.name != "security.capability"
                    || error.errno == EPERM && isTrustedAttribute(attribute.name)
                if !isLost { throw refusal(error, entry.printable) }
                result.droppedAttributeCount += 1
            }
        }
    }

    private func owner(of entry: TarEntry) throws(ArchiveError) -> (user: UInt32, group: UInt32) {
        if let owner = rules.owner { return try shifted(owner.user, owner.group, entry) }
        // The highest number means "leave as it is" to chown(2).
        guard let user = UInt32(exactly: entry.userID), let group = UInt32(exactly: entry.groupID), user != .max, group != .max else {
            throw ArchiveError(
                .refusedEntry, doing: "unpack entry", subject: "\(entry.printable): owner \(entry.userID):\(entry.groupID)")
        }
        return try shifted(user, group, entry)
    }

    private func shifted(_ user: UInt32, _ group: UInt32, _ entry: TarEntry) throws(ArchiveError) -> (user: UInt32, group: UInt32) {
        guard let shift = rules.shift else { return (user, group) }
        if let owner = shift.outside(user: user, group: group) { return owner }
        throw ArchiveError(
            .refusedEntry, doing: "unpack entry",
            subject: "\(entry.printable): owner \(user):\(group) is not among the ids of the container's user namespace")
    }

    private func time(of entry: TarEntry) -> FileTime {
        FileTime(seconds: entry.modified.seconds, nanoseconds: min(max(entry.modified.nanoseconds, 0), 999_999_999))
    }
}

/// Attributes of the machine's root, which are taken from an archive as Docker takes them, and put into none. Not overlayfs's own.
func isTrustedAttribute(_ name: String) -> Bool { name.hasPrefix("trusted.") && !name.hasPrefix("trusted.overlay.") }

/// Which attributes a layer may hold: file capabilities and the user's own. Those of overlayfs would let a layer redirect lookups
/// below the snapshot, labels belong to the machine that packed it.
func isLayerAttribute(_ name: String) -> Bool {
    name == "security.capability" || name.hasPrefix("user.") && !name.hasPrefix("user.overlay.")
}
