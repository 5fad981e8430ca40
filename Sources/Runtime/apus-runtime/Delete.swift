internal import RuntimeCore

extension Verb {
    static let delete = Verb(
        "delete", "delete what a container holds, when it has stopped",
        flags: [.toggle("force", "f", help: "also one that runs, by SIGKILL; none is no error")]
    ) { (invocation) throws(RuntimeError) in
        let force = invocation.flags.isSet("force")
        do throws(RuntimeError) {
            try invocation.container().delete(force: force, invocation.journal)
        } catch {
            if !(force && error.code == .notFound) { throw error }
        }
        return 0
    }
}
