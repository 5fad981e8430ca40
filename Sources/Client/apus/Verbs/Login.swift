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
    try check(arguments)
    let server = CredentialFile.key(for: arguments.operands.first ?? "")
    let known = isSaidNothing(arguments) ? environment.credentials(for: server) : nil
    if let known, !known.username.isEmpty, !known.password.isEmpty, try await isLoggedIn(known, environment) { return 0 }
    var credentials = AuthConfig()
    credentials.serveraddress = server
    credentials.username = try userName(arguments, usual: known?.username ?? "")
    credentials.password = try await password(arguments)
    try await logIn(credentials, environment)
    return 0
}

/// Refuses what no login can be made of.
private func check(_ arguments: Arguments) throws(Complaint) {
    if arguments.bool("password-stdin") {
        if arguments.has("password") { throw Complaint("conflicting options: cannot specify both --password and --password-stdin") }
        if (arguments.string("username") ?? "").isEmpty { throw Complaint("the --password-stdin option requires --username to be set") }
    }
    for name in ["username", "password"] where arguments.has(name) && (arguments.string(name) ?? "").isEmpty {
        throw Complaint("\(name) is empty")
    }
}

/// Whether neither a name nor a password was given: then those that are kept will do.
private func isSaidNothing(_ arguments: Arguments) -> Bool {
    (arguments.string("username") ?? "").isEmpty && (arguments.string("password") ?? "").isEmpty && !arguments.bool("password-stdin")
}

/// Tries credentials that are kept. A refusal is told, and others are asked for.
private func isLoggedIn(_ known: AuthConfig, _ environment: Environment) async throws -> Bool {
    StandardStream.error.write(
        """
        Authenticating with existing credentials... [Username: \(printable(known.username))]

        i Info → To login with a different account, run 'apus logout' followed by 'apus login'


        """)
    var known = known
    known.identitytoken = ""
    do {
        try await logIn(known, environment)
        return true
    } catch EngineClientError.refused(status: 401, _) {
        StandardStream.error.write("Stored credentials invalid or expired\n")
    } catch let error as EngineClientError {
        StandardStream.error.write("Login did not succeed, error: \(printable("\(error)"))\n")
    }
    return false
}

private func logIn(_ credentials: AuthConfig, _ environment: Environment) async throws {
    let file = CredentialFile(folder: environment.configurationFolder)
    let answer = try await environment.client.checkCredentials(credentials)
    let isInFile = try file.keep(credentials, for: credentials.serveraddress)
    if isInFile { StandardStream.error.write("\nWARNING! Your credentials are stored unencrypted in '\(file.path)'.\n\n") }
    StandardStream.output.write("\(printable(answer.status))\n")
}

let logoutVerb = Verb(["logout"], "[SERVER]", "Log out from a registry", operands: .atMost(1)) { invocation in
    let file = CredentialFile(folder: invocation.environment.configurationFolder)
    let key = CredentialFile.key(for: invocation.arguments.operands.first ?? "")
    StandardStream.output.write("Removing login credentials for \(printable(key))\n")
    try file.forget(key)
    return 0
}

/// - Parameter usual: what an empty answer means; empty for none.
private func userName(_ arguments: Arguments, usual: String) throws -> String {
    if let name = arguments.string("username"), !name.isEmpty { return name }
    guard StandardStream.input.isTerminal else {
        throw Complaint("Error: Cannot perform an interactive login from a non TTY device")
    }
    StandardStream.output.write(usual.isEmpty ? "Username: " : "Username (\(printable(usual))): ")
    if let name = readLine(), !name.isEmpty { return name }
    if usual.isEmpty { throw Complaint("Error: Non-null Username Required") }
    return usual
}

/// The most bytes that a password on standard input may have: some are documents.
private let passwordLimitBytes = 65_536

/// All of standard input but the line ends around it, as docker takes it: no password has any. Spaces may be of one.
private func passwordFromInput() async throws -> String {
    var bytes: [UInt8] = []
    while let chunk = try await readStandardInput() {
        bytes += chunk
        if bytes.count > passwordLimitBytes { throw Complaint("the password is longer than \(passwordLimitBytes) bytes") }
    }
    let lineEnds: Set<UInt8> = [UInt8(ascii: "\n"), UInt8(ascii: "\r")]
    while let last = bytes.last, lineEnds.contains(last) { bytes.removeLast() }
    bytes = Array(bytes.drop { lineEnds.contains($0) })
    guard !bytes.isEmpty else { throw Complaint("password is empty") }
    guard let password = String(validating: bytes, as: UTF8.self) else { throw Complaint("the password is not UTF-8") }
    return password
}

private func password(_ arguments: Arguments) async throws -> String {
    if arguments.bool("password-stdin") { return try await passwordFromInput() }
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
