internal import LinuxSyscalls

/// The wall clock, for moments that people read.
enum Clock {
    /// Nanoseconds since 1970.
    static var unixNanoseconds: Int64 { LinuxSyscalls.unixNanoseconds() }
}
