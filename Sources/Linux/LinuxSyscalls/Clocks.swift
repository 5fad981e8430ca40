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

/// Rests the calling thread for this long, or a little less where a signal arrives. - Source: nanosleep(2).
package func rest(nanoseconds: Int64) {
    var time = timespec(tv_sec: Int(nanoseconds / 1_000_000_000), tv_nsec: Int(nanoseconds % 1_000_000_000))
    _ = unsafe nanosleep(&time, nil)
}
