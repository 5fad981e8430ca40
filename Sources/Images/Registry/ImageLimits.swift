package import OCISpec

/// What registries and archives from strangers may bring beside layers, of which `ArchiveLimits` speaks.
package struct ImageLimits: Equatable, Sendable {
    /// Bytes of a manifest, of an index, and of Docker's list of an archive's images.
    package var manifestBytes = DocumentLimits.manifest.bytes
    /// Bytes of an image's configuration.
    package var configurationBytes = DocumentLimits.configuration.bytes
    /// Manifests of an index, layers of a manifest.
    package var descriptors = DocumentLimits.manifest.descriptors
    /// How deep objects and arrays of a document may nest.
    package var jsonDepth = DocumentLimits.manifest.depth
    /// Indexes within indexes; real ones have none.
    package var nestedIndexes = 4
    /// Layers of an image; more than this are not mounted anyway.
    package var layers = 128
    /// Images of an archive, and names of one of them.
    package var archiveImages = 1024
    /// Members of an archive of images.
    package var archiveMembers = 100_000
    /// Components of a member's path.
    package var archiveDepth = 16
    /// Bytes of all names of members, and of what links lead to: they are kept to the archive's end.
    package var archiveNameBytes = 8 << 20
    /// Links from one member to another, up to the one with the content; real archives have one.
    package var archiveLinks = 8
    /// Bytes of the file that says that an archive is a layout.
    package var markerBytes = 65_536
    /// Signatures of one image that are looked at.
    package var signatures = 64
    /// Bytes of what one of them signs.
    package var signatureBytes = 65_536
    /// Tags of a repository that is pulled whole: nobody means to fetch more at once.
    package var tags = 10_000
    /// Pages of a list of tags, which may be empty ones.
    package var tagPages = 1000
    /// Redirects of one request to a registry; blob stores need one or two.
    package var redirects = 5
    /// Redirects of one download from an address; file servers need one or two.
    package var downloadRedirects = 10
    /// Bytes of an error's body that are kept to be read.
    package var errorBytes = 65_536
    /// Bytes of an error's body that are waited for, so that the connection can be used again.
    package var unreadBytes = 1 << 20
    /// Bytes of any other answer of a registry: of a token service, to a search, a page of tags.
    package var answerBytes = 4 << 20
    /// Bytes of all fields of an answer's head together.
    package var headerBytes = 65_536

    package init() {}

    /// For an index or a manifest.
    package var manifest: DocumentLimits { DocumentLimits(bytes: manifestBytes, descriptors: descriptors, depth: jsonDepth) }
    /// For a configuration.
    package var configuration: DocumentLimits { DocumentLimits(bytes: configurationBytes, descriptors: descriptors, depth: jsonDepth) }
}
