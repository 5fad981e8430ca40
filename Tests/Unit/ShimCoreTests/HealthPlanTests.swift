import ShimCore
import ShimProtocol
import Testing

@Suite("Health: what checks come to") struct HealthPlanTests {
    private static let second: UInt64 = 1_000_000_000

    private func plan(retries: UInt32 = 2, startPeriod: UInt64 = 0) -> HealthPlan {
        var check = HealthCheck()
        check.interval = 30 * Self.second
        check.timeout = 30 * Self.second
        check.startInterval = 5 * Self.second
        check.startPeriod = startPeriod
        check.retries = retries
        return HealthPlan(check)
    }

    private func result(_ exitCode: Int32) -> HealthResult {
        var result = HealthResult()
        result.exitCode = exitCode
        return result
    }

    @Test("as many failures in a row as there are retries make it unhealthy, one success healthy again")
    func retries() {
        var plan = plan()
        #expect(plan.take(result(1), ran: 0) == false)
        #expect(plan.report.status == .starting && plan.report.failingStreak == 1)
        #expect(plan.take(result(-1), ran: 0) == true)
        #expect(plan.report.status == .unhealthy)
        #expect(plan.take(result(0), ran: 0) == true)
        #expect(plan.report.status == .healthy && plan.report.failingStreak == 0)
        #expect(plan.take(result(1), ran: 0) == false)
        #expect(plan.report.status == .healthy && plan.report.failingStreak == 1)
    }

    @Test("the checks of the run before are still to be seen, the last five")
    func formerResults() {
        var check = HealthCheck()
        check.formerResults = (0..<7).map(result)
        check.retries = 1
        var plan = HealthPlan(check)
        #expect(plan.report.results.map(\.exitCode) == [2, 3, 4, 5, 6] && plan.report.status == .starting)
        _ = plan.take(result(9), ran: 0)
        #expect(plan.report.results.map(\.exitCode) == [3, 4, 5, 6, 9])
    }

    @Test("failures of the start period count only once it was well")
    func startPeriod() {
        var plan = plan(retries: 1, startPeriod: 60 * Self.second)
        #expect(plan.take(result(1), ran: 59 * Self.second) == false)
        #expect(plan.report.failingStreak == 0)
        #expect(plan.take(result(0), ran: 59 * Self.second) == true)
        #expect(plan.take(result(1), ran: 59 * Self.second) == true)
        #expect(plan.report.status == .unhealthy)
        plan.begin()
        #expect(plan.report.status == .starting && plan.report.failingStreak == 0 && plan.report.results.count == 3)
        #expect(plan.take(result(1), ran: 60 * Self.second) == true)
        #expect(plan.report.status == .unhealthy)
    }

    @Test("the start interval holds within the start period, before the first success")
    func intervals() {
        var plan = plan(startPeriod: 60 * Self.second)
        #expect(plan.delay(ran: 0) == .seconds(5))
        #expect(plan.delay(ran: 60 * Self.second) == .seconds(30))
        _ = plan.take(result(0), ran: 0)
        #expect(plan.delay(ran: 0) == .seconds(30))
    }

    @Test("five results are kept, and the longest span is one that a timer takes")
    func limits() {
        var plan = plan()
        for code in Int32(0)..<8 { _ = plan.take(result(code), ran: 0) }
        #expect(plan.report.results.map(\.exitCode) == [3, 4, 5, 6, 7])
        #expect(HealthPlan.span(.max) < .seconds(100 * 366 * 86_400) && HealthPlan.span(1) == .nanoseconds(1))
    }
}
