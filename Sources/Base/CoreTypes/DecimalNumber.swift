/// A number written in decimal digits alone: no sign, no space, no other base; nil where it is none or does not fit.
package func decimal<Number: FixedWidthInteger>(_ text: String, as type: Number.Type = Number.self) -> Number? {
    guard !text.isEmpty, text.utf8.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }) else { return nil }
    return Number(text)
}
