/// Signals by the names and numbers that users write. - Source: signal(7), asm-generic/signal.h: the same on x86-64 and arm64.
package enum SignalName {
    private static let names = [
        "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE", "ALRM", "TERM", "STKFLT",
        "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG", "XCPU", "XFSZ", "VTALRM", "PROF", "WINCH", "IO", "PWR", "SYS",
    ]
    private static let aliases: [String: Int32] = ["IOT": 6, "CLD": 17, "POLL": 29]
    private static let realTime: (first: Int32, last: Int32) = (34, 64)

    /// The number that `KILL`, `SIGKILL`, `sigkill`, `9`, `RTMIN+3` or `SIGRTMAX-1` stands for; nil for what is no signal. 0, which only asks
    /// whether the process is there, is one.
    package static func number(of text: String) -> Int32? {
        if let number = Int32(text) { return (0...realTime.last).contains(number) && text.first?.isNumber == true ? number : nil }
        var name = text.uppercased()
        if name.hasPrefix("SIG") { name.removeFirst(3) }
        if let index = names.firstIndex(of: name) { return Int32(index) + 1 }
        return aliases[name] ?? realTimeNumber(name)
    }

    /// A sign is part of the grammar: RTMIN3 is no signal, and neither is RTMIN-1.
    private static func realTimeNumber(_ name: String) -> Int32? {
        for (base, start, sign) in [("RTMIN", realTime.first, "+"), ("RTMAX", realTime.last, "-")] where name.hasPrefix(base) {
            let rest = name.dropFirst(base.count)
            if rest.isEmpty { return start }
            let digits = rest.dropFirst()
            guard rest.first == sign.first, digits.first?.isNumber == true, let offset = Int32(digits), (0...30).contains(offset) else {
                return nil
            }
            return sign == "+" ? start + offset : start - offset
        }
        return nil
    }
}
