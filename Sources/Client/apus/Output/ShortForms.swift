internal import CoreTypes

/// The first 12 hexadecimal digits of an id, its `sha256:` left out.
func shortID(_ id: String) -> String {
    String((id.hasPrefix("sha256:") ? id.dropFirst(7) : Substring(id)).prefix(12))
}

/// At most `length` characters, the last one `…` where some were cut off.
func shortened(_ text: String, to length: Int) -> String {
    text.count <= length ? text : text.prefix(length - 1) + "…"
}

/// A moment as docker's tables show it: `2026-11-21 10:30:00 +0000 UTC`.
func tableTime(seconds: Int64) -> String {
    let text = Timestamp(seconds: seconds).description
    return text.prefix(10) + " " + text.dropFirst(11).prefix(8) + " +0000 UTC"
}

/// The same to the nanosecond, as Go prints it.
func tableTime(_ moment: Timestamp) -> String {
    let text = moment.description
    return text.prefix(10) + " " + text.dropFirst(11).dropLast() + " +0000 UTC"
}

/// A text with its control characters made visible, so that a name or label cannot steer the terminal.
func printable(_ text: String) -> String {
    guard text.unicodeScalars.contains(where: { $0.value < 0x20 || (0x7f...0x9f).contains($0.value) }) else { return text }
    return text.unicodeScalars.map { scalar in
        scalar.value < 0x20 || (0x7f...0x9f).contains(scalar.value) ? "\\x" + String(scalar.value, radix: 16) : String(scalar)
    }.joined()
}
