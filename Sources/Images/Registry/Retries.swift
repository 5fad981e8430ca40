internal import FoundationEssentials

/// How much a registry is worth waiting for.
struct Patience: Equatable, Sendable {
    /// Attempts at a request that the registry is too busy for, or fails at.
    let attempts: Int
    /// Broken or stalled connections of one request that are tried again.
    let interruptions: Int
    let connectSeconds: Int

    /// Nobody else has it.
    static let full = Patience(attempts: 5, interruptions: 2, connectSeconds: 30)
    /// Another may have the same.
    static let short = Patience(attempts: 1, interruptions: 0, connectSeconds: 5)
}

/// Counts what was refused of a transfer that goes on over many requests, each of which may bring something.
package struct Resumptions {
    /// Refusals in all, however much was brought between them.
    private static let limit = 256

    private let fruitlessLimit: Int
    /// Refusals in a row that brought no byte.
    package private(set) var fruitless = 0
    private var refusals = 0

    package init(fruitlessLimit: Int) { self.fruitlessLimit = fruitlessLimit }

    /// Something came as it was asked for: that is no refusal, however often.
    package mutating func succeed() { fruitless = 0 }

    /// - Parameter hasBrought: whether something came before it.
    /// - Returns: whether it is to be gone on with.
    package mutating func refuse(hasBrought: Bool) -> Bool {
        refusals += 1
        fruitless = hasBrought ? 0 : fruitless + 1
        return fruitless < fruitlessLimit && refusals < Self.limit
    }
}

/// Counts the attempts at one request, and says how long to wait before the next one.
package struct Retries {
    /// The longest that a Retry-After is waited for, in seconds: who must wait longer is told so.
    static let retryAfterLimitSeconds = 60
    /// What a longer Retry-After counts as, in seconds: a year.
    private static let retryAfterCapSeconds = 31_536_000

    private var attempts: Int
    private var interruptions: Int
    private var number = 0

    init(attempts: Int, interruptions: Int) {
        self.attempts = attempts
        self.interruptions = interruptions
    }

    /// Statuses that may be others in a moment.
    static func mayPass(_ status: Int) -> Bool { [429, 500, 502, 503, 504].contains(status) }

    /// - Returns: seconds; nil where it is not to be tried again.
    mutating func pause(after head: ResponseHead) -> Double? { pause(told: Self.retryAfter(head)) }

    /// - Parameter told: seconds that the registry wants to be left alone; nil where it does not say.
    /// - Returns: seconds; nil where it is not to be tried again.
    mutating func pause(told: Double?) -> Double? {
        attempts -= 1
        guard attempts > 0 else { return nil }
        number += 1
        if let told { return told <= Double(Self.retryAfterLimitSeconds) ? told : nil }
        return Self.backOff(number)
    }

    /// - Returns: seconds; nil where it is not to be tried again.
    mutating func pause(after error: RegistryError) -> Double? {
        guard [.interrupted, .stalled].contains(error.code), interruptions > 0 else { return nil }
        interruptions -= 1
        number += 1
        return Self.backOff(number) / 2
    }

    /// Longer each time, and never the same for all who wait.
    private static func backOff(_ number: Int) -> Double { 0.5 * Double(1 << min(number - 1, 4)) * Double.random(in: 1...1.25) }

    /// What Retry-After says, in seconds from `now`. - Source: RFC 9110, section 10.2.3.
    static func retryAfter(_ head: ResponseHead, now: Double = Date.now.timeIntervalSince1970) -> Double? {
        head.headers["retry-after"].flatMap { retryAfter($0, now: now) }
    }

    /// What a Retry-After field says.
    /// - Parameter now: seconds since 1970.
    /// - Returns: seconds from `now`, at most a year; nil where it says nothing that can be read.
    package static func retryAfter(_ field: String, now: Double) -> Double? {
        if !field.isEmpty, field.utf8.allSatisfy({ (0x30...0x39).contains($0) }) {
            // More digits than a number has are a long time, too.
            return Double(min(Int(field) ?? retryAfterCapSeconds, retryAfterCapSeconds))
        }
        return httpDate(field).map { min(max(0, Double($0) - now), Double(retryAfterCapSeconds)) }
    }

    /// What a registry says about its limits, to stand behind its error.
    static func limits(_ head: ResponseHead) -> String {
        var words: [String] = []
        if let limit = head.headers["ratelimit-limit"] { words.append("limit \(shown(limit))") }
        if let remaining = head.headers["ratelimit-remaining"] { words.append("\(shown(remaining)) remaining") }
        if let seconds = retryAfter(head), seconds > 0 { words.append("try again in \(Int(seconds.rounded(.up))) s") }
        return words.isEmpty ? "" : " (\(words.joined(separator: ", ")))"
    }

    private static func shown(_ text: String) -> String {
        String(text.unicodeScalars.prefix(60).filter { $0.isASCII && $0.value >= 0x20 }.map(Character.init))
    }

    /// `Sun, 06 Nov 1994 08:49:37 GMT` in seconds since 1970. - Source: RFC 9110, section 5.6.7, the form that is to be sent.
    static func httpDate(_ text: String) -> Int? {
        let parts = text.split { $0 == " " || $0 == ":" || $0 == "," }.map(String.init)
        let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
        guard parts.count == 8, parts[7] == "GMT", let day = Int(parts[1]), let month = months.firstIndex(of: parts[2]),
            let year = Int(parts[3]),
            let hour = Int(parts[4]), let minute = Int(parts[5]), let second = Int(parts[6]), (1...31).contains(day),
            (1970...9999).contains(year),
            (0...23).contains(hour), (0...59).contains(minute), (0...60).contains(second)
        else { return nil }
        // Days since 1970 by years that begin in March: the leap day is their last.
        let shifted = month < 2 ? year - 1 : year
        let dayOfYear = (153 * ((month + 10) % 12) + 2) / 5 + day - 1
        let days = 365 * shifted + shifted / 4 - shifted / 100 + shifted / 400 + dayOfYear - 719_468
        return ((days * 24 + hour) * 60 + minute) * 60 + second
    }
}
