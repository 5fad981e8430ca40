/// An error after which cleaning up can fail too: its caller is told what went wrong first, and behind it what could not be taken away.
package protocol ErrorWithAftermath: Error, CustomStringConvertible {
    /// What went wrong, without what came after.
    var summary: String { get }
    /// What went wrong afterwards, while cleaning up, in its order.
    var aftermath: [String] { get set }
}

extension ErrorWithAftermath {
    /// What stands behind `summary` in `description`.
    package var remains: String { aftermath.map { "; then \($0)" }.joined() }

    /// This error, after a cleanup whose own failure is appended to it.
    package func followed(by cleanup: () throws(Self) -> Void) -> Self {
        do throws(Self) {
            try cleanup()
            return self
        } catch {
            var result = self
            result.aftermath.append(error.description)
            return result
        }
    }
}
