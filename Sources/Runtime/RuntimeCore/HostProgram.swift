internal import Glibc
internal import LinuxSyscalls
package import SystemPackage

/// A program of the host that the runtime lets work for it: ps, newuidmap, criu.
package struct HostProgram: Sendable {
    package let path: FilePath
    /// Where it was found, and what it finds programs of its own by.
    let searchPath: String

    /// How much of what a program says is repeated in an error.
    private static let outputLimitBytes = 4096

    /// The first executable file of that name along a search path, as in `$PATH`, or the one that is meant by a path; nil where there is none.
    package static func find(_ name: String, path: String) -> HostProgram? {
        let candidates = name.utf8.contains(UInt8(ascii: "/")) ? [name] : path.split(separator: ":").map { "\($0)/\(name)" }
        for text in candidates {
            let candidate = FilePath(text)
            let isFile = (try? fileStatus(candidate, followingLinks: true))?.type == .regular
            if isFile, (try? checkAccess(candidate.string, mode: X_OK)) != nil { return HostProgram(path: candidate, searchPath: path) }
        }
        return nil
    }

    /// Runs the program to its end.
    /// - Throws: `refused`, with what it said, where it does not end well, or not in time.
    func run(_ arguments: [String], timeoutSeconds: Int64) throws(RuntimeError) {
        let name = path.lastComponent?.string ?? path.string
        let doing = "running \(name) \(arguments.prefix(4).joined(separator: " "))"
        let end = try during(doing) { () throws(SyscallError) in
            try closeOnExec(from: 3)
            let output = try Pipe()
            let process = try spawnProcess(
                path, arguments: [name] + arguments, environment: [], output: output.writeEnd.number, error: output.writeEnd.number)
            return try HookProcess(handle: try ProcessHandle(child: process)).finish(
                reading: output.takeReadEnd(), timeoutSeconds: timeoutSeconds, outputLimitBytes: Self.outputLimitBytes)
        }
        if end.timedOut { throw RuntimeError(.refused, doing: doing, "did not end within \(timeoutSeconds) s and was killed") }
        guard end.exit == .exited(0) else {
            let text = String(decoding: end.output, as: UTF8.self).split(whereSeparator: \.isNewline).joined(separator: " | ")
            throw RuntimeError(.refused, doing: doing, "exit status \(end.exit.shellStatus): \(text)")
        }
    }
}
