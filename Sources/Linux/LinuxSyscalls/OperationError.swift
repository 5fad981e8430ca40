/// What went wrong with a piece of work, at the border of the module that did it: which work, on what, and why. Each module has an
/// error of its own, with codes that a caller can tell apart.
///
/// Prints as `open blob sha256:…: not found`, with the kernel's refusal in place of the code where there is one.
package protocol OperationError: Error, CustomStringConvertible {
    associatedtype Code: OperationErrorCode

    var code: Code { get }
    /// What was being done, as a reader would say it: `commit blob`.
    var doing: String { get }
    /// What it was done to, and what was found instead where that helps. May be empty.
    var subject: String { get }
    /// The kernel's refusal.
    var cause: SyscallError? { get }

    init(_ code: Code, doing: String, subject: String, cause: SyscallError?)
}

/// The codes of one module's error; the raw value is what a reader is told.
package protocol OperationErrorCode: RawRepresentable<String>, Equatable, Sendable {
    /// The kernel refused; see `cause`.
    static var system: Self { get }
}

extension OperationError {
    package var description: String {
        let operands = subject.isEmpty ? doing : "\(doing) \(subject)"
        return cause.map { "\(operands): \($0)" } ?? "\(operands): \(code.rawValue)"
    }

    /// Runs kernel calls, and says what they were for when one is refused.
    package static func wrapping<Result: ~Copyable>(
        _ doing: String, _ subject: @autoclosure () -> String = "", _ body: () throws(SyscallError) -> Result
    ) throws(Self) -> Result {
        do throws(SyscallError) { return try body() } catch { throw Self(.system, doing: doing, subject: subject(), cause: error) }
    }

    /// Appends what could not be cleaned up after this error, which stays the first.
    package func withRemains(_ second: any Error) -> Self {
        Self(code, doing: doing, subject: subject.isEmpty ? "(and \(second))" : "\(subject) (and \(second))", cause: cause)
    }
}
