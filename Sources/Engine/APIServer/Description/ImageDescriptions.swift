internal import EngineAPI
internal import NIOHTTP1

extension APIDescription {
    private static let credentials = DescribedParameter.text(
        "X-Registry-Auth", "Credentials of the registry: an AuthConfig as JSON in base64url.")
    private static let platform = DescribedParameter.text(
        "platform", "What an image must be of: a platform of image-spec as JSON, or os[/arch[/variant]].")

    static var images: [DescribedOperation] {
        imageTransfers + [
            DescribedOperation(
                .GET, "/images/json", "Lists images.",
                query: [
                    .flag("all", "Also those without a name."), .text("filter", "A name; of clients before filters."), .filters,
                    .flag("manifests", "With the manifests of each.").since(APIVersion(1, 47)),
                ],
                .document([ImageSummary].self)),
            DescribedOperation(
                .GET, "/images/{name}/json", "Describes an image.",
                query: [.flag("manifests", "With its manifest.").since(APIVersion(1, 48)), platform.since(APIVersion(1, 49))],
                .document(ImageInspect.self)),
            DescribedOperation(
                .GET, "/images/{name}/history", "An image's layers.", query: [platform.since(APIVersion(1, 48))],
                .document([ImageHistoryItem].self)),
            DescribedOperation(
                .POST, "/images/{name}/tag", "Gives an image a further name.",
                query: [.text("repo", "The name.").required, .text("tag", "Its tag; latest.")], .empty(201)),
            DescribedOperation(
                .DELETE, "/images/{name}", "Takes a name from an image, and removes it with the last one.",
                query: [
                    .flag("force", "Also where a container that does not run has it."), .flag("noprune", "Without its parents."),
                    .texts("platforms", "What is to go of it, each as JSON; nothing goes where one is not here.").since(APIVersion(1, 50)),
                ],
                .document([ImageDeleteItem].self)),
            DescribedOperation(
                .POST, "/images/prune", "Removes images that nothing uses.", query: [.filters], .document(ImagesPruneReport.self)),
            DescribedOperation(
                .POST, "/build/prune", "Forgets what is kept of builds, of which nothing is.", .document(BuildPruneReport.self)),
            DescribedOperation(
                .GET, "/images/search", "Searches a registry.",
                query: [.text("term", "For what.").required, .number("limit", "At most so many."), .filters], headers: [credentials],
                .document([ImageSearchResult].self)),
            DescribedOperation(
                .GET, "/distribution/{name}/json", "What a registry has by a name.", headers: [credentials],
                .document(DistributionInspect.self)),
            DescribedOperation(
                .GET, "/distribution/{name}/manifest", "A manifest as the registry has it; Apus's own.", headers: [credentials],
                .bytes("application/vnd.oci.image.manifest.v1+json", "The manifest, by its own media type")),
            DescribedOperation(
                .PUT, "/distribution/{name}/manifest", "Gives the registry a manifest; Apus's own.",
                query: [.text("from", "A repository that has what it refers to.")], headers: [credentials],
                body: .bytes("application/vnd.oci.image.manifest.v1+json", isRequired: true), .document(StoredManifest.self, 201)),
            DescribedOperation(
                .POST, "/commit", "Makes an image of a container.",
                query: [
                    .text("container", "Of which.").required, .text("repo", "Its name."), .text("tag", "Its tag."),
                    .text("comment", "What was done."), .text("author", "Who did it."),
                    .texts("changes", "Instructions that change what it says."),
                    .flag("pause", "Whether the container is frozen meanwhile; the default."),
                ],
                body: .optionalDocument(ContainerConfig.self), .document(CommitAnswer.self, 201)),
        ]
    }

    /// Images that come and go.
    private static var imageTransfers: [DescribedOperation] {
        let archive = DescribedAnswer.bytes("application/x-tar", "The archive")
        return [
            DescribedOperation(
                .POST, "/images/create", "Pulls an image, or makes one of an archive.",
                query: [
                    .text("fromImage", "What is pulled."), .text("fromSrc", "- for an archive in the body."),
                    .text("tag", "Tag or digest of what is pulled or made."), .text("repo", "Name of what is made of an archive."),
                    .text("message", "Of what is made of an archive."), .texts("changes", "Instructions that change what is made."),
                    .text("platform", "os[/arch[/variant]]."),
                ],
                headers: [credentials], body: .bytes("application/x-tar", isRequired: false), .documents(ProgressMessage.self)),
            DescribedOperation(
                .POST, "/images/load", "Takes images from an archive.",
                query: [.flag("quiet", "Without progress."), platform.since(APIVersion(1, 48))],
                body: .bytes("application/x-tar", isRequired: true), .documents(ProgressMessage.self)),
            DescribedOperation(
                .GET, "/images/get", "Several images as an archive.",
                query: [.texts("names", "Which."), platform.since(APIVersion(1, 48))], archive),
            DescribedOperation(
                .GET, "/images/{name}/get", "An image as an archive.", query: [platform.since(APIVersion(1, 48))], archive),
            DescribedOperation(
                .POST, "/images/{name}/push", "Pushes an image.",
                query: [.text("tag", "Which; all, where it is not said."), platform.since(APIVersion(1, 46))],
                headers: [credentials], .documents(ProgressMessage.self)),
        ]
    }
}
