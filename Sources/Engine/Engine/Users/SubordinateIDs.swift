package import LinuxSyscalls
package import SystemPackage

/// `userns-remap` of a daemon.json: whose subordinate ids containers get.
package struct UserRemap: Equatable, Sendable {
    /// The user that docker makes for the word `default`.
    private static let usualName = "dockremap"

    /// Names or numbers.
    package let user: String
    package let group: String
    /// Whether nobody was named: then nobody need have ids to lend.
    package let isUsual: Bool

    package static let usual = UserRemap(user: usualName, group: usualName, isUsual: true)

    private init(user: String, group: String, isUsual: Bool) {
        (self.user, self.group, self.isUsual) = (user, group, isUsual)
    }

    /// Reads `default` or `USER[:GROUP]`; nil for what is neither.
    package init?(parsing text: String) {
        if text == "default" {
            self = .usual
            return
        }
        let parts = text.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
        guard (1...2).contains(parts.count), parts.allSatisfy({ !$0.isEmpty }) else { return nil }
        self.init(user: parts[0], group: parts[parts.count - 1], isUsual: false)
    }
}

/// Ids that the machine has set aside for a user. - Source: subuid(5), subgid(5).
package struct SubordinateIDs: Equatable, Sendable {
    package struct Block: Equatable, Sendable {
        package let first: UInt32
        package let count: UInt32
    }

    /// More than any machine's file has.
    private static let fileLimitBytes = 4 << 20

    package let blocks: [Block]

    /// - Parameter names: of one user, by name or number.
    init(of names: Set<String>, in text: String) {
        blocks = text.split(separator: "\n").compactMap { line in
            let parts = line.split(separator: ":", omittingEmptySubsequences: false)
            guard parts.count == 3, names.contains(String(parts[0])), let first = UInt32(parts[1]), let count = UInt32(parts[2]), count > 0,
                first > 0,
                !first.addingReportingOverflow(count).overflow
            else { return nil }
            return Block(first: first, count: count)
        }
    }

    init(blocks: [Block]) { self.blocks = blocks }

    /// - Parameter names: of one user, by name or number.
    /// - Returns: none where the file is not there.
    package static func read(_ path: FilePath, of names: Set<String>) throws(SyscallError) -> SubordinateIDs {
        do throws(SyscallError) {
            return SubordinateIDs(of: names, in: String(decoding: try readFile(path, limitBytes: fileLimitBytes), as: UTF8.self))
        } catch {
            if error.isMissing { return SubordinateIDs(blocks: []) }
            throw error
        }
    }

    /// The shares that containers get: 65536 ids each; where no block is that large, all there is, as one.
    func shares(of count: UInt32) -> [[UserNamespaceIDs.Run]] {
        let whole = blocks.flatMap { block in
            (0..<block.count / count).map { [UserNamespaceIDs.Run(inside: 0, outside: block.first + $0 * count, count: count)] }
        }
        guard whole.isEmpty else { return whole }
        var next: UInt32 = 0
        var runs: [UserNamespaceIDs.Run] = []
        for block in blocks where next < count {
            let length = min(block.count, count - next)
            runs.append(UserNamespaceIDs.Run(inside: next, outside: block.first, count: length))
            next += length
        }
        return runs.isEmpty ? [] : [runs]
    }
}
