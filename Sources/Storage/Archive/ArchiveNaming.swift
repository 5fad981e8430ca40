/// Where the names of an archive belong that was asked for by one name: what lies elsewhere was not asked for, and is refused.
package struct ArchiveNaming: Equatable, Sendable {
    /// The first component of every name; nil where the contents of a directory were asked for.
    private let source: [UInt8]?
    /// What it becomes; nil leaves names alone.
    private let target: [UInt8]?

    /// - Parameters:
    ///   - source: the first component of every name in the archive; nil where names begin below it.
    ///   - target: what stands there instead; nil leaves names as they are.
    package init(of source: String?, becoming target: String?) {
        self.source = source.map { Array($0.utf8) }
        self.target = target.map { Array($0.utf8) }
    }

    func place(of path: EntryPath, printable: PrintablePath) throws(ArchiveError) -> EntryPath {
        var rest = path.components[...]
        if let source {
            guard rest.popFirst() == source else {
                throw ArchiveError(.refusedEntry, doing: "unpack entry", subject: "\(printable): not what was asked for")
            }
        }
        guard let first = target ?? source else { return path }
        return EntryPath(components: [first] + rest)
    }
}
