internal import LinuxSyscalls
internal import SystemPackage

/// Why a file of settings or certificates could not be read.
struct FileFailure: CustomStringConvertible {
    private let code: Errno

    init(_ error: SyscallError) { code = Errno(rawValue: error.errno) }

    /// Whether there is none: one that cannot be looked at is not one that is not there.
    var isMissing: Bool { code == .noSuchFileOrDirectory || code == .notDirectory }

    var description: String { "it cannot be read: \(errnoName(code.rawValue)) (\(code.rawValue))" }
}
