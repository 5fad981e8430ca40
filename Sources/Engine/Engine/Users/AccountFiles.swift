internal import CoreTypes
internal import OCISpec

/// The text of a container's `/etc/passwd` and `/etc/group`, and who is who in it. Pure.
///
/// - Source: passwd(5), group(5). Lines that do not follow them are passed over, as the C library does.
struct AccountFiles: Sendable {
    /// One line of `/etc/passwd`.
    struct User: Equatable, Sendable {
        var name: String
        var uid: UInt32
        var gid: UInt32
    }

    /// One line of `/etc/group`.
    struct Group: Equatable, Sendable {
        var name: String
        var gid: UInt32
        var members: [String]
    }

    /// Most groups that a process may be in: NGROUPS_MAX of Linux.
    static let maximumGroupCount = 65_536

    let users: [User]
    let groups: [Group]

    init(passwd: [UInt8] = [], group: [UInt8] = []) {
        users = Self.rows(passwd).compactMap { fields in
            guard fields.count >= 4, let uid: UInt32 = decimal(fields[2]), let gid: UInt32 = decimal(fields[3]) else { return nil }
            return User(name: fields[0], uid: uid, gid: gid)
        }
        groups = Self.rows(group).compactMap { fields in
            guard fields.count >= 3, let gid: UInt32 = decimal(fields[2]) else { return nil }
            let members = fields.count > 3 ? fields[3].split(separator: ",").map(String.init) : []
            return Group(name: fields[0], gid: gid, members: members)
        }
    }

    private static func rows(_ text: [UInt8]) -> [[String]] {
        text.split(separator: UInt8(ascii: "\n")).map { line in
            line.split(separator: UInt8(ascii: ":"), omittingEmptySubsequences: false).map { String(decoding: $0, as: UTF8.self) }
        }
    }

    /// Who `user`, `uid`, `user:group` or `uid:gid` is; empty is root, or whoever has uid 0.
    /// - Parameter additional: `HostConfig.GroupAdd`.
    /// - Throws: `.invalidParameter` in Docker's words for a name that no line has.
    func resolve(_ text: String, additional: [String] = []) throws(EngineError) -> UserConfiguration {
        let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        let userWord = parts.first ?? ""
        let groupWord = parts.count > 1 ? parts[1] : ""
        let user = try user(userWord)
        var result = UserConfiguration(uid: user.uid, gid: user.gid)
        if groupWord.isEmpty {
            result.additionalGIDs = groups.filter { !user.name.isEmpty && $0.members.contains(user.name) }.map(\.gid)
        } else {
            result.gid = try group(groupWord)
        }
        // The primary group is named again, as a process that drops its supplementary groups must not gain by it.
        var gids = [result.gid] + result.additionalGIDs
        for word in additional { gids.append(try group(word)) }
        var seen: Set<UInt32> = []
        result.additionalGIDs = Array(gids.filter { seen.insert($0).inserted }.prefix(Self.maximumGroupCount))
        return result
    }

    private func user(_ word: String) throws(EngineError) -> User {
        if word.isEmpty { return users.first { $0.uid == 0 } ?? User(name: "", uid: 0, gid: 0) }
        if let named = users.first(where: { $0.name == word }) { return named }
        guard let uid: UInt32 = decimal(word) else {
            throw EngineError(.invalidParameter, "unable to find user \(word): no matching entries in passwd file")
        }
        guard uid <= UInt32(Int32.max) else { throw Self.outOfRange }
        return users.first { $0.uid == uid } ?? User(name: "", uid: uid, gid: 0)
    }

    private func group(_ word: String) throws(EngineError) -> UInt32 {
        if let named = groups.first(where: { $0.name == word }) { return named.gid }
        guard let gid: UInt32 = decimal(word) else {
            throw EngineError(.invalidParameter, "unable to find group \(word): no matching entries in group file")
        }
        guard gid <= UInt32(Int32.max) else { throw Self.outOfRange }
        return gid
    }

    private static let outOfRange = EngineError(.invalidParameter, "uids and gids must be in range 0-2147483647")
}
