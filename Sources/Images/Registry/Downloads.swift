/// Takes what lies at an address, in order; on the thread that fetches it.
package protocol DownloadSink: AnyObject {
    /// The server has it.
    /// - Parameter sizeBytes: nil where the server does not say.
    /// - Throws: `.receiverStopped` to end the download.
    func begin(sizeBytes: Int64?) throws(RegistryError)
    /// - Throws: `.receiverStopped` to end the download.
    func append(_ bytes: [UInt8]) throws(RegistryError)
}

extension RegistryClient {
    /// Fetches what lies at an address that the caller has chosen, which may be any. A redirect leads neither from https to http nor
    /// to link-local addresses. The server must prove who it is, by what the machine or a folder of certificates trusts. Blocks.
    /// - Throws: `.notFound`, `.server` and `.malformed` with the status; `.network`, `.interrupted`, `.stalled`, `.cancelled`.
    package func download(
        _ address: WebAddress, into sink: any DownloadSink, cancellation: Cancellation
    ) throws(RegistryError) {
        var request = HTTPRequest(method: .get, address: address)
        for _ in 0...imageLimits.downloadRedirects {
            let target = request.address
            request.certificates = try HostCertificates(for: target.authority, in: configuration.certificateFolders)
            let receiver = DownloadReceiver(for: request.shown, sink: sink, unreadBytes: imageLimits.unreadBytes)
            try transfer(request, limits: limits, cancellation: cancellation, into: receiver)
            if receiver.head.isSuccess { return }
            guard receiver.head.isRedirect else { throw receiver.refusal(target) }
            request.address = try request.redirected(by: receiver.head)
            request.allowsLinkLocal = false
        }
        throw RegistryError(.malformed, doing: request.shown, cause: "stopped after \(imageLimits.downloadRedirects) redirects")
    }
}

/// Hands a success's body on; what another answer says is a stranger's, and passes by.
private final class DownloadReceiver: ResponseReceiver {
    private let request: String
    private let sink: any DownloadSink
    /// Bytes of such an answer.
    private let unreadBytes: Int
    private(set) var head = ResponseHead()
    private var passed = 0

    init(for request: String, sink: any DownloadSink, unreadBytes: Int) {
        self.request = request
        self.sink = sink
        self.unreadBytes = unreadBytes
    }

    func begin(_ head: ResponseHead) throws(RegistryError) {
        self.head = head
        if head.isSuccess { try sink.begin(sizeBytes: head.contentLength) }
    }

    func receive(_ bytes: [UInt8]) throws(RegistryError) {
        if head.isSuccess { return try sink.append(bytes) }
        passed += bytes.count
        if passed > unreadBytes {
            throw RegistryError(.malformed, doing: request, cause: "status \(head.status) with more than \(unreadBytes) bytes")
        }
    }

    /// In Docker's words.
    func refusal(_ address: WebAddress) -> RegistryError {
        let code: RegistryError.Code =
            switch head.status {
            case 404: .notFound
            case 400...599: .server
            default: .malformed
            }
        return RegistryError(code, doing: "", cause: "failed to GET \(address.withoutQuery) with status \(head.status)")
    }
}
