/// Who is asking, as one request brought it (`X-Registry-Auth`). Never stored, never printed.
package enum RegistryCredentials: Hashable, Sendable, CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    /// No one in particular.
    case anonymous
    /// A user's name and password: Basic, or exchanged for a Bearer token.
    case password(user: String, password: String)
    /// A refresh token that the token endpoint exchanges for a Bearer token.
    case identityToken(String)
    /// A Bearer token, sent as it is.
    case registryToken(String)

    package var description: String {
        switch self {
        case .anonymous: "anonymous"
        case .password(let user, _): "user \(user)"
        case .identityToken: "identity token"
        case .registryToken: "registry token"
        }
    }

    package var debugDescription: String { description }
    /// Keeps the secret out of `dump` and of test failures.
    package var customMirror: Mirror { Mirror(self, children: []) }
}
