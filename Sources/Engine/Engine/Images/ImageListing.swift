internal import CoreTypes
internal import EngineAPI
internal import Images
internal import Records

/// `GET /images/json`.
struct ImageListing {
    private static let known: Set<String> = ["dangling", "label", "before", "since", "until", "reference"]

    let parts: ContainerEngine.Parts
    let filters: Filters
    /// Whether each image shows what is here of its manifest.
    var withManifests = false

    func run() async throws(EngineError) -> [ImageSummary] {
        if let unknown = filters.unknownKey(besides: Self.known) { throw EngineError(.invalidParameter, "invalid filter '\(unknown)'") }
        let library = parts.services.images
        var images: [NamedImage]
        do throws(ImageError) {
            images = try await library.list()
            for word in filters["before"] {
                let limit = try await library.lookUp(word).image.created
                images.removeAll { $0.image.created >= limit }
            }
            for word in filters["since"] {
                let limit = try await library.lookUp(word).image.created
                images.removeAll { $0.image.created <= limit }
            }
        } catch { throw EngineError(error) }
        for text in filters["until"] {
            let limit = try PruneFilter.moment(text)
            images.removeAll { $0.image.created >= limit }
        }
        if let dangling = try flag("dangling") { images.removeAll { ($0.tags.isEmpty) != dangling } }
        var lines: [ImageSummary] = []
        for image in images {
            if let line = try await line(image) { lines.append(line) }
        }
        return lines
    }

    private func flag(_ key: String) throws(EngineError) -> Bool? {
        do throws(DocumentError) { return try filters.flag(key) } catch { throw EngineError(.invalidParameter, error.reason, cause: error) }
    }

    /// nil for an image that the filters leave out.
    private func line(_ image: NamedImage) async throws(EngineError) -> ImageSummary? {
        var line = ImageSummary()
        line.id = image.image.id.description
        line.repoTags = image.tags.map(\.familiar)
        line.repoDigests = image.repositoryDigests.map(\.familiar)
        let patterns = filters["reference"]
        if !patterns.isEmpty {
            line.repoTags = line.repoTags.filter { name in patterns.contains { ReferencePattern($0).matches(name) } }
            line.repoDigests = line.repoDigests.filter { name in patterns.contains { ReferencePattern($0).matches(name) } }
            if line.repoTags.isEmpty && line.repoDigests.isEmpty { return nil }
        }
        // Of labels that the disk lost nothing is known: the image is listed with none.
        line.labels = try await parts.services.imageLabels.labels(of: image, in: parts.services.images) ?? [:]
        guard filters.matchesLabels(line.labels) else { return nil }
        line.containers = -1
        line.sharedSize = -1
        line.created = image.image.created.seconds
        line.size = Int64(clamping: image.image.size.bytes)
        if withManifests {
            // Names of one image may stand for manifests that differ.
            var manifests: [ImageManifestSummary] = []
            for digest in image.manifestDigests { manifests.append(try await parts.manifestSummary(of: image.image, manifest: digest)) }
            line.manifests = manifests
        }
        return line
    }
}

/// A shell pattern over a name with or without its tag: `busybox*`, `*:latest`. `*` and `?` stop at a slash.
struct ReferencePattern: Sendable {
    private let pattern: [Character]

    init(_ text: String) { pattern = Array(text) }

    /// Whether the pattern is the whole name, or the name without its tag or digest.
    func matches(_ name: String) -> Bool {
        var candidates = [name]
        if let at = name.firstIndex(of: "@") { candidates.append(String(name[..<at])) }
        let slash = name.lastIndex(of: "/") ?? name.startIndex
        if let colon = name[slash...].firstIndex(of: ":") { candidates.append(String(name[..<colon])) }
        return candidates.contains { matches(Array($0)) }
    }

    /// Two places are remembered at most, so that no pattern takes more than quadratic time.
    private func matches(_ text: [Character]) -> Bool {
        var (place, position) = (0, 0)
        var retry: (place: Int, position: Int)?
        while position < text.count {
            if place < pattern.count, pattern[place] == "*" {
                retry = (place, position)
                place += 1
            } else if place < pattern.count, pattern[place] == text[position] || (pattern[place] == "?" && text[position] != "/") {
                place += 1
                position += 1
            } else if let former = retry, text[former.position] != "/" {
                retry = (former.place, former.position + 1)
                (place, position) = (former.place + 1, former.position + 1)
            } else {
                return false
            }
        }
        return pattern[place...].allSatisfy { $0 == "*" }
    }
}
