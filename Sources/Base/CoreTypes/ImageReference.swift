/// The name of an image as people type it: registry, repository, and a tag or a digest or both.
///
/// Short names are completed as Docker completes them: `ubuntu` is `docker.io/library/ubuntu`. A value
/// of this type always follows the grammar of distribution's reference package.
public struct ImageReference: Hashable, Sendable, CustomStringConvertible {
    /// The registry that a name without one belongs to.
    public static let defaultDomain = "docker.io"
    /// The tag that a name without tag and digest means.
    public static let defaultTag = "latest"
    /// The longest repository path, in bytes.
    public static let maximumPathLength = 255

    /// The registry's host, perhaps with a port: `docker.io`, `127.0.0.1:5000`.
    public let domain: String
    /// The repository in that registry: `library/ubuntu`.
    public let path: String
    /// What stands behind the last colon; nil where none was given, which is not yet `latest`.
    public let tag: String?
    /// What stands behind the `@`; it decides over the tag where both are given.
    public let digest: Digest?

    /// Parses what a user typed.
    /// - Throws: `InvalidImageReference` with Docker's words.
    /// - Source: github.com/distribution/reference, `ParseNormalizedNamed`.
    public init(_ text: String) throws(InvalidImageReference) {
        if text.utf8.count == 64 && text.utf8.allSatisfy(Digest.isHexadecimal) {
            throw InvalidImageReference(
                text: text, problem: "invalid repository name (\(text)), cannot specify 64-byte hexadecimal strings")
        }
        let (domain, remainder) = ReferenceGrammar.splitDomain(text)
        let repository = remainder.prefix { $0 != ":" }
        if repository.lowercased() != repository {
            throw InvalidImageReference(
                text: text, problem: "invalid reference format: repository name (\(repository)) must be lowercase")
        }
        guard let parts = ReferenceGrammar.parse(remainder), ReferenceGrammar.isDomain(domain) else {
            throw InvalidImageReference(text: text, problem: "invalid reference format")
        }
        guard parts.path.utf8.count <= Self.maximumPathLength else {
            throw InvalidImageReference(
                text: text, problem: "repository name must not be more than \(Self.maximumPathLength) characters")
        }
        var digest: Digest?
        if let digestText = parts.digest {
            do throws(InvalidDigest) { digest = try Digest(digestText) } catch {
                throw InvalidImageReference(text: text, problem: error.problem)
            }
        }
        self.init(domain: domain, path: parts.path, tag: parts.tag, digest: digest)
    }

    private init(domain: String, path: String, tag: String?, digest: Digest?) {
        self.domain = domain
        self.path = path
        self.tag = tag
        self.digest = digest
    }

    /// Registry and repository, complete: `docker.io/library/ubuntu`.
    public var name: String { "\(domain)/\(path)" }

    /// Registry and repository as short as Docker shows them: `ubuntu`, `user/image`, `ghcr.io/a/b`.
    public var familiarName: String {
        guard domain == Self.defaultDomain else { return name }
        let official = "library/"
        guard path.hasPrefix(official) else { return path }
        let rest = path.dropFirst(official.count)
        return rest.contains("/") ? path : String(rest)
    }

    /// The complete form, `docker.io/library/ubuntu:22.04@sha256:…`.
    public var description: String { name + suffix }

    /// The short form, `ubuntu:22.04`.
    public var familiar: String { familiarName + suffix }

    /// The same name with the default tag where it has neither tag nor digest.
    public var withDefaultTag: ImageReference {
        tag == nil && digest == nil ? ImageReference(domain: domain, path: path, tag: Self.defaultTag, digest: nil) : self
    }

    /// The same repository under another tag, without a digest.
    /// - Throws: `InvalidImageReference` where the tag does not match `[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}`.
    public func tagged(_ tag: String) throws(InvalidImageReference) -> ImageReference {
        guard ReferenceGrammar.isTag(tag) else { throw InvalidImageReference(text: tag, problem: "invalid tag format") }
        return ImageReference(domain: domain, path: path, tag: tag, digest: nil)
    }

    /// The same repository by content, without a tag.
    public func pinned(to digest: Digest) -> ImageReference {
        ImageReference(domain: domain, path: path, tag: nil, digest: digest)
    }

    private var suffix: String { (tag.map { ":\($0)" } ?? "") + (digest.map { "@\($0)" } ?? "") }
}

/// A text that names no image.
public struct InvalidImageReference: Error, Equatable, Sendable, CustomStringConvertible {
    /// What was to be read, as it was given.
    public let text: String
    /// Docker's message: `invalid reference format`, …
    public let problem: String

    /// - Parameters: the text that was to be read, and the whole sentence that is printed of it.
    public init(text: String, problem: String) {
        self.text = text
        self.problem = problem
    }

    /// The problem, as docker words it.
    public var description: String { problem }
}
