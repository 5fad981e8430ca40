internal import LinuxSyscalls
internal import SystemPackage

/// Whether processors are so wanted that those who wait for one wait long, where the kernel tells.
enum ProcessorPressure {
    private static let byteCount = 4096
    /// Per cent of the last ten seconds in which some task waited for a processor.
    private static let highPercent = 50.0

    static func isHigh() -> Bool {
        guard let text = try? readFile("/proc/pressure/cpu", limitBytes: byteCount) else { return false }
        return percent(String(decoding: text, as: UTF8.self)) >= highPercent
    }

    /// Reads `some avg10=99.40 …`. - Source: Documentation/accounting/psi.rst.
    static func percent(_ text: String) -> Double {
        guard let word = text.split(whereSeparator: { $0 == " " || $0 == "\n" }).first(where: { $0.hasPrefix("avg10=") }) else { return 0 }
        let parts = word.dropFirst("avg10=".count).split(separator: ".")
        guard let whole = parts.first.flatMap({ Double(UInt32($0) ?? 0) }) else { return 0 }
        return whole
    }
}
