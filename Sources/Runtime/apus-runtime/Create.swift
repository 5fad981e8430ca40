internal import RuntimeCore
internal import SystemPackage

extension Verb {
    static let create = Verb(
        "create", "create a container", flags: creationFlags, entersContainer: true,
        failurePrefix: "\(Program.name) create failed: "
    ) { (invocation) throws(RuntimeError) in
        var request = try CreateRequest(invocation, waitsForStart: true)
        request.keepsTerminal = false
        _ = try Creation(request, invocation.journal).create()
        return 0
    }

    /// The flags that `create` and `run` share.
    static let creationFlags: [Flag] = [
        .value("bundle", "b", help: "the bundle's directory (default: the working directory)"),
        .value("console-socket", help: "AF_UNIX socket that receives the master of the container's terminal"),
        .value("pid-file", help: "file to write the process id to"),
        .value("pidfd-socket", help: "AF_UNIX socket that receives a pidfd of the container's first process"),
        .toggle("no-pivot", help: "move the root instead of pivoting to it, for roots on a ramdisk"),
        .toggle("no-new-keyring", help: "keep the caller's session keyring"),
        .toggle("strict", help: "refuse a configuration with members that the specification does not know"),
        .number("preserve-fds", help: "pass N descriptors from 3 up (after those of $LISTEN_FDS) to the container"),
    ]
}

extension CreateRequest {
    /// The request that `create` or `run` was called with.
    init(_ invocation: Invocation, waitsForStart: Bool) throws(RuntimeError) {
        let flags = invocation.flags
        self.init(
            id: invocation.id, stateRoot: try invocation.globals.stateRoot, bundle: FilePath(flags.value("bundle") ?? "."),
            waitsForStart: waitsForStart)
        filterCache = invocation.globals.filterCache
        consoleSocket = try invocation.absolutePath("console-socket")
        pidFile = try invocation.absolutePath("pid-file")
        pidfdSocket = try invocation.absolutePath("pidfd-socket")
        pivoting = !flags.isSet("no-pivot")
        isStrict = flags.isSet("strict")
        newKeyring = !flags.isSet("no-new-keyring")
        preservedDescriptors = try invocation.preservedDescriptors()
        systemdDirectory = try invocation.globals.systemdDirectory()
        rootless = invocation.globals.rootless
        searchPath = invocation.surroundings.searchPath
        addedEnvironment = invocation.surroundings.activationVariables
        descriptorLimit = invocation.surroundings.descriptorLimit
    }
}
