// Rows: attacks
import Registry
import Testing

@Suite("Challenges of a registry")
struct ChallengeTests {
    @Test("a Bearer challenge gives its realm, service and scope")
    func bearer() {
        let field = #"Bearer realm="https://auth.example.com/token",service="registry.example",scope="repository:a/b:pull,push""#
        let expected = Challenge(
            scheme: "bearer",
            parameters: ["realm": "https://auth.example.com/token", "service": "registry.example", "scope": "repository:a/b:pull,push"])
        #expect(Challenge.parse([field]) == [expected])
    }

    @Test("several challenges in one field, and fields one after the other, are all found")
    func several() {
        let fields = [#"Basic realm="a", charset=UTF-8, Bearer realm="https://t/""#, "Negotiate"]
        #expect(Challenge.parse(fields).map(\.scheme) == ["basic", "bearer", "negotiate"])
    }

    @Test("names are read without regard to case, and escapes in quotes are undone")
    func spelling() {
        #expect(Challenge.parse([#"BEARER Realm="a\"b\\c""#]) == [Challenge(scheme: "bearer", parameters: ["realm": #"a"b\c"#])])
    }

    @Test(
        "a field that does not follow the grammar gives no challenge",
        arguments: [
            #"Bearer realm="unterminated"#, #"Bearer realm="a" realm="b", realm="c""#, "Bearer realm=", "=x", "Bearer realm=\"a\nb\"",
            #"Bearer realm="a"service="b""#, #"Bearer/realm="a""#, "Bearer realm=\"" + String(repeating: "a", count: 9000) + "\"",
        ])
    func malformed(field: String) { #expect(Challenge.parse([field]).isEmpty) }
}

@Suite("Answers to challenges")
struct ChallengeAnswerTests {
    private let registry = WebAddress("https://registry.example.com/v2/")
    private let secret = RegistryCredentials.password(user: "ann", password: "s3cret")
    private let scope = "repository:a:pull"

    private func bearer(_ realm: String) -> [Challenge] { [Challenge(scheme: "bearer", parameters: ["realm": realm, "service": "s"])] }

    private func choose(
        _ challenges: [Challenge], _ credentials: RegistryCredentials, at address: String = "https://registry.example.com/v2/"
    ) throws -> ChallengeAnswer {
        let registry = try #require(WebAddress(address))
        return try ChallengeAnswer.choose(challenges, credentials: credentials, scope: scope, registry: registry, doing: "Get")
    }

    @Test("E02: a password is not shown to a token service that is reached without TLS")
    func realmWithoutTLS() throws {
        for credentials in [secret, .identityToken("t")] {
            let error = #expect(throws: RegistryError.self) { try choose(bearer("http://auth.example.com/token"), credentials) }
            #expect(error?.code == .refused)
            #expect(!"\(String(describing: error))".contains("s3cret"))
        }
        let onLoopback = try choose(bearer("http://127.0.0.1:5001/token"), secret, at: "http://127.0.0.1:5000/v2/")
        guard case .askForToken(let request) = onLoopback else { throw Unexpected() }
        #expect(request.authorization == "Basic YW5uOnMzY3JldA==")
    }

    @Test("E02: a token service of another domain is shown no password, unless it was named")
    func realmElsewhere() throws {
        let own = [
            ("auth.docker.io", "registry-1.docker.io"), ("gitlab.com", "registry.gitlab.com"), ("ghcr.io", "ghcr.io"),
            ("sso.redhat.com", "registry.connect.redhat.com"), ("auth.shop.co.uk", "registry.shop.co.uk"), ("127.0.0.1", "127.0.0.1"),
        ]
        for (service, registry) in own { #expect(TokenServices().mayLearn(service, secretsOf: registry), "\(service) of \(registry)") }
        let others = [
            ("evil.com", "registry.example.com"), ("evil-docker.io", "registry-1.docker.io"), ("other.co.uk", "registry.shop.co.uk"),
            ("127.0.0.2", "127.0.0.1"), ("evil", "registry"), ("1.127.0.0", "127.0.0.1"), ("docker.io.evil.com", "docker.io"),
        ]
        for (service, registry) in others {
            #expect(!TokenServices().mayLearn(service, secretsOf: registry), "\(service) of \(registry)")
            #expect(TokenServices([service.uppercased()]).mayLearn(service, secretsOf: registry))
        }
        let error = #expect(throws: RegistryError.self) { try choose(bearer("https://auth.evil.com/token"), secret) }
        #expect(error?.code == .refused)
        guard case .askForToken(let request) = try choose(bearer("https://auth.evil.com/token"), .anonymous) else { throw Unexpected() }
        #expect(request.authorization == nil)
    }

    @Test("a token of a registry with TLS is not fetched without TLS, even for no one in particular")
    func noStepDown() throws {
        let error = #expect(throws: RegistryError.self) { try choose(bearer("http://auth.example.com/token"), .anonymous) }
        #expect(error?.code == .refused)
        let answer = try choose(bearer("http://auth.example.com/t"), .anonymous, at: "http://registry.example.com/v2/")
        guard case .askForToken(let request) = answer else { throw Unexpected() }
        #expect(request.authorization == nil)
    }

    @Test("E02: a registry elsewhere has nothing asked of what listens on this machine, unless it was named")
    func realmOnThisMachine() throws {
        let realms = ["http://127.0.0.1:8080/t", "https://127.0.0.1/t", "http://localhost/t", "http://[::1]:80/t"]
        for realm in realms {
            for registry in ["https://registry.example.com/v2/", "http://registry.example.com/v2/"] {
                let error = #expect(throws: RegistryError.self) { try choose(bearer(realm), .anonymous, at: registry) }
                #expect(error?.code == .refused, "\(realm) named by \(registry)")
            }
            guard case .askForToken = try choose(bearer(realm), .anonymous, at: "http://127.0.0.1:5000/v2/") else { throw Unexpected() }
        }
        let registry = try #require(WebAddress("https://registry.example.com/v2/"))
        let named = try ChallengeAnswer.choose(
            bearer("http://127.0.0.1:8080/t"), credentials: .anonymous, scope: scope, registry: registry,
            services: TokenServices(["127.0.0.1"]), doing: "Get")
        guard case .askForToken = named else { throw Unexpected() }
    }

    @Test("a token service is asked for the scope, with the password in its field and never in the address")
    func tokenRequest() throws {
        guard case .askForToken(let request) = try choose(bearer("https://auth.example.com/token"), secret) else { throw Unexpected() }
        #expect(request.fields == ["service=s", "scope=repository%3Aa%3Apull", "account=ann"])
        #expect(!request.isForm)
        guard case .askForToken(let exchange) = try choose(bearer("https://auth.example.com/token"), .identityToken("r&t")) else {
            throw Unexpected()
        }
        #expect(exchange.isForm)
        #expect(exchange.fields.contains("refresh_token=r%26t"))
        #expect(exchange.authorization == nil)
    }

    @Test("Basic without a password to give is refused in Docker's words; a registry's token is sent as it is")
    func basic() throws {
        let basic = [Challenge(scheme: "basic", parameters: ["realm": "r"])]
        let error = #expect(throws: RegistryError.self) { try choose(basic, .anonymous) }
        #expect(error == RegistryError(.unauthorized, doing: "Get", cause: "no basic auth credentials"))
        #expect(try choose(basic, secret) == .send(Grant(field: "Basic YW5uOnMzY3JldA==", expiresAt: nil)))
        #expect(try choose(bearer("https://auth.example.com/"), .registryToken("tok")) == .send(Grant(field: "Bearer tok", expiresAt: nil)))
    }

    @Test("a token's answer is read in both spellings, and a token that would break out of its field is none")
    func answers() {
        #expect(
            TokenRequest.grant(in: Array(#"{"token":"abc","expires_in":300}"#.utf8), now: 100) == Grant(field: "Bearer abc", expiresAt: 390)
        )
        #expect(TokenRequest.grant(in: Array(#"{"access_token":"abc"}"#.utf8), now: 100) == Grant(field: "Bearer abc", expiresAt: 150))
        for answer in [#"{"token":"a\r\nX: y"}"#, #"{"token":""}"#, "{}", "[]", "{\"token\":\"a\"", #"{"token":1}"#] {
            #expect(TokenRequest.grant(in: Array(answer.utf8), now: 0) == nil, "\(answer)")
        }
    }

    @Test("credentials never print their secret")
    func printing() {
        for text in ["\(secret)", String(reflecting: secret), "\(secret.debugDescription)"] { #expect(!text.contains("s3cret"), "\(text)") }
        var dumped = ""
        dump([secret], to: &dumped)
        #expect(!dumped.contains("s3cret"))
    }

    private struct Unexpected: Error {}
}
