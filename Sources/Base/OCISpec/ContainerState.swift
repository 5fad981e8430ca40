/// What a runtime says about a container: to hooks on their standard input, and by `state`.
/// - Spec: runtime-spec v1.3.0, runtime.md, "State".
public struct ContainerState: Equatable, Sendable {
    public enum Status: String, Sendable, CaseIterable {
        case creating, created, running, stopped
        /// Runtimes may add values; this one is runc's, for a frozen container.
        case paused
    }
    public var ociVersion: String
    public var id: String
    public var status: Status
    /// In the runtime's pid namespace; nil while there is no process.
    public var pid: Int32?
    /// Absolute.
    public var bundle: String
    public var annotations: [String: String]

    public init(ociVersion: String, id: String, status: Status, pid: Int32?, bundle: String, annotations: [String: String] = [:]) {
        self.ociVersion = ociVersion
        self.id = id
        self.status = status
        self.pid = pid
        self.bundle = bundle
        self.annotations = annotations
    }
}
