internal import CoreTypes
internal import FoundationEssentials
internal import JSON
internal import LinuxSyscalls
internal import SystemPackage

/// Which images may come here and run: a file in the form of containers-policy.json(5).
/// - Source: containers-policy.json(5); of its requirements `insecureAcceptAnything`, `reject` and `sigstoreSigned` with keys.
struct SignaturePolicy: Equatable, Sendable {
    /// What an image must satisfy.
    enum Requirement: Equatable, Sendable {
        case acceptAnything
        case reject
        /// One signature by one of the keys, about the image and its name.
        case signed(keys: [[UInt8]], identity: Identity)
    }

    /// Whose name a signature must be about.
    enum Identity: Equatable, Sendable {
        /// The name as it is asked for; by digest, its repository.
        case matchRepositoryDigestOrExact
        /// The name as it is asked for.
        case matchExact
        /// The repository; the tag is not looked at.
        case matchRepository
        /// This name.
        case exactReference(String)
        /// This repository.
        case exactRepository(String)
    }

    private var fallback: [Requirement] = []
    /// Requirements by scope, by transport.
    private var transports: [String: [String: [Requirement]]] = [:]

    /// Bytes of the file, and of a key's.
    private static let limitBytes = 1 << 20

    /// Reads a file. - Throws: `.refused` with one line that names it: a policy that cannot be read permits nothing.
    init(_ path: String) throws(ImageError) {
        let bytes: [UInt8]
        do throws(SyscallError) { bytes = try readFile(FilePath(path), limitBytes: Self.limitBytes) } catch {
            throw Self.refuse(path, "it cannot be read: \(error)")
        }
        do throws(JSONError) {
            var reader = try JSONReader(bytes, limits: JSONLimits(maximumBytes: Self.limitBytes, maximumDepth: 16))
            try read(&reader)
            try reader.finish()
        } catch {
            let line = bytes.prefix(error.offset).count(where: { $0 == 0x0a }) + 1
            throw Self.refuse("\(path):\(line)", "\(error.path.isEmpty ? "" : "\(error.path): ")\(error.problem)")
        }
        if fallback.isEmpty { throw Self.refuse(path, "'default' is missing or holds no requirement") }
    }

    private static func refuse(_ place: String, _ words: String) -> ImageError {
        ImageError(.refused, "the signature policy \(place): \(words); no image is accepted until it is put right")
    }

    /// What holds for an image of a registry: the longest scope that its name lies in.
    func requirements(for reference: ImageReference) -> [Requirement] {
        guard let scopes = transports["docker"] else { return fallback }
        let exact = reference.name + (reference.digest.map { "@\($0)" } ?? ":\(reference.tag ?? ImageReference.defaultTag)")
        var scope = reference.name
        var candidates = [exact, scope]
        while let slash = scope.lastIndex(of: "/") {
            scope = String(scope[..<slash])
            candidates.append(scope)
        }
        var host = Substring(reference.domain.prefix { $0 != ":" })
        while let dot = host.firstIndex(of: ".") {
            host = host[host.index(after: dot)...]
            candidates.append("*.\(host)")
        }
        for candidate in candidates + [""] { if let found = scopes[candidate] { return found } }
        return fallback
    }

    /// What holds for an image that came from no registry: from an archive, or made here.
    func requirementsForArchives() -> [Requirement] { transports["docker-archive"]?[""] ?? transports["oci-archive"]?[""] ?? fallback }

    // MARK: - Reading

    private mutating func read(_ reader: inout JSONReader) throws(JSONError) {
        var fallback: [Requirement] = []
        var transports: [String: [String: [Requirement]]] = [:]
        try reader.readObject { (reader: inout JSONReader, name: String) throws(JSONError) in
            switch name {
            case "default": fallback = try Self.requirements(&reader)
            case "transports":
                try reader.readObject { (reader: inout JSONReader, transport: String) throws(JSONError) in
                    try reader.readObject { (reader: inout JSONReader, scope: String) throws(JSONError) in
                        transports[transport, default: [:]][scope] = try Self.requirements(&reader)
                    }
                }
            default: throw reader.problem("unknown member '\(name)': known are default and transports")
            }
        }
        self.fallback = fallback
        self.transports = transports
    }

    private static func requirements(_ reader: inout JSONReader) throws(JSONError) -> [Requirement] {
        var found: [Requirement] = []
        try reader.readArray { (reader: inout JSONReader) throws(JSONError) in found.append(try requirement(&reader)) }
        if found.isEmpty { throw reader.problem("a scope needs one requirement at least") }
        return found
    }

    private static func requirement(_ reader: inout JSONReader) throws(JSONError) -> Requirement {
        var type = ""
        var paths: [String] = []
        var keys: [[UInt8]] = []
        var identity = Identity.matchRepositoryDigestOrExact
        try reader.readObject { (reader: inout JSONReader, name: String) throws(JSONError) in
            switch name {
            case "type": type = try reader.readString()
            case "keyPath": paths.append(try reader.readString())
            case "keyPaths": try reader.readArray { (reader: inout JSONReader) throws(JSONError) in paths.append(try reader.readString()) }
            case "keyData": keys.append(try decoded(&reader))
            case "keyDatas": try reader.readArray { (reader: inout JSONReader) throws(JSONError) in keys.append(try decoded(&reader)) }
            case "signedIdentity": identity = try self.identity(&reader)
            default:
                throw reader.problem(
                    "'\(name)' is not implemented: a sigstoreSigned requirement has keyPath, keyPaths, keyData, keyDatas and signedIdentity"
                )
            }
        }
        switch type {
        case "insecureAcceptAnything": return .acceptAnything
        case "reject": return .reject
        case "sigstoreSigned":
            for path in paths {
                do throws(SyscallError) { keys.append(try readFile(FilePath(path), limitBytes: limitBytes)) } catch {
                    throw reader.problem("the key \(path) cannot be read: \(error)")
                }
            }
            if keys.isEmpty { throw reader.problem("a sigstoreSigned requirement needs a key") }
            return .signed(keys: keys, identity: identity)
        default: throw reader.problem("'\(type)' is not implemented: requirements are insecureAcceptAnything, reject and sigstoreSigned")
        }
    }

    private static func decoded(_ reader: inout JSONReader) throws(JSONError) -> [UInt8] {
        guard let data = Data(base64Encoded: try reader.readString()) else { throw reader.problem("a key is not base 64") }
        return Array(data)
    }

    private static func identity(_ reader: inout JSONReader) throws(JSONError) -> Identity {
        var type = ""
        var name: String?
        try reader.readObject { (reader: inout JSONReader, member: String) throws(JSONError) in
            switch member {
            case "type": type = try reader.readString()
            case "dockerReference", "dockerRepository": name = try reader.readString()
            default: throw reader.problem("'\(member)' is not implemented")
            }
        }
        switch (type, name) {
        case ("matchRepoDigestOrExact", nil): return .matchRepositoryDigestOrExact
        case ("matchExact", nil): return .matchExact
        case ("matchRepository", nil): return .matchRepository
        case ("exactReference", .some(let name)): return .exactReference(name)
        case ("exactRepository", .some(let name)): return .exactRepository(name)
        default: throw reader.problem("the signedIdentity '\(type)' is not implemented, or lacks its name")
        }
    }
}
