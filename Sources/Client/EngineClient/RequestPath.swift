/// The path of a request, and whether a name in it is empty: the path would then mean something else, mostly the list of all.
public struct RequestPath: Sendable, ExpressibleByStringInterpolation {
    /// As it is sent, its variable parts not yet escaped.
    public let text: String
    /// Whether one of its variable parts is empty.
    let lacksName: Bool

    /// A path without variable parts.
    public init(stringLiteral text: String) {
        self.text = text
        lacksName = false
    }

    /// A path with names in it.
    public init(stringInterpolation parts: StringInterpolation) {
        text = parts.text
        lacksName = parts.lacksName
    }

    /// What its first part counts, `container` of `/containers/…`.
    var kind: String { String(text.split(separator: "/").first?.prefix { $0 != "s" } ?? "") }

    /// Collects the parts.
    public struct StringInterpolation: StringInterpolationProtocol {
        var text = ""
        var lacksName = false

        /// Nothing yet.
        public init(literalCapacity: Int, interpolationCount: Int) {}

        /// Adds a part that is always the same.
        public mutating func appendLiteral(_ literal: String) { text += literal }

        /// Adds a name.
        public mutating func appendInterpolation(_ name: String) {
            text += name
            lacksName = lacksName || name.isEmpty
        }
    }
}
