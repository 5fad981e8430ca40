internal import CoreTypes
internal import LinuxSyscalls
internal import RuntimeCore

extension Verb {
    static let run = Verb(
        "run", "create and run a container",
        flags: creationFlags + [
            .toggle("detach", "d", help: "return when the program runs"),
            .toggle("keep", help: "do not delete the container when its program ends"),
            .toggle("no-subreaper", help: "do not adopt the container's orphans"),
        ],
        entersContainer: true, failurePrefix: "\(Program.name) run failed: "
    ) { (invocation) throws(RuntimeError) in
        var request = try CreateRequest(invocation, waitsForStart: false)
        let isDetached = invocation.flags.isSet("detach")
        request.keepsTerminal = !isDetached && request.consoleSocket == nil
        if isDetached {
            let creation = try Creation(request, invocation.journal)
            try creation.start(try creation.create())
            return 0
        }
        let foreground = try Foreground(adoptsOrphans: !invocation.flags.isSet("no-subreaper"))
        let creation = try Creation(request, invocation.journal)
        let process = try creation.create()
        try creation.start(process)
        let keepsRecord = invocation.flags.isSet("keep")
        let end: ProcessExit
        do throws(RuntimeError) { end = try foreground.accompany(process) } catch {
            throw keepsRecord ? error : error.followed { () throws(RuntimeError) in try creation.remove(killing: true) }
        }
        invocation.journal.debug("container \(request.id): its process has ended with status \(end.shellStatus)")
        if !keepsRecord { try creation.remove() }
        return end.shellStatus
    }
}
