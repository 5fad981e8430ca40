internal import CLinux
internal import Glibc
package import SystemPackage

/// Kinds of namespaces, as the CLONE_NEW… constants. - Source: namespaces(7).
package struct NamespaceTypes: OptionSet, Hashable, Sendable {
    package let rawValue: Int32
    package init(rawValue: Int32) { self.rawValue = rawValue }
    /// Spelled out: the generic default looks up conformances at run time.
    package init(arrayLiteral elements: NamespaceTypes...) { rawValue = elements.reduce(0) { $0 | $1.rawValue } }

    package static let time = NamespaceTypes(rawValue: 0x80)
    package static let mount = NamespaceTypes(rawValue: 0x2_0000)
    package static let cgroup = NamespaceTypes(rawValue: 0x200_0000)
    package static let uts = NamespaceTypes(rawValue: 0x400_0000)
    package static let ipc = NamespaceTypes(rawValue: 0x800_0000)
    package static let user = NamespaceTypes(rawValue: 0x1000_0000)
    package static let pid = NamespaceTypes(rawValue: 0x2000_0000)
    package static let network = NamespaceTypes(rawValue: 0x4000_0000)
}

/// Joins a namespace by its descriptor, or several of a process by its pidfd (Linux 5.8). - Source: setns(2).
package func joinNamespace(_ descriptor: borrowing OwnedFD, _ types: NamespaceTypes, subject: String) throws(SyscallError) {
    try joinNamespace(descriptor.number, types, subject: subject)
}

/// The same by number.
package func joinNamespace(_ descriptor: Int32, _ types: NamespaceTypes, subject: String) throws(SyscallError) {
    try checked("setns", subject) { clinux_setns(descriptor, types.rawValue) }
}

/// Moves the calling process, or for pid and time its later children, to new namespaces. - Source: unshare(2).
package func unshareNamespaces(_ types: NamespaceTypes, subject: String) throws(SyscallError) {
    try checked("unshare", subject) { clinux_unshare(types.rawValue) }
}

/// The kind of the namespace that a descriptor refers to. - Throws: ENOTTY where it is none. - Source: ioctl_ns(2), NS_GET_NSTYPE.
package func namespaceType(of descriptor: borrowing OwnedFD, subject: String) throws(SyscallError) -> NamespaceTypes {
    let number = descriptor.number
    return NamespaceTypes(rawValue: try checked("ioctl NS_GET_NSTYPE", subject) { clinux_namespace_type(number) })
}

/// Sets the host name of the UTS namespace. - Source: sethostname(2).
package func setHostName(_ name: String) throws(SyscallError) {
    try retryingInterrupted("sethostname", name) { unsafe sethostname(name, name.utf8.count) }
}

/// Sets the NIS domain name of the UTS namespace. - Source: setdomainname(2).
package func setDomainName(_ name: String) throws(SyscallError) {
    try retryingInterrupted("setdomainname", name) { unsafe setdomainname(name, name.utf8.count) }
}

/// Makes `path` the working directory. - Source: chdir(2).
package func changeDirectory(_ path: FilePath) throws(SyscallError) {
    try retryingInterrupted("chdir", path.string) { unsafe path.withPlatformString { unsafe chdir($0) } }
}

/// Makes an open directory the working directory. - Source: fchdir(2).
package func changeDirectory(to directory: borrowing OwnedFD, subject: String) throws(SyscallError) {
    try changeDirectory(to: directory.number, subject: subject)
}

/// The same by number.
package func changeDirectory(to directory: Int32, subject: String) throws(SyscallError) {
    try retryingInterrupted("fchdir", subject) { fchdir(directory) }
}

/// Makes `path` the root directory of the process. - Source: chroot(2).
package func changeRoot(to path: FilePath) throws(SyscallError) {
    try retryingInterrupted("chroot", path.string) { unsafe path.withPlatformString { unsafe chroot($0) } }
}

/// The working directory as the kernel tells it; one outside the root begins with `(unreachable)`. - Source: getcwd(2), without the
/// C library, which hides that.
package func workingDirectory() throws(SyscallError) -> FilePath {
    var buffer = [CChar](repeating: 0, count: Int(PATH_MAX))
    let size = UInt64(buffer.count)
    try checked("getcwd") { unsafe clinux_getcwd(&buffer, size) }
    return FilePath(platformString: buffer)
}

/// Whether the ids of the calling process are the machine's, those of the initial user namespace; true where procfs is missing.
/// - Source: user_namespaces(7): the initial namespace maps all ids onto themselves.
package func isInInitialUserNamespace() -> Bool {
    guard let bytes = try? readFile("/proc/self/uid_map", limitBytes: 65_536) else { return true }
    return String(decoding: bytes, as: UTF8.self).split(whereSeparator: \.isWhitespace) == ["0", "0", "4294967295"]
}
