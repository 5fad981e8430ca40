/// A resolv.conf(5).
package struct ResolverFile: Equatable, Sendable {
    /// More than any such file of a host has.
    package static let limitBytes = 65_536

    package var servers: [String] = []
    package var search: [String] = []
    package var options: [String] = []

    package init() {}

    /// Takes what it knows, as the C library does: the last `search` or `domain` counts.
    package init(parsing bytes: [UInt8]) {
        for line in String(decoding: bytes, as: UTF8.self).split(separator: "\n") {
            let words = line.split { $0 == " " || $0 == "\t" || $0 == "\r" }.map(String.init)
            switch words.first {
            case "nameserver": if words.count > 1 { servers.append(words[1]) }
            case "search", "domain": search = Array(words.dropFirst())
            case "options": options += words.dropFirst()
            default: break
            }
        }
    }

    /// The file's lines.
    package var text: [UInt8] {
        var lines = search.isEmpty ? [] : ["search \(search.joined(separator: " "))"]
        lines += servers.map { "nameserver \($0)" }
        if !options.isEmpty { lines.append("options \(options.joined(separator: " "))") }
        return Array(lines.map { "\($0)\n" }.joined().utf8)
    }
}
