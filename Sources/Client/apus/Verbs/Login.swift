internal import EngineAPI
internal import EngineClient

let loginVerb = Verb(
    ["login"], "[OPTIONS] [SERVER]", "Authenticate to a registry",
    flags: [
        Flag("password", "p", .string, "Password or Personal Access Token (PAT)"),
        Flag("password-stdin", nil, .bool(default: false), "Take the Password or Personal Access Token (PAT) from stdin"),
        Flag("username", "u", .string, "Username"),
    ], operands: .atMost(1)
) { invocation in
    let (arguments, environment) = (invocation.arguments, invocation.environment)
    let file = CredentialFile(folder: environment.configurationFolder)
    var credentials = AuthConfig()
    credentials.serveraddress = CredentialFile.key(for: arguments.operands.first ?? "")
    credentials.username = try userName(arguments)
    try Environment.keepMemoryPrivate()
    credentials.password = try await password(arguments)
    let answer = try await environment.client.checkCredentials(credentials)
    let isInFile = try file.set(credentials, for: credentials.serveraddress)
    if isInFile { StandardStream.error.write("\nWARNING! Your credentials are stored unencrypted in '\(file.path)'.\n\n") }
    StandardStream.output.write("\(printable(answer.status))\n")
    return 0
}

let logoutVerb = Verb(["logout"], "[SERVER]", "Log out from a registry", operands: .atMost(1)) { invocation in
    let file = CredentialFile(folder: invocation.environment.configurationFolder)
    let key = CredentialFile.key(for: invocation.arguments.operands.first ?? "")
    StandardStream.output.write("Removing login credentials for \(printable(key))\n")
    try file.set(nil, for: key)
    return 0
}

private func userName(_ arguments: Arguments) throws -> String {
    if let name = arguments.string("username"), !name.isEmpty { return name }
    if arguments.bool("password-stdin") { throw Complaint("Must provide --username with --password-stdin") }
    guard StandardStream.input.isTerminal else {
        throw Complaint("Error: Cannot perform an interactive login from a non TTY device")
    }
    StandardStream.output.write("Username: ")
    guard let name = readLine(), !name.isEmpty else { throw Complaint("Error: Non-null Username Required") }
    return name
}

/// The most bytes that a password on standard input may have: some are documents.
private let passwordLimitBytes = 65_536

/// All of standard input but one final line end, as docker takes it.
private func passwordFromInput() async throws -> String {
    var bytes: [UInt8] = []
    while let chunk = try await readStandardInput() {
        bytes += chunk
        if bytes.count > passwordLimitBytes { throw Complaint("the password is longer than \(passwordLimitBytes) bytes") }
    }
    if bytes.last == UInt8(ascii: "\n") { bytes.removeLast() }
    if bytes.last == UInt8(ascii: "\r") { bytes.removeLast() }
    guard !bytes.isEmpty else { throw Complaint("password is empty") }
    guard let password = String(validating: bytes, as: UTF8.self) else { throw Complaint("the password is not UTF-8") }
    return password
}

private func password(_ arguments: Arguments) async throws -> String {
    if arguments.bool("password-stdin") {
        if arguments.has("password") { throw Complaint("--password and --password-stdin are mutually exclusive") }
        return try await passwordFromInput()
    }
    if let given = arguments.string("password"), !given.isEmpty {
        StandardStream.error.write("WARNING! Using --password via the CLI is insecure. Use --password-stdin.\n")
        return given
    }
    guard StandardStream.input.isTerminal else {
        throw Complaint("Error: Cannot perform an interactive login from a non TTY device")
    }
    StandardStream.output.write("Password: ")
    let typed = readWithoutEcho()
    StandardStream.output.write("\n")
    guard let typed, !typed.isEmpty else { throw Complaint("Error: Password Required") }
    return typed
}
