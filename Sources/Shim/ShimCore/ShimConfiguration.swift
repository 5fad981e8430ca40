internal import ShimProtocol

/// What `main` read from command line and environment, once.
package struct ShimConfiguration: Equatable, Sendable {
    /// containerd's namespace of the container; for `apusd` its own.
    package var namespace = ""
    package var id = ""
    /// The shim's own directory: socket, pid, options and what a runtime call needs.
    package var directory = ""
    /// Where events go: containerd's ttrpc socket, or empty for nowhere.
    package var eventsAddress = ""
    /// containerd's own socket, by which one containerd is told from another.
    package var containerdAddress = ""
    /// The key of the group whose containers this shim serves; empty for one that serves a single container.
    package var group = ""
    /// The environment of the runtime.
    package var environment: [String] = []
    /// Path of this executable.
    package var executable = ""

    package init() {}

    /// Directories in which programs without a path are looked for.
    var searchPath: [String] {
        let path =
            environment.first { $0.hasPrefix("PATH=") }?.dropFirst(5) ?? "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        return path.split(separator: ":").map(String.init)
    }

    /// No other shim takes its place: containerd takes a dead shim for a dead task.
    var isForContainerd: Bool { directory.hasPrefix("\(ShimDirectory.containerdParent)/") }

    /// Whether the shim serves several containers.
    var isOfGroup: Bool { !group.isEmpty }

    /// The same for one of the containers: with a directory of its own where there are several.
    func ofTask(_ id: String) -> ShimConfiguration {
        guard isOfGroup else { return self }
        var own = self
        own.id = id
        own.directory = "\(layout.tasksPath)/\(id)"
        return own
    }

    var layout: ShimLayout { ShimLayout(directory: directory) }
}
