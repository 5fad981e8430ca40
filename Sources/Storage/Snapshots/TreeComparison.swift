internal import Archive
internal import Glibc
internal import LinuxSyscalls
package import SystemPackage

/// One path at which a kept layer is not what its blob unpacks to.
package struct TreeDifference: Equatable, Sendable {
    package enum Kind: String, Sendable {
        case missing
        case extra
        case damaged
    }

    package let kind: Kind
    /// Below the layer's root; empty is the root itself.
    package let path: FilePath
    /// What differs, for a damaged one: `content`, `mode`, `owner`, …
    package let what: String
}

/// Compares two trees: kinds, owners, modes, sizes, contents, links, devices, attributes, and the times of all but directories, which
/// unpacking itself touches.
struct TreeComparison: ~Copyable {
    /// Differences that are told; a tree with more of them is as wrong.
    static let differenceLimit = 100

    private static let chunkBytes = 1 << 20

    private let expected: OwnedFD
    private let found: OwnedFD
    private var differences: [TreeDifference] = []

    /// Where `found` is not as `expected`. Blocks.
    static func differences(expected: FilePath, found: FilePath) throws(SyscallError) -> [TreeDifference] {
        do throws(SyscallError) {
            if try fileStatus(found).type != .directory { return [TreeDifference(kind: .damaged, path: FilePath(), what: "kind")] }
        } catch  where error.errno == ENOENT {
            return [TreeDifference(kind: .missing, path: FilePath(), what: "")]
        }
        var comparison = TreeComparison(
            expected: try openFile(expected, [.readOnly, .directory, .noFollow]),
            found: try openFile(found, [.readOnly, .directory, .noFollow]))
        try comparison.run()
        return comparison.differences
    }

    private init(expected: consuming OwnedFD, found: consuming OwnedFD) {
        self.expected = expected
        self.found = found
    }

    private mutating func run() throws(SyscallError) {
        var waiting = [FilePath()]
        if let what = try describeDifference(of: FilePath(".")) { note(.damaged, FilePath(), what) }
        while let folder = waiting.popLast(), differences.count < Self.differenceLimit {
            waiting += try compareContents(of: folder)
        }
    }

    private mutating func note(_ kind: TreeDifference.Kind, _ path: FilePath, _ what: String = "") {
        if differences.count < Self.differenceLimit { differences.append(TreeDifference(kind: kind, path: path, what: what)) }
    }

    /// - Returns: directories that both have.
    private mutating func compareContents(of folder: FilePath) throws(SyscallError) -> [FilePath] {
        let place = folder.isEmpty ? FilePath(".") : folder
        let wanted = Set(try names(of: place, in: expected))
        let there = Set(try names(of: place, in: found))
        for name in there.subtracting(wanted).sorted(by: { $0.string < $1.string }) { note(.extra, folder.pushing(name)) }
        var common: [FilePath] = []
        for name in wanted.sorted(by: { $0.string < $1.string }) {
            let path = folder.pushing(name)
            guard there.contains(name) else {
                note(.missing, path)
                continue
            }
            if let what = try describeDifference(of: path) { note(.damaged, path, what) }
            if try fileStatus(path, at: expected.number).type == .directory, try fileStatus(path, at: found.number).type == .directory {
                common.append(path)
            }
        }
        return common
    }

    private func names(of folder: FilePath, in tree: borrowing OwnedFD) throws(SyscallError) -> [FilePath] {
        let directory = try openFile(folder, [.readOnly, .directory, .noFollow], at: tree.number)
        return try directoryEntries(of: directory, subject: folder.string).map(\.name)
    }

    /// - Returns: the first thing that differs; nil where nothing does.
    private func describeDifference(of path: FilePath) throws(SyscallError) -> String? {
        let (wanted, there) = (try fileStatus(path, at: expected.number), try fileStatus(path, at: found.number))
        if wanted.type != there.type { return "kind" }
        if wanted.mode != there.mode { return "mode" }
        if wanted.userID != there.userID || wanted.groupID != there.groupID { return "owner" }
        switch wanted.type {
        case .directory: return try attributesDiffer(path) ? "attributes" : nil
        case .regular:
            if wanted.sizeBytes != there.sizeBytes { return "size" }
            if try contentsDiffer(path) { return "content" }
            if try attributesDiffer(path) { return "attributes" }
        case .symbolicLink:
            if try symbolicLinkText(path, at: expected.number) != symbolicLinkText(path, at: found.number) { return "link" }
        // The mark of a removed name is all its name says; it is of the moment when it was made.
        case .characterDevice where wanted.isWhiteout && there.isWhiteout: return nil
        case .characterDevice, .blockDevice: if wanted.device != there.device { return "device" }
        case .pipe, .socket, nil: break
        }
        if wanted.linkCount != there.linkCount { return "number of links" }
        return wanted.modified == there.modified ? nil : "time"
    }

    private func attributesDiffer(_ path: FilePath) throws(SyscallError) -> Bool {
        let left = try open(path, in: expected)
        let right = try open(path, in: found)
        let names = try extendedAttributeNames(of: left.number, subject: path.string)
        if Set(names) != Set(try extendedAttributeNames(of: right.number, subject: path.string)) { return true }
        for name in names
        where try extendedAttribute(name, of: left.number, subject: path.string)
            != extendedAttribute(name, of: right.number, subject: path.string)
        {
            return true
        }
        return false
    }

    private func contentsDiffer(_ path: FilePath) throws(SyscallError) -> Bool {
        let left = try open(path, in: expected)
        let right = try open(path, in: found)
        while true {
            let wanted = try readChunk(left.number, limitBytes: Self.chunkBytes, subject: path.string)
            let there = try readChunk(right.number, limitBytes: Self.chunkBytes, subject: path.string)
            if wanted != there { return true }
            if wanted.isEmpty { return false }
        }
    }

    private func open(_ path: FilePath, in tree: borrowing OwnedFD) throws(SyscallError) -> OwnedFD {
        try openFile(path, [.readOnly, .noFollow, .nonBlocking], at: tree.number)
    }
}
