internal import CoreTypes
internal import LinuxSyscalls
internal import SystemPackage

/// The command line of `apus-net`: `-directory DIR [-resolver FILE] [-home FILE] start`, and `-listener N … serve`, which `start` leaves behind; or `--version`.
package enum NameCommand {
    private static let backlog: Int32 = 32
    private static let files = LimitedResource(rawValue: 7)  // RLIMIT_NOFILE
    private static let takeoverMilliseconds: Int32 = 5_000
    /// SIGHUP, SIGINT, SIGPIPE, SIGTERM: who stops the daemon does not stop this.
    private static let ignoredSignals: [Int32] = [1, 2, 13, 15]

    /// Does what the words ask for.
    package static func run(_ arguments: [String]) throws(NameServiceError) {
        var (directory, resolver, listener): (String?, String, Int32?) = (nil, "/etc/resolv.conf", nil)
        var home: String?
        var words = arguments.dropFirst()
        while let word = words.popFirst() {
            switch word {
            case "--version": return try printVersion()
            case "-directory": directory = words.popFirst()
            case "-resolver": resolver = words.popFirst() ?? resolver
            case "-home": home = words.popFirst()
            case "-listener": listener = words.popFirst().flatMap { Int32($0) }
            case "start", "serve":
                guard let directory, words.isEmpty, (word == "serve") == (listener != nil) else { throw usage }
                let folder = NameFolder(path: FilePath(directory))
                if let listener { return try serve(folder, resolver, home, OwnedFD(owning: listener)) }
                return try start(folder, resolver, home)
            default: throw usage
            }
        }
        throw usage
    }

    private static let usage = NameServiceError(
        .malformed, "usage: apus-net -directory DIR [-resolver FILE] [-home FILE] start | apus-net --version")

    private static func printVersion() throws(NameServiceError) {
        do throws(SyscallError) { try writeAll(Array("apus-net \(Product.version)\n".utf8), to: 1, subject: "standard output") } catch {
            throw NameServiceError("print the version", error)
        }
    }

    /// Makes the socket, and leaves a process that serves it.
    private static func start(_ folder: NameFolder, _ resolver: String, _ home: String?) throws(NameServiceError) {
        do throws(SyscallError) {
            do throws(SyscallError) { try removeFile(folder.socket) } catch { if !error.isMissing { throw error } }
            let mask = setFileCreationMask(0o177)
            defer { setFileCreationMask(mask) }
            let place = try openFile(folder.path, [.path, .directory])
            let listener = try listenUnixSocket(folder.socket(through: place), .packets, backlog: backlog)
            let null = try openFile("/dev/null", .readWrite)
            let log = try openFile(folder.log, [.writeOnly, .create, .truncate, .noFollow], mode: 0o600)
            // What the child shall have beyond the standard descriptors: this process ends right after. It closes the pipe once the socket is
            // its own; until then who connects would be told that it is this process's.
            let takeover = try Pipe()
            try setCloseOnExec(false, of: listener.number)
            try setCloseOnExec(false, of: takeover.writeEnd.number)
            _ = try spawnProcess(
                "/proc/self/exe",
                arguments: [
                    "apus-net", "-directory", folder.path.string, "-resolver", resolver, "-listener", "\(listener.number)",
                ] + (home.map { ["-home", $0] } ?? []) + ["serve"], environment: [], input: null.number, output: null.number,
                error: log.number, newSession: true)
            let taken = takeover.takeReadEnd()
            _ = try waitUntilReadable([taken.number], timeoutMilliseconds: takeoverMilliseconds)
        } catch { throw NameServiceError("start the server of names", error) }
    }

    private static func serve(_ folder: NameFolder, _ resolver: String, _ home: String?, _ listener: consuming OwnedFD)
        throws(NameServiceError)
    {
        do throws(SyscallError) {
            for signal in ignoredSignals { try ignoreSignal(signal) }
            try listenAgain(on: listener, backlog: backlog, subject: folder.socket.string)
            try closeDescriptors(from: 3, except: [listener.number])
            try setCloseOnExec(true, of: listener.number)
            try changeDirectory("/")
            try setProcessName("apus-net")
            let allowed = try limit(of: files).hard
            try setLimit(of: files, soft: allowed, hard: allowed, subject: "open files")
        } catch { throw NameServiceError("serve names", error) }
        try NameServer(folder: folder, listener: listener, resolver: FilePath(resolver), home: home.map { FilePath($0) }).run()
    }
}
