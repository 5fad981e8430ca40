internal import LinuxSyscalls
internal import Rootfs
internal import SystemPackage

/// The container's own /etc/passwd, read as data: bounded, without following links out of the root, never through name services.
package enum UserDatabase {
    /// Past this an account is as if it did not exist.
    fileprivate static let limitBytes = 4 << 20

    /// The home directory of a user, nil where the file has no such user or is no regular file. Looked up in the calling process's root.
    static func home(of userID: UInt32) -> String? {
        guard let root = try? openFile("/", [.path, .directory]),
            let file = try? RootDirectory(root).open("/etc/passwd", [.readOnly, .nonBlocking, .noControllingTerminal]),
            let status = try? fileStatus(of: file.number), status.type == .regular, status.sizeBytes <= limitBytes,
            let contents = try? readAll(file.number, limitBytes: limitBytes, subject: "/etc/passwd")
        else { return nil }
        return home(of: userID, in: contents)
    }

    /// The sixth field of the line whose third is the user's number. - Source: passwd(5).
    package static func home(of userID: UInt32, in contents: [UInt8]) -> String? {
        let wanted = Array(String(userID).utf8)[...]
        for line in contents.split(separator: UInt8(ascii: "\n")) {
            let fields = line.split(separator: UInt8(ascii: ":"), omittingEmptySubsequences: false)
            if fields.count >= 6, fields[2] == wanted, !fields[5].isEmpty { return String(decoding: fields[5], as: UTF8.self) }
        }
        return nil
    }
}

/// Names of the host's accounts, for people to read.
package enum AccountNames {
    /// The name that the host's /etc/passwd has for a user, or `#` and the number.
    package static func name(of userID: UInt32) -> String {
        let wanted = Array(String(userID).utf8)[...]
        let contents = (try? readFile("/etc/passwd", limitBytes: UserDatabase.limitBytes)) ?? []
        for line in contents.split(separator: UInt8(ascii: "\n")) {
            let fields = line.split(separator: UInt8(ascii: ":"), omittingEmptySubsequences: false)
            if fields.count >= 3, fields[2] == wanted { return String(decoding: fields[0], as: UTF8.self) }
        }
        return "#\(userID)"
    }
}
