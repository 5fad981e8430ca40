internal import CCrypto
package import CoreTypes

/// A digest computed while bytes pass. The only caller of libcrypto.
@safe package struct DigestHasher: ~Copyable {
    package let algorithm: Digest.Algorithm
    /// How many bytes have passed.
    package private(set) var byteCount: Int64 = 0
    private let context: OpaquePointer

    /// Starts over the empty string. - Source: EVP_DigestInit(3).
    package init(_ algorithm: Digest.Algorithm = .sha256) {
        guard let context = unsafe EVP_MD_CTX_new() else { preconditionFailure("libcrypto has no memory for a digest context") }
        unsafe self.context = unsafe context
        self.algorithm = algorithm
        let function =
            switch algorithm {
            case .sha256: unsafe EVP_sha256()
            case .sha512: unsafe EVP_sha512()
            }
        let started = unsafe EVP_DigestInit_ex(context, function, nil)
        precondition(started == 1, "libcrypto refuses \(algorithm.rawValue)")
    }

    deinit { unsafe EVP_MD_CTX_free(context) }

    /// Adds bytes.
    package mutating func update(_ bytes: Span<UInt8>) {
        let added = unsafe bytes.withUnsafeBufferPointer { unsafe EVP_DigestUpdate(context, $0.baseAddress, $0.count) }
        precondition(added == 1, "libcrypto fails in the middle of a digest")
        byteCount += Int64(bytes.count)
    }

    /// The digest of all bytes that have passed.
    package consuming func finish() -> Digest {
        var value = [UInt8](repeating: 0, count: Int(EVP_MAX_MD_SIZE))
        var length: UInt32 = 0
        let finished = unsafe EVP_DigestFinal_ex(context, &value, &length)
        precondition(finished == 1, "libcrypto cannot finish a digest")
        do throws(InvalidDigest) { return try Digest(algorithm, bytes: value[..<Int(length)]) } catch {
            preconditionFailure("libcrypto returned \(length) bytes for \(algorithm.rawValue)")
        }
    }
}

extension Digest {
    /// The digest of a short content held in memory.
    package init(of bytes: [UInt8], _ algorithm: Digest.Algorithm = .sha256) {
        var hasher = DigestHasher(algorithm)
        hasher.update(bytes.span)
        self = hasher.finish()
    }
}

/// A public key that signatures are held against.
@safe package struct VerificationKey: ~Copyable {
    /// RSA keys below this are no proof. - Source: NIST SP 800-131A.
    private static let minimumRSABits: Int32 = 2048
    private let key: OpaquePointer

    /// Reads a PEM public key. - Returns: nil where it is none, or too weak. - Source: PEM_read_bio_PUBKEY(3).
    package init?(pem: [UInt8]) {
        guard let length = Int32(exactly: pem.count) else { return nil }
        let read = unsafe pem.withUnsafeBytes { bytes -> OpaquePointer? in
            guard let memory = unsafe BIO_new_mem_buf(bytes.baseAddress, length) else { return nil }
            defer { unsafe BIO_free(memory) }
            return unsafe PEM_read_bio_PUBKEY(memory, nil, nil, nil)
        }
        guard let read = unsafe read else { return nil }
        if unsafe EVP_PKEY_get_base_id(read) == EVP_PKEY_RSA && EVP_PKEY_get_bits(read) < Self.minimumRSABits {
            unsafe EVP_PKEY_free(read)
            return nil
        }
        unsafe key = unsafe read
    }

    deinit { unsafe EVP_PKEY_free(key) }

    /// Whether a signature over a message's SHA-256 is by this key; over the message itself for Ed25519. - Source: EVP_DigestVerify(3).
    package borrowing func verifies(_ signature: [UInt8], of message: [UInt8]) -> Bool {
        guard let context = unsafe EVP_MD_CTX_new() else { preconditionFailure("libcrypto has no memory for a digest context") }
        defer { unsafe EVP_MD_CTX_free(context) }
        let function = unsafe EVP_PKEY_get_base_id(key) == EVP_PKEY_ED25519 ? nil : EVP_sha256()
        guard unsafe EVP_DigestVerifyInit(context, nil, function, nil, key) == 1 else { return false }
        return unsafe EVP_DigestVerify(context, signature, signature.count, message, message.count) == 1
    }
}
