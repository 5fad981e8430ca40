internal import ContentStore
internal import CoreTypes
internal import FoundationEssentials
internal import JSON

/// One signature of an image as cosign makes them: a payload that says which image is meant, and the signature of the payload's bytes.
/// - Source: sigstore/cosign, specs/SIGNATURE_SPEC.md; "Simple Signing" of containers/image.
struct ImageSignature: Equatable, Sendable {
    let payload: [UInt8]
    let signature: [UInt8]

    /// Where the descriptor of a payload has its signature.
    static let annotation = "dev.cosignproject.cosign/signature"
    /// The media type of a payload.
    static let mediaType = "application/vnd.dev.cosign.simplesigning.v1+json"
    private static let critical = "cosign container image signature"

    /// What a payload claims.
    private struct Claim {
        var type = ""
        var digest = ""
        var name = ""
    }

    /// Why it does not satisfy a requirement; nil where it does.
    /// - Parameters:
    ///   - digests: of the image: what its name stands for, and its own manifest.
    ///   - reference: the name that it is asked for by.
    func objection(
        _ keys: [[UInt8]], _ identity: SignaturePolicy.Identity, digests: Set<Digest>, reference: ImageReference
    ) -> String? {
        let isSigned = keys.contains { pem in
            guard let key = VerificationKey(pem: pem) else { return false }
            return key.verifies(signature, of: payload)
        }
        if !isSigned { return "a signature is by none of the policy's keys" }
        guard let claim = claim() else { return "a signed payload cannot be understood" }
        guard claim.type == Self.critical, digests.contains(where: { $0.description == claim.digest }) else {
            return "a signature is of another image"
        }
        if !Self.matches(claim.name, identity, reference) {
            return "a signature is for '\(claim.name.prefix(200))', not for \(reference.familiar)"
        }
        return nil
    }

    private static func matches(_ text: String, _ identity: SignaturePolicy.Identity, _ reference: ImageReference) -> Bool {
        guard let claimed = try? ImageReference(text) else { return false }
        switch identity {
        case .matchRepositoryDigestOrExact:
            return claimed.name == reference.name && (reference.digest != nil && reference.tag == nil || claimed.tag == reference.tag)
        case .matchExact: return claimed.name == reference.name && claimed.tag == reference.tag && claimed.tag != nil
        case .matchRepository: return claimed.name == reference.name
        case .exactReference(let name): return (try? ImageReference(name)) == claimed
        case .exactRepository(let name): return (try? ImageReference(name))?.name == claimed.name
        }
    }

    private func claim() -> Claim? {
        var claim = Claim()
        do throws(JSONError) {
            var reader = try JSONReader(payload, limits: JSONLimits(maximumBytes: payload.count, maximumDepth: 16))
            try reader.readObject { (reader: inout JSONReader, name: String) throws(JSONError) in
                guard name == "critical" else { return try reader.skipValue() }
                try reader.readObject { (reader: inout JSONReader, name: String) throws(JSONError) in
                    switch name {
                    case "type": claim.type = try reader.readString()
                    case "image": claim.digest = try Self.member("docker-manifest-digest", &reader)
                    case "identity": claim.name = try Self.member("docker-reference", &reader)
                    default: try reader.skipValue()
                    }
                }
            }
            try reader.finish()
        } catch { return nil }
        return claim
    }

    private static func member(_ wanted: String, _ reader: inout JSONReader) throws(JSONError) -> String {
        var value = ""
        try reader.readObject { (reader: inout JSONReader, name: String) throws(JSONError) in
            if name == wanted { value = try reader.readString() } else { try reader.skipValue() }
        }
        return value
    }
}

extension [ImageSignature] {
    /// Bytes of the file that keeps them.
    static var fileLimitBytes: Int { 32 << 20 }

    /// What is kept of them beside an image, to be looked at again when it shall run.
    var document: [UInt8] {
        var writer = JSONWriter()
        writer.object { writer in
            writer.member("version", 1)
            writer.name("signatures")
            writer.array { writer in
                for signature in self {
                    writer.object { writer in
                        writer.member("payload", Data(signature.payload).base64EncodedString())
                        writer.member("signature", Data(signature.signature).base64EncodedString())
                    }
                }
            }
        }
        return writer.bytes
    }

    /// Reads what `document` wrote. - Returns: none where it is damaged: the image is then not signed.
    init(document: [UInt8]) {
        var found: [ImageSignature] = []
        do throws(JSONError) {
            var reader = try JSONReader(document, limits: JSONLimits(maximumBytes: Self.fileLimitBytes, maximumDepth: 8))
            try reader.readObject { (reader: inout JSONReader, name: String) throws(JSONError) in
                guard name == "signatures" else { return try reader.skipValue() }
                try reader.readArray { (reader: inout JSONReader) throws(JSONError) in
                    var fields: [String: [UInt8]] = [:]
                    try reader.readObject { (reader: inout JSONReader, name: String) throws(JSONError) in
                        let text = try reader.readString()
                        if let data = Data(base64Encoded: text) { fields[name] = [UInt8](data) }
                    }
                    if let payload = fields["payload"], let signature = fields["signature"] {
                        found.append(ImageSignature(payload: payload, signature: signature))
                    }
                }
            }
        } catch { found = [] }
        self = found
    }
}
