internal import Glibc
internal import LinuxSyscalls
internal import SystemPackage

/// The ids that an administrator has given an ordinary user beside their own. - Source: subuid(5), subgid(5).
struct SubordinateIDs: Equatable {
    /// First id and number of ids.
    struct Range: Equatable {
        let first: UInt32
        let count: UInt32
    }

    /// The kernel takes 340 lines of a map; one is the user's own id.
    private static let rangeLimit = 339
    private static let limitBytes = 4 << 20

    let ranges: [Range]

    /// Reads the lines of one user, by name or number. A file that is not there gives nothing.
    init(_ path: FilePath, user: UInt32, name: String?) throws(SyscallError) {
        let wanted = Set([String(user), name].compactMap { $0 })
        ranges = Array(
            try Self.lines(of: path).compactMap { fields in
                guard fields.count == 3, wanted.contains(fields[0]), let first = UInt32(fields[1]), let count = UInt32(fields[2]), count > 0
                else { return nil }
                return Range(first: first, count: count)
            }.prefix(Self.rangeLimit))
    }

    /// The name of a user in a file like /etc/passwd; nil where it has none.
    static func userName(of user: UInt32, in path: FilePath) throws(SyscallError) -> String? {
        try lines(of: path).first { $0.count > 2 && $0[2] == String(user) }?[0]
    }

    private static func lines(of path: FilePath) throws(SyscallError) -> [[String]] {
        let bytes: [UInt8]
        do throws(SyscallError) { bytes = try readFile(path, limitBytes: limitBytes) } catch {
            if error.errno == ENOENT { return [] }
            throw error
        }
        return String(decoding: bytes, as: UTF8.self).split(separator: "\n").map { line in
            line.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
        }
    }

    /// The words of newuidmap(1) and newgidmap(1): the user's own id becomes 0, the others follow.
    func words(own: UInt32) -> [String] {
        var words = ["0", String(own), "1"]
        var next: UInt32 = 1
        for range in ranges {
            words += [String(next), String(range.first), String(range.count)]
            let (sum, overflows) = next.addingReportingOverflow(range.count)
            if overflows { break }
            next = sum
        }
        return words
    }
}
