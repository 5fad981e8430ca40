/// `POST /containers/{id}/exec`.
public struct ExecCreateRequest: EngineDocument {
    /// As of a container.
    @Defaulted public var user: String = ""
    /// Whether it has the host's powers.
    @Defaulted public var privileged: Bool = false
    /// Whether it gets a terminal.
    @Defaulted public var tty: Bool = false
    /// Height and width, in cells; from 1.42.
    public var consoleSize: [Int]?
    /// Whether standard input is served.
    @Defaulted public var attachStdin: Bool = false
    /// Whether standard error is served.
    @Defaulted public var attachStderr: Bool = false
    /// Whether standard output is served.
    @Defaulted public var attachStdout: Bool = false
    /// Unused by the engine.
    @OmittedWhenZero public var detach: Bool = false
    /// The sequence that detaches.
    @Defaulted public var detachKeys: String = ""
    /// `NAME=value`.
    @NullWhenEmpty public var env: [String] = []
    /// Empty is the container's.
    @Defaulted public var workingDir: String = ""
    /// The command and its arguments.
    @NullWhenNil public var cmd: StringSlice? = nil

    /// Every field at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case user = "User", privileged = "Privileged", tty = "Tty", consoleSize = "ConsoleSize"
        case attachStdin = "AttachStdin", attachStderr = "AttachStderr", attachStdout = "AttachStdout"
        case detach = "Detach", detachKeys = "DetachKeys", env = "Env", workingDir = "WorkingDir", cmd = "Cmd"
    }
}

/// The new exec's id.
public struct ExecCreateResponse: EngineDocument {
    /// 64 hexadecimal digits.
    @Defaulted public var id: String = ""

    /// Every field at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case id = "Id"
    }
}

/// `POST /exec/{id}/start`.
public struct ExecStartRequest: EngineDocument {
    /// Whether to run it without a client.
    @Defaulted public var detach: Bool = false
    /// As at its creation.
    @Defaulted public var tty: Bool = false
    /// Height and width, in cells; from 1.42.
    public var consoleSize: [Int]?

    /// Every field at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case detach = "Detach", tty = "Tty", consoleSize = "ConsoleSize"
    }
}

/// `GET /exec/{id}/json`.
public struct ExecInspect: EngineDocument {
    /// 64 hexadecimal digits.
    @Defaulted public var id: String = ""
    /// Whether it runs.
    @Defaulted public var running: Bool = false
    /// Nil until it ended.
    @NullWhenNil public var exitCode: Int? = nil
    /// What it runs.
    @Defaulted public var processConfig: ExecProcessConfig = ExecProcessConfig()
    /// Whether standard input is served.
    @Defaulted public var openStdin: Bool = false
    /// Whether standard error is served.
    @Defaulted public var openStderr: Bool = false
    /// Whether standard output is served.
    @Defaulted public var openStdout: Bool = false
    /// Whether its record may go.
    @Defaulted public var canRemove: Bool = false
    /// Where it runs.
    @Defaulted public var containerID: String = ""
    /// The sequence that detaches, as it was asked for.
    @Defaulted public var detachKeys: String = ""
    /// On the host; 0 when not running.
    @Defaulted public var pid: Int = 0

    /// Every field at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case id = "ID", running = "Running", exitCode = "ExitCode", processConfig = "ProcessConfig"
        case openStdin = "OpenStdin", openStderr = "OpenStderr", openStdout = "OpenStdout"
        case canRemove = "CanRemove", containerID = "ContainerID", detachKeys = "DetachKeys", pid = "Pid"
    }
}

/// What an exec runs.
public struct ExecProcessConfig: EngineDocument {
    /// Whether it has a terminal.
    @Defaulted public var tty: Bool = false
    /// The program.
    @Defaulted public var entrypoint: String = ""
    /// Its arguments.
    @Defaulted public var arguments: [String] = []
    /// Whether it has the host's powers.
    @Defaulted public var privileged: Bool = false
    /// As of a container.
    @OmittedWhenZero public var user: String = ""

    /// Every field at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case tty, entrypoint, arguments, privileged, user
    }
}
