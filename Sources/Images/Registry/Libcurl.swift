internal import CCurl
internal import CoreTypes
internal import Dispatch
internal import Glibc
internal import Synchronization

// The only caller of libcurl. - Source: libcurl(3) and the pages it names, libcurl 7.88.

/// An http or https address, split and normalised by libcurl.
package struct WebAddress: Hashable, Sendable {
    package let scheme: String
    /// Lower-case; an IPv6 address without its brackets.
    package let host: String
    package let port: Int
    /// Without the query, beginning with a slash.
    package let path: String
    /// Everything, as it is asked for.
    package let text: String
    /// Everything but the query: what may be printed.
    package let withoutQuery: String

    /// Who answers here: two addresses of one origin share credentials.
    package var origin: String { "\(scheme)://\(host):\(port)" }

    /// Host and port as addresses have them, without the port that the scheme implies.
    package var authority: String {
        let name = host.contains(":") ? "[\(host)]" : host
        return port == (scheme == "https" ? 443 : 80) ? name : "\(name):\(port)"
    }

    /// Parses an absolute address, or one relative to `base`.
    /// - Returns: nil where it is malformed, holds a user or password, or is neither http nor https.
    package init?(_ text: String, relativeTo base: WebAddress? = nil) {
        guard text.utf8.count <= Self.lengthLimit, let parts = unsafe curl_url() else { return nil }
        defer { unsafe curl_url_cleanup(parts) }
        if let base, unsafe curl_url_set(parts, CURLUPART_URL, base.text, 0) != CURLUE_OK { return nil }
        guard unsafe curl_url_set(parts, CURLUPART_URL, text, 0) == CURLUE_OK,
            unsafe curl_url_set(parts, CURLUPART_FRAGMENT, nil, 0) == CURLUE_OK,
            unsafe Self.part(CURLUPART_USER, of: parts) == nil, unsafe Self.part(CURLUPART_PASSWORD, of: parts) == nil,
            let scheme = unsafe Self.part(CURLUPART_SCHEME, of: parts), ["http", "https"].contains(scheme),
            let host = unsafe Self.part(CURLUPART_HOST, of: parts),
            let port = unsafe Self.part(CURLUPART_PORT, of: parts).flatMap({ Int($0) }),
            let path = unsafe Self.part(CURLUPART_PATH, of: parts),
            let whole = unsafe Self.part(CURLUPART_URL, of: parts), unsafe curl_url_set(parts, CURLUPART_QUERY, nil, 0) == CURLUE_OK,
            let withoutQuery = unsafe Self.part(CURLUPART_URL, of: parts)
        else { return nil }
        self.scheme = scheme
        self.host = host.lowercased().filter { $0 != "[" && $0 != "]" }
        self.port = port
        self.path = path
        self.text = whole
        self.withoutQuery = withoutQuery
    }

    /// Signed addresses of blob stores are long; nothing honest is longer than this.
    private static let lengthLimit = 16_384

    private static func part(_ part: CURLUPart, of parts: OpaquePointer) -> String? {
        var text: UnsafeMutablePointer<CChar>?
        let flags: UInt32 = part == CURLUPART_PORT ? UInt32(CURLU_DEFAULT_PORT) : 0
        guard unsafe curl_url_get(parts, part, &text, flags) == CURLUE_OK, let found = unsafe text else { return nil }
        defer { unsafe curl_free(found) }
        return unsafe String(cString: found)
    }
}

/// What became of a transfer.
enum TransferOutcome: Equatable, Sendable {
    case complete
    /// The receiver threw.
    case stopped(RegistryError)
    case cancelled
    /// No byte arrived for the idle limit.
    case idle
    /// The connection failed; nothing, or not all, arrived.
    case failed(TransferFailure)
}

/// Why libcurl gave up.
struct TransferFailure: Equatable, Sendable {
    enum Kind: Equatable, Sendable {
        case nameResolution
        case connection
        case timeout
        /// The server did not prove who it is, or does not speak TLS.
        case tls
        /// The connection ended in the middle.
        case interrupted
        case other
    }

    let kind: Kind
    /// Whether it may be otherwise in a moment.
    var isPassing: Bool { kind == .interrupted || kind == .nameResolution }
    /// In the words of Go's net package where Docker's users know them: `dial tcp 127.0.0.1:5000: connect: connection refused`.
    let message: String
}

/// How long a transfer waits, and how much it takes.
struct TransferLimits: Sendable {
    var connectSeconds = 30
    /// With fewer than `progressBytes` of the response.
    var idleSeconds = 60
    /// What counts as progress: a server that trickles is as good as silent.
    var progressBytes = 1024
    /// Of all fields of a response together.
    var headerBytes = 65_536
}

/// Easy handles that keep their connections from one transfer to the next. Each serves one thread at a time.
final class CurlHandles: Sendable {
    /// A handle that nobody uses, by its address: libcurl allows a handle on any thread, one at a time; Swift has no word for that.
    private struct Idle {
        let address: UInt
        let sinceSeconds: Int
    }

    /// Idle connections are worth keeping only for so many handles.
    private static let idleLimit = 8
    /// After this a handle is closed with its connection: the requests of a pull follow each other faster, and a registry that is not asked
    /// again is owed no socket.
    private let keptSeconds: Int
    private let idle = Mutex<[Idle]>([])

    init(keptSeconds: Int = 15) {
        self.keptSeconds = keptSeconds
        Self.prepareLibrary
    }

    /// A serial queue, for it has a thread that serves no others meanwhile.
    private static let closings = DispatchQueue(label: "apus.registry.closings")

    deinit { for handle in idle.withLock({ $0 }) { Self.close(handle) } }

    /// Once for the process, before any other thread uses libcurl.
    private static let prepareLibrary: Void = { _ = curl_global_init(Int(CURL_GLOBAL_DEFAULT)) }()

    /// Sends a request and hands the response over. Blocks; follows no redirect.
    func perform(
        _ request: HTTPRequest, proxies: ProxySettings, userAgent: String, limits: TransferLimits, cancellation: Cancellation,
        into receiver: any ResponseReceiver
    ) -> TransferOutcome {
        let kept = idle.withLock { $0.popLast() }
        let reused = unsafe kept.flatMap { unsafe UnsafeMutableRawPointer(bitPattern: $0.address) }
        guard let handle = unsafe reused ?? curl_easy_init() else {
            return .failed(TransferFailure(kind: .other, message: "libcurl has no memory for a transfer"))
        }
        let transfer = Transfer(limits: limits, cancellation: cancellation, receiver: receiver)
        let outcome = unsafe transfer.run(request, proxies: proxies, userAgent: userAgent, on: handle)
        unsafe curl_easy_reset(handle)
        // libcurl 7.88 answers CURLE_BAD_FUNCTION_ARGUMENT for ever on a handle whose name lookup failed, reset or not.
        let isSound = if case .complete = outcome { true } else { false }
        let isKept = idle.withLock { idle in
            if !isSound || idle.count >= Self.idleLimit { return false }
            idle.append(Idle(address: UInt(bitPattern: handle), sinceSeconds: monotonicSeconds()))
            return true
        }
        if isKept {
            Self.closings.asyncAfter(deadline: .now() + .seconds(keptSeconds)) { [weak self] in self?.closeUnused() }
        } else {
            unsafe curl_easy_cleanup(handle)
        }
        return outcome
    }

    private func closeUnused() {
        let latest = monotonicSeconds() - keptSeconds
        let unused = idle.withLock { idle in
            defer { idle.removeAll { $0.sinceSeconds <= latest } }
            return idle.filter { $0.sinceSeconds <= latest }
        }
        unused.forEach(Self.close)
    }

    private static func close(_ handle: Idle) {
        if let handle = unsafe UnsafeMutableRawPointer(bitPattern: handle.address) { unsafe curl_easy_cleanup(handle) }
    }
}

/// One request and its response, as libcurl's callbacks see them.
private final class Transfer {
    private let limits: TransferLimits
    private let cancellation: Cancellation
    private let receiver: any ResponseReceiver
    private var head = ResponseHead()
    private var headerBytes = 0
    private var hasBegun = false
    /// Small pieces gather here: libcurl hands over 16 KiB at most.
    private var gathered: [UInt8] = []
    private var lastProgressSeconds = monotonicSeconds()
    private var bytesSinceProgress = 0
    private var sentBytes = 0
    private var problem: TransferOutcome?
    private var allowsLinkLocal = true

    /// What the receiver gets at a time. Every transfer, and whoever waits behind it, has some of these.
    private static let chunkBytes = 128 << 10
    /// What libcurl reads at a time.
    private static let bufferBytes = 64 << 10

    init(limits: TransferLimits, cancellation: Cancellation, receiver: any ResponseReceiver) {
        self.limits = limits
        self.cancellation = cancellation
        self.receiver = receiver
    }

    func run(_ request: HTTPRequest, proxies: ProxySettings, userAgent: String, on handle: UnsafeMutableRawPointer) -> TransferOutcome {
        allowsLinkLocal = request.allowsLinkLocal
        var fields: UnsafeMutablePointer<curl_slist>?
        defer { unsafe curl_slist_free_all(fields) }
        // Without this, libcurl waits a second for a server's leave to send a large body.
        for (name, value) in request.headers + [(name: "Expect", value: "")] {
            guard let longer = unsafe curl_slist_append(fields, "\(name): \(value)") else {
                return .failed(TransferFailure(kind: .other, message: "libcurl has no memory for a header"))
            }
            unsafe fields = unsafe longer
        }
        var words = [CChar](repeating: 0, count: Int(CURL_ERROR_SIZE))
        let code = unsafe words.withUnsafeMutableBufferPointer { buffer in
            unsafe ccurl_set_pointer(handle, CURLOPT_ERRORBUFFER, buffer.baseAddress)
            let configured = unsafe configure(handle, request, proxies: proxies, userAgent: userAgent, fields: fields)
            return unsafe configured == CURLE_OK ? curl_easy_perform(handle) : configured
        }
        var errorNumber = 0
        unsafe ccurl_get_number(handle, CURLINFO_OS_ERRNO, &errorNumber)
        let text = unsafe words.withUnsafeBufferPointer { unsafe $0.baseAddress.map { unsafe String(cString: $0) } ?? "" }
        return settle(code, errorNumber: Int32(clamping: errorNumber), words: text, request: request)
    }

    private func settle(_ code: CURLcode, errorNumber: Int32, words: String, request: HTTPRequest) -> TransferOutcome {
        if let problem {
            // What came before it was called off, or before the silence, is good, too.
            if hasBegun, problem == .cancelled || problem == .idle { _ = flush() }
            return problem
        }
        if code == CURLE_OK {
            // A response without a body has begun nothing yet.
            if begin() && flush() { return .complete }
            return problem ?? .cancelled
        }
        // What came before the connection broke is good: the next attempt goes on after it.
        if hasBegun, !flush(), let problem { return problem }
        return .failed(TransferFailure(code, errorNumber: errorNumber, words: words, to: request.address))
    }

    private func configure(
        _ handle: UnsafeMutableRawPointer, _ request: HTTPRequest, proxies: ProxySettings, userAgent: String,
        fields: UnsafeMutablePointer<curl_slist>?
    ) -> CURLcode {
        let numbers: [(CURLoption, Int)] = [
            (CURLOPT_NOSIGNAL, 1), (CURLOPT_FOLLOWLOCATION, 0), (CURLOPT_NOPROGRESS, 0), (CURLOPT_SUPPRESS_CONNECT_HEADERS, 1),
            (CURLOPT_CONNECTTIMEOUT, limits.connectSeconds), (CURLOPT_BUFFERSIZE, Self.bufferBytes), (CURLOPT_TCP_KEEPALIVE, 1),
            (CURLOPT_HTTP_VERSION, Int(CURL_HTTP_VERSION_2TLS)), (CURLOPT_SSLVERSION, Int(CURL_SSLVERSION_TLSv1_2)),
            (CURLOPT_SSL_VERIFYPEER, request.verifiesPeer ? 1 : 0), (CURLOPT_SSL_VERIFYHOST, request.verifiesPeer ? 2 : 0),
            (CURLOPT_NOBODY, request.method == .head ? 1 : 0), (CURLOPT_POST, request.method.hasBody ? 1 : 0),
        ]
        // An empty proxy says "none": without it libcurl reads the environment.
        let proxy = request.address.scheme == "https" ? proxies.https : proxies.http
        let texts: [(CURLoption, String)] = [
            (CURLOPT_URL, request.address.text), (CURLOPT_PROTOCOLS_STR, "http,https"), (CURLOPT_USERAGENT, userAgent),
            (CURLOPT_PROXY, RegistryHost.isLoopback(request.address.host) ? "" : proxy), (CURLOPT_NOPROXY, proxies.exceptions),
        ]
        var codes = numbers.map { unsafe ccurl_set_number(handle, $0.0, $0.1) }
        codes += texts.map { unsafe ccurl_set_text(handle, $0.0, $0.1) }
        codes += unsafe trust(request.certificates, on: handle)
        if request.method.hasBody {
            codes.append(unsafe ccurl_set_text(handle, CURLOPT_CUSTOMREQUEST, request.method.rawValue))
            codes.append(unsafe request.body.withUnsafeBytes { unsafe ccurl_set_bytes(handle, $0.baseAddress, $0.count) })
        }
        let context = unsafe Unmanaged.passUnretained(self).toOpaque()
        for option in [CURLOPT_WRITEDATA, CURLOPT_HEADERDATA, CURLOPT_XFERINFODATA, CURLOPT_OPENSOCKETDATA] {
            codes.append(unsafe ccurl_set_pointer(handle, option, context))
        }
        codes.append(unsafe ccurl_set_list(handle, CURLOPT_HTTPHEADER, fields))
        codes.append(unsafe ccurl_set_receiver(handle, CURLOPT_WRITEFUNCTION, receiveBody))
        codes.append(unsafe ccurl_set_receiver(handle, CURLOPT_HEADERFUNCTION, receiveHeader))
        codes.append(unsafe ccurl_set_progress(handle, watch))
        codes.append(unsafe ccurl_set_socket_opener(handle, openSocket))
        return codes.first { $0 != CURLE_OK } ?? CURLE_OK
    }

    /// The machine's own authorities stay trusted: libcurl looks for them in a folder, too.
    private func trust(_ certificates: HostCertificates, on handle: UnsafeMutableRawPointer) -> [CURLcode] {
        var codes: [CURLcode] = []
        if !certificates.authorities.isEmpty {
            codes.append(
                unsafe certificates.authorities.withUnsafeBytes { unsafe ccurl_set_authorities(handle, $0.baseAddress, $0.count) })
        }
        if let client = certificates.client {
            codes.append(unsafe ccurl_set_text(handle, CURLOPT_SSLCERT, client.certificate))
            codes.append(unsafe ccurl_set_text(handle, CURLOPT_SSLKEY, client.key))
        }
        return codes
    }

    // MARK: - What the callbacks do; false ends the transfer

    func takeHeader(_ line: String) -> Bool {
        noteProgress(line.utf8.count)
        headerBytes += line.utf8.count
        if headerBytes > limits.headerBytes {
            let error = RegistryError(.malformed, doing: "", cause: "header fields of more than \(limits.headerBytes) bytes")
            return stop(.stopped(error))
        }
        if line.hasPrefix("HTTP/") {
            // Each interim response begins anew.
            let status = line.split(separator: " ", maxSplits: 2, omittingEmptySubsequences: true).dropFirst().first
            head = ResponseHead(status: status.flatMap { Int($0) } ?? 0)
        } else if let colon = line.firstIndex(of: ":") {
            let value = line[line.index(after: colon)...]
            head.headers.append(String(line[..<colon]), Self.trimmed(value))
        }
        return true
    }

    func takeBody(_ bytes: UnsafeRawBufferPointer) -> Bool {
        guard begin() else { return false }
        unsafe gathered.append(contentsOf: bytes)
        noteProgress(bytes.count)
        if gathered.count < Self.chunkBytes { return true }
        let goesOn = flush()
        // Time that the receiver took is not the server's.
        lastProgressSeconds = monotonicSeconds()
        return goesOn
    }

    private func noteProgress(_ count: Int) {
        bytesSinceProgress += count
        if bytesSinceProgress < limits.progressBytes { return }
        bytesSinceProgress = 0
        lastProgressSeconds = monotonicSeconds()
    }

    /// - Parameter sentBytes: of the request's body, so far.
    func mayGoOn(sentBytes: Int) -> Bool {
        if sentBytes > self.sentBytes {
            self.sentBytes = sentBytes
            lastProgressSeconds = monotonicSeconds()
        }
        if cancellation.isCancelled { return stop(.cancelled) }
        if monotonicSeconds() - lastProgressSeconds > limits.idleSeconds { return stop(.idle) }
        return true
    }

    func mayConnect(to address: IPAddress) -> Bool { allowsLinkLocal || !address.leadsToOneLink }

    private func begin() -> Bool {
        if hasBegun { return true }
        hasBegun = true
        do throws(RegistryError) { try receiver.begin(head) } catch { return stop(.stopped(error)) }
        return true
    }

    private func flush() -> Bool {
        if gathered.isEmpty { return true }
        var chunk: [UInt8] = []
        swap(&chunk, &gathered)
        do throws(RegistryError) { try receiver.receive(chunk) } catch { return stop(.stopped(error)) }
        gathered.reserveCapacity(Self.chunkBytes + Int(CURL_MAX_WRITE_SIZE))
        return true
    }

    private func stop(_ outcome: TransferOutcome) -> Bool {
        if problem == nil { problem = outcome }
        return false
    }

    private static func trimmed(_ text: Substring) -> String {
        let start = text.drop { $0.isWhitespace }
        guard let end = start.lastIndex(where: { !$0.isWhitespace }) else { return "" }
        return String(start[...end])
    }
}

// MARK: - Callbacks, on the thread that performs

private func transfer(_ context: UnsafeMutableRawPointer?) -> Transfer? {
    unsafe context.map { unsafe Unmanaged<Transfer>.fromOpaque($0).takeUnretainedValue() }
}

private func receiveBody(
    _ bytes: UnsafeMutablePointer<CChar>?, _ size: Int, _ count: Int, _ context: UnsafeMutableRawPointer?
) -> Int {
    guard let transfer = unsafe transfer(context) else { return 0 }
    return unsafe transfer.takeBody(UnsafeRawBufferPointer(start: bytes, count: size * count)) ? size * count : 0
}

private func receiveHeader(
    _ bytes: UnsafeMutablePointer<CChar>?, _ size: Int, _ count: Int, _ context: UnsafeMutableRawPointer?
) -> Int {
    guard let transfer = unsafe transfer(context) else { return 0 }
    let line = unsafe String(decoding: UnsafeRawBufferPointer(start: bytes, count: size * count), as: UTF8.self)
    return transfer.takeHeader(line) ? size * count : 0
}

private func watch(
    _ context: UnsafeMutableRawPointer?, _ downloadTotal: curl_off_t, _ downloaded: curl_off_t, _ uploadTotal: curl_off_t,
    _ uploaded: curl_off_t
) -> Int32 {
    guard let transfer = unsafe transfer(context) else { return 1 }
    return transfer.mayGoOn(sentBytes: uploaded) ? 0 : 1
}

private func openSocket(
    _ context: UnsafeMutableRawPointer?, _ purpose: curlsocktype, _ address: UnsafeMutablePointer<curl_sockaddr>?
) -> curl_socket_t {
    guard let transfer = unsafe transfer(context), let address = unsafe address,
        let peer = unsafe peer(at: address), transfer.mayConnect(to: peer)
    else { return CURL_SOCKET_BAD }
    return unsafe socket(address.pointee.family, address.pointee.socktype | Int32(SOCK_CLOEXEC.rawValue), address.pointee.protocol)
}

/// - Returns: nil for an address of another family, or one that is cut off.
private func peer(at address: UnsafeMutablePointer<curl_sockaddr>) -> IPAddress? {
    let place: Range<Int>
    switch unsafe address.pointee.family {
    // Where sockaddr_in and sockaddr_in6 have the address.
    case AF_INET: place = 4..<8
    case AF_INET6: place = 8..<24
    default: return nil
    }
    guard let offset = MemoryLayout<curl_sockaddr>.offset(of: \.addr), unsafe Int(address.pointee.addrlen) >= place.upperBound
    else { return nil }
    // libcurl has as many bytes there as it says, which are more than the member's type has.
    let start = unsafe UnsafeRawPointer(address) + offset
    return IPAddress(bytes: place.map { unsafe start.load(fromByteOffset: $0, as: UInt8.self) })
}

/// Seconds of a clock that is never set.
func monotonicSeconds() -> Int {
    var time = timespec()
    _ = unsafe clock_gettime(CLOCK_MONOTONIC, &time)
    return time.tv_sec
}

extension TransferFailure {
    fileprivate init(_ code: CURLcode, errorNumber: Int32, words: String, to address: WebAddress) {
        let host = address.host.contains(":") ? "[\(address.host)]" : address.host
        let target = "dial tcp \(host):\(address.port)"
        let said = words.isEmpty ? unsafe String(cString: curl_easy_strerror(code)) : words
        switch code {
        case CURLE_COULDNT_RESOLVE_HOST, CURLE_COULDNT_RESOLVE_PROXY:
            self.init(kind: .nameResolution, message: "dial tcp: lookup \(host): no such host")
        case CURLE_COULDNT_CONNECT where errorNumber != 0:
            let reason = unsafe String(cString: strerror(errorNumber)).lowercased()
            self.init(kind: .connection, message: "\(target): connect: \(reason)")
        case CURLE_COULDNT_CONNECT:
            self.init(kind: .connection, message: "\(target): connect: \(said)")
        case CURLE_OPERATION_TIMEDOUT:
            self.init(kind: .timeout, message: "\(target): i/o timeout")
        // OpenSSL's word for bytes that are no record of TLS.
        case CURLE_SSL_CONNECT_ERROR where said.contains("wrong version number"):
            self.init(kind: .tls, message: "http: server gave HTTP response to HTTPS client")
        case CURLE_PEER_FAILED_VERIFICATION, CURLE_SSL_CONNECT_ERROR, CURLE_SSL_CACERT_BADFILE, CURLE_SSL_ISSUER_ERROR:
            self.init(kind: .tls, message: "tls: \(said)")
        case CURLE_PARTIAL_FILE, CURLE_RECV_ERROR, CURLE_SEND_ERROR, CURLE_GOT_NOTHING, CURLE_HTTP2, CURLE_HTTP2_STREAM:
            self.init(kind: .interrupted, message: said)
        default:
            self.init(kind: .other, message: said)
        }
    }
}
