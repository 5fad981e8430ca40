internal import JSON
internal import LinuxSyscalls
internal import RuntimeCore

extension Verb {
    static let ps = Verb(
        "ps", "list the processes of a container", operands: "<container-id>",
        flags: [.value("format", "f", help: "'table' (default) or 'json'")]
    ) { (invocation) throws(RuntimeError) in
        let processes = try invocation.container().processes()
        switch invocation.flags.value("format") ?? "table" {
        case "json":
            var writer = JSONWriter()
            writer.array { writer in for process in processes { writer.integer(process) } }
            try output(writer.bytes + Array("\n".utf8))
        case "table": try output(Array(try table(processes).utf8))
        default: throw RuntimeError(.invalidArgument, "invalid format option")
        }
        return 0
    }

    /// From the host's own /proc: no program of the container or of the host is run for it.
    private static func table(_ processes: [Int32]) throws(RuntimeError) -> String {
        var rows = ["PID         STATE   NAME\n"]
        for process in processes.sorted() {
            let found = try during("looking at process \(process)") { () throws(SyscallError) in try ProcessSnapshot.look(at: process) }
            guard let found else { continue }
            let number = String(process)
            rows.append(
                number + String(repeating: " ", count: max(1, 12 - number.count))
                    + "\(Character(Unicode.Scalar(found.state)))       \(found.name.debugDescription.dropFirst().dropLast())\n")
        }
        return rows.joined()
    }
}
