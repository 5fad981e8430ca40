/// One request, as it goes over the wire.
struct HTTPRequest: Sendable {
    enum Method: String, Sendable {
        case get = "GET"
        case head = "HEAD"
        case post = "POST"
        case patch = "PATCH"
        case put = "PUT"

        var hasBody: Bool {
            switch self {
            case .get, .head: false
            case .post, .patch, .put: true
            }
        }
    }

    var method: Method
    var address: WebAddress
    var headers: [(name: String, value: String)] = []
    /// What a file of settings adds for the server that is asked, and no other.
    var ownHeaders: [RegistryEndpoint.HeaderField] = []
    /// For methods that have one.
    var body: [UInt8] = []
    /// Whether the server must prove who it is.
    var verifiesPeer = true
    /// What it may prove that by, and we who we are, beside what the machine trusts.
    var certificates = HostCertificates()
    /// Whether the connection may go to an address that `leadsToOneLink`: never where someone else chose the host.
    var allowsLinkLocal = true

    /// How Docker writes a request in an error: `Get "https://…"`, without the query, which may hold secrets.
    var shown: String { "\(method.rawValue.prefix(1))\(method.rawValue.dropFirst().lowercased()) \"\(address.withoutQuery)\"" }
}

extension HTTPRequest {
    /// Where a redirect leads: never to plain http from an address with TLS.
    func redirected(by head: ResponseHead) throws(RegistryError) -> WebAddress {
        guard let target = WebAddress(head.headers["location"] ?? "", relativeTo: address) else {
            throw RegistryError(.refused, doing: shown, cause: "redirected to something that is neither http nor https")
        }
        if address.scheme == "https" && target.scheme != "https" {
            throw RegistryError(.refused, doing: shown, cause: "redirected from https to \(target.withoutQuery)")
        }
        return target
    }
}

/// The fields of a response, in their order.
struct HTTPHeaders: Equatable, Sendable {
    private(set) var fields: [(name: String, value: String)] = []

    /// Adds a field; its name is compared without regard to case.
    mutating func append(_ name: String, _ value: String) { fields.append((name.lowercased(), value)) }

    /// The first field of this lower-case name.
    subscript(name: String) -> String? { fields.first { $0.name == name }?.value }

    /// Every field of this lower-case name.
    func all(_ name: String) -> [String] { fields.filter { $0.name == name }.map(\.value) }

    static func == (left: HTTPHeaders, right: HTTPHeaders) -> Bool { left.fields.elementsEqual(right.fields, by: ==) }
}

/// The status line and the fields of a response.
struct ResponseHead: Equatable, Sendable {
    var status = 0
    var headers = HTTPHeaders()

    var isSuccess: Bool { (200...299).contains(status) }
    var isRedirect: Bool { [301, 302, 303, 307, 308].contains(status) && headers["location"] != nil }
    /// Content-Length; nil where there is none or it is no number.
    var contentLength: Int64? { headers["content-length"].flatMap { Int64($0) } }
}

/// What a transfer hands its response to; on the transfer's thread.
protocol ResponseReceiver: AnyObject {
    /// The final response has begun.
    func begin(_ head: ResponseHead) throws(RegistryError)
    /// The next bytes of the body.
    func receive(_ bytes: [UInt8]) throws(RegistryError)
}

/// Keeps a small body whole.
final class CollectingReceiver: ResponseReceiver {
    private let request: String
    private let limitBytes: Int
    private(set) var head = ResponseHead()
    private(set) var body: [UInt8] = []

    /// - Parameter limitBytes: more is an error of the registry.
    init(for request: String, limitBytes: Int) {
        self.request = request
        self.limitBytes = limitBytes
    }

    func begin(_ head: ResponseHead) throws(RegistryError) {
        self.head = head
        body = []
        if let length = head.contentLength, length > limitBytes { try refuse("\(length) bytes announced") }
    }

    func receive(_ bytes: [UInt8]) throws(RegistryError) {
        if body.count + bytes.count > limitBytes { try refuse("a body without end") }
        body += bytes
    }

    private func refuse(_ found: String) throws(RegistryError) {
        throw RegistryError(.malformed, doing: request, cause: "\(found), at most \(limitBytes) are taken")
    }
}

/// Lets a body pass by whose head says all there is to know.
final class DroppingReceiver: ResponseReceiver {
    /// More than this after a success is no answer of a registry.
    private static let limitBytes = 65_536
    private let request: String
    private var passed = 0

    init(for request: String) { self.request = request }

    // The length that HEAD announces is that of a body that does not come.
    func begin(_ head: ResponseHead) throws(RegistryError) { passed = 0 }

    func receive(_ bytes: [UInt8]) throws(RegistryError) {
        passed += bytes.count
        if passed > Self.limitBytes {
            throw RegistryError(.malformed, doing: request, cause: "a body without end, at most \(Self.limitBytes) bytes are taken")
        }
    }
}
