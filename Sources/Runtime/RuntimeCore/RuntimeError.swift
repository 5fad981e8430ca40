internal import CoreTypes
package import LinuxSyscalls
package import OCISpec

/// Why the runtime did not do what it was asked, as one line: what it was doing, on what, and the cause.
package struct RuntimeError: ErrorWithAftermath, Equatable, Sendable {
    /// What a caller can tell apart. The numbers go from stage to stage: they stay.
    package enum Code: UInt8, Sendable, CaseIterable {
        /// The command line asks for something that cannot be.
        case invalidArgument = 1
        /// The bundle's configuration, or a stored document, is wrong.
        case invalidConfiguration
        /// Known, and refused by name.
        case unsupported
        case alreadyExists
        case notFound
        /// The container's status does not allow it.
        case wrongStatus
        /// Another process works on the same container.
        case busy
        /// The container's program cannot be executed.
        case payload
        case hook
        /// The kernel refused.
        case refused
        /// A process of ours ended before its time.
        case lost
    }

    package let code: Code
    /// What was going on; empty where the cause says it all.
    package let doing: String
    package let cause: String
    package var aftermath: [String] = []

    package init(_ code: Code, doing: String = "", _ cause: String) {
        self.code = code
        self.doing = doing
        self.cause = cause
    }

    package init(doing: String, _ cause: SyscallError) {
        self.init(.refused, doing: doing, cause.description)
    }

    package init(doing: String, _ cause: SpecProblem) {
        self.init(.invalidConfiguration, doing: doing, cause.description)
    }

    package var description: String { summary + remains }

    package var summary: String { doing.isEmpty ? cause : "\(doing): \(cause)" }
}

/// Runs kernel calls and says what they were for when one is refused.
package func during<Result: ~Copyable>(
    _ doing: @autoclosure () -> String, _ body: () throws(SyscallError) -> Result
) throws(RuntimeError) -> Result {
    do { return try body() } catch { throw RuntimeError(doing: doing(), error) }
}
