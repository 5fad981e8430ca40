internal import CoreTypes
internal import Templates

/// A value of `--add-host`. - Source: docker/cli, opts/hosts.go, ValidateExtraHost.
struct ExtraHost {
    let name: String
    /// nil where there is no mark before it.
    let address: String?

    init(_ text: String) {
        let (name, address) = splitOnce(text, at: text.contains("=") ? "=" : ":")
        self.name = name
        // Brackets tell where an address of IPv6 ends.
        let isBracketed = (address?.count ?? 0) > 2 && address?.first == "[" && address?.last == "]"
        self.address = isBracketed ? address.map { String($0.dropFirst().dropLast()) } : address
    }

    /// As the daemon reads it, which knows one mark alone.
    var sent: String { "\(name):\(address ?? "")" }

    /// Why `text` is none, in docker's words; nil when it is one.
    @Sendable static func complaint(_ text: String) -> String? {
        let host = ExtraHost(text)
        guard let address = host.address, !host.name.isEmpty, !host.name.contains(":") else {
            return "bad format for add-host: \(goQuoted(text))"
        }
        if address == "host-gateway" || IPAddress(trimmed(address)) != nil { return nil }
        return "invalid IP address in add-host: \(goQuoted(address))"
    }
}

/// Whether a text is an address of a link: 6, 8 or 20 bytes in one of the ways to write them. - Source: Go, net.ParseMAC.
func isLinkAddress(_ text: String) -> Bool {
    let mark: Character = text.contains(".") ? "." : text.contains("-") ? "-" : ":"
    let parts = text.split(separator: mark, omittingEmptySubsequences: false)
    let width = mark == "." ? 4 : 2
    return [6, 8, 20].contains(parts.count * width / 2)
        && parts.allSatisfy { part in part.count == width && part.allSatisfy { $0.isASCII && $0.isHexDigit } }
}

/// A letter alone before a colon is taken for a drive of Windows.
private func isDrive(_ part: String) -> Bool { part.unicodeScalars.count == 1 && part.unicodeScalars.allSatisfy(\.properties.isAlphabetic) }

/// Whether `--volume` names what is mounted, besides the place that it is mounted at.
/// - Throws: `Complaint` in docker's words for what has an empty part, or one too many.
/// - Source: docker/cli, internal/volumespec, Parse.
func hasVolumeSource(_ text: String) throws(Complaint) -> Bool {
    // So short, it is a place, whatever it is made of.
    guard text.utf8.count > 2 else {
        if text.isEmpty { throw Complaint("invalid empty volume spec") }
        return false
    }
    var parts: [String] = []
    var part = ""
    for character in text.unicodeScalars {
        guard character == ":", !isDrive(part) else {
            part.unicodeScalars.append(character)
            continue
        }
        if part.isEmpty { throw Complaint("invalid spec: \(text): empty section between colons") }
        if parts.count == 2 { throw Complaint("invalid spec: \(text): too many colons") }
        parts.append(part)
        part = ""
    }
    if part.isEmpty { throw Complaint("invalid spec: \(text): empty section between colons") }
    return !parts.isEmpty
}
