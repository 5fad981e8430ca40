internal import EngineAPI

/// A container's ports as docker's list has them: those in a row as one, `0.0.0.0:80-82->80-82/tcp`, then those that have another number outside.
/// - Source: docker/cli, cli/command/formatter/container.go, DisplayablePorts.
func portsText(_ ports: [PortSummary]) -> String {
    var closed: [PortRow] = []
    var open: [PortRow] = []
    var mappings: [String] = []
    for port in ports.sorted(by: precedes) {
        // One of a routed network has no number outside, and so no place there.
        let ip = port.publicPort == 0 ? "" : port.ip
        if !ip.isEmpty, port.publicPort != port.privatePort {
            mappings.append("\(place(ip, "\(port.publicPort)"))->\(port.privatePort)/\(port.type)")
        } else if let index = open.firstIndex(where: { $0.ip == ip && $0.type == port.type }) {
            if port.privatePort != open[index].last &+ 1 {
                closed.append(open[index])
                open[index].first = port.privatePort
            }
            open[index].last = port.privatePort
        } else {
            open.append(PortRow(ip: ip, type: port.type, first: port.privatePort, last: port.privatePort))
        }
    }
    return ((closed + open).map(\.text) + mappings).joined(separator: ", ")
}

/// Ports in a row that have the same number inside and outside, or none outside.
private struct PortRow {
    /// Of the host; empty for none.
    let ip: String
    let type: String
    var first: UInt16
    var last: UInt16

    var text: String {
        let numbers = first == last ? "\(first)" : "\(first)-\(last)"
        return (ip.isEmpty ? "" : place(ip, numbers) + "->") + "\(numbers)/\(type)"
    }
}

private func precedes(_ one: PortSummary, _ other: PortSummary) -> Bool {
    (one.privatePort, one.ip, one.publicPort, one.type) < (other.privatePort, other.ip, other.publicPort, other.type)
}

private func place(_ address: String, _ port: String) -> String { (address.contains(":") ? "[\(address)]" : address) + ":\(port)" }
