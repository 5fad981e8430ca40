/// Signals by the names and numbers that users write.
///
/// The numbers are those of x86, arm and every newer architecture; mips, alpha, sparc and parisc differ.
/// - Source: signal(7).
enum SignalNames {
    static let kill: UInt32 = 9
    static let terminate: UInt32 = 15
    private static let firstRealTime = 34
    private static let lastRealTime = 64

    private static let numbers: [String: UInt32] = [
        "HUP": 1, "INT": 2, "QUIT": 3, "ILL": 4, "TRAP": 5, "ABRT": 6, "IOT": 6, "BUS": 7, "FPE": 8, "KILL": 9, "USR1": 10,
        "SEGV": 11, "USR2": 12, "PIPE": 13, "ALRM": 14, "TERM": 15, "STKFLT": 16, "CHLD": 17, "CLD": 17, "CONT": 18,
        "STOP": 19, "TSTP": 20, "TTIN": 21, "TTOU": 22, "URG": 23, "XCPU": 24, "XFSZ": 25, "VTALRM": 26, "PROF": 27,
        "WINCH": 28, "IO": 29, "POLL": 29, "PWR": 30, "SYS": 31,
    ]

    /// The number of `SIGTERM`, `term`, `15`, `RTMIN+3`.
    /// - Throws: `.invalidParameter` in Docker's words.
    static func number(of text: String) throws(EngineError) -> UInt32 {
        if let number = UInt32(text) {
            guard number >= 1, number <= UInt32(lastRealTime) else { throw invalid(text) }
            return number
        }
        var name = text.uppercased()
        if name.hasPrefix("SIG") { name.removeFirst(3) }
        if let number = numbers[name] { return number }
        guard let number = realTime(name) else { throw invalid(text) }
        return number
    }

    private static func realTime(_ name: String) -> UInt32? {
        for (word, base) in [("RTMIN", firstRealTime), ("RTMAX", lastRealTime)] where name.hasPrefix(word) {
            let rest = name.dropFirst(word.count)
            if rest.isEmpty { return UInt32(base) }
            // A sign is part of the grammar: RTMIN3 is no signal.
            guard let sign = rest.first, sign == "+" || sign == "-", let offset = Int(rest), abs(offset) <= 30 else { return nil }
            let number = base + offset
            return (firstRealTime...lastRealTime).contains(number) ? UInt32(number) : nil
        }
        return nil
    }

    private static func invalid(_ text: String) -> EngineError { EngineError(.invalidParameter, "invalid signal: \(text)") }
}
