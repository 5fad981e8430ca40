internal import CoreTypes
internal import EngineAPI
internal import EngineClient
internal import Templates

/// Verbs about manifests and lists of them. The registry is reached by the daemon, by its rules: `--insecure` says nothing to it.
let manifestVerbs = [manifestInspectVerb, manifestCreateVerb, manifestAnnotateVerb, manifestPushVerb, manifestRemoveVerb]

private let insecureFlag = Flag("insecure", nil, .bool(default: false), "Allow communication with an insecure registry")

private let manifestInspectVerb = Verb(
    ["manifest inspect"], "[OPTIONS] [MANIFEST_LIST] MANIFEST", "Display an image manifest, or manifest list",
    flags: [insecureFlag, Flag("verbose", "v", .bool(default: false), "Output additional info including layers and platform")],
    operands: .between(1, 2)
) { invocation in
    let (operands, isVerbose) = (invocation.arguments.operands, invocation.arguments.bool("verbose"))
    let folder = ManifestFolder(invocation.environment)
    let name = try parsedReference(operands[operands.count - 1]).withDefaultTag
    if operands.count == 2 {
        let list = try parsedReference(operands[0]).withDefaultTag
        guard let kept = try folder.manifests(of: list).first(where: { $0.reference == name }) else {
            throw Complaint("No such manifest: \(name)")
        }
        StandardStream.output.write(text(of: kept, isVerbose))
        return 0
    }
    if folder.exists(name) {
        let kept = try folder.manifests(of: name)
        StandardStream.output.write(text(of: kept, mediaType: listType(kept), isVerbose))
        return 0
    }
    switch try await registryDocument(name, invocation.environment) {
    case .one(let manifest): StandardStream.output.write(text(of: manifest, isVerbose))
    case .list(let descriptors, let type):
        guard isVerbose else {
            StandardStream.output.write(ManifestOrder.indexText(descriptors, mediaType: type) + "\n")
            return 0
        }
        var manifests: [KeptManifest] = []
        for descriptor in descriptors {
            let raw = try await invocation.environment.client.manifest(
                of: "\(name.name)@\(descriptor.digest)", credentials: invocation.environment.credentials(for: name.domain))
            manifests.append(try KeptManifest(try parsedReference("\(name)@\(descriptor.digest)"), descriptor: descriptor, raw: raw))
        }
        StandardStream.output.write(text(of: manifests, mediaType: type, true))
    }
    return 0
}

private let manifestCreateVerb = Verb(
    ["manifest create"], "MANIFEST_LIST MANIFEST [MANIFEST...]",
    "Create a local manifest list for annotating and pushing to a registry",
    flags: [Flag("amend", "a", .bool(default: false), "Amend an existing manifest list"), insecureFlag], operands: .atLeast(2)
) { invocation in
    let operands = invocation.arguments.operands
    let folder = ManifestFolder(invocation.environment)
    let list = try parsedReference(operands[0]).withDefaultTag
    if folder.exists(list), !invocation.arguments.bool("amend") {
        throw Complaint("refusing to amend an existing manifest list with no --amend flag")
    }
    var manifests: [KeptManifest] = []
    for word in operands.dropFirst() {
        let name = try parsedReference(word).withDefaultTag
        guard case .one(let manifest) = try await registryDocument(name, invocation.environment) else {
            throw Complaint("\(name) is a manifest list")
        }
        manifests.append(manifest)
    }
    for manifest in manifests { try folder.keep(manifest, in: list) }
    StandardStream.output.write("Created manifest list \(list)\n")
    return 0
}

private let manifestAnnotateVerb = Verb(
    ["manifest annotate"], "[OPTIONS] MANIFEST_LIST MANIFEST", "Add additional information to a local image manifest",
    flags: [
        Flag("arch", nil, .string, "Set architecture"), Flag("os", nil, .string, "Set operating system"),
        Flag("os-features", nil, .commaSeparated, "Set operating system feature"),
        Flag("os-version", nil, .string, "Set operating system version"), Flag("variant", nil, .string, "Set architecture variant"),
    ], operands: .exactly(2)
) { invocation in
    let arguments = invocation.arguments
    let folder = ManifestFolder(invocation.environment)
    let list = try parsedReference(arguments.operands[0]).withDefaultTag
    let name = try parsedReference(arguments.operands[1]).withDefaultTag
    guard var manifest = try folder.manifests(of: list).first(where: { $0.reference == name }) else {
        throw Complaint("manifest for image \(name) does not exist in \(list)")
    }
    var platform = manifest.descriptor.platform ?? PlatformDocument()
    if let system = arguments.string("os"), !system.isEmpty { platform.os = system }
    if let architecture = arguments.string("arch"), !architecture.isEmpty { platform.architecture = architecture }
    if let version = arguments.string("os-version"), !version.isEmpty { platform.osVersion = version }
    if let variant = arguments.string("variant"), !variant.isEmpty { platform.variant = variant }
    for feature in arguments.list("os-features") where !platform.osFeatures.contains(feature) { platform.osFeatures.append(feature) }
    guard knownPlatforms.contains("\(platform.os)/\(platform.architecture)") else {
        throw Complaint(
            "manifest entry for image has unsupported os/arch combination: "
                + "\(printable(arguments.string("os") ?? ""))/\(printable(arguments.string("arch") ?? ""))")
    }
    manifest.descriptor.platform = platform
    try folder.keep(manifest, in: list)
    return 0
}

private let manifestPushVerb = Verb(
    ["manifest push"], "[OPTIONS] MANIFEST_LIST", "Push a manifest list to a repository",
    flags: [
        Flag("insecure", nil, .bool(default: false), "Allow push to an insecure registry"),
        Flag("purge", "p", .bool(default: false), "Remove the local manifest list after push"),
    ], operands: .exactly(1)
) { invocation in
    let environment = invocation.environment
    let folder = ManifestFolder(environment)
    let list = try parsedReference(invocation.arguments.operands[0]).withDefaultTag
    let manifests = try folder.manifests(of: list)
    for manifest in manifests {
        guard let platform = manifest.descriptor.platform, !platform.os.isEmpty, !platform.architecture.isEmpty else {
            throw Complaint("manifest \(manifest.reference) must have an OS and Architecture to be pushed to a registry")
        }
        guard manifest.reference.domain == list.domain else {
            throw Complaint(
                "cannot use source images from a different registry than the target image: \(manifest.reference.domain) != \(list.domain)")
        }
    }
    let credentials = environment.credentials(for: list.domain)
    for manifest in manifests where manifest.reference.path != list.path {
        let target = "\(list.name)@\(manifest.descriptor.digest)"
        _ = try await environment.client.storeManifest(
            manifest.raw, as: target, from: manifest.reference.path, credentials: credentials)
        StandardStream.output.write("Pushed ref \(target) with digest: \(manifest.descriptor.digest)\n")
    }
    let text = ManifestOrder.indexText(manifests.map(\.descriptor), mediaType: listType(manifests))
    let digest = try await environment.client.storeManifest(Array(text.utf8), as: list.description, from: nil, credentials: credentials)
    if invocation.arguments.bool("purge") { try folder.remove(list) }
    StandardStream.output.write("\(digest)\n")
    return 0
}

private let manifestRemoveVerb = Verb(
    ["manifest rm"], "MANIFEST_LIST [MANIFEST_LIST...]", "Delete one or more manifest lists from local storage", operands: .atLeast(1)
) { invocation in
    let folder = ManifestFolder(invocation.environment)
    return await forEachOperand(invocation) { word in try folder.remove(try parsedReference(word).withDefaultTag) }
}

// MARK: - What a registry has

private enum RegistryDocument {
    case one(KeptManifest)
    case list([Descriptor], mediaType: String)
}

/// The members of an index that are read.
private struct IndexDocument: Decodable {
    let manifests: [Descriptor]?
}

/// - Throws: `Complaint` in docker's words where the registry has no such name.
private func registryDocument(_ name: ImageReference, _ environment: Environment) async throws -> RegistryDocument {
    let credentials = environment.credentials(for: name.domain)
    do {
        let found = try await environment.client.inspectDistribution(name.description, credentials: credentials)
        let pinned = "\(name.name)@\(found.descriptor.digest)"
        let raw = try await environment.client.manifest(of: pinned, credentials: credentials)
        if let manifests = try EngineJSON.decode(IndexDocument.self, from: raw).manifests {
            return .list(manifests, mediaType: found.descriptor.mediaType)
        }
        var descriptor = found.descriptor
        descriptor.platform = found.platforms.first
        return .one(try KeptManifest(name, descriptor: descriptor, raw: raw))
    } catch EngineClientError.refused(status: 404, _) {
        throw Complaint("no such manifest: \(name)")
    }
}

// MARK: - Texts

/// OCI's type, unless one of them is Docker's.
private func listType(_ manifests: [KeptManifest]) -> String {
    manifests.contains(where: \.isDockers)
        ? "application/vnd.docker.distribution.manifest.list.v2+json" : "application/vnd.oci.image.index.v1+json"
}

private func text(of manifest: KeptManifest, _ isVerbose: Bool) -> String {
    guard !isVerbose, let raw = try? EngineJSON.decode(TemplateValue.self, from: manifest.raw) else {
        return manifest.document.json(indentedBy: "\t") + "\n"
    }
    return ManifestOrder.manifest(raw).json(indentedBy: "\t") + "\n"
}

private func text(of manifests: [KeptManifest], mediaType: String, _ isVerbose: Bool) -> String {
    if isVerbose { return TemplateValue.list(manifests.map(\.document)).json(indentedBy: "\t") + "\n" }
    return ManifestOrder.indexText(manifests.map(\.descriptor), mediaType: mediaType) + "\n"
}

/// - Source: docker/cli, cli/command/manifest/util.go.
private let knownPlatforms: Set<String> = [
    "darwin/386", "darwin/amd64", "darwin/arm", "darwin/arm64", "dragonfly/amd64", "freebsd/386", "freebsd/amd64", "freebsd/arm",
    "linux/386", "linux/amd64", "linux/arm", "linux/arm64", "linux/mips64", "linux/mips64le", "linux/ppc64le", "linux/riscv64",
    "linux/s390x", "netbsd/386", "netbsd/amd64", "netbsd/arm", "openbsd/386", "openbsd/amd64", "openbsd/arm", "plan9/386", "plan9/amd64",
    "solaris/amd64", "windows/386", "windows/amd64", "windows/arm", "windows/arm64",
]
