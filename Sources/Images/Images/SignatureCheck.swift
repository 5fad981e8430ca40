internal import ContentStore
internal import CoreTypes
internal import FoundationEssentials
internal import Glibc
internal import LinuxSyscalls
internal import OCISpec
internal import Records
internal import Registry
internal import SystemPackage

/// Holds images against the policy, where there is one: when they are pulled, loaded, and when a container is made of them.
struct SignatureCheck: Sendable {
    /// The policy's file; nil where every image is accepted.
    let policy: String?
    /// Where signatures lie that were found at pulls, by the digest that they are about.
    let folder: FilePath
    /// What is taken of a registry.
    let limits: ImageLimits

    /// What must be signed before a pull of this name may go on; empty where nothing must.
    /// - Throws: `.refused` where nothing of that name is accepted.
    func demands(of reference: ImageReference) throws(ImageError) -> [SignaturePolicy.Requirement] {
        guard let policy else { return [] }
        return try Self.open(try SignaturePolicy(policy).requirements(for: reference), reference.familiar)
    }

    /// - Throws: `.refused` where images that come from no registry are not accepted.
    func permitArchive(_ name: String) throws(ImageError) {
        guard let policy else { return }
        if try !Self.open(try SignaturePolicy(policy).requirementsForArchives(), name).isEmpty {
            throw Self.refuse(name, "it came from no registry, where its signature would be")
        }
    }

    /// Holds an image's signatures at its registry against the demands, and keeps them where they satisfy. Blocks.
    /// - Parameter digests: what the name stands for, and the image's own manifest.
    func permit(
        _ reference: ImageReference, digests: Set<Digest>, demands: [SignaturePolicy.Requirement], from repository: MirroredRepository
    ) throws(ImageError) {
        if demands.isEmpty { return }
        var found: [(digest: Digest, signatures: [ImageSignature])] = []
        var all: [ImageSignature] = []
        for digest in Self.sorted(digests) {
            let signatures = try fetch(digest, repository)
            if !signatures.isEmpty { found.append((digest, signatures)) }
            all += signatures.isEmpty ? try kept(digest) : signatures
        }
        try Self.judge(all, anyOf: [reference], digests: digests, demands)
        for (digest, signatures) in found {
            do throws(SyscallError) {
                try makeDirectories(folder, mode: 0o700)
                try writeFileDurably(signatures.document, to: path(digest))
            } catch { throw .storage(error) }
        }
    }

    /// Whether an image that is here may run: each registry that it came from is as good as another.
    func permitRun(_ image: NamedImage) throws(ImageError) {
        guard let policy else { return }
        let name = image.tags.first?.familiar ?? image.image.id.description
        let origins = image.repositoryDigests
        if origins.isEmpty { return try permitArchive(name) }
        let rules = try SignaturePolicy(policy)
        var refusal: ImageError?
        for origin in origins {
            // The tag under which it was pulled has the rules, and may be what the signature is for, also where it has gone since. One that
            // was given here counts for nothing: whoever may tag would lift the policy.
            let tags = image.pulls[origin] ?? []
            let digests = Set([origin.digest, image.manifest(of: origin)].compactMap { $0 })
            for place in tags.isEmpty ? [origin] : tags {
                do throws(ImageError) {
                    return try judge(anyOf: [origin, place], digests: digests, try Self.open(rules.requirements(for: place), name))
                } catch { refusal = error }
            }
        }
        if let refusal { throw refusal }
    }

    /// Forgets signatures of images that are gone.
    func forget(allBut kept: Set<Digest>) throws(SyscallError) {
        let names: [String]
        do throws(SyscallError) {
            names = try directoryEntries(of: try openFile(folder, [.readOnly, .directory]), subject: folder.string).map(\.name.string)
        } catch {
            if error.errno == ENOENT { return }
            throw error
        }
        let known = Set(kept.map { path($0).lastComponent?.string ?? "" })
        for name in names where name != "." && name != ".." && !known.contains(name) { try removeFile(folder.appending(name)) }
    }

    // MARK: - Steps

    private static func refuse(_ name: String, _ words: String) -> ImageError {
        ImageError(.refused, "\(name) is rejected by the signature policy: \(words)")
    }

    /// What is left of requirements once those are taken away that accept anything.
    private static func open(_ requirements: [SignaturePolicy.Requirement], _ name: String) throws(ImageError) -> [SignaturePolicy
        .Requirement]
    {
        if requirements.contains(.reject) { throw refuse(name, "nothing of that name is accepted") }
        return requirements.filter { $0 != .acceptAnything }
    }

    private static func sorted(_ digests: Set<Digest>) -> [Digest] { digests.sorted { $0.description < $1.description } }

    private func judge(anyOf names: [ImageReference], digests: Set<Digest>, _ demands: [SignaturePolicy.Requirement]) throws(ImageError) {
        if demands.isEmpty { return }
        var signatures: [ImageSignature] = []
        for digest in Self.sorted(digests) { signatures += try kept(digest) }
        try Self.judge(signatures, anyOf: names, digests: digests, demands)
    }

    private static func judge(
        _ signatures: [ImageSignature], anyOf names: [ImageReference], digests: Set<Digest>, _ demands: [SignaturePolicy.Requirement]
    ) throws(ImageError) {
        for case .signed(let keys, let identity) in demands {
            var objection = "it has no signature"
            let isSatisfied = signatures.contains { signature in
                names.contains { name in
                    guard let found = signature.objection(keys, identity, digests: digests, reference: name) else { return true }
                    objection = found
                    return false
                }
            }
            if !isSatisfied { throw refuse(names[0].familiar, objection) }
        }
    }

    private func path(_ digest: Digest) -> FilePath { folder.appending("\(digest.algorithm.rawValue)-\(digest.hex)") }

    private func kept(_ digest: Digest) throws(ImageError) -> [ImageSignature] {
        do throws(SyscallError) {
            return [ImageSignature](document: try readFile(path(digest), limitBytes: [ImageSignature].fileLimitBytes))
        } catch {
            if error.errno == ENOENT { return [] }
            throw .storage(error)
        }
    }

    /// What the registry has of signatures of a digest, as cosign stores them: a manifest whose tag is made from the digest.
    private func fetch(_ digest: Digest, _ repository: MirroredRepository) throws(ImageError) -> [ImageSignature] {
        let served: ServedManifest
        do throws(RegistryError) {
            served = try repository.manifest("\(digest.algorithm.rawValue)-\(digest.hex).sig") { _ in true }
        } catch {
            if error.code == .notFound { return [] }
            throw .registry(error)
        }
        guard case .manifest(let manifest)? = try? served.document(limits.manifest) else {
            throw Self.refuse("\(digest)", "its signatures' manifest cannot be understood")
        }
        var found: [ImageSignature] = []
        for descriptor in manifest.layers.prefix(limits.signatures)
        where descriptor.mediaType.rawValue == ImageSignature.mediaType && descriptor.sizeBytes <= limits.signatureBytes {
            guard let text = descriptor.annotations[ImageSignature.annotation], let signature = Data(base64Encoded: text) else { continue }
            let sink = MemorySink()
            do throws(RegistryError) {
                try repository.fetchBlob(descriptor.digest, sizeBytes: descriptor.sizeBytes, into: sink)
            } catch { throw .registry(error) }
            if Digest(of: sink.bytes, descriptor.digest.algorithm) == descriptor.digest {
                found.append(ImageSignature(payload: sink.bytes, signature: Array(signature)))
            }
        }
        return found
    }
}
