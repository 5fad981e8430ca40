/// A moment of wall-clock time to the nanosecond, in UTC, printed and parsed as RFC 3339. Years 1 to 9999.
public struct Timestamp: Hashable, Comparable, Sendable, CustomStringConvertible {
    /// Whole seconds since 1970-01-01T00:00:00Z; earlier moments are negative.
    public let seconds: Int64
    /// 0 to 999 999 999, counted forwards from `seconds`.
    public let nanoseconds: Int32

    /// Go's zero time, 0001-01-01T00:00:00Z, by which Docker says "never".
    public static let zero = Timestamp(uncheckedSeconds: -62_135_596_800, nanoseconds: 0)
    private static let endOfYear9999: Int64 = 253_402_300_799

    /// The nearest moment that can be printed: seconds clamped to the years 1 to 9999, surplus
    /// nanoseconds carried over.
    public init(seconds: Int64, nanoseconds: Int32 = 0) {
        let floor = Int64(nanoseconds) >= 0 ? Int64(nanoseconds) / 1_000_000_000 : (Int64(nanoseconds) - 999_999_999) / 1_000_000_000
        let whole = seconds.addingReportingOverflow(floor)
        let clamped = whole.overflow ? seconds : whole.partialValue
        self.seconds = min(max(clamped, Self.zero.seconds), Self.endOfYear9999)
        self.nanoseconds = Int32(Int64(nanoseconds) - floor * 1_000_000_000)
    }

    private init(uncheckedSeconds seconds: Int64, nanoseconds: Int32) {
        self.seconds = seconds
        self.nanoseconds = nanoseconds
    }

    /// Parses RFC 3339 with any number of fraction digits (those after the ninth are dropped) and any
    /// offset: `2026-11-21T10:00:00.123+01:00`.
    /// - Throws: `InvalidTimestamp` with the text refused.
    public init(_ text: String) throws(InvalidTimestamp) {
        var scanner = TimestampScanner(text)
        guard let seconds = scanner.dateAndTime(), let nanoseconds = scanner.fraction(), let offset = scanner.offset(), scanner.isAtEnd
        else { throw InvalidTimestamp(text: text) }
        self.init(uncheckedSeconds: seconds - offset, nanoseconds: nanoseconds)
        guard self.seconds >= Self.zero.seconds, self.seconds <= Self.endOfYear9999 else { throw InvalidTimestamp(text: text) }
    }

    /// Parses seconds since the epoch, perhaps with a fraction, as Docker's `since` and `until`
    /// parameters carry them: `1136073845.000000001`.
    /// - Throws: `InvalidTimestamp` with the text refused.
    public init(secondsSinceEpoch text: String) throws(InvalidTimestamp) {
        let parts = text.split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
        guard let whole = parts.first.flatMap({ Int64($0) }) else { throw InvalidTimestamp(text: text) }
        var nanoseconds: Int32 = 0
        if parts.count == 2 {
            let digits = parts[1].prefix(9)
            guard parts[1].utf8.allSatisfy({ (0x30...0x39).contains($0) }), let value = Int32(digits) else {
                throw InvalidTimestamp(text: text)
            }
            nanoseconds = value
            for _ in digits.count..<9 { nanoseconds *= 10 }
        }
        self.init(seconds: whole, nanoseconds: nanoseconds)
    }

    /// The earlier one is the smaller.
    public static func < (left: Timestamp, right: Timestamp) -> Bool {
        (left.seconds, left.nanoseconds) < (right.seconds, right.nanoseconds)
    }

    /// RFC 3339 in UTC with as many fraction digits as are not zero: Go's RFC3339Nano.
    public var description: String {
        var text = calendarText
        if nanoseconds != 0 {
            var fraction = Self.padded(Int64(nanoseconds), to: 9)
            while fraction.last == "0" { fraction.removeLast() }
            text += "." + fraction
        }
        return text + "Z"
    }

    /// RFC 3339 in UTC with nine fraction digits, so that texts sort as moments do: the form of log lines.
    public var fixedWidth: String { "\(calendarText).\(Self.padded(Int64(nanoseconds), to: 9))Z" }

    private var calendarText: String {
        let days = seconds >= 0 ? seconds / 86_400 : (seconds - 86_399) / 86_400
        let inDay = seconds - days * 86_400
        let date = CalendarDate(daysSinceEpoch: days)
        let dateText = "\(Self.padded(date.year, to: 4))-\(Self.padded(date.month, to: 2))-\(Self.padded(date.day, to: 2))"
        let hour = Self.padded(inDay / 3600, to: 2)
        return "\(dateText)T\(hour):\(Self.padded(inDay / 60 % 60, to: 2)):\(Self.padded(inDay % 60, to: 2))"
    }

    private static func padded(_ number: Int64, to width: Int) -> String {
        let digits = String(number)
        return String(repeating: "0", count: max(0, width - digits.utf8.count)) + digits
    }
}

/// A text that is no moment in RFC 3339.
public struct InvalidTimestamp: Error, Equatable, Sendable, CustomStringConvertible {
    /// What was to be read, at its full length.
    public let text: String

    /// - Parameter text: what was to be read.
    public init(text: String) { self.text = text }

    /// One line that names the text's first 100 characters and the form that is wanted.
    public var description: String { "invalid time \(String(text.prefix(100)).debugDescription): use 2026-01-02T15:04:05.999Z" }
}

/// A day of the proleptic Gregorian calendar.
/// - Source: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms".
struct CalendarDate: Equatable {
    var year: Int64
    var month: Int64
    var day: Int64

    init(year: Int64, month: Int64, day: Int64) {
        self.year = year
        self.month = month
        self.day = day
    }

    init(daysSinceEpoch: Int64) {
        let shifted = daysSinceEpoch + 719_468
        let era = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097
        let dayOfEra = shifted - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let shiftedMonth = (5 * dayOfYear + 2) / 153
        day = dayOfYear - (153 * shiftedMonth + 2) / 5 + 1
        month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
        year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
    }

    var daysSinceEpoch: Int64 {
        let shiftedYear = month <= 2 ? year - 1 : year
        let era = (shiftedYear >= 0 ? shiftedYear : shiftedYear - 399) / 400
        let yearOfEra = shiftedYear - era * 400
        let dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
        return era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
    }
}

/// Reads the parts of an RFC 3339 text from left to right.
struct TimestampScanner {
    private let bytes: [UInt8]
    private var position = 0

    init(_ text: String) { bytes = Array(text.utf8.prefix(64)) }

    var isAtEnd: Bool { position == bytes.count }

    mutating func dateAndTime() -> Int64? {
        guard let year = digits(4), take("-"), let month = digits(2), take("-"), let day = digits(2), take("T") || take("t"),
            let hour = digits(2), take(":"), let minute = digits(2), take(":"), let second = digits(2),
            year >= 1, hour <= 23, minute <= 59, second <= 59
        else { return nil }
        let date = CalendarDate(year: year, month: month, day: day)
        // A day that the month lacks comes back as another date.
        guard (1...12).contains(month), CalendarDate(daysSinceEpoch: date.daysSinceEpoch) == date else { return nil }
        return date.daysSinceEpoch * 86_400 + hour * 3600 + minute * 60 + second
    }

    mutating func fraction() -> Int32? {
        guard take(".") else { return 0 }
        var value: Int32 = 0
        var count = 0
        while position < bytes.count, (0x30...0x39).contains(bytes[position]) {
            if count < 9 { value = value * 10 + Int32(bytes[position] - 0x30) }
            count += 1
            position += 1
        }
        if count == 0 { return nil }
        for _ in min(count, 9)..<9 { value *= 10 }
        return value
    }

    mutating func offset() -> Int64? {
        if take("Z") || take("z") { return 0 }
        let sign: Int64
        if take("+") { sign = 1 } else if take("-") { sign = -1 } else { return nil }
        guard let hours = digits(2), take(":"), let minutes = digits(2), hours <= 23, minutes <= 59 else { return nil }
        return sign * (hours * 3600 + minutes * 60)
    }

    private mutating func digits(_ count: Int) -> Int64? {
        guard position + count <= bytes.count else { return nil }
        var value: Int64 = 0
        for byte in bytes[position..<position + count] {
            guard (0x30...0x39).contains(byte) else { return nil }
            value = value * 10 + Int64(byte - 0x30)
        }
        position += count
        return value
    }

    private mutating func take(_ character: Unicode.Scalar) -> Bool {
        guard position < bytes.count, bytes[position] == UInt8(ascii: character) else { return false }
        position += 1
        return true
    }
}
