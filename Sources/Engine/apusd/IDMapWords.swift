internal import Engine
internal import LinuxSyscalls
internal import SystemPackage

extension SubordinateIDs {
    /// The kernel takes 340 lines of a map; one is the user's own id. - Source: user_namespaces(7).
    private static let lineLimit = 339

    /// The words of newuidmap(1) and newgidmap(1): the user's own id becomes 0, the others follow.
    func words(own: UInt32) -> [String] {
        var words = ["0", String(own), "1"]
        var next: UInt32 = 1
        for block in blocks.prefix(Self.lineLimit) {
            words += [String(next), String(block.first), String(block.count)]
            let (sum, overflows) = next.addingReportingOverflow(block.count)
            if overflows { break }
            next = sum
        }
        return words
    }
}

/// The name of a user in a file like /etc/passwd; nil where it has none. - Source: passwd(5).
func userName(of user: UInt32, in path: FilePath) throws(SyscallError) -> String? {
    let limitBytes = 4 << 20
    let bytes: [UInt8]
    do throws(SyscallError) { bytes = try readFile(path, limitBytes: limitBytes) } catch {
        if error.isMissing { return nil }
        throw error
    }
    for line in String(decoding: bytes, as: UTF8.self).split(separator: "\n") {
        let fields = line.split(separator: ":", omittingEmptySubsequences: false)
        if fields.count > 2, fields[2] == String(user) { return String(fields[0]) }
    }
    return nil
}
