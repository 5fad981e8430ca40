internal import JSON
internal import Synchronization

/// What an Authorization field says, and until when.
package struct Grant: Equatable, Sendable {
    /// The whole value: `Bearer …`.
    package let field: String
    /// Seconds of the monotonic clock; nil for what does not expire.
    package let expiresAt: Int?

    package init(field: String, expiresAt: Int?) {
        self.field = field
        self.expiresAt = expiresAt
    }

    func isFresh(at now: Int) -> Bool { expiresAt.map { now < $0 } ?? true }
}

/// Grants by what they were given for, so that a second pull asks for no second token.
final class GrantCache: Sendable {
    struct Key: Hashable, Sendable {
        let origin: String
        let scope: String
        let credentials: RegistryCredentials
    }

    /// Above it, all are forgotten: each can be had again.
    private static let limit = 256
    private let grants = Mutex<[Key: Grant]>([:])

    func grant(for key: Key) -> Grant? { grants.withLock { $0[key] } }

    func remember(_ grant: Grant, for key: Key) {
        grants.withLock { grants in
            if grants.count >= Self.limit { grants = [:] }
            grants[key] = grant
        }
    }

    /// Forgets a grant that was refused, not one that somebody else was given meanwhile.
    func forget(_ refused: Grant, for key: Key) {
        grants.withLock { if $0[key] == refused { $0.removeValue(forKey: key) } }
    }
}

/// How a challenge is answered; decided before anything is sent.
package enum ChallengeAnswer: Equatable, Sendable {
    /// With this Authorization field.
    case send(Grant)
    /// With a token from this endpoint.
    case askForToken(TokenRequest)
}

/// A question to a token service.
/// - Source: distribution's "Token Authentication Specification" and "Oauth2 Token Authentication".
package struct TokenRequest: Equatable, Sendable {
    /// Where the token service is.
    package let realm: WebAddress
    /// `name=value` pairs, encoded: the query of a GET, or the form of a POST.
    package let fields: [String]
    /// A form is posted where a refresh token is exchanged.
    package let isForm: Bool
    /// The Authorization field that shows who asks; nil for anonymous.
    package let authorization: String?
}

extension ChallengeAnswer {
    /// Chooses how to answer.
    /// - Parameter scope: what is asked for, with spaces between: `repository:library/busybox:pull`; empty to show no more than who asks.
    /// - Parameter registry: who sent the challenges.
    /// - Parameter services: whom else than the registry's own domain a secret may be shown.
    /// - Throws: `.unauthorized` where these credentials answer no challenge; `.refused` where the answer would show a
    ///   secret to someone it is not for.
    package static func choose(
        _ challenges: [Challenge], credentials: RegistryCredentials, scope: String, registry: WebAddress,
        services: TokenServices = TokenServices(), doing: String
    ) throws(RegistryError) -> ChallengeAnswer {
        if case .registryToken(let token) = credentials, challenges.contains(where: { $0.scheme == "bearer" }) {
            return .send(Grant(field: "Bearer \(token)", expiresAt: nil))
        }
        if let bearer = challenges.first(where: { $0.scheme == "bearer" }) {
            let request = try tokenRequest(
                bearer, credentials: credentials, scope: scope, registry: registry, services: services, doing: doing)
            return .askForToken(request)
        }
        if challenges.contains(where: { $0.scheme == "basic" }) {
            guard case .password(let user, let password) = credentials else {
                throw RegistryError(.unauthorized, doing: doing, cause: "no basic auth credentials")
            }
            return .send(Grant(field: basic(user, password), expiresAt: nil))
        }
        throw RegistryError(.unauthorized, doing: doing, cause: "unauthorized: the registry names no way to authenticate")
    }

    private static func tokenRequest(
        _ challenge: Challenge, credentials: RegistryCredentials, scope: String, registry: WebAddress, services: TokenServices,
        doing: String
    ) throws(RegistryError) -> TokenRequest {
        guard let realm = challenge.parameters["realm"].flatMap({ WebAddress($0) }) else {
            throw RegistryError(.malformed, doing: doing, cause: "the registry's challenge has no realm that is an address")
        }
        let isHere = RegistryHost.isLoopback(realm.host)
        // What listens on this machine alone is for this machine's own registries, or for whom somebody named it.
        if isHere && !RegistryHost.isLoopback(registry.host) && !services.mayLearn(realm.host, secretsOf: registry.host) {
            throw RegistryError(
                .refused, doing: doing,
                cause: "\(registry.host) is elsewhere and has tokens fetched from \(realm.withoutQuery), on this machine: "
                    + "if it may, start apusd with --registry-token-service \(realm.host)")
        }
        let isPrivate = realm.scheme == "https" || isHere
        if !isPrivate && (credentials != .anonymous || registry.scheme == "https") {
            throw RegistryError(.refused, doing: doing, cause: "the token service \(realm.withoutQuery) is reached without TLS")
        }
        if credentials != .anonymous && !services.mayLearn(realm.host, secretsOf: registry.host) {
            throw RegistryError(
                .refused, doing: doing,
                cause: "\(registry.host) has passwords shown to \(realm.withoutQuery), which is not of its domain: "
                    + "if it may see them, start apusd with --registry-token-service \(realm.host)")
        }
        var fields = challenge.parameters["service"].map { [TextEncodings.formField("service", $0)] } ?? []
        // One field for each thing that is asked for; a form has them all in one.
        let scopes = scope.split(separator: " ").map(String.init)
        if case .identityToken = credentials {
            if !scopes.isEmpty { fields.append(TextEncodings.formField("scope", scope)) }
        } else {
            fields += scopes.map { TextEncodings.formField("scope", $0) }
        }
        switch credentials {
        case .anonymous, .registryToken:
            return TokenRequest(realm: realm, fields: fields, isForm: false, authorization: nil)
        case .password(let user, let password):
            fields.append(TextEncodings.formField("account", user))
            return TokenRequest(realm: realm, fields: fields, isForm: false, authorization: basic(user, password))
        case .identityToken(let token):
            fields += [
                TextEncodings.formField("grant_type", "refresh_token"), TextEncodings.formField("client_id", "apus"),
                TextEncodings.formField("refresh_token", token),
            ]
            return TokenRequest(realm: realm, fields: fields, isForm: true, authorization: nil)
        }
    }

    private static func basic(_ user: String, _ password: String) -> String {
        "Basic " + TextEncodings.base64("\(user):\(password)")
    }
}

extension TokenRequest {
    /// What a token lasts where the service does not say. - Source: the token specification, `expires_in`.
    private static let defaultLifetimeSeconds = 60
    /// A token is given up early: clocks and networks take their time.
    private static let marginSeconds = 10

    /// The request that asks, without `authorization`, which is for its origin alone.
    func message(verifiesPeer: Bool) -> HTTPRequest? {
        var request = HTTPRequest(method: isForm ? .post : .get, address: realm, verifiesPeer: verifiesPeer, allowsLinkLocal: false)
        let text = fields.joined(separator: "&")
        if isForm {
            request.body = Array(text.utf8)
            request.headers = [("Content-Type", "application/x-www-form-urlencoded")]
        } else {
            let separator = realm.text.contains("?") ? "&" : "?"
            guard let address = WebAddress(realm.text + separator + text) else { return nil }
            request.address = address
        }
        return request
    }

    /// Reads the answer's token.
    /// - Returns: nil where there is none, or one that could break out of its header field.
    package static func grant(in body: [UInt8], now: Int) -> Grant? {
        var token: String?
        var lifetime = defaultLifetimeSeconds
        do throws(JSONError) {
            var reader = try JSONReader(body, limits: JSONLimits(maximumBytes: body.count))
            try reader.readObject { (reader: inout JSONReader, name: String) throws(JSONError) in
                switch name {
                case "token": token = try reader.readString()
                case "access_token":
                    let other = try reader.readString()
                    token = token ?? other
                case "expires_in": lifetime = max(defaultLifetimeSeconds, try reader.readInteger(Int.self))
                default: try reader.skipValue()
                }
            }
            try reader.finish()
        } catch { return nil }
        guard let token, !token.isEmpty, token.utf8.allSatisfy({ (0x21...0x7e).contains($0) }) else { return nil }
        return Grant(field: "Bearer \(token)", expiresAt: now + min(lifetime, 86_400) - marginSeconds)
    }
}
