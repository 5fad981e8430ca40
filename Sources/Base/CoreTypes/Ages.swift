/// Spans of time in Docker's words: `Less than a second`, `About a minute`, `3 weeks`.
public enum Ages {
    /// The words for the time from `start` to `end`; a negative span counts as none.
    public static func words(from start: Timestamp, to end: Timestamp) -> String {
        words(seconds: end.seconds - start.seconds - (end.nanoseconds < start.nanoseconds ? 1 : 0))
    }

    /// The words for whole seconds; a negative number counts as none.
    public static func words(seconds: Int64) -> String {
        let minutes = seconds / 60
        // Docker rounds to hours before it counts them.
        let hours = (seconds + 1800) / 3600
        switch true {
        case seconds < 1: return "Less than a second"
        case seconds == 1: return "1 second"
        case seconds < 60: return "\(seconds) seconds"
        case minutes == 1: return "About a minute"
        case minutes < 60: return "\(minutes) minutes"
        case hours == 1: return "About an hour"
        case hours < 48: return "\(hours) hours"
        case hours < 24 * 7 * 2: return "\(hours / 24) days"
        case hours < 24 * 30 * 2: return "\(hours / 24 / 7) weeks"
        case hours < 24 * 365 * 2: return "\(hours / 24 / 30) months"
        default: return "\(hours / 24 / 365) years"
        }
    }
}
