// The one file of this module that calls CTLS.
internal import CTLS

/// Who one is, and whom one believes: a certificate and authorities, read once.
package final class TLSContext: Sendable {
    /// Files in PEM.
    package struct Files: Equatable, Sendable {
        /// Whose word is taken for the peer; nil is the machine's own list for a client, and for a server that nobody needs to prove himself.
        package var authorities: String?
        package var certificate: String?
        package var key: String?

        package init(authorities: String? = nil, certificate: String? = nil, key: String? = nil) {
            self.authorities = authorities
            self.certificate = certificate
            self.key = key
        }
    }

    /// The context's address: a number may be shared.
    private let address: UInt
    fileprivate var raw: OpaquePointer? { unsafe OpaquePointer(bitPattern: address) }

    /// - Parameter verifies: whether the peer must prove itself.
    /// - Throws: `TLSError` naming the file.
    package init(isServer: Bool, verifies: Bool, _ files: Files) throws(TLSError) {
        var reason = [CChar](repeating: 0, count: 256)
        let made = unsafe ctls_context_create(
            isServer ? 1 : 0, verifies ? 1 : 0, files.authorities, files.certificate, files.key, &reason, reason.count)
        guard let made = unsafe made else {
            throw TLSError(String(decoding: reason.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self))
        }
        address = UInt(bitPattern: made)
    }

    deinit { unsafe ctls_context_free(raw) }
}

/// One connection's TLS, between buffers. Used by one thread at a time.
@safe final class TLSSession {
    /// What the peer has said.
    enum Reading {
        case bytes([UInt8])
        /// Nothing more yet.
        case nothing
        /// It has ended its side in good order.
        case end
    }

    /// The largest record, and a little.
    private static let chunkBytes = 17 << 10
    private let context: TLSContext
    private let raw: OpaquePointer

    /// - Parameter host: whom a client means to reach.
    init(_ context: TLSContext, host: String?) throws(TLSError) {
        guard let made = unsafe ctls_session_create(context.raw, host) else { throw TLSError("no memory") }
        self.context = context
        unsafe raw = made
    }

    deinit { unsafe ctls_session_free(raw) }

    /// Takes bytes that came from the peer.
    func receive(_ bytes: [UInt8]) throws(TLSError) {
        let code = unsafe bytes.withUnsafeBytes { unsafe ctls_receive(raw, $0.baseAddress, $0.count) }
        if code != 0 { throw failure() }
    }

    /// Bytes for the peer; empty for none.
    func outgoing() -> [UInt8] {
        var all: [UInt8] = []
        while true {
            let chunk = unsafe [UInt8](unsafeUninitializedCapacity: Self.chunkBytes) { buffer, count in
                count = unsafe ctls_send(raw, buffer.baseAddress, buffer.count)
            }
            if chunk.isEmpty { return all }
            all += chunk
        }
    }

    /// Whether the peer is known by now.
    func handshake() throws(TLSError) -> Bool {
        switch unsafe ctls_handshake(raw) {
        case 0: return true
        case CTLS_MORE: return false
        default: throw failure()
        }
    }

    func read() throws(TLSError) -> Reading {
        var code = 0
        let chunk = unsafe [UInt8](unsafeUninitializedCapacity: Self.chunkBytes) { buffer, count in
            code = unsafe ctls_read(raw, buffer.baseAddress, buffer.count)
            count = max(0, code)
        }
        if code > 0 { return .bytes(chunk) }
        switch code {
        case CTLS_MORE: return .nothing
        case CTLS_CLOSED: return .end
        default: throw failure()
        }
    }

    func write(_ bytes: [UInt8]) throws(TLSError) {
        let code = unsafe bytes.withUnsafeBytes { unsafe ctls_write(raw, $0.baseAddress, $0.count) }
        if code != 0 { throw failure() }
    }

    /// Ends our side in good order.
    func close() { unsafe ctls_close(raw) }

    private func failure() -> TLSError { TLSError(unsafe String(cString: ctls_reason(raw))) }
}

/// Why a connection is not secure, or could not be made so.
package struct TLSError: Error, Equatable, CustomStringConvertible {
    package let description: String

    init(_ description: String) { self.description = description }
}
