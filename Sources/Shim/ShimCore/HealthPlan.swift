package import ShimProtocol

/// What a container's health comes to, check by check.
package struct HealthPlan: Equatable, Sendable {
    /// Checks remembered.
    package static let maximumResultCount = 5

    package let check: HealthCheck
    package private(set) var report = HealthReport()

    package init(_ check: HealthCheck) {
        self.check = check
        report.status = .starting
        report.results = check.formerResults.suffix(Self.maximumResultCount)
    }

    /// A run begins: nothing is known of it, but the checks of the last one are still to be seen.
    package mutating func begin() {
        report.status = .starting
        report.failingStreak = 0
    }

    /// A run goes on of which another shim knew this.
    package mutating func resume(_ report: HealthReport) { self.report = report }

    /// No run goes on, but another shim knew this of the last one.
    package mutating func restore(_ report: HealthReport) {
        self.report = report
        end()
    }

    /// Nothing runs any more; as Docker has it, that is not well.
    package mutating func end() { report.status = .unhealthy }

    /// How long to wait before the next check.
    /// - Parameter ran: how long the run has lasted, nanoseconds.
    package func delay(ran: UInt64) -> Duration {
        let isStarting = report.status == .starting && ran < check.startPeriod
        return Self.span(isStarting ? check.startInterval : check.interval)
    }

    /// A span that a timer can take; what would last a lifetime lasts seventy years.
    package static func span(_ nanoseconds: UInt64) -> Duration { .nanoseconds(Int64(min(nanoseconds, 1 << 61))) }

    /// Takes one check's result. - Parameter ran: how long the run had lasted when the check began, nanoseconds.
    /// - Returns: whether the status is another one now.
    package mutating func take(_ result: HealthResult, ran: UInt64) -> Bool {
        let former = report.status
        if report.results.count >= Self.maximumResultCount { report.results.removeFirst() }
        report.results.append(result)
        if result.exitCode == 0 {
            report.failingStreak = 0
            report.status = .healthy
        } else if former != .starting || ran >= check.startPeriod {
            if report.failingStreak < .max { report.failingStreak += 1 }
            if report.failingStreak >= check.retries { report.status = .unhealthy }
        }
        return report.status != former
    }
}
