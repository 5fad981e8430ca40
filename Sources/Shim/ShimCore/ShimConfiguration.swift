internal import ShimProtocol

/// What `main` read from command line and environment, once.
package struct ShimConfiguration: Equatable, Sendable {
    /// The version that `Connect` tells.
    package static let version = "0.1.0"

    /// containerd's namespace of the container; for `apusd` its own.
    package var namespace = ""
    package var id = ""
    /// The shim's own directory: socket, pid, options and what a runtime call needs.
    package var directory = ""
    /// Where events go: containerd's ttrpc socket, or empty for nowhere.
    package var eventsAddress = ""
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

    var layout: ShimLayout { ShimLayout(directory: directory) }
}
