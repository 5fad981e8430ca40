package import JSON
internal import LinuxSyscalls
internal import SystemPackage

/// Containers that one shim serves together, as a pod's: containerd asks for it by an annotation of the bundle's config.json.
/// - Source: containerd cmd/containerd-shim-runc-v2/manager, `groupLabels`.
package struct ShimGroup: Equatable, Sendable {
    /// In the order in which they count.
    private static let annotations = ["io.containerd.runc.v2.group", "io.kubernetes.cri.sandbox-id"]
    private static let configurationByteCount = 4 << 20
    /// The longest key.
    static let keyByteCount = 65_536
    private static let hashPrime: UInt64 = 0x100_0000_01b3
    private static let hashSeeds: [UInt64] = [0xcbf2_9ce4_8422_2325, 0x8422_2325_cbf2_9ce4]

    /// Which group of which containerd: what members of one have in common, and no others.
    package let key: String

    /// - Parameter name: the annotation's value.
    package init(containerdAddress: String, namespace: String, name: String) { key = "\(containerdAddress)\n\(namespace)\n\(name)" }

    /// The name of the directory of the group's shim. The whole key lies in there, so that another group's is never taken for it.
    package var directoryName: String {
        Self.hashSeeds.map { seed in
            let hash = key.utf8.reduce(seed) { ($0 ^ UInt64($1)) &* Self.hashPrime }
            let digits = String(hash, radix: 16)
            return String(repeating: "0", count: 16 - digits.count) + digits
        }.joined()
    }

    /// The group that a config.json names; nil for a container that stands alone.
    package static func name(inConfiguration bytes: [UInt8]) throws(JSONError) -> String? {
        var found: [String: String] = [:]
        var reader = try JSONReader(bytes)
        try reader.readObject { reader, name throws(JSONError) in
            guard name == "annotations" else { return try reader.skipValue() }
            try reader.readObject { reader, name throws(JSONError) in
                if annotations.contains(name) { found[name] = try reader.readString() } else { try reader.skipValue() }
            }
        }
        return annotations.lazy.compactMap { found[$0] }.first { !$0.isEmpty }
    }

    /// The same of the bundle in the working directory. What is not to be read there is the runtime's to refuse.
    static func nameInBundle() throws(ShimError) -> String? {
        let bytes: [UInt8]
        do throws(SyscallError) { bytes = try readFile("config.json", limitBytes: configurationByteCount) } catch  where error.isMissing {
            return nil
        } catch { throw ShimError("read the bundle's config.json", error) }
        do throws(JSONError) { return try name(inConfiguration: bytes) } catch {
            throw ShimError(.invalidRequest, "config.json of the bundle", cause: "\(error)")
        }
    }
}
