/// What a runtime says about a container: to hooks on their standard input, and by `state`.
/// - Spec: runtime-spec v1.3.0, runtime.md, "State".
public struct ContainerState: Equatable, Sendable {
    /// Where a container is in its life; `paused` is no status of the specification but of every runtime. - Spec: runtime.md, "State".
    public enum Status: String, Sendable, CaseIterable {
        case creating, created, running, stopped
        /// Runtimes may add values; this one is runc's, for a frozen container.
        case paused
    }
    /// The version of the specification that the state complies with.
    public var ociVersion: String
    /// Unique among the containers of one state root.
    public var id: String
    /// At the moment when the state was read.
    public var status: Status
    /// In the runtime's pid namespace; nil while there is no process.
    public var pid: Int32?
    /// Absolute.
    public var bundle: String
    /// Those of config.json; empty is left out when written.
    public var annotations: [String: String]

    /// - Parameter pid: the host's number of the container's process; nil before there is one and after it has ended.
    public init(ociVersion: String, id: String, status: Status, pid: Int32?, bundle: String, annotations: [String: String] = [:]) {
        self.ociVersion = ociVersion
        self.id = id
        self.status = status
        self.pid = pid
        self.bundle = bundle
        self.annotations = annotations
    }
}
