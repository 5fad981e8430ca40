import Glibc

/// Traps with words, which an optimised `precondition` does not print.
func require(_ holds: Bool, _ finding: @autoclosure () -> String) {
    if holds { return }
    print("Finding: \(finding())")
    fflush(nil)
    preconditionFailure()
}

extension FuzzTarget {
    /// The one that the command line names.
    static let chosen = CommandLine.arguments.dropFirst().first.flatMap { name in all.first { $0.name == name } }
}
