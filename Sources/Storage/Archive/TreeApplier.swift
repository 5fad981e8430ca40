package import LinuxSyscalls
package import SystemPackage

/// Unpacks an archive into a tree that is there already and may be in use, as docker's `cp` does: what the archive holds takes the place
/// of what has its name, directories are merged, and whiteouts are files like others. Links of the tree lead to places of the tree, and
/// nowhere else, whoever changes them meanwhile.
package struct TreeApplier: Sendable {
    /// Who owns what is unpacked.
    package struct Owner: Equatable, Sendable {
        package let user: UInt32
        package let group: UInt32

        package init(user: UInt32, group: UInt32) {
            self.user = user
            self.group = group
        }
    }

    private let limits: ArchiveLimits
    private let rules: UnpackingRules

    /// - Parameters:
    ///   - replacesKinds: whether a directory may take the place of something else, and something else that of a directory.
    ///   - owner: nil is who the archive says.
    ///   - shift: what the archive's ids, and those of `owner`, are in the tree; nil is the same.
    ///   - sparesRoot: whether the directory that is unpacked into keeps its own owner, mode and times.
    ///   - naming: nil takes names as they are.
    ///   - limits: `.volume` where the room is that of who asks, `.layer` where it is the daemon's.
    package init(
        replacesKinds: Bool, owner: Owner? = nil, shift: OwnerShift? = nil, sparesRoot: Bool = true, naming: ArchiveNaming? = nil,
        limits: ArchiveLimits
    ) {
        self.limits = limits
        rules = UnpackingRules(
            isLayer: false, sparesRoot: sparesRoot, replacesKinds: replacesKinds, owner: owner, shift: shift, naming: naming)
    }

    /// Unpacks `source`, plain, gzip or zstd.
    /// - Parameters:
    ///   - root: the tree's root, at which its links end.
    ///   - base: the directory in the tree that the archive's names are in.
    /// - Throws: what is wrong with the archive, or with a place of the tree. What was unpacked before stays.
    package func apply(_ source: any ByteSource, onto root: consuming OwnedFD, at base: FilePath) throws(ArchiveError) {
        let stream = try DecompressedStream(source, limits: limits, observer: nil)
        let reader = try TarReader(stream, limits: limits)
        let place = pathBytes(base).split(separator: 0x2f).map { Array($0) }
        var unpacking = Unpacking(
            reader: reader, tree: LayerTree(root, base: place, limits: limits, rules: rules), limits: limits, rules: rules)
        guard let shift = rules.shift else {
            try unpacking.run()
            return try reader.drain()
        }
        // A file of the host's root has no meaning in a tree of other ids, not even for the moment before it has its owner.
        let identity: FileSystemIdentity
        do throws(SyscallError) { identity = try FileSystemIdentity(user: shift.root.user, group: shift.root.group) } catch {
            throw ArchiveError(.system, doing: "unpack", subject: base.string, cause: error)
        }
        do throws(ArchiveError) { try unpacking.run() } catch {
            identity.end()
            throw error
        }
        identity.end()
        try reader.drain()
    }
}

/// What an archive's entries mean to the tree that they are unpacked into.
struct UnpackingRules: Sendable {
    /// Whether the tree is a layer, with marks for what it hides of those below.
    var isLayer = true
    /// Whether the directory that is unpacked into keeps its own owner, mode and times.
    var sparesRoot = false
    var replacesKinds = true
    var owner: TreeApplier.Owner?
    var shift: OwnerShift?
    var naming: ArchiveNaming?

    static let layer = UnpackingRules()
}
