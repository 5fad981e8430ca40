internal import CoreTypes
internal import FoundationEssentials

/// A moment as the API takes it, seconds since the epoch: from seconds, from how long it is ago, or from RFC 3339, whose time may lack its end and
/// whose zone is else the local one.
/// - Returns: nil for an empty text, which means none.
/// - Throws: `Complaint` in docker's words.
/// - Source: moby, daemon/internal/timestamp, GetTimestamp.
func moment(_ text: String, now: Date = Date()) throws(Complaint) -> String? {
    if text.isEmpty { return nil }
    // The epoch, and not now.
    if text != "0", let nanoseconds = parseDuration(text) {
        return decimalSeconds(now.timeIntervalSince1970 - Double(nanoseconds) / 1e9)
    }
    if let stamp = partialTimestamp(text) {
        let fraction = String(stamp.nanoseconds)
        return "\(stamp.seconds).\(String(repeating: "0", count: 9 - fraction.count) + fraction)"
    }
    if !text.hasPrefix("-"), (try? Timestamp(secondsSinceEpoch: text)) != nil { return text }
    throw Complaint("failed to parse value as time or duration: \"\(text)\"")
}

/// `2026-11-21`, `2026-11-21T10`, `2026-11-21T10:00`, `2026-11-21T10:00:00.5`, each perhaps with a zone behind it.
private func partialTimestamp(_ text: String) -> Timestamp? {
    let date = text.prefix(10)
    var time = text.dropFirst(10)
    let hasTime = time.first == "T"
    let zoneStart = time.firstIndex { "zZ+-".contains($0) } ?? time.endIndex
    let zone = time[zoneStart...]
    time = time[..<zoneStart]
    let missing = hasTime ? String(repeating: ":00", count: max(0, 2 - time.count { $0 == ":" })) : "T00:00:00"
    guard hasTime || time.isEmpty, let stamp = try? Timestamp("\(date)\(time)\(missing)\(zone.isEmpty ? "Z" : zone)") else { return nil }
    return zone.isEmpty ? Timestamp(seconds: stamp.seconds - localOffsetSeconds(), nanoseconds: stamp.nanoseconds) : stamp
}

private func decimalSeconds(_ seconds: Double) -> String {
    let whole = Int64(seconds.rounded(.down))
    let fraction = String(Int64(((seconds - Double(whole)) * 1e6).rounded(.down)))
    return "\(whole).\(String(repeating: "0", count: max(0, 6 - fraction.count)) + fraction)000"
}
