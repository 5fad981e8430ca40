internal import EngineAPI
internal import Templates

/// The most ports that one range may name.
private let mostPorts = 65_535

/// The ports of `--expose`: `80`, `80-90/udp`.
func exposedPorts(_ text: String) throws(Complaint) -> [String] {
    if text.contains(":") { throw Complaint("invalid port format for --expose: \(text)") }
    let (numbers, transport) = try split(text)
    func refused(_ reason: String) -> Complaint { Complaint("invalid range format for --expose: \(text), error: \(reason)") }
    if numbers.isEmpty { throw refused("empty string specified for ports") }
    let (first, last) = splitOnce(numbers, at: "-")
    func number(_ text: String) throws(Complaint) -> Int {
        if let port = portNumber(text) { return port }
        throw refused(complaintAboutPort(text))
    }
    let (low, high) = (try number(first), try number(last ?? first))
    guard low <= high else { throw refused("invalid range specified for port: \(numbers)") }
    return (low...high).map { "\($0)/\(transport)" }
}

/// The ports of `-p` and where they are bound: `[ADDRESS:][HOST[-HOST]:]PORT[-PORT][/PROTOCOL]`.
/// - Parameter given: that, or its long form `published=HOST,target=PORT,protocol=PROTOCOL`.
func publishedPorts(_ given: String) throws(Complaint) -> [(port: String, binding: PortBinding)] {
    let text = try shortForm(given)
    let (place, transport) = try split(text)
    let (address, rest) = try leadingAddress(place, of: text)
    var parts = rest.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
    guard let inner = parts.popLast(), !inner.isEmpty, parts.count <= 1 else { throw Complaint("no port specified: \(text)<empty>") }
    guard let inside = portRange(inner) else { throw Complaint("invalid containerPort: \(inner)") }
    let outer = parts.first ?? ""
    // Port 0 of the host is any free one.
    guard let outside = outer.isEmpty ? [] : portRange(outer, from: 0).map(Array.init) else {
        throw Complaint("invalid hostPort: \(outer)")
    }
    guard outside.isEmpty || outside.count == inside.count || inside.count == 1 else {
        throw Complaint("invalid ranges specified for container and host Ports: \(inner) and \(outer)")
    }
    return inside.enumerated().map { index, port in
        var binding = PortBinding()
        binding.hostIP = address
        binding.hostPort = outside.isEmpty ? "" : outside.count == inside.count ? String(outside[index]) : outer
        return ("\(port)/\(transport)", binding)
    }
}

/// A long form as a short one, whose other fields say nothing without a swarm. - Source: docker/cli, opts.go, convertToStandardNotation.
private func shortForm(_ text: String) throws(Complaint) -> String {
    guard text.contains("=") else { return text }
    var fields = ["protocol": "tcp"]
    for field in text.split(separator: ",", omittingEmptySubsequences: false).map(String.init) {
        let (name, value) = splitOnce(field, at: "=")
        guard let value, !name.isEmpty else { throw Complaint("invalid publish opts format (should be name=value but got '\(field)')") }
        fields[name] = value
    }
    return "\(fields["published"] ?? ""):\(fields["target"] ?? "")/\(fields["protocol"] ?? "")"
}

private func split(_ text: String) throws(Complaint) -> (numbers: String, transport: String) {
    let (numbers, transport) = splitOnce(text, at: "/")
    // A slash with nothing behind it says no more than none.
    let name = transport.map { $0.isEmpty ? "tcp" : $0.lowercased() } ?? "tcp"
    guard ["tcp", "udp", "sctp"].contains(name) else { throw Complaint("invalid proto: \(transport ?? "")") }
    return (numbers, name)
}

/// Takes an address off the front: `127.0.0.1:`, `[::1]:`.
private func leadingAddress(_ place: String, of text: String) throws(Complaint) -> (address: String, rest: String) {
    if place.hasPrefix("["), let end = place.firstIndex(of: "]") {
        return (String(place[place.index(after: place.startIndex)..<end]), String(place[end...].dropFirst(2)))
    }
    let parts = place.split(separator: ":", omittingEmptySubsequences: false)
    guard parts.count > 2 else { return ("", place) }
    let address = parts.dropLast(2).joined(separator: ":")
    guard address.isEmpty || ValueCheck.address(address) == nil else { throw Complaint("invalid IP address: \(address)") }
    return (address, parts.suffix(2).joined(separator: ":"))
}

private func portRange(_ text: String, from lowest: Int = 1) -> ClosedRange<Int>? {
    let (first, last) = splitOnce(text, at: "-")
    guard let low = portNumber(first), let high = portNumber(last ?? first), (lowest...mostPorts).contains(low),
        (low...mostPorts).contains(high)
    else {
        return nil
    }
    return low...high
}

/// Why a text is no port's number, in Go's words.
private func complaintAboutPort(_ text: String) -> String {
    let isNumber = !text.isEmpty && text.allSatisfy { $0.isASCII && $0.isNumber }
    return "strconv.ParseUint: parsing \(goQuoted(text)): \((isNumber ? GoNumber.Problem.range : .syntax).rawValue)"
}

/// The port that `PORT[/PROTOCOL]` means, as inspect has it.
func privatePort(_ text: String) throws(Complaint) -> String {
    let (number, transport) = splitOnce(text, at: "/")
    guard portNumber(number) != nil else { throw Complaint("Error: invalid port (\(number)): \(complaintAboutPort(number))") }
    return "\(number)/\(transport ?? "tcp")"
}

/// Digits alone. - Source: strconv.ParseUint with base 10 and 16 bits.
private func portNumber(_ text: String) -> Int? {
    text.allSatisfy { $0.isASCII && $0.isNumber } ? UInt16(text).map(Int.init) : nil
}
