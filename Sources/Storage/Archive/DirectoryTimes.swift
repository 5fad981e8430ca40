internal import LinuxSyscalls
internal import SystemPackage

/// The times that directories are to have in the end, since writing into one changes its time. As many are kept as a bounded memory holds:
/// beyond that all are set at once, and a directory that something is put into later is taken in again, with the time that it has.
struct DirectoryTimes {
    /// Bytes of the paths that are kept, with what each costs beside its own bytes.
    private static let limitBytes = 8 << 20
    private static let costBytes = 96

    /// By path, each with how many were said before.
    private var times: [[UInt8]: (order: Int, time: FileTime)] = [:]
    private var saidCount = 0
    private var keptBytes = 0
    private var hasLetGo = false

    /// Says what a directory's time is to be; what was said last counts.
    mutating func note(_ components: [[UInt8]], _ time: FileTime, in tree: LayerTree) throws(ArchiveError) {
        let path = Array(components.joined(separator: [0x2f]))
        let addedBytes = times[path] == nil ? path.count + Self.costBytes : 0
        if keptBytes + addedBytes > Self.limitBytes {
            // Before this one is taken in: what is put into it comes yet.
            try settle(in: tree)
            hasLetGo = true
        }
        if times.updateValue((saidCount, time), forKey: path) == nil { keptBytes += path.count + Self.costBytes }
        saidCount += 1
    }

    /// Something is about to be put into the directory of an entry, or into the nearest above it that is there.
    mutating func willChange(directoryOf path: EntryPath, in tree: LayerTree, printable: PrintablePath) throws(ArchiveError) {
        guard hasLetGo else { return }
        var components = Array(path.parent)
        while times[Array(components.joined(separator: [0x2f]))] == nil {
            if let time = try tree.directoryTime(components, printable: printable) { return try note(components, time, in: tree) }
            guard components.popLast() != nil else { return }
        }
    }

    /// Sets all times that are kept, and forgets them.
    mutating func settle(in tree: LayerTree) throws(ArchiveError) {
        // Of two paths to one directory, what was said last counts as well.
        for (path, (_, time)) in times.sorted(by: { $0.value.order < $1.value.order }) {
            let components = path.split(separator: 0x2f).map { Array($0) }
            try tree.setDirectoryTime(components, to: time, printable: PrintablePath(bytes: path))
        }
        times = [:]
        keptBytes = 0
    }
}
