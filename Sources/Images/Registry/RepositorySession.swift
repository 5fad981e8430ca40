internal import CoreTypes
internal import Glibc
internal import Synchronization

/// One caller's conversation about one repository. Every call blocks: run it on a thread of your own. Safe for use by
/// many threads.
package final class RepositorySession: Sendable {
    /// Redirects of one request; blob stores need one or two.
    static let redirectLimit = 5
    /// Attempts at a request that the registry is too busy for, or fails at.
    static let attemptLimit = 5
    /// The longest that a Retry-After is honoured, in seconds.
    static let retryAfterLimitSeconds = 30

    let client: RegistryClient
    let repository: String
    let credentials: RegistryCredentials
    let cancellation: Cancellation
    private let registry: RegistryHost
    /// What tokens are asked for.
    private let scope: String
    private let place = Mutex<Place?>(nil)

    /// Where the registry was found, and how it proves itself.
    private struct Place {
        let base: WebAddress
        let verifiesPeer: Bool
        let certificates: HostCertificates
    }

    init(
        client: RegistryClient, host: RegistryHost, repository: String, neighbours: [String]?, credentials: RegistryCredentials,
        cancellation: Cancellation
    ) {
        self.client = client
        registry = host
        self.repository = repository
        if repository.isEmpty {
            scope = ""
        } else if let neighbours {
            scope = (["repository:\(repository):pull,push"] + neighbours.map { "repository:\($0):pull" }).joined(separator: " ")
        } else {
            scope = "repository:\(repository):pull"
        }
        self.credentials = credentials
        self.cancellation = cancellation
    }

    /// A request about something of the repository: `manifests/latest`.
    func request(_ method: HTTPRequest.Method, _ item: String) throws(RegistryError) -> HTTPRequest {
        let place = try findPlace()
        guard let address = WebAddress(repository.isEmpty ? "v2/" : "v2/\(repository)/\(item)", relativeTo: place.base) else {
            throw RegistryError(.malformed, doing: "", cause: "no address for \(repository)/\(item)")
        }
        return request(method, address, place)
    }

    /// A request to an address that the registry itself gave. What proves the registry proves no one else.
    func request(_ method: HTTPRequest.Method, _ address: WebAddress) throws(RegistryError) -> HTTPRequest {
        let place = try findPlace()
        if address.origin == place.base.origin { return request(method, address, place) }
        return HTTPRequest(method: method, address: address, allowsLinkLocal: false)
    }

    private func request(_ method: HTTPRequest.Method, _ address: WebAddress, _ place: Place) -> HTTPRequest {
        HTTPRequest(method: method, address: address, verifiesPeer: place.verifiesPeer, certificates: place.certificates)
    }

    /// Sends a request, however often that takes: authenticated, redirected, and again where the registry is busy.
    /// - Parameter attempts: in all, where the registry is busy or fails.
    /// - Returns: the head of a success; its body went to `receiver`.
    /// - Throws: `RegistryError` for every other answer.
    @discardableResult
    func send(
        _ request: HTTPRequest, into receiver: any ResponseReceiver, attempts: Int = attemptLimit
    ) throws(RegistryError) -> ResponseHead {
        var mayAuthenticate = true
        var attempt = 1
        while true {
            let grant = knownGrant(at: request.address)
            let answer = try exchange(request, authorization: grant?.field, into: receiver)
            switch answer.head.status {
            case 200...299: return answer.head
            case 401 where mayAuthenticate:
                mayAuthenticate = false
                try authenticate(answer.head, request)
            case 429, 500, 502, 503, 504:
                guard attempt < attempts else { throw refusal(answer, request, authorization: grant) }
                try pause(seconds: Self.pauseSeconds(after: answer.head, attempt: attempt), request)
                attempt += 1
            default: throw refusal(answer, request, authorization: grant)
            }
        }
    }

    /// Waits, unless the caller goes away.
    func pause(seconds: Double, _ request: HTTPRequest) throws(RegistryError) {
        var remaining = Int(seconds * 10)
        while remaining > 0 {
            if cancellation.isCancelled { throw RegistryError(.cancelled, doing: request.shown, cause: "cancelled") }
            usleep(100_000)
            remaining -= 1
        }
    }

    static func pauseSeconds(after head: ResponseHead, attempt: Int) -> Double {
        if let seconds = head.headers["retry-after"].flatMap({ Int($0) }), seconds >= 0 {
            return Double(min(seconds, retryAfterLimitSeconds))
        }
        return 0.5 * Double(1 << min(attempt - 1, 4))
    }

    // MARK: - Where

    /// Scheme and authority of the registry, found out once.
    private func findPlace() throws(RegistryError) -> Place {
        if let known = place.withLock({ $0 }) { return known }
        let certificates = try HostCertificates(for: registry.authority, in: client.configuration.certificateFolders)
        let host = certificates.authorities.isEmpty ? registry : registry.mustProveItself
        var last: RegistryError?
        for scheme in host.schemes {
            guard let address = WebAddress("\(scheme)://\(host.authority)/") else {
                throw RegistryError(.malformed, doing: "", cause: "\(host.authority) is no registry's name")
            }
            let found = Place(base: address, verifiesPeer: !host.isInsecure, certificates: certificates)
            if host.schemes.count > 1 {
                do throws(RegistryError) { try probe(found) } catch {
                    guard error.code == .network else { throw error }
                    last = error
                    continue
                }
            }
            place.withLock { $0 = found }
            return found
        }
        throw last ?? RegistryError(.network, doing: "", cause: "\(host.authority) does not answer")
    }

    /// Whether anything answers at all; what it says is of no interest.
    private func probe(_ place: Place) throws(RegistryError) {
        guard let target = WebAddress("v2/", relativeTo: place.base) else { return }
        let request = request(.get, target, place)
        let collector = CollectingReceiver(for: request.shown, limitBytes: 65_536)
        _ = try transfer(request, into: ResponseSorter(for: request.shown, success: collector))
    }

    // MARK: - One exchange

    /// Sends a request and follows its redirects. Authorization stays with the origin that it is for.
    private func exchange(
        _ original: HTTPRequest, authorization: String?, into receiver: any ResponseReceiver
    ) throws(RegistryError) -> ResponseSorter {
        var request = original
        for _ in 0...Self.redirectLimit {
            var sent = request
            let isOrigin = request.address.origin == original.address.origin
            if let authorization, isOrigin { sent.headers.append(("Authorization", authorization)) }
            let answer = try transfer(sent, into: ResponseSorter(for: original.shown, success: receiver))
            guard answer.head.isRedirect else { return answer }
            request.address = try redirectTarget(answer.head, of: request)
            let comesHome = request.address.origin == original.address.origin
            request.verifiesPeer = comesHome ? original.verifiesPeer : true
            request.certificates = comesHome ? original.certificates : HostCertificates()
            request.allowsLinkLocal = false
        }
        throw RegistryError(.malformed, doing: original.shown, cause: "stopped after \(Self.redirectLimit) redirects")
    }

    private func redirectTarget(_ head: ResponseHead, of request: HTTPRequest) throws(RegistryError) -> WebAddress {
        guard let target = WebAddress(head.headers["location"] ?? "", relativeTo: request.address) else {
            throw RegistryError(.refused, doing: request.shown, cause: "redirected to something that is neither http nor https")
        }
        if request.address.scheme == "https" && target.scheme != "https" {
            throw RegistryError(.refused, doing: request.shown, cause: "redirected from https to \(target.withoutQuery)")
        }
        return target
    }

    private func transfer(_ request: HTTPRequest, into sorter: ResponseSorter) throws(RegistryError) -> ResponseSorter {
        let outcome = client.handles.perform(
            request, proxies: client.configuration.proxies, userAgent: client.configuration.userAgent, limits: client.limits,
            cancellation: cancellation, into: sorter)
        switch outcome {
        case .complete: return sorter
        case .stopped(let error):
            throw error.doing.isEmpty ? RegistryError(error.code, doing: request.shown, cause: error.cause) : error
        case .cancelled: throw RegistryError(.cancelled, doing: request.shown, cause: "cancelled")
        case .idle:
            throw RegistryError(.network, doing: request.shown, cause: "no byte for \(client.limits.idleSeconds) seconds: i/o timeout")
        case .failed(let failure): throw RegistryError(.network, doing: request.shown, cause: failure.message)
        }
    }

    // MARK: - Who

    private func grantKey(at address: WebAddress) -> GrantCache.Key {
        GrantCache.Key(origin: address.origin, scope: scope, credentials: credentials)
    }

    private func knownGrant(at address: WebAddress) -> Grant? {
        let grant = client.grants.grant(for: grantKey(at: address))
        return grant.flatMap { $0.isFresh(at: monotonicSeconds()) ? $0 : nil }
    }

    /// Answers the registry's challenge; the grant is then known.
    private func authenticate(_ head: ResponseHead, _ request: HTTPRequest) throws(RegistryError) {
        let key = grantKey(at: request.address)
        client.grants.forget(key)
        let challenges = Challenge.parse(head.headers.all("www-authenticate"))
        let answer = try ChallengeAnswer.choose(
            challenges, credentials: credentials, scope: scope, registry: request.address, doing: request.shown)
        switch answer {
        case .send(let grant): client.grants.remember(grant, for: key)
        case .askForToken(let question): client.grants.remember(try token(question), for: key)
        }
    }

    private func token(_ question: TokenRequest) throws(RegistryError) -> Grant {
        guard var request = question.message(verifiesPeer: !RegistryHost.isLoopback(question.realm.host)) else {
            throw RegistryError(.malformed, doing: "", cause: "the registry's challenge asks for too long a token request")
        }
        // A registry's own token service, behind another port.
        let place = try findPlace()
        if request.address.host == place.base.host {
            (request.verifiesPeer, request.certificates) = (place.verifiesPeer, place.certificates)
        }
        let collector = CollectingReceiver(for: request.shown, limitBytes: TokenRequest.answerLimitBytes)
        let answer = try transfer(request, into: ResponseSorter(for: request.shown, success: collector))
        switch answer.head.status {
        case 200...299: break
        case 401, 403:
            throw RegistryError(.unauthorized, doing: request.shown, cause: answer.words ?? "unauthorized: incorrect username or password")
        case 429: throw RegistryError(.tooManyRequests, doing: request.shown, cause: answer.words ?? "too many requests")
        default: throw RegistryError(.server, doing: request.shown, cause: "unexpected status \(answer.head.status)")
        }
        guard let grant = TokenRequest.grant(in: collector.body, now: monotonicSeconds()) else {
            throw RegistryError(.malformed, doing: request.shown, cause: "the answer holds no token")
        }
        return grant
    }

    private func refusal(_ answer: ResponseSorter, _ request: HTTPRequest, authorization: Grant?) -> RegistryError {
        let status = answer.head.status
        let words = answer.words
        switch status {
        // A token that is good but not enough is how Docker Hub says that there is no such repository.
        case 401 where authorization?.field.hasPrefix("Bearer ") ?? false, 403:
            return RegistryError(.denied, doing: request.shown, cause: words ?? "denied: requested access to the resource is denied")
        case 401: return RegistryError(.unauthorized, doing: request.shown, cause: words ?? "unauthorized: authentication required")
        case 404: return RegistryError(.notFound, doing: request.shown, cause: words ?? "not found")
        case 416: return RegistryError(.outOfStep, doing: request.shown, cause: words ?? "requested range not satisfiable")
        case 429: return RegistryError(.tooManyRequests, doing: request.shown, cause: words ?? "toomanyrequests: too many requests")
        case 500...599: return RegistryError(.server, doing: request.shown, cause: words ?? "received unexpected HTTP status: \(status)")
        default: return RegistryError(.malformed, doing: request.shown, cause: words ?? "unexpected status code \(status)")
        }
    }
}
