internal import Glibc
internal import JSON
internal import LinuxSyscalls
internal import RuntimeCore
internal import SystemPackage

extension Verb {
    static let ps = Verb(
        "ps", "list the processes of a container", operands: "<container-id> [ps options]", operandCount: 1...Int.max,
        flags: [.value("format", "f", help: "'table' (default) or 'json'")], takesFlagsAnywhere: false
    ) { (invocation) throws(RuntimeError) in
        let format = invocation.flags.text("format") ?? "table"
        guard ["table", "json"].contains(format) else { throw RuntimeError(.invalidArgument, "invalid format option") }
        let processes = try invocation.container().processes().sorted()
        if format == "json" {
            var writer = JSONWriter()
            if processes.isEmpty { writer.null() } else { writer.array { writer in for process in processes { writer.integer(process) } } }
            try output(writer.bytes + Array("\n".utf8))
            return 0
        }
        let options = Array(invocation.flags.operands.dropFirst())
        let table: String
        if let program = HostProgram.find("ps", path: invocation.surroundings.searchPath) {
            let lister = ProcessLister(program: program.path, environment: invocation.surroundings.environment)
            table = try lister.table(of: processes, options: options.isEmpty ? ["-ef"] : options)
        } else if options.isEmpty {
            table = try plainTable(processes)
        } else {
            throw RuntimeError(.notFound, "exec: \"ps\": executable file not found in $PATH")
        }
        try output(Array(table.utf8))
        return 0
    }

    /// Where the host has no ps program.
    private static func plainTable(_ processes: [Int32]) throws(RuntimeError) -> String {
        var rows = ["PID         STATE   NAME\n"]
        for process in processes {
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

/// The host's ps program, whose options are the caller's and whose lines are those of the container.
struct ProcessLister {
    let program: FilePath
    let environment: [String]

    /// More than the lines of any machine's processes.
    private static let outputLimitBytes = 64 << 20

    /// The heading, and the lines whose PID column names one of `processes`.
    func table(of processes: [Int32], options: [String]) throws(RuntimeError) -> String {
        let text = try run(options)
        let lines = text.split(separator: "\n", omittingEmptySubsequences: true)
        guard let heading = lines.first, let column = heading.split(separator: " ").firstIndex(of: "PID") else {
            throw RuntimeError(.invalidArgument, "couldn't find PID field in ps output")
        }
        let wanted = Set(processes.map(String.init))
        let rows = lines.dropFirst().filter { line in
            let fields = line.split(separator: " ", omittingEmptySubsequences: true)
            return fields.count > column && wanted.contains(String(fields[column]))
        }
        return ([heading] + rows).map { $0 + "\n" }.joined()
    }

    private func run(_ options: [String]) throws(RuntimeError) -> String {
        let (text, end) = try during("running ps") { () throws(SyscallError) in
            try closeOnExec(from: 3)
            let pipe = try Pipe()
            let process = try spawnProcess(
                program, arguments: ["ps"] + options, environment: environment, output: pipe.writeEnd.number, error: pipe.writeEnd.number)
            let output = pipe.takeReadEnd()
            let text = String(decoding: try readAll(output.number, limitBytes: Self.outputLimitBytes, subject: "ps"), as: UTF8.self)
            return (text, try waitForExit(.process(process))?.exit)
        }
        guard end == .exited(0) else { throw RuntimeError(.refused, "exit status \(end?.shellStatus ?? -1): \(text)") }
        return text
    }
}
