package import EngineAPI
internal import LinuxSyscalls
internal import SystemPackage

/// `GET /containers/{id}/top`: the host's `ps`, shown what is the container's. Nothing of the container is executed.
struct ProcessListing: Sendable {
    private static let timeoutMilliseconds: Int32 = 10_000
    /// The most that is read of what `ps` prints.
    private static let outputLimitBytes = 16 << 20
    private static let folders = ["/bin", "/usr/bin", "/usr/local/bin"]

    private let options: [String]
    /// Whose fault it is when `ps` refuses them, or prints no pids: the client's, who chose them.
    private let fault: EngineError.Code

    /// - Parameter options: as a user wrote them, apart by blanks; empty is `-ef`.
    /// - Throws: `.invalidParameter` in Docker's words where a column other than the pid is given the pid's heading.
    init(options: String) throws(EngineError) {
        fault = options.isEmpty ? .system : .invalidParameter
        self.options = options.isEmpty ? ["-ef"] : options.split(separator: " ", omittingEmptySubsequences: false).map(String.init)
        try checkHeadings(options)
    }

    /// `-o comm=PID` would pass off a program's name as its pid.
    private func checkHeadings(_ text: String) throws(EngineError) {
        for word in text.split(whereSeparator: { " \t\n,".contains($0) }) {
            guard let equals = word.firstIndex(of: "=") else { continue }
            let (column, heading) = (word[..<equals], word[word.index(after: equals)...])
            if heading.hasPrefix("PID") && column != "pid" {
                throw EngineError(.invalidParameter, "specifying \"\(column)=\(heading)\" is not allowed")
            }
        }
    }

    /// Runs `ps`. Blocks.
    func run(_ processes: [Int32]) throws(EngineError) -> ContainerTopResponse {
        let only = "-q" + processes.map(String.init).joined(separator: ",")
        var answer = try run(options + [only])
        // Some options, such as `f`, do not go with a choice of processes.
        if answer.exit != .exited(0) { answer = try run(options) }
        guard answer.exit == .exited(0) else {
            let line = answer.errors.split(separator: "\n").first.map(String.init)
            throw EngineError(
                answer.exit == nil ? .system : fault, line ?? "ps: \(answer.exit.map { "status \($0.shellStatus)" } ?? "no end in time")")
        }
        return try Self.listing(answer.output, of: Set(processes), fault: fault)
    }

    private func run(_ words: [String]) throws(EngineError) -> (exit: ProcessExit?, output: String, errors: String) {
        do throws(SyscallError) {
            let input = try openFile("/dev/null", .readOnly)
            // Files, not pipes: nothing has to be read while it runs.
            let output = try makeMemoryFile(named: "ps-output")
            let errors = try makeMemoryFile(named: "ps-errors")
            let process = try spawnProcess(
                try executable(), arguments: ["ps"] + words, environment: ["PATH=/bin:/usr/bin", "LC_ALL=C.UTF-8"],
                input: input.number, output: output.number, error: errors.number)
            let exit = try waitForExit(ofChild: process, orKillAfterMilliseconds: Self.timeoutMilliseconds)
            return (exit, try Self.text(output), try Self.text(errors))
        } catch { throw .system("ps", error) }
    }

    private func executable() throws(SyscallError) -> FilePath {
        for folder in Self.folders {
            let path = FilePath("\(folder)/ps")
            if (try? fileStatus(path, followingLinks: true)) != nil { return path }
        }
        throw SyscallError(
            "execve", "ps: the host has none in \(Self.folders.joined(separator: ", "))", errno: Errno.noSuchFileOrDirectory.rawValue)
    }

    private static func text(_ file: borrowing OwnedFD) throws(SyscallError) -> String {
        try rewindFile(file.number)
        return String(decoding: try readAll(file.number, limitBytes: outputLimitBytes, subject: "ps"), as: UTF8.self)
    }

    private static func isBlank(_ byte: UInt8) -> Bool { byte == 0x20 || (0x09...0x0d).contains(byte) }

    /// The parts of a row; the last one keeps its blanks but for those around it.
    private static func fields(_ row: Substring, most: Int) -> [String] {
        let row = row.utf8
        guard let end = row.lastIndex(where: { !isBlank($0) }) else { return [] }
        var fields: [String] = []
        var rest = row[...end]
        while true {
            rest = rest.drop(while: isBlank)
            guard fields.count < most - 1, let border = rest.firstIndex(where: isBlank) else { break }
            fields.append(String(Substring(rest[..<border])))
            rest = rest[border...]
        }
        return fields + [String(Substring(rest))]
    }

    /// Of a table, the rows of some processes.
    /// - Throws: `fault` in Docker's words for a table that cannot be read.
    static func listing(_ text: String, of processes: Set<Int32>, fault: EngineError.Code = .system) throws(EngineError)
        -> ContainerTopResponse
    {
        let lines = text.split(separator: "\n")
        var answer = ContainerTopResponse()
        answer.titles = fields(lines.first ?? "", most: .max)
        guard let column = answer.titles.firstIndex(of: "PID") else {
            throw EngineError(fault, "Couldn't find PID field in ps output")
        }
        var isWanted = false
        for line in lines.dropFirst() {
            let fields = fields(line, most: answer.titles.count)
            guard column < fields.count else { continue }
            // A thread's line, `-m`, follows its process's.
            if fields[column] != "-" {
                guard let process = Int32(fields[column]) else {
                    throw EngineError(fault, "Unexpected pid '\(fields[column])': no number")
                }
                isWanted = processes.contains(process)
            }
            if isWanted { answer.processes.append(fields) }
        }
        return answer
    }
}

extension Container {
    /// The processes that run in the container, as `ps` with these options shows them.
    /// - Throws: `.conflict` when it does not run.
    func top(options: String) async throws(EngineError) -> ContainerTopResponse {
        let listing = try ProcessListing(options: options)
        try await startDecided()
        if state.isRestarting { throw isRestarting }
        guard let task = state.runningTask else { throw notRunning }
        let (path, id, hasCgroup) = (cgroupPath, id, services.facts.hasCgroups)
        let answer = try await BlockingWork.run(.programs) { () throws(EngineError) in
            let reader = try StatisticsReader(path: path, id: id, pid: task.pid, hasOwnNetwork: false, hasCgroup: hasCgroup)
            return try listing.run(try reader.processes())
        }
        tell("top")
        return answer
    }
}

extension ContainerEngine {
    /// `GET /containers/{id}/top`.
    package func containerProcesses(_ name: String, options: String) async throws(EngineError) -> ContainerTopResponse {
        try await container(name).top(options: options)
    }
}
