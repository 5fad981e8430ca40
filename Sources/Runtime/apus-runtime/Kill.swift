internal import CoreTypes
internal import RuntimeCore

extension Verb {
    static let kill = Verb(
        "kill", "send a signal (default: SIGTERM) to a container's first process", operands: "<container-id> [signal]", operandCount: 1...2,
        flags: [.toggle("all", "a", help: "to every process of the container; none is no error")]
    ) { (invocation) throws(RuntimeError) in
        let name = invocation.flags.operands.count > 1 ? invocation.flags.operands[1] : "SIGTERM"
        guard let signal = SignalName.number(of: name) else {
            throw RuntimeError(.invalidArgument, "unknown signal \(name.debugDescription)")
        }
        try invocation.container().kill(signal, all: invocation.flags.isSet("all"))
        invocation.journal.debug("container \(invocation.id): signal \(signal) sent")
        return 0
    }
}
