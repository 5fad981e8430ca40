internal import CoreTypes
internal import Glibc
internal import Synchronization

/// One caller's conversation about one repository. Every call blocks: run it on a thread of your own. Safe for use by
/// many threads.
package final class RepositorySession: Sendable {
    let client: RegistryClient
    /// Whom it speaks to.
    let endpoint: RegistryEndpoint
    let credentials: RegistryCredentials
    let cancellation: Cancellation
    /// What tokens are asked for.
    private let scope: String
    /// What a registry is worth waiting for, where another may have the same.
    let patience: Patience
    private let place: FoundPlace

    /// What is found out once, for every copy of the conversation.
    private final class FoundPlace: Sendable {
        private let found = Mutex<Place?>(nil)

        var value: Place? { found.withLock { $0 } }

        func keep(_ place: Place) { found.withLock { $0 = place } }
    }

    /// Where the registry was found, and how it proves itself.
    private struct Place {
        let base: WebAddress
        let verifiesPeer: Bool
        let certificates: HostCertificates
    }

    init(
        client: RegistryClient, endpoint: RegistryEndpoint, neighbours: [String]?, credentials: RegistryCredentials,
        patience: Patience = .full, cancellation: Cancellation
    ) {
        self.client = client
        self.endpoint = endpoint
        self.patience = patience
        let repository = endpoint.repository
        if repository.isEmpty {
            scope = ""
        } else if let neighbours {
            scope = (["repository:\(repository):pull,push"] + neighbours.map { "repository:\($0):pull" }).joined(separator: " ")
        } else {
            scope = "repository:\(repository):pull"
        }
        self.credentials = endpoint.receivesCredentials ? credentials : .anonymous
        self.cancellation = cancellation
        place = FoundPlace()
    }

    /// The same conversation, which something else may end, too.
    init(_ other: RepositorySession, cancellation: Cancellation) {
        client = other.client
        endpoint = other.endpoint
        patience = other.patience
        scope = other.scope
        credentials = other.credentials
        place = other.place
        self.cancellation = cancellation
    }

    var repository: String { endpoint.repository }

    /// A request about something of the repository: `manifests/latest`.
    func request(_ method: HTTPRequest.Method, _ item: String) throws(RegistryError) -> HTTPRequest {
        let place = try findPlace()
        var path = repository.isEmpty ? endpoint.path : "\(endpoint.path)\(repository)/\(item)"
        if let namespace = endpoint.namespace { path += "\(path.contains("?") ? "&" : "?")\(TextEncodings.formField("ns", namespace))" }
        guard let address = WebAddress(path, relativeTo: place.base) else {
            throw RegistryError(.malformed, doing: "", cause: "no address for \(repository)/\(item)")
        }
        return request(method, address, place)
    }

    /// A request to an address that the registry itself gave. What proves the registry proves no one else.
    func request(_ method: HTTPRequest.Method, _ address: WebAddress) throws(RegistryError) -> HTTPRequest {
        let place = try findPlace()
        if address.origin == place.base.origin { return request(method, address, place) }
        return HTTPRequest(method: method, address: address, certificates: try certificates(of: address), allowsLinkLocal: false)
    }

    /// What proves a server that the registry sends to: that server's own folder.
    private func certificates(of address: WebAddress) throws(RegistryError) -> HostCertificates {
        try HostCertificates(for: address.authority, in: client.configuration.certificateFolders)
    }

    private func request(_ method: HTTPRequest.Method, _ address: WebAddress, _ place: Place) -> HTTPRequest {
        var request = HTTPRequest(method: method, address: address, verifiesPeer: place.verifiesPeer, certificates: place.certificates)
        request.ownHeaders = endpoint.headers
        return request
    }

    /// Sends a request, however often that takes: authenticated, redirected, and again where the registry is busy or the connection breaks.
    /// - Parameter attempts: in all, where the registry is busy or fails; nil is as many as the registry is worth.
    /// - Parameter goesOn: whether a connection that broke is tried again: only where the receiver can begin anew.
    /// - Returns: the head of a success; its body went to `receiver`.
    /// - Throws: `RegistryError` for every other answer.
    @discardableResult
    func send(
        _ request: HTTPRequest, into receiver: any ResponseReceiver, attempts: Int? = nil, goesOn: Bool = true
    ) throws(RegistryError) -> ResponseHead {
        var mayAuthenticate = true
        var retries = Retries(attempts: attempts ?? patience.attempts, interruptions: goesOn ? patience.interruptions : 0)
        while true {
            // Nobody else learns what is for the registry, whomever it sends us to.
            let isRegistry = try findPlace().base.origin == request.address.origin
            let grant = isRegistry ? knownGrant(at: request.address) : nil
            let attempt = Result { () throws(RegistryError) in try exchange(request, authorization: grant?.field, into: receiver) }
            guard let answer = try judge(attempt, &retries, request) else { continue }
            switch answer.head.status {
            case 200...299: return answer.head
            case 401 where mayAuthenticate && isRegistry:
                mayAuthenticate = false
                try authenticate(answer.head, request, refused: grant)
            case 429, 500, 502, 503, 504:
                guard let seconds = retries.pause(after: answer.head) else { throw refusal(answer, request, authorization: grant) }
                // A token may have run out meanwhile.
                mayAuthenticate = true
                try pause(seconds: seconds, request)
            default: throw refusal(answer, request, authorization: grant)
            }
        }
    }

    /// - Returns: nil where the connection broke and is to be tried again, after a pause that was made.
    private func judge(
        _ attempt: Result<ResponseSorter, RegistryError>, _ retries: inout Retries, _ request: HTTPRequest
    ) throws(RegistryError) -> ResponseSorter? {
        switch attempt {
        case .success(let answer): return answer
        case .failure(let error):
            guard let seconds = retries.pause(after: error) else { throw error }
            try pause(seconds: seconds, request)
            return nil
        }
    }

    /// Waits, unless the caller goes away.
    func pause(seconds: Double, _ request: HTTPRequest) throws(RegistryError) {
        var remaining = Int((seconds * 20).rounded(.up))
        while remaining > 0 {
            if cancellation.isCancelled { throw RegistryError(.cancelled, doing: request.shown, cause: "cancelled") }
            usleep(50_000)
            remaining -= 1
        }
    }

    // MARK: - Where

    /// Scheme and authority of the registry, found out once.
    private func findPlace() throws(RegistryError) -> Place {
        if let known = place.value { return known }
        let certificates: HostCertificates
        if let named = endpoint.certificates {
            certificates = named
        } else {
            certificates = try HostCertificates(for: endpoint.host.authority, in: client.configuration.certificateFolders)
        }
        let host = certificates.authorities.isEmpty ? endpoint.host : endpoint.host.mustProveItself
        var last: RegistryError?
        let schemes = endpoint.scheme.map { [$0] } ?? host.schemes
        for scheme in schemes {
            guard let address = WebAddress("\(scheme)://\(host.authority)/") else {
                throw RegistryError(.badName, doing: "", cause: "\(host.authority) is no registry's name")
            }
            let found = Place(base: address, verifiesPeer: !host.isInsecure, certificates: certificates)
            if schemes.count > 1 {
                do throws(RegistryError) { try probe(found) } catch {
                    guard [.network, .interrupted, .stalled].contains(error.code) else { throw error }
                    last = error
                    continue
                }
            }
            place.keep(found)
            return found
        }
        throw last ?? RegistryError(.network, doing: "", cause: "\(host.authority) does not answer")
    }

    /// Whether anything answers at all; what it says is of no interest.
    private func probe(_ place: Place) throws(RegistryError) {
        guard let target = WebAddress(endpoint.path, relativeTo: place.base) else { return }
        let request = request(.get, target, place)
        let collector = CollectingReceiver(for: request.shown, limitBytes: 65_536)
        _ = try transfer(request, into: ResponseSorter(for: request.shown, success: collector, limits: client.imageLimits))
    }

    // MARK: - One exchange

    /// Sends a request and follows its redirects. Authorization stays with the origin that it is for.
    private func exchange(
        _ original: HTTPRequest, authorization: String?, into receiver: any ResponseReceiver
    ) throws(RegistryError) -> ResponseSorter {
        var request = original
        for _ in 0...client.imageLimits.redirects {
            var sent = request
            let isOrigin = request.address.origin == original.address.origin
            if isOrigin { sent.headers += request.ownHeaders.map { ($0.name, $0.value) } }
            if let authorization, isOrigin { sent.headers.append(("Authorization", authorization)) }
            let answer = try transfer(sent, into: ResponseSorter(for: original.shown, success: receiver, limits: client.imageLimits))
            guard answer.head.isRedirect else { return answer }
            request.address = try request.redirected(by: answer.head)
            let comesHome = request.address.origin == original.address.origin
            request.verifiesPeer = comesHome ? original.verifiesPeer : true
            request.certificates = comesHome ? original.certificates : try certificates(of: request.address)
            request.allowsLinkLocal = false
        }
        throw RegistryError(.malformed, doing: original.shown, cause: "stopped after \(client.imageLimits.redirects) redirects")
    }

    private func transfer(_ request: HTTPRequest, into sorter: ResponseSorter) throws(RegistryError) -> ResponseSorter {
        var limits = client.limits
        limits.connectSeconds = endpoint.connectSeconds ?? min(limits.connectSeconds, patience.connectSeconds)
        do throws(RegistryError) { try client.transfer(request, limits: limits, cancellation: cancellation, into: sorter) } catch {
            guard sorter.isSated else { throw error }
        }
        return sorter
    }

    // MARK: - Who

    private func grantKey(at address: WebAddress) -> GrantCache.Key {
        GrantCache.Key(origin: address.origin, scope: scope, credentials: credentials)
    }

    private func knownGrant(at address: WebAddress) -> Grant? {
        let grant = client.grants.grant(for: grantKey(at: address))
        return grant.flatMap { $0.isFresh(at: monotonicSeconds()) ? $0 : nil }
    }

    /// Answers the registry's challenge; the grant is then known. One request's refusal takes nothing from those beside it, which were given theirs.
    private func authenticate(_ head: ResponseHead, _ request: HTTPRequest, refused: Grant?) throws(RegistryError) {
        let key = grantKey(at: request.address)
        if let refused { client.grants.forget(refused, for: key) }
        let challenges = Challenge.parse(head.headers.all("www-authenticate"))
        let answer = try ChallengeAnswer.choose(
            challenges, credentials: credentials, scope: scope, registry: request.address, services: client.tokenServices,
            doing: request.shown)
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
        } else {
            request.certificates = try certificates(of: request.address)
        }
        // What holds no token is asked for once more.
        for _ in 0..<2 {
            if let grant = try grant(answering: question, by: request) { return grant }
        }
        throw RegistryError(.malformed, doing: request.shown, cause: "the answer holds no token")
    }

    /// - Returns: nil where the answer holds no token.
    private func grant(answering question: TokenRequest, by request: HTTPRequest) throws(RegistryError) -> Grant? {
        let collector = CollectingReceiver(for: request.shown, limitBytes: client.imageLimits.answerBytes)
        let answer = try ask(question, by: request, into: collector)
        switch answer.head.status {
        case 200...299: break
        case 401, 403:
            throw RegistryError(.unauthorized, doing: request.shown, cause: answer.words ?? "unauthorized: incorrect username or password")
        case 429:
            throw RegistryError(
                .tooManyRequests, doing: request.shown, cause: (answer.words ?? "too many requests") + Retries.limits(answer.head))
        default: throw RegistryError(.server, doing: request.shown, cause: answer.words ?? "unexpected status \(answer.head.status)")
        }
        return TokenRequest.grant(in: collector.body, now: monotonicSeconds())
    }

    /// A token service is as patient a matter as a registry.
    private func ask(
        _ question: TokenRequest, by request: HTTPRequest, into collector: CollectingReceiver
    ) throws(RegistryError) -> ResponseSorter {
        var retries = Retries(attempts: patience.attempts, interruptions: patience.interruptions)
        while true {
            let attempt = Result { () throws(RegistryError) in
                // A form holds the secret itself: it goes nowhere but where it was to go.
                question.isForm
                    ? try transfer(request, into: ResponseSorter(for: request.shown, success: collector, limits: client.imageLimits))
                    : try exchange(request, authorization: question.authorization, into: collector)
            }
            guard let answer = try judge(attempt, &retries, request) else { continue }
            guard Retries.mayPass(answer.head.status), let seconds = retries.pause(after: answer.head) else { return answer }
            try pause(seconds: seconds, request)
        }
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
        case 429, 500...599:
            let fallback = status == 429 ? "toomanyrequests: too many requests" : "received unexpected HTTP status: \(status)"
            return RegistryError(
                status == 429 ? .tooManyRequests : .server, doing: request.shown, cause: (words ?? fallback) + Retries.limits(answer.head),
                retryAfterSeconds: Retries.retryAfter(answer.head))
        default: return RegistryError(.malformed, doing: request.shown, cause: words ?? "unexpected status code \(status)")
        }
    }
}
