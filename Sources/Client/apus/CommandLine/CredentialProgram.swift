internal import EngineAPI
internal import FoundationEssentials
internal import Templates

/// A program that keeps credentials, `docker-credential-NAME`: one word as its argument, JSON or a registry's name as its input.
/// - Source: github.com/docker/docker-credential-helpers, "Development".
struct CredentialProgram: Sendable {
    private let program: String

    /// What `get` gives, and `store` takes.
    private struct Secret: Codable {
        var serverURL: String?
        var username: String
        var secret: String

        private enum CodingKeys: String, CodingKey {
            case serverURL = "ServerURL", username = "Username", secret = "Secret"
        }
    }

    /// The name under which a token is kept in place of a password.
    private static let tokenName = "<token>"
    private static let answerLimitBytes = 1 << 20

    /// - Throws: `Complaint` for a name that is more than a program's.
    init(name: String) throws(Complaint) {
        let isName = name.utf8.allSatisfy { byte in
            (0x30...0x39).contains(byte) || (0x41...0x5a).contains(byte) || (0x61...0x7a).contains(byte) || "._-".utf8.contains(byte)
        }
        guard isName, !name.isEmpty, !name.hasPrefix("."), !name.hasPrefix("-"), name.utf8.count <= 128 else {
            throw Complaint(
                "the credential helper \(goQuoted(String(name.prefix(200)))) is no program's name: letters, digits, '.', '_', '-'")
        }
        program = "docker-credential-\(name)"
    }

    /// - Returns: nil where the helper has none for the registry.
    func credentials(for key: String) throws -> AuthConfig? {
        let answer = try runHelper(program, "get", input: Array(key.utf8), limitBytes: Self.answerLimitBytes)
        guard answer.exitCode == 0 else {
            if saysNone(answer) { return nil }
            throw Complaint("error getting credentials - \(program) get: \(said(answer))")
        }
        let secret: Secret
        do { secret = try JSONDecoder().decode(Secret.self, from: Data(answer.output)) } catch {
            // What it said may hold the secret, and is not repeated.
            throw Complaint("error getting credentials - \(program) get: its answer is not JSON of ServerURL, Username and Secret")
        }
        var credentials = AuthConfig()
        credentials.serveraddress = key
        if secret.username == Self.tokenName {
            credentials.identitytoken = secret.secret
        } else {
            (credentials.username, credentials.password) = (secret.username, secret.secret)
        }
        return credentials
    }

    func store(_ credentials: AuthConfig, for key: String) throws {
        let isToken = !credentials.identitytoken.isEmpty
        let secret = Secret(
            serverURL: key, username: isToken ? Self.tokenName : credentials.username,
            secret: isToken ? credentials.identitytoken : credentials.password)
        let answer = try runHelper(program, "store", input: Array(try JSONEncoder().encode(secret)), limitBytes: Self.answerLimitBytes)
        if answer.exitCode != 0 { throw Complaint("error saving credentials - \(program) store: \(said(answer))") }
    }

    /// Afterwards the helper has none for the registry.
    func erase(_ key: String) throws {
        let answer = try runHelper(program, "erase", input: Array(key.utf8), limitBytes: Self.answerLimitBytes)
        if answer.exitCode != 0, !saysNone(answer) { throw Complaint("error erasing credentials - \(program) erase: \(said(answer))") }
    }

    private func saysNone(_ answer: HelperAnswer) -> Bool { said(answer).contains("credentials not found") }

    private func said(_ answer: HelperAnswer) -> String {
        let words = printable(String(String(decoding: answer.output, as: UTF8.self).prefix(500)).trimmingCharacters)
        return "\(answer.exitCode.map { "exit status \($0)" } ?? "ended by a signal"), out: `\(words)`"
    }
}

extension String {
    /// Without white space at either end.
    fileprivate var trimmingCharacters: String {
        let head = drop(while: \.isWhitespace)
        return String(head.reversed().drop(while: \.isWhitespace).reversed())
    }
}
