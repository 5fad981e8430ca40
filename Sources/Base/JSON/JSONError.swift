/// What is wrong with a JSON text: `linux.resources.pids.limit: expected an integer, found "10"`.
package struct JSONError: Error, Equatable, Sendable, CustomStringConvertible {
    /// The member where it went wrong, from the root: `mounts[3].options`. Empty for the document itself.
    package let path: String
    /// What was expected and what was found.
    package let problem: String
    /// Where in the text, in bytes.
    package let offset: Int

    package init(path: String, problem: String, offset: Int) {
        self.path = path
        self.problem = problem
        self.offset = offset
    }

    package var description: String { path.isEmpty ? problem : "\(path): \(problem)" }
}

/// One step from a JSON value to one inside it.
enum PathStep {
    case member(String)
    case element(Int)

    static func text(_ steps: [PathStep]) -> String {
        var text = ""
        for step in steps {
            switch step {
            case .element(let index): text += "[\(index)]"
            case .member(let name) where isPlain(name): text += text.isEmpty ? name : ".\(name)"
            case .member(let name): text += "[\(String(name.prefix(100)).debugDescription)]"
            }
        }
        return text
    }

    private static func isPlain(_ name: String) -> Bool {
        !name.isEmpty && name.utf8.count <= 100
            && name.utf8.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"): true
                case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "-"): true
                default: false
                }
            }
    }
}
