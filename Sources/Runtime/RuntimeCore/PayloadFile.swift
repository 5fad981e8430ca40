internal import Glibc
internal import LinuxSyscalls
internal import SystemPackage

/// Finding the program to execute and saying why it cannot be, in the words that runc's users and engines look for.
enum PayloadFile {
    /// The file that `program` names, searched along PATH as execvp(3) does unless it has a slash. Looked up as the calling process's
    /// user, in its root and working directory.
    /// - Throws: `payload` where there is none, or it cannot be executed for a reason that can be told beforehand.
    static func find(_ program: String, environment: [String]) throws(RuntimeError) -> String {
        if program.contains("/") {
            try check(program)
            return program
        }
        // Below a directory of the path it would name that directory.
        if program.isEmpty { throw failure(program, "executable file not found in $PATH") }
        let prefix = "PATH="
        let path = environment.last { $0.hasPrefix(prefix) }?.dropFirst(prefix.count) ?? ""
        for directory in path.split(separator: ":", omittingEmptySubsequences: false) {
            let candidate = directory.isEmpty ? "./\(program)" : "\(directory)/\(program)"
            guard isExecutableFile(candidate) else { continue }
            try checkContents(of: candidate)
            return candidate
        }
        throw failure(program, "executable file not found in $PATH")
    }

    private static func isExecutableFile(_ path: String) -> Bool {
        guard let status = try? fileStatus(FilePath(path), followingLinks: true), status.type == .regular else { return false }
        return (try? checkAccess(path, mode: X_OK)) != nil
    }

    private static func check(_ path: String) throws(RuntimeError) {
        do {
            let status = try fileStatus(FilePath(path), followingLinks: true)
            if status.type == .directory { throw failure(path, "permission denied: it is a directory") }
            if status.type != .regular { throw failure(path, "permission denied: it is not a regular file") }
            try checkAccess(path, mode: X_OK)
        } catch let error as SyscallError {
            if error.errno == EACCES { throw failure(path, "permission denied: it is not executable for this user") }
            throw failure(path, "stat \(path): \(errnoMessage(error.errno).lowercasedFirst)")
        } catch let error as RuntimeError { throw error } catch { throw failure(path, "\(error)") }
        try checkContents(of: path)
    }

    /// Looks for what makes execve(2) answer ENOENT though the file is there. A foreign architecture is left to execve(2): the machine
    /// may have an interpreter for it (binfmt_misc).
    private static func checkContents(of path: String) throws(RuntimeError) {
        guard let format = ExecutableFormat.read(path) else { return }
        switch format {
        case .script(let interpreter):
            if interpreter.hasSuffix("\r") {
                throw failure(
                    path, "interpreter \(interpreter.debugDescription): no such file or directory: the script has CRLF line endings")
            }
            try checkInterpreter(interpreter, of: path)
        case .native(let interpreter?): try checkInterpreter(interpreter, of: path)
        case .native(nil), .foreign, .unknown: return
        }
    }

    private static func checkInterpreter(_ interpreter: String, of path: String) throws(RuntimeError) {
        do { _ = try fileStatus(FilePath(interpreter), followingLinks: true) } catch {
            throw failure(path, "interpreter \(interpreter.debugDescription): \(errnoMessage(error.errno).lowercasedFirst)")
        }
    }

    /// Why execve(2) refused `path`, beyond its errno.
    static func explain(_ error: SyscallError, path: String) -> RuntimeError {
        let message = errnoMessage(error.errno).lowercasedFirst
        guard error.errno == ENOEXEC, let format = ExecutableFormat.read(path) else { return failure(path, message) }
        switch format {
        case .foreign(let machine):
            return failure(path, "\(message): the program is for \(machine), this machine is \(ExecutableFormat.nativeName)")
        case .unknown: return failure(path, "\(message): it is neither a program nor a script that begins with #!")
        case .script, .native: return failure(path, message)
        }
    }

    private static func failure(_ path: String, _ reason: String) -> RuntimeError {
        RuntimeError(.payload, doing: "exec: \(path.debugDescription)", reason)
    }
}

extension String {
    /// `No such file` as `no such file`: how Go, whose messages engines look for, spells errno.
    var lowercasedFirst: String { prefix(1).lowercased() + dropFirst() }
}
