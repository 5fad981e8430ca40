internal import Glibc
internal import LinuxSyscalls
internal import SystemPackage

/// How deep directories may nest.
private let depthLimit = 64

/// Copies what is in one directory into another, with owners, modes and times, and gives the target those of the source: what
/// `tmpcopyup` asks for. Nothing is followed; sockets, and what is mounted below, are left out.
/// - Parameters:
///   - source: any descriptor of the directory, O_PATH too.
///   - target: of an empty directory.
func copyTree(from source: Int32, to target: Int32, subject: String) throws(SyscallError) {
    try copyDirectory(from: source, to: target, subject: subject, depth: 0)
}

private func copyDirectory(from source: Int32, to target: Int32, subject: String, depth: Int) throws(SyscallError) {
    if depth > depthLimit { throw SyscallError("copy", subject, errno: ELOOP) }
    let directory = try openFile(".", [.readOnly, .directory], at: source)
    let copy = try openFile(".", [.readOnly, .directory], at: target)
    let fileSystem = try fileStatus(of: directory.number, subject: subject).fileSystem
    for entry in try directoryEntries(of: directory, subject: subject) {
        let path = "\(subject)/\(entry.name)"
        let status = try fileStatus(entry.name, at: directory.number)
        if status.fileSystem != fileSystem { continue }
        switch status.type {
        case .directory:
            let below = try openFile(entry.name, [.path, .directory, .noFollow], at: directory.number)
            try makeDirectory(entry.name, mode: 0o700, at: copy.number)
            let made = try openFile(entry.name, [.path, .directory, .noFollow], at: copy.number)
            try copyDirectory(from: below.number, to: made.number, subject: path, depth: depth + 1)
        case .regular: try copyFile(entry.name, status, from: directory.number, to: copy.number, subject: path)
        case .symbolicLink:
            try makeSymbolicLink(entry.name, saying: try symbolicLinkText(entry.name, at: directory.number), at: copy.number)
            try changeOwner(entry.name, userID: status.userID, groupID: status.groupID, at: copy.number)
        case .characterDevice, .blockDevice, .pipe:
            guard let type = status.type else { continue }
            try makeNode(entry.name, type, mode: status.mode, device: status.device, at: copy.number)
            try changeOwner(entry.name, userID: status.userID, groupID: status.groupID, at: copy.number)
        case .socket, nil: continue
        }
    }
    try giveStatus(try fileStatus(of: directory.number, subject: subject), from: directory.number, to: copy.number, subject: subject)
}

private func copyFile(_ name: FilePath, _ status: FileStatus, from source: Int32, to target: Int32, subject: String) throws(SyscallError) {
    let file = try openFile(name, [.readOnly, .noFollow, .nonBlocking], at: source)
    let copy = try openFile(name, [.readWrite, .create, .exclusive, .noFollow], mode: 0o600, at: target)
    try copyContents(from: file.number, to: copy.number, sizeBytes: status.sizeBytes, subject: subject)
    try giveStatus(status, from: file.number, to: copy.number, subject: subject)
}

/// The owner first: changing it clears set-id bits.
private func giveStatus(_ status: FileStatus, from source: Int32, to target: Int32, subject: String) throws(SyscallError) {
    try changeOwner(of: target, userID: status.userID, groupID: status.groupID, subject: subject)
    try changeMode(of: target, to: status.mode, subject: subject)
    for name in try extendedAttributeNames(of: source, subject: subject) {
        guard let value = try extendedAttribute(name, of: source, subject: subject) else { continue }
        do throws(SyscallError) { try setExtendedAttribute(name, to: value, of: target, subject: subject) } catch {
            // A tmpfs need not know every kind.
            if error.errno != EOPNOTSUPP { throw error }
        }
    }
    try setTimes(of: target, to: status.modified, subject: subject)
}
