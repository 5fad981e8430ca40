internal import FoundationEssentials
internal import Glibc

/// Why a file of settings or certificates could not be read.
struct FileFailure: CustomStringConvertible {
    private let code: POSIXError.Code?

    /// - Parameter error: Foundation's, which has the kernel's own in its depth.
    init(_ error: any Error) {
        let cause = (error as? CocoaError)?.underlying ?? error
        code = (cause as? POSIXError)?.code
    }

    /// Whether there is none: one that cannot be looked at is not one that is not there.
    var isMissing: Bool { code == .ENOENT || code == .ENOTDIR }

    var description: String { "it cannot be read" + (code.map { ": \($0) (\($0.rawValue))" } ?? "") }
}
