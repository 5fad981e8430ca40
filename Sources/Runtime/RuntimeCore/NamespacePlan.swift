package import LinuxSyscalls
package import OCISpec
internal import SystemPackage

/// Which namespaces the container gets anew, which by path, and how: what docs/process-stages.md draws.
package struct NamespacePlan: Equatable, Sendable {
    /// A namespace that is joined, and the file that stands for it.
    package struct Join: Equatable, Sendable {
        package let type: NamespaceTypes
        package let kind: LinuxNamespace.Kind
        package let path: String
        /// Of linux.namespaces; nil where no configuration names it.
        var index: Int?
    }

    /// New, by the clone itself. Not cgroup, whose root is where the process is, nor time, whose offsets must be written first.
    package let cloned: NamespaceTypes
    /// New, by the child once it is in its cgroup.
    package let hasNewCgroup: Bool
    package let hasNewTime: Bool
    /// Joined by path, except a user namespace.
    package let joined: [Join]
    /// The user namespace to join. It cannot be left again, so a stage of its own joins it and clones there.
    package let joinedUser: Join?

    /// Whether the process has any user namespace other than the runtime's.
    package var hasUser: Bool { hasNewUser || joinedUser != nil }
    package var hasNewUser: Bool { cloned.contains(.user) }

    package init(_ namespaces: [LinuxNamespace]) {
        var cloned: NamespaceTypes = []
        var joins: [Join] = []
        for (index, namespace) in namespaces.enumerated() {
            let type = NamespaceTypes(namespace.kind)
            if let path = namespace.path {
                joins.append(Join(type: type, kind: namespace.kind, path: path, index: index))
            } else {
                cloned.insert(type)
            }
        }
        self.cloned = cloned.subtracting([.cgroup, .time])
        hasNewCgroup = cloned.contains(.cgroup)
        hasNewTime = cloned.contains(.time)
        joined = joins.filter { $0.type != .user }
        joinedUser = joins.first { $0.type == .user }
    }
}

// For errors.
extension NamespacePlan.Join {
    /// `linux.namespaces[2].path: `, or nothing.
    private var field: String { index.map { "linux.namespaces[\($0)].path: " } ?? "" }

    var opening: String { "\(field)opening the \(kind.rawValue) namespace \(path)" }

    var joining: String { "\(field)joining the \(kind.rawValue) namespace" }
}

extension NamespaceTypes {
    init(_ kind: LinuxNamespace.Kind) {
        switch kind {
        case .mount: self = .mount
        case .pid: self = .pid
        case .network: self = .network
        case .uts: self = .uts
        case .ipc: self = .ipc
        case .user: self = .user
        case .cgroup: self = .cgroup
        case .time: self = .time
        }
    }
}

/// A namespace file opened and known to be what it should be.
final class OpenedNamespace {
    let join: NamespacePlan.Join
    let file: OwnedFD

    init(_ join: NamespacePlan.Join) throws(RuntimeError) {
        self.join = join
        file = try during(join.opening) { () throws(SyscallError) in try openFile(FilePath(join.path), .readOnly) }
        let found: NamespaceTypes
        do throws(SyscallError) { found = try namespaceType(of: file, subject: join.path) } catch {
            throw RuntimeError(.invalidConfiguration, doing: join.opening, "it is not a namespace")
        }
        guard found == join.type else { throw RuntimeError(.invalidConfiguration, doing: join.opening, "it is another kind of namespace") }
    }

    func enter() throws(SyscallError) { try joinNamespace(file, join.type, subject: join.path) }
}
