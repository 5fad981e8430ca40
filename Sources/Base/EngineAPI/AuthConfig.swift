internal import FoundationEssentials

/// A registry's credentials, as the `X-Registry-Auth` header carries them: base64url of JSON.
public struct AuthConfig: EngineDocument {
    /// For Basic.
    @OmittedWhenZero public var username: String = ""
    /// For Basic.
    @OmittedWhenZero public var password: String = ""
    /// `username:password` in base64, where a client sends that instead.
    @OmittedWhenZero public var auth: String = ""
    /// Legacy.
    @OmittedWhenZero public var email: String = ""
    /// The registry that they are for.
    @OmittedWhenZero public var serveraddress: String = ""
    /// An OAuth refresh token.
    @OmittedWhenZero public var identitytoken: String = ""
    /// A bearer token to send as it is.
    @OmittedWhenZero public var registrytoken: String = ""

    /// No credentials.
    public init() {}

    /// Reads a header's value: base64url or base64, padded or not. Empty is no credentials.
    /// - Throws: `DocumentError`, never naming what the header held.
    public init(header: String) throws(DocumentError) {
        var standard = header.trimmingPrefix { $0 == " " }.map { $0 == "-" ? "+" : $0 == "_" ? "/" : $0 }
        while standard.last == "=" || standard.last == " " { standard.removeLast() }
        self.init()
        guard !standard.isEmpty else { return }
        standard += Array(repeating: "=", count: (4 - standard.count % 4) % 4)
        guard let bytes = Data(base64Encoded: String(standard)) else {
            throw DocumentError(document: "AuthConfig", reason: "X-Registry-Auth is not base64url")
        }
        do {
            self = try JSONDecoder().decode(AuthConfig.self, from: bytes)
        } catch {
            throw DocumentError(document: "AuthConfig", reason: "X-Registry-Auth does not hold a JSON object of credentials")
        }
        splitAuth()
    }

    /// The header's value: padded base64url.
    public var header: String {
        get throws(DocumentError) {
            let json = try EngineJSON.encode(self).dropLast()
            return Data(json).base64EncodedString().map { $0 == "+" ? "-" : $0 == "/" ? "_" : String($0) }.joined()
        }
    }

    private mutating func splitAuth() {
        guard username.isEmpty, !auth.isEmpty, let bytes = Data(base64Encoded: auth) else { return }
        let pair = String(decoding: bytes, as: UTF8.self)
        guard let colon = pair.firstIndex(of: ":") else { return }
        username = String(pair[..<colon])
        password = String(pair[pair.index(after: colon)...])
        auth = ""
    }
}
