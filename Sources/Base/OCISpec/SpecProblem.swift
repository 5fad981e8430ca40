/// What is wrong with a document, and where: `linux.resources.memory.limit: expected an integer, found a string`.
public struct SpecProblem: Error, Equatable, Sendable, CustomStringConvertible {
    /// The path of the member from the document's root: `mounts[3].destination`. Empty for the document itself.
    public let field: String
    /// What was expected and what was found, without the field.
    public let problem: String

    /// - Parameters: the member's path, empty for the document itself, and what is wrong with it.
    public init(field: String, problem: String) {
        self.field = field
        self.problem = problem
    }

    /// `FIELD: PROBLEM`, or the problem alone of the document itself.
    public var description: String { field.isEmpty ? problem : "\(field): \(problem)" }
}
