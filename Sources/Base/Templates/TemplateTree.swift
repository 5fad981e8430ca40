/// The tree of a template.
indirect enum TemplateNode: Sendable {
    case text(String)
    case output(Pipeline)
    /// `if`, or `with`, whose bodies have the condition's value as their dot. Tried in order; the last one's condition is nil for `else`.
    case branch(isWith: Bool, [Branch])
    case range(Pipeline, body: [TemplateNode], otherwise: [TemplateNode])
    case template(name: String, Pipeline?, place: TemplatePlace)
    case leave(Leave)

    struct Branch: Sendable {
        let condition: Pipeline?
        let body: [TemplateNode]
    }

    /// How a turn of a range ends early.
    enum Leave: Sendable {
        case turn
        case range
    }
}

/// Commands whose results flow into the next one's last argument.
struct Pipeline: Sendable {
    /// The variables that get its value.
    var variables: [String] = []
    /// Whether the variables are new ones.
    var declares = false
    var commands: [Command] = []
}

/// A function or value, with its arguments.
struct Command: Sendable {
    var operands: [Operand]

    /// As errors show it.
    var text: String { operands.map(\.place.text).joined(separator: " ") }
}

/// Where an error says that it is.
struct TemplatePlace: Sendable {
    let position: Int
    var text: String
}

/// One word of a command.
struct Operand: Sendable {
    let kind: Kind
    let place: TemplatePlace

    indirect enum Kind: Sendable {
        case constant(GoValue)
        case null
        case function(String)
        /// `.A.B`; the dot itself has no fields.
        case field([String])
        /// `$x.A`; the root variable's name is empty.
        case variable(String, fields: [String])
        case group(Pipeline, fields: [String])
    }

    /// Whether it may stand behind a `|`.
    var isExecutable: Bool {
        switch kind {
        case .constant, .null, .field([]): false
        case .function, .field, .variable, .group: true
        }
    }
}
