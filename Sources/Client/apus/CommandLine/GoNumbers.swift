/// Whole numbers as Go's strconv reads them in base 0, which is how docker's flags do: `16`, `0x10`, `0b1_0000`, `020`.
/// - Source: go.dev/pkg/strconv, "ParseInt".
enum GoNumber {
    /// Why a text is no number, in strconv's words.
    enum Problem: String, Error {
        case syntax = "invalid syntax"
        case range = "value out of range"
    }

    static func integer(_ text: String) -> Result<Int64, Problem> {
        let isNegative = text.hasPrefix("-")
        return magnitude(text.dropFirst(isNegative || text.hasPrefix("+") ? 1 : 0)).flatMap { magnitude in
            let most = UInt64(Int64.max) + (isNegative ? 1 : 0)
            guard magnitude <= most else { return .failure(.range) }
            return .success(isNegative ? Int64(truncatingIfNeeded: 0 &- magnitude) : Int64(magnitude))
        }
    }

    static func unsigned(_ text: String, bits: Int) -> Result<UInt64, Problem> {
        magnitude(text[...]).flatMap { bits >= 64 || $0 < 1 << UInt64(bits) ? .success($0) : .failure(.range) }
    }

    private static func magnitude(_ text: Substring) -> Result<UInt64, Problem> {
        var digits = text.lowercased()[...]
        var radix: UInt64 = 10
        // An underscore stands between digits, of which the mark of a base is one.
        var follows = false
        for (mark, base): (String, UInt64) in [("0x", 16), ("0b", 2), ("0o", 8), ("0", 8)] where digits.hasPrefix(mark) && digits != "0" {
            (digits, radix, follows) = (digits.dropFirst(mark.utf8.count), base, true)
            break
        }
        var value: UInt64 = 0
        for character in digits {
            if character == "_", follows {
                follows = false
                continue
            }
            guard character.isASCII, let digit = character.hexDigitValue.map(UInt64.init), digit < radix else { return .failure(.syntax) }
            let (shifted, overflows) = value.multipliedReportingOverflow(by: radix)
            let (sum, carries) = shifted.addingReportingOverflow(digit)
            if overflows || carries { return .failure(.range) }
            (value, follows) = (sum, true)
        }
        return digits.isEmpty || !follows ? .failure(.syntax) : .success(value)
    }
}

extension Result {
    /// The value, where there is one.
    var value: Success? { try? get() }
}
