internal import EngineAPI
package import NIOHTTP1

/// What a client must know of one route to use it.
package struct DescribedOperation: Sendable {
    /// GET, POST, …
    package let method: HTTPMethod
    /// The path without a version, its open pieces in braces: `/containers/{id}/json`.
    package let path: String
    let summary: String
    let query: [DescribedParameter]
    let headers: [DescribedParameter]
    let body: DescribedBody?
    let answers: [DescribedAnswer]
    /// Whether the answer goes on for as long as there is something to tell.
    let isEndless: Bool

    init(
        _ method: HTTPMethod, _ path: String, _ summary: String, query: [DescribedParameter] = [], headers: [DescribedParameter] = [],
        body: DescribedBody? = nil, _ answers: DescribedAnswer..., isEndless: Bool = false
    ) {
        self.method = method
        self.path = path
        self.summary = summary
        self.query = query
        self.headers = headers
        self.body = body
        self.answers = answers
        self.isEndless = isEndless
    }
}

/// A parameter of the query, or a header.
struct DescribedParameter: Sendable {
    enum Kind: Sendable {
        case text
        case flag
        case number
        /// Nothing below 0 and nothing above 65,535.
        case cells
        /// Seconds since 1970 with a fraction, or a time of RFC 3339.
        case moment
        /// JSON: values by the filter's name.
        case filters
        case words([String])
        /// May stand several times.
        case texts
    }

    let name: String
    let kind: Kind
    let summary: String
    var isRequired = false
    /// The first version of the API that has it.
    var since = APIVersion.oldest

    static func text(_ name: String, _ summary: String) -> Self { Self(name: name, kind: .text, summary: summary) }
    static func flag(_ name: String, _ summary: String) -> Self { Self(name: name, kind: .flag, summary: summary) }
    static func number(_ name: String, _ summary: String) -> Self { Self(name: name, kind: .number, summary: summary) }
    static func cells(_ name: String, _ summary: String) -> Self { Self(name: name, kind: .cells, summary: summary).required }
    static func moment(_ name: String, _ summary: String) -> Self { Self(name: name, kind: .moment, summary: summary) }
    static func texts(_ name: String, _ summary: String) -> Self { Self(name: name, kind: .texts, summary: summary) }
    static func words(_ name: String, _ words: [String], _ summary: String) -> Self {
        Self(name: name, kind: .words(words), summary: summary)
    }
    /// `filters`, which many operations have.
    static let filters = Self(name: "filters", kind: .filters, summary: "What is wanted: values by the filter's name.")

    var required: Self {
        var parameter = self
        parameter.isRequired = true
        return parameter
    }

    func since(_ version: APIVersion) -> Self {
        var parameter = self
        parameter.since = version
        return parameter
    }
}

/// What a request carries.
enum DescribedBody: Sendable {
    case document(any EngineDocument.Type)
    case optionalDocument(any EngineDocument.Type)
    case bytes(String, isRequired: Bool)
}

/// What may come back, errors aside: those are the same everywhere.
struct DescribedAnswer: Sendable {
    enum Content: Sendable {
        case none
        case document(any (Decodable & Sendable).Type)
        case bytes(String)
        /// One JSON document after the other.
        case documents(any (Decodable & Sendable).Type)
    }

    let status: Int
    let summary: String
    let content: Content

    /// 204.
    static let nothing = Self(status: 204, summary: "Done.", content: .none)
    /// 304.
    static let unchanged = Self(status: 304, summary: "It was so already.", content: .none)
    /// 101, for clients that ask for an upgrade.
    static let upgrade = Self(status: 101, summary: "The connection is a stream of bytes from here on, both ways.", content: .none)

    static func empty(_ status: Int, _ summary: String = "Done.") -> Self { Self(status: status, summary: summary, content: .none) }
    static func document(_ type: any (Decodable & Sendable).Type, _ status: Int = 200) -> Self {
        Self(status: status, summary: "What was asked for.", content: .document(type))
    }
    static func documents(_ type: any (Decodable & Sendable).Type) -> Self {
        Self(status: 200, summary: "One JSON document after the other.", content: .documents(type))
    }
    static func bytes(_ mediaType: String, _ summary: String) -> Self {
        Self(status: 200, summary: summary, content: .bytes(mediaType))
    }
}
