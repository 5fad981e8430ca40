internal import JSON

extension RepositorySession {
    /// Every tag of the repository, in the registry's order, page by page.
    /// - Throws: `.notFound` where there is no such repository; `.malformed` for a list without end.
    /// - Source: distribution-spec v1.1, "Listing Tags".
    func tags() throws(RegistryError) -> [String] {
        var request = try request(.get, "tags/list")
        let origin = request.address.origin
        var found: [String] = []
        for _ in 0..<client.imageLimits.tagPages {
            let collector = CollectingReceiver(for: request.shown, limitBytes: client.imageLimits.answerBytes)
            let head = try send(request, into: collector)
            found += try Self.tags(in: collector.body, of: request)
            if found.count > client.imageLimits.tags {
                throw RegistryError(.malformed, doing: request.shown, cause: "more than \(client.imageLimits.tags) tags")
            }
            guard let link = Self.nextPage(head) else { return found }
            guard let next = WebAddress(link, relativeTo: request.address), next.origin == origin else {
                throw RegistryError(
                    .malformed, doing: request.shown, cause: "the next page of tags is not the registry's: \(link.debugDescription)")
            }
            request = try self.request(.get, next)
        }
        throw RegistryError(.malformed, doing: request.shown, cause: "more than \(client.imageLimits.tagPages) pages of tags")
    }

    /// A repository that has lost its last tag says null, which counts as absent.
    private static func tags(in body: [UInt8], of request: HTTPRequest) throws(RegistryError) -> [String] {
        var found: [String] = []
        do throws(JSONError) {
            var reader = try JSONReader(body, limits: JSONLimits(maximumBytes: body.count))
            try reader.readObject { (reader: inout JSONReader, name: String) throws(JSONError) in
                if name != "tags" { return try reader.skipValue() }
                try reader.readArray { (reader: inout JSONReader) throws(JSONError) in found.append(try reader.readString()) }
            }
            try reader.finish()
        } catch { throw RegistryError(.malformed, doing: request.shown, cause: "a list of tags that cannot be read: \(error)") }
        return found
    }

    /// What the answer's `Link` fields name as `next`; nil on the last page.
    /// - Source: RFC 8288, section 3.
    static func nextPage(_ head: ResponseHead) -> String? {
        for field in head.headers.all("link") {
            var rest = field[...]
            while let opening = rest.firstIndex(of: "<"), let closing = rest[opening...].firstIndex(of: ">") {
                let target = rest[rest.index(after: opening)..<closing]
                rest = rest[rest.index(after: closing)...]
                let parameters = rest.prefix { $0 != "<" }.split { $0 == ";" || $0 == "," }
                let isNext = parameters.contains { parameter in
                    parameter.filter { !$0.isWhitespace && $0 != "\"" }.lowercased() == "rel=next"
                }
                if isNext { return String(target) }
            }
        }
        return nil
    }
}
