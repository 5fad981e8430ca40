internal import Glibc

/// Nanoseconds since 1970, UTC. - Source: clock_gettime(2), CLOCK_REALTIME.
package func unixNanoseconds() -> Int64 { readClock(CLOCK_REALTIME) }

/// Nanoseconds of a clock that is never set, for deadlines. - Source: clock_gettime(2), CLOCK_MONOTONIC.
package func monotonicNanoseconds() -> Int64 { readClock(CLOCK_MONOTONIC) }

private func readClock(_ clock: clockid_t) -> Int64 {
    var time = timespec()
    _ = unsafe clock_gettime(clock, &time)
    return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
}
