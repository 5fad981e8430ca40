package import CoreTypes

/// Gives a blob's bytes to an upload, from wherever that stands.
package protocol UploadSource: Sendable {
    /// Up to `limitBytes` from `offset` on, fewer only at the blob's end.
    /// - Throws: `.receiverStopped` to end the upload.
    func read(at offset: Int64, limitBytes: Int) throws(RegistryError) -> [UInt8]
    /// The registry has the bytes before this one.
    func uploaded(_ bytes: Int64)
}

/// How a blob came to be in a repository.
package enum UploadOutcome: Equatable, Sendable {
    case alreadyThere
    /// The registry took it from another of its repositories.
    case mounted(from: String)
    case uploaded
}

extension RepositorySession {
    /// Bytes sent at a time. They are in memory, and what is sent again when a connection breaks.
    private static let chunkBytes = 8 << 20
    /// The most that a registry may ask a chunk to have.
    private static let chunkLimitBytes = 64 << 20
    /// Uploads of one blob that are begun: a registry may lose one.
    private static let uploadLimit = 3
    /// Attempts in a row that brought the registry no further than it had been.
    private static let fruitlessLimit = 4
    /// Attempts in all that were refused, however far each brought the registry.
    private static let refusalLimit = 256

    /// Brings a blob into the repository, unless the registry has it.
    /// - Parameter neighbours: repositories of the same registry that may have it; one is asked to lend it.
    /// - Source: distribution-spec v1.1, "Pushing Blobs", "Mounting a blob from another repository".
    package func pushBlob(
        _ digest: Digest, sizeBytes: Int64, from source: any UploadSource, neighbours: [String]
    ) throws(RegistryError) -> UploadOutcome {
        if try hasBlob(digest) { return .alreadyThere }
        let neighbour = neighbours.first { $0 != repository }
        var attempt = 0
        while true {
            attempt += 1
            let begun = try beginUpload(of: digest, mountedFrom: neighbour)
            guard let place = begun.place else {
                if let neighbour { return .mounted(from: neighbour) }
                if try hasBlob(digest) { return .alreadyThere }
                throw RegistryError(
                    .malformed, doing: "", cause: "the registry says that it has \(digest), which it was not sent yet, and has it not")
            }
            do throws(RegistryError) {
                try finish(digest, at: try sendChunks(of: source, sizeBytes: sizeBytes, chunkBytes: begun.chunkBytes, to: place))
                return .uploaded
            } catch {
                // The registry lost the upload, or the answer that it is complete was lost.
                guard [.notFound, .interrupted, .stalled, .server, .network].contains(error.code) else { throw error }
                if try hasBlob(digest) { return .uploaded }
                if attempt == Self.uploadLimit || error.code != .notFound { throw error }
            }
        }
    }

    /// - Returns: where the registry stands with all of it.
    private func sendChunks(
        of source: any UploadSource, sizeBytes: Int64, chunkBytes: Int, to start: WebAddress
    ) throws(RegistryError) -> WebAddress {
        var place = start
        var offset: Int64 = 0
        // A registry may fall back behind what it had: only what is beyond that is progress.
        var furthest: Int64 = 0
        var refusals = 0
        var retries = Retries(attempts: Self.fruitlessLimit, interruptions: Self.fruitlessLimit)
        while offset < sizeBytes {
            let chunk = try source.read(at: offset, limitBytes: chunkBytes)
            do throws(RegistryError) {
                place = try append(chunk, at: offset, to: place)
                offset += Int64(chunk.count)
            } catch {
                refusals += 1
                // libcurl sends a request again by itself where a kept connection turns out to be dead: bytes may have arrived twice.
                guard [.network, .interrupted, .stalled, .server, .tooManyRequests, .outOfStep].contains(error.code),
                    refusals < Self.refusalLimit, let seconds = retries.pause(told: error.retryAfterSeconds)
                else { throw error }
                try pause(seconds: seconds, try request(.patch, place))
                (place, offset) = try progress(of: place, sizeBytes: sizeBytes)
            }
            if offset > furthest {
                furthest = offset
                retries = Retries(attempts: Self.fruitlessLimit, interruptions: Self.fruitlessLimit)
            }
            source.uploaded(offset)
        }
        return place
    }

    /// Whether the repository has a blob. - Source: distribution-spec, "Checking if content exists in the registry".
    func hasBlob(_ digest: Digest) throws(RegistryError) -> Bool {
        let request = try request(.head, "blobs/\(digest)")
        do throws(RegistryError) { try send(request, into: DroppingReceiver(for: request.shown)) } catch {
            if error.code == .notFound { return false }
            throw error
        }
        return true
    }

    /// Stores a manifest under a tag or its digest.
    /// - Returns: whether the registry itself keeps whom the manifest refers to. - Source: distribution-spec v1.1, `OCI-Subject`.
    /// - Throws: `.malformed` where the registry calls it by another digest.
    @discardableResult
    package func pushManifest(_ bytes: [UInt8], type: String, digest: Digest, as reference: String) throws(RegistryError) -> Bool {
        var request = try request(.put, "manifests/\(reference)")
        request.body = bytes
        request.headers.append(("Content-Type", type))
        let head = try send(request, into: DroppingReceiver(for: request.shown))
        if let found = head.headers["docker-content-digest"], found != digest.description {
            throw RegistryError(.malformed, doing: request.shown, cause: "pushed \(digest), the registry has \(found.prefix(200))")
        }
        return head.headers["oci-subject"] != nil
    }

    // MARK: - One upload

    /// - Returns: no place where the blob was mounted.
    private func beginUpload(
        of digest: Digest, mountedFrom neighbour: String?
    ) throws(RegistryError) -> (place: WebAddress?, chunkBytes: Int) {
        var item = "blobs/uploads/"
        if let neighbour {
            item += "?\(TextEncodings.formField("mount", digest.description))&\(TextEncodings.formField("from", neighbour))"
        }
        let request = try request(.post, item)
        let head = try send(request, into: DroppingReceiver(for: request.shown))
        let asked = head.headers["oci-chunk-min-length"].flatMap { Int($0) } ?? 0
        let chunkBytes = max(Self.chunkBytes, min(asked, Self.chunkLimitBytes))
        return (head.status == 201 ? nil : try location(in: head, of: request), chunkBytes)
    }

    private func append(_ chunk: [UInt8], at offset: Int64, to place: WebAddress) throws(RegistryError) -> WebAddress {
        var request = try request(.patch, place)
        request.body = chunk
        request.headers = [
            ("Content-Type", "application/octet-stream"), ("Content-Range", "\(offset)-\(offset + Int64(chunk.count) - 1)"),
        ]
        // Sent again only after asking how far it came.
        let head = try send(request, into: DroppingReceiver(for: request.shown), attempts: 1, goesOn: false)
        return try location(in: head, of: request)
    }

    /// Where a broken upload goes on. - Source: distribution-spec, "Pushing a blob in chunks".
    private func progress(of place: WebAddress, sizeBytes: Int64) throws(RegistryError) -> (WebAddress, Int64) {
        let request = try request(.get, place)
        let head = try send(request, into: DroppingReceiver(for: request.shown))
        let range = head.headers["range"] ?? "0-0"
        guard let offset = UploadRange.offset(behind: range, sizeBytes: sizeBytes) else {
            throw RegistryError(
                .malformed, doing: request.shown, cause: "sent \(sizeBytes) bytes at most, the registry has \(range.prefix(100))")
        }
        return (head.headers["location"] == nil ? place : try location(in: head, of: request), offset)
    }

    private func finish(_ digest: Digest, at place: WebAddress) throws(RegistryError) {
        let separator = place.text.contains("?") ? "&" : "?"
        guard let address = WebAddress("\(place.text)\(separator)\(TextEncodings.formField("digest", digest.description))") else {
            throw RegistryError(.malformed, doing: "", cause: "the registry gave an upload too long an address")
        }
        var request = try request(.put, address)
        request.headers.append(("Content-Type", "application/octet-stream"))
        do throws(RegistryError) { try send(request, into: DroppingReceiver(for: request.shown)) } catch {
            // The one word for it that every registry's answer has: DIGEST_INVALID, digest mismatch.
            guard error.code == .malformed, error.cause.lowercased().contains("digest") else { throw error }
            throw RegistryError(.wrongDigest, doing: error.doing, cause: error.cause)
        }
    }

    private func location(in head: ResponseHead, of request: HTTPRequest) throws(RegistryError) -> WebAddress {
        guard let address = WebAddress(head.headers["location"] ?? "", relativeTo: request.address) else {
            throw RegistryError(.malformed, doing: request.shown, cause: "the registry names no place for the upload")
        }
        if request.address.scheme == "https" && address.scheme != "https" {
            throw RegistryError(.refused, doing: request.shown, cause: "sent from https to \(address.withoutQuery)")
        }
        return address
    }
}

/// What a registry says that it has of an upload: `0-8388607`.
package enum UploadRange {
    /// - Returns: the first byte that it has not; nil where the field is none, or speaks of bytes that the blob does not have.
    package static func offset(behind field: String, sizeBytes: Int64) -> Int64? {
        let first = field.prefix { $0 != "-" }
        guard first == "0" || first == "bytes=0", let last = Int64(field.dropFirst(first.count + 1)), last >= -1, last < sizeBytes else {
            return nil
        }
        // "0-0" is nothing, or one byte: sent again in either case. "0--1" is nothing, too.
        return last > 0 ? last + 1 : 0
    }
}
