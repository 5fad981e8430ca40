/// What a program runs on: operating system, architecture and the architecture's variant, by the
/// names of Go's GOOS and GOARCH, as images carry them.
/// - Source: image-spec v1.1, image-index.md, "platform".
public struct Platform: Hashable, Sendable, CustomStringConvertible {
    /// As Go's GOOS names it: `linux`.
    public var operatingSystem: String
    /// As Go's GOARCH names it: `amd64`, `arm64`.
    public var architecture: String
    /// `v7` and the like; nil where the architecture's usual one is meant.
    public var variant: String?

    /// Takes the parts in their usual spelling (`aarch64` becomes `arm64`, `arm64/v8` just `arm64`).
    public init(operatingSystem: String, architecture: String, variant: String? = nil) {
        self.operatingSystem = operatingSystem.lowercased()
        (self.architecture, self.variant) = Self.usualSpelling(architecture.lowercased(), variant?.lowercased() ?? "")
    }

    /// Parses `os[/architecture[/variant]]` or an architecture alone; what is missing is the host's.
    /// - Throws: `InvalidPlatform` with the text refused.
    public init(parsing text: String) throws(InvalidPlatform) {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
        let wellFormed = parts.allSatisfy { part in
            part.utf8.allSatisfy(Self.isWord) && part.utf8.first.map { !Array("-._".utf8).contains($0) } ?? false
        }
        guard wellFormed, parts.count <= 3, let first = parts.first else { throw InvalidPlatform(text: text) }
        switch parts.count {
        case 1 where Self.knownOperatingSystems.contains(first.lowercased()):
            self.init(operatingSystem: first, architecture: Platform.host.architecture, variant: Platform.host.variant)
        case 1:
            self.init(operatingSystem: "linux", architecture: first)
            guard Self.knownArchitectures.contains(architecture) else { throw InvalidPlatform(text: text) }
        default:
            self.init(operatingSystem: first, architecture: parts[1], variant: parts.count == 3 ? parts[2] : nil)
        }
    }

    /// What an image's configuration says of itself: an operating system or an architecture that is missing or empty is the host's, as
    /// Docker reads it. A slash in one of them is as one between them, so that the platform is the same when it is read from what `description` wrote.
    public init(ofImage operatingSystem: String?, architecture: String?, variant: String?) {
        let parts = [operatingSystem ?? "", architecture ?? ""] + [variant ?? ""].filter { !$0.isEmpty }
        self.init(recorded: parts.joined(separator: "/"))
    }

    /// Reads what `description` wrote. Any text is one: what an image says of itself is a stranger's, and no record of one may be unreadable.
    package init(recorded text: String) {
        let parts = text.split(separator: "/", maxSplits: 2, omittingEmptySubsequences: false).map(String.init)
        func given(_ place: Int, or usual: String) -> String { parts.count > place && !parts[place].isEmpty ? parts[place] : usual }
        self.init(
            operatingSystem: given(0, or: Platform.host.operatingSystem), architecture: given(1, or: Platform.host.architecture),
            variant: given(2, or: ""))
    }

    /// What this program was built for.
    public static var host: Platform {
        #if arch(x86_64)
            Platform(operatingSystem: "linux", architecture: "amd64")
        #elseif arch(arm64)
            Platform(operatingSystem: "linux", architecture: "arm64")
        #elseif arch(riscv64)
            Platform(operatingSystem: "linux", architecture: "riscv64")
        #elseif arch(powerpc64le)
            Platform(operatingSystem: "linux", architecture: "ppc64le")
        #elseif arch(s390x)
            Platform(operatingSystem: "linux", architecture: "s390x")
        #else
            #error("name this architecture as GOARCH does")
        #endif
    }

    /// Whether a kernel of the host's kind runs it, be it with an emulator of another machine.
    public var isOfHostSystem: Bool { operatingSystem == Platform.host.operatingSystem }

    /// The architecture as uname(2) names the machine: `x86_64`, `aarch64`.
    public var machineName: String { Self.machineNames[architecture] ?? architecture }

    /// GOARCH's names, and uname(2)'s where those are others.
    private static let machineNames = ["amd64": "x86_64", "arm64": "aarch64"]

    /// `OS/ARCHITECTURE`, and `/VARIANT` where there is one.
    public var description: String {
        "\(operatingSystem)/\(architecture)" + (variant.map { "/\($0)" } ?? "")
    }

    /// How well this platform runs an image made for another: 0 is an exact match, more is worse, nil is
    /// not at all. Older variants of one architecture run, and amd64 runs 386.
    public func distance(to image: Platform) -> Int? {
        guard operatingSystem == image.operatingSystem else { return nil }
        return runnable.firstIndex { $0.architecture == image.architecture && $0.variant == image.variant }
    }

    private var runnable: [Platform] {
        var result = [self]
        func add(_ architecture: String, _ variants: [String?]) {
            for variant in variants {
                result.append(Platform(operatingSystem: operatingSystem, architecture: architecture, variant: variant))
            }
        }
        let level = variant.flatMap { Int($0.dropFirst()) }
        switch architecture {
        case "amd64":
            add("amd64", stride(from: (level ?? 1) - 1, through: 1, by: -1).map { "v\($0)" })
            add("386", [nil])
        case "arm64": add("arm", ["v8", "v7", "v6", "v5"])
        case "arm": add("arm", stride(from: (level ?? 7) - 1, through: 5, by: -1).map { "v\($0)" })
        default: break
        }
        return result
    }

    private static func usualSpelling(_ architecture: String, _ variant: String) -> (String, String?) {
        let architecture = machineNames.first { $0.value == architecture }?.key ?? architecture
        return switch (architecture, variant) {
        case ("x86-64", _), ("amd64", _): ("amd64", variant == "v1" || variant.isEmpty ? nil : variant)
        case ("i386", _), ("386", _): ("386", nil)
        case ("arm64", ""), ("arm64", "8"), ("arm64", "v8"): ("arm64", nil)
        case ("armhf", _): ("arm", "v7")
        case ("armel", _): ("arm", "v6")
        case ("arm", ""), ("arm", "7"): ("arm", "v7")
        case ("arm", "5"), ("arm", "6"), ("arm", "8"): ("arm", "v\(variant)")
        default: (architecture, variant.isEmpty ? nil : variant)
        }
    }

    private static func isWord(_ byte: UInt8) -> Bool {
        Character(UnicodeScalar(byte)).isLetter && byte < 0x80 || (0x30...0x39).contains(byte) || [0x2d, 0x2e, 0x5f].contains(byte)
    }

    private static let knownOperatingSystems: Set<String> = [
        "aix", "android", "darwin", "dragonfly", "freebsd", "illumos", "ios", "js", "linux", "netbsd", "openbsd", "plan9", "solaris",
        "wasip1", "windows", "zos",
    ]
    private static let knownArchitectures: Set<String> = [
        "386", "amd64", "arm", "arm64", "loong64", "mips", "mips64", "mips64le", "mipsle", "ppc64", "ppc64le", "riscv64", "s390x", "wasm",
    ]
}

/// A text that names no platform.
public struct InvalidPlatform: Error, Equatable, Sendable, CustomStringConvertible {
    /// What was to be read, as it was given.
    public let text: String

    /// - Parameter text: what was to be read.
    public init(text: String) { self.text = text }

    /// One line that names the text and the form that is wanted.
    public var description: String { "\(text.debugDescription) is an invalid platform: use os/architecture[/variant], as linux/arm64" }
}
