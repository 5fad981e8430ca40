internal import CoreTypes
internal import EngineAPI
internal import EngineClient

let runVerb = Verb(
    ["run", "container run"], "[OPTIONS] IMAGE [COMMAND] [ARG...]", "Create and run a new container from an image",
    flags: containerFlags + [
        pullFlag(before: "running"),
        Flag("detach", "d", .bool(default: false), "Run container in background and print container ID"),
        Flag("detach-keys", nil, .string, "Override the key sequence for detaching a container"),
        Flag("sig-proxy", nil, .bool(default: true), "Proxy received signals to the process"),
    ], operands: .atLeast(1), interspersed: false
) { invocation in
    do {
        return try await runContainer(invocation)
    } catch let error as StartError {
        sayFailed("run", error.description)
        return startFailureCode(error.description)
    } catch let error as OptionError {
        sayFailed("run", error.description)
        return 125
    } catch let error as IdentifierRefusal {
        sayFailed("run", error.description)
        return startFailureCode(error.description)
    } catch let error as UnpullableName {
        sayFailed("run", error.description)
        return 125
    } catch let error as EngineClientError {
        sayFailed("run", error.description)
        return 125
    }
}

let createVerb = Verb(
    ["create", "container create"], "[OPTIONS] IMAGE [COMMAND] [ARG...]", "Create a new container",
    flags: containerFlags + [pullFlag(before: "creating")], operands: .atLeast(1), interspersed: false
) { invocation in
    do {
        StandardStream.output.write(try await createContainer(invocation) + "\n")
        return 0
    } catch let error as OptionError {
        sayFailed("create", error.description)
        return 125
    }
}

private func pullFlag(before what: String) -> Flag {
    Flag("pull", nil, .string, "Pull image before \(what) (\"always\", \"missing\", \"never\")", defaultText: "missing")
}

private func sayFailed(_ verb: String, _ message: String) {
    StandardStream.error.write("apus: \(message)\n\nRun 'apus \(verb) --help' for more information\n")
}

/// A value of a flag that no container can have, found after the flags were read. `run` and `create` end with 125.
private struct OptionError: Error, CustomStringConvertible {
    let description: String
}

/// A file that no container's id can be written to. `run` ends with what it says of a program of which it is said, as docker's.
private struct IdentifierRefusal: Error, CustomStringConvertible {
    let description: String
}

/// An image's name that no registry can be asked for.
private struct UnpullableName: Error, CustomStringConvertible {
    let description: String
}

private func runContainer(_ invocation: Invocation) async throws -> Int32 {
    let arguments = invocation.arguments
    let client = invocation.environment.client
    let streams = AttachedStreams(arguments)
    let hasTerminal = arguments.bool("tty")
    if arguments.bool("detach"), streams.isAny {
        throw Complaint("conflicting options: cannot specify both --attach and --detach")
    }
    if hasTerminal, streams.input, !StandardStream.input.isTerminal { throw Complaint("the input device is not a TTY") }
    // Who stays with nothing needs no keys to leave it, whatever they are.
    let keys = try streams.isAny ? detachKeys(invocation) : nil
    let id = try await createContainer(invocation)
    guard let keys else {
        // Also of one that then does not start: it is there.
        StandardStream.output.write(id + "\n")
        do {
            try await client.act("start", on: id)
        } catch let error as EngineClientError {
            throw StartError(cause: error)
        }
        return 0
    }
    let run = AttachedRun(
        client: client, signals: invocation.environment.signals, container: id, streams: streams, hasTerminal: hasTerminal,
        detachKeys: keys,
        proxiesSignals: arguments.bool("sig-proxy", default: true), condition: arguments.bool("rm") ? "removed" : "next-exit")
    return try await run.run()
}

/// Creates the container that a command line asks for, its image pulled when `--pull` says so.
/// - Returns: its id.
private func createContainer(_ invocation: Invocation) async throws -> String {
    let arguments = invocation.arguments
    let policy = arguments.string("pull") ?? "missing"
    guard ["always", "missing", "never", ""].contains(policy) else {
        throw OptionError(description: "invalid pull option: '\(policy)': must be one of \"always\", \"missing\" or \"never\"")
    }
    let identifierFile: IdentifierFile?
    do throws(Complaint) {
        identifierFile = if let path = arguments.string("cidfile"), !path.isEmpty { try IdentifierFile(path) } else { nil }
    } catch { throw IdentifierRefusal(description: error.description) }
    let created = try await requestContainer(invocation, policy: policy)
    for warning in created.warnings { StandardStream.error.write("WARNING: \(warning)\n") }
    try identifierFile?.write(created.id)
    return created.id
}

private func requestContainer(_ invocation: Invocation, policy: String) async throws -> ContainerCreateResponse {
    let arguments = invocation.arguments
    let client = invocation.environment.client
    var request: ContainerCreateRequest
    do throws(Complaint) { request = try containerRequest(invocation) } catch { throw OptionError(description: error.description) }
    if !isWholeID(request.config.image) { _ = try pullableReference(request.config.image) }
    if request.config.tty, let size = StandardStream.output.size {
        request.hostConfig.consoleSize = [Int(size.rows), Int(size.columns)]
    }
    if policy == "always" { try await pullForRun(invocation) }
    do {
        return try await client.createContainer(request, name: arguments.string("name"), platform: invocation.wantedPlatform)
    } catch EngineClientError.refused(status: 404, _)
        where policy == "missing" && !isWholeID(request.config.image)
    {
        let name = (try? ImageReference(request.config.image))?.withDefaultTag.familiar ?? request.config.image
        if !arguments.bool("quiet") { StandardStream.error.write("Unable to find image '\(name)' locally\n") }
        try await pullForRun(invocation)
        return try await client.createContainer(request, name: arguments.string("name"), platform: invocation.wantedPlatform)
    }
}

/// Whether an image is named by its whole id, which no registry knows.
private func isWholeID(_ image: String) -> Bool {
    [image, "sha256:\(image)"].contains { (try? Digest($0)) != nil }
}

private func pullableReference(_ name: String) throws(UnpullableName) -> ImageReference {
    do throws(Complaint) { return try parsedReference(name) } catch { throw UnpullableName(description: error.description) }
}

private func pullForRun(_ invocation: Invocation) async throws {
    try await pull(
        try pullableReference(invocation.arguments.operands[0]), platform: invocation.wantedPlatform, environment: invocation.environment,
        showing: invocation.arguments.bool("quiet") ? nil : PullDisplay(stream: .error))
}
