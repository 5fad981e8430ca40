internal import LinuxSyscalls
internal import SystemPackage

/// The times that directories are to have in the end, since writing into one changes its time. As many are kept as a bounded memory holds:
/// beyond that all are set at once, and a directory that something is put into later is taken in again, with the time that it has.
struct DirectoryTimes {
    /// Bytes of the paths that are kept, with what each costs beside its own bytes.
    private static let limitBytes = 8 << 20
    private static let costBytes = 96

    private var times: [[UInt8]: FileTime] = [:]
    private var keptBytes = 0
    private var hasLetGo = false

    /// Says what a directory's time is to be; what was said last counts.
    mutating func note(_ components: [[UInt8]], _ time: FileTime, in tree: LayerTree) throws(ArchiveError) {
        let path = Array(components.joined(separator: [0x2f]))
        if times.updateValue(time, forKey: path) == nil { keptBytes += path.count + Self.costBytes }
        if keptBytes > Self.limitBytes {
            try settle(in: tree)
            hasLetGo = true
        }
    }

    /// Something is about to be put into the directory of an entry, or into the nearest above it that is there.
    mutating func willChange(directoryOf path: EntryPath, in tree: LayerTree, printable: String) throws(ArchiveError) {
        guard hasLetGo else { return }
        var components = Array(path.parent)
        while times[Array(components.joined(separator: [0x2f]))] == nil {
            if let time = try tree.directoryTime(components, printable: printable) { return try note(components, time, in: tree) }
            guard components.popLast() != nil else { return }
        }
    }

    /// Sets all times that are kept, and forgets them.
    mutating func settle(in tree: LayerTree) throws(ArchiveError) {
        for (path, time) in times {
            let components = path.split(separator: 0x2f).map { Array($0) }
            try tree.setDirectoryTime(components, to: time, printable: relativePath(components).string)
        }
        times = [:]
        keptBytes = 0
    }
}
