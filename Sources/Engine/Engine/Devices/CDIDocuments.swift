internal import EngineAPI

/// A document of the Container Device Interface: the devices of one kind, and what a container needs for each.
/// - Source: cncf-tags/container-device-interface, SPEC.md, version 1.0.0. What this host's containers have no use for is passed over.
struct CDIDocument: Decodable, Sendable {
    struct Device: Decodable, Sendable {
        var name: String
        var containerEdits: CDIEdits?
    }

    /// The members that are numbers, among all that the specification has.
    static let numbers: Set<String> = ["major", "minor", "fileMode", "uid", "gid", "timeout", "additionalGids"]

    var cdiVersion: String
    /// `vendor.example/class`.
    var kind: String
    var devices: [Device]?
    /// For a container that has any of the devices.
    var containerEdits: CDIEdits?
}

/// Changes to a container's specification.
struct CDIEdits: Decodable, Sendable {
    struct DeviceNode: Decodable, Sendable {
        var path: String
        /// On the host, where it is another.
        var hostPath: String?
        var type: String?
        var major: Int64?
        var minor: Int64?
        var fileMode: UInt32?
        var permissions: String?
        var uid: UInt32?
        var gid: UInt32?
    }

    struct Mount: Decodable, Sendable {
        var hostPath: String
        var containerPath: String
        var options: [String]?
        var type: String?
    }

    struct Hook: Decodable, Sendable {
        var hookName: String
        var path: String
        var args: [String]?
        var env: [String]?
        var timeout: Int64?
    }

    var env: [String]?
    var deviceNodes: [DeviceNode]?
    var hooks: [Hook]?
    var mounts: [Mount]?
    var additionalGids: [UInt32]?
}

/// The name of a CDI device, `vendor.example/class=name`.
struct CDIName: Hashable, Sendable, CustomStringConvertible {
    let kind: String
    let device: String

    /// nil for what is no such name.
    init?(_ text: String) {
        guard let slash = text.firstIndex(of: "/"), let equals = text[slash...].firstIndex(of: "=") else { return nil }
        let (vendor, kindClass) = (text[..<slash], text[text.index(after: slash)..<equals])
        let name = text[text.index(after: equals)...]
        guard Self.isWord(vendor, marks: "_-."), Self.isWord(kindClass, marks: "_-."), Self.isWord(name, marks: "_-.:") else { return nil }
        kind = "\(vendor)/\(kindClass)"
        device = String(name)
    }

    init(kind: String, device: String) {
        self.kind = kind
        self.device = device
    }

    var description: String { "\(kind)=\(device)" }

    private static func isWord(_ text: Substring, marks: String) -> Bool {
        guard let first = text.first, let last = text.last, first.isASCII, first.isLetter || first.isNumber else { return false }
        return (last.isLetter || last.isNumber) && text.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || marks.contains($0)) }
    }
}
