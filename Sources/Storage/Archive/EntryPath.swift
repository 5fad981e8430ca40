internal import LinuxSyscalls
internal import SystemPackage

/// Where an entry belongs, below the root whatever it says.
struct EntryPath: Equatable {
    /// Components from the root down, none of them empty, `.` or `..`; no component at all is the root.
    let components: [[UInt8]]

    init(components: [[UInt8]]) { self.components = components }

    /// Takes a path apart as an unpacker at `/` would: leading, double and final slashes and `.` fall away.
    /// - Throws: `.refusedEntry` for `..` and for no name at all; `.overLimit`.
    init(_ path: [UInt8], limits: ArchiveLimits, printable: PrintablePath) throws(ArchiveError) {
        func refused(_ code: ArchiveError.Code, _ reason: String) -> ArchiveError {
            ArchiveError(code, doing: "unpack entry", subject: "\(printable): \(reason)")
        }
        if path.isEmpty { throw refused(.refusedEntry, "no name") }
        if path.count > limits.pathBytes { throw refused(.overLimit, "a path over \(limits.pathBytes) bytes") }
        var components: [[UInt8]] = []
        for component in path.split(separator: 0x2f) where !component.elementsEqual([0x2e]) {
            if component.elementsEqual([0x2e, 0x2e]) { throw refused(.refusedEntry, "a path upwards") }
            components.append(Array(component))
        }
        if components.count > limits.depth { throw refused(.overLimit, "deeper than \(limits.depth)") }
        self.components = components
    }

    /// The last component; nil for the root.
    var name: [UInt8]? { components.last }

    /// The components above the last one.
    var parent: ArraySlice<[UInt8]> { components.dropLast() }
}

/// What an entry's name asks of the layers below.
/// - Source: image-spec, layer.md, "Whiteouts".
enum Whiteout: Equatable {
    /// Not a whiteout.
    case none
    /// `.wh.NAME`: hides NAME.
    case hides([UInt8])
    /// `.wh..wh..opq`: hides all that lies below its directory.
    case opaque
    /// `.wh..wh.…`: an AUFS record, of no meaning here.
    case reserved

    static let prefix = Array(".wh.".utf8)
    private static let reservedPrefix = Array(".wh..wh.".utf8)

    /// - Throws: `.refusedEntry` for the whiteout of nothing, `.` or `..`, and for an entry below a whiteout.
    init(_ path: EntryPath, printable: PrintablePath) throws(ArchiveError) {
        func refused(_ reason: String) -> ArchiveError {
            ArchiveError(.refusedEntry, doing: "unpack entry", subject: "\(printable): \(reason)")
        }
        guard let marked = path.components.firstIndex(where: { $0.starts(with: Self.prefix) }) else {
            self = .none
            return
        }
        let component = path.components[marked]
        let hidden = Array(component.dropFirst(Self.prefix.count))
        let namesNothing = hidden.isEmpty || hidden == [0x2e] || hidden == [0x2e, 0x2e]
        let isLast = marked == path.components.count - 1
        if isLast && component.elementsEqual(".wh..wh..opq".utf8) {
            self = .opaque
        } else if component.starts(with: Self.reservedPrefix) {
            self = .reserved
        } else if !isLast {
            throw refused("an entry below a whiteout")
        } else if namesNothing {
            throw refused("the whiteout of no name")
        } else {
            self = .hides(hidden)
        }
    }
}

/// A relative path of components; `.` for none.
func relativePath(_ components: some Collection<[UInt8]>) -> FilePath {
    components.isEmpty ? FilePath(".") : filePath(bytes: Array(components.joined(separator: [0x2f])))
}
