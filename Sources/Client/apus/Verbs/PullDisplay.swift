internal import EngineAPI

/// Shows the progress of a pull, or of an import from an address: a line a layer that is drawn anew on a terminal, a line an event elsewhere.
actor PullDisplay {
    private let stream: StandardStream
    private let isTerminal: Bool
    private var layers: [String] = []

    init(stream: StandardStream) {
        self.stream = stream
        isTerminal = stream.isTerminal
    }

    func show(_ message: ProgressMessage) {
        let status = printable(message.status)
        let isMoving = (message.progressDetail?.current ?? 0) > 0
        if (message.id.isEmpty && !isMoving) || status.hasPrefix("Pulling from") {
            // The same layer of the next image has a line of its own.
            layers = []
            stream.write(message.id.isEmpty ? "\(status)\n" : "\(printable(message.id)): \(status)\n")
        } else if isTerminal {
            redraw(printable(message.id), "\(status)\(isMoving ? " " + bar(message.progressDetail) : "")")
        } else if !isMoving {
            stream.write("\(printable(message.id)): \(status)\n")
        }
    }

    /// Moves up to the layer's line, writes it, and comes back down. - Source: ECMA-48, CUU, EL, CUD.
    private func redraw(_ layer: String, _ text: String) {
        let line: Int
        if let known = layers.firstIndex(of: layer) {
            line = known
        } else {
            line = layers.count
            layers.append(layer)
            stream.write("\n")
        }
        let up = layers.count - line
        let shown = layer.isEmpty ? text : "\(layer): \(text)"
        stream.write("\u{1B}[\(up)A\r\u{1B}[2K\(shown)\r\u{1B}[\(up)B")
    }

    /// The bar and its numbers, as docker draws them: the bar only where a line has room for it.
    private func bar(_ detail: ProgressDetail?) -> String {
        guard let detail else { return "" }
        guard detail.total > 0 else { return humanSize(detail.current, digits: 4) }
        let numbers = "\(humanSize(detail.current, digits: 4))/\(humanSize(detail.total, digits: 4))"
        guard let columns = stream.size?.columns, columns > 110 else { return numbers }
        let width: Int64 = 50
        let done = min(width, max(0, detail.current) / max(1, detail.total / width))
        let drawn = String(repeating: "=", count: Int(done)) + (done < width ? ">" : "")
        return "[\(drawn.padded(to: Int(width) + 1))]  \(numbers)"
    }
}
