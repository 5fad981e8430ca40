internal import CoreTypes
internal import LinuxSyscalls
internal import Synchronization

/// Makes sockets in the host's network for a process whose other thread has left it: root of a user namespace cannot come back there, but
/// a socket stays in the network that it was made in. Work is done in turn, on a thread that lives as long as the process.
final class HostSockets: Sendable {
    private struct State: Sendable {
        var endpoint: InternetEndpoint?
        var kind = InternetSocketKind.stream
        var result: Result<Int32, SyscallError>?
    }

    private let state = Mutex(State())
    private let wishes: Pipe
    private let answers: Pipe

    /// Starts the thread, in the network of the calling one.
    init() throws(SyscallError) {
        wishes = try Pipe()
        answers = try Pipe()
        try startThread(named: "host sockets") { [self] in serve() }
    }

    private func serve() {
        // The ends of both pipes live as long as the process: nothing but its end fails here.
        while (try? readChunk(wishes.readEnd.number, limitBytes: 1)) != nil {
            let (kind, endpoint) = state.withLock { ($0.kind, $0.endpoint) }
            guard let endpoint else { continue }
            let result: Result<Int32, SyscallError>
            do throws(SyscallError) { result = .success(try connectInternetSocket(kind, to: endpoint).release()) } catch {
                result = .failure(error)
            }
            state.withLock { $0.result = result }
            try? writeAll([1], to: answers.writeEnd.number, subject: "a socket")
        }
    }

    /// A socket on its way to `endpoint`, as `connectInternetSocket` makes one. For one thread.
    func connect(_ kind: InternetSocketKind, to endpoint: InternetEndpoint) throws(SyscallError) -> OwnedFD {
        state.withLock { $0 = State(endpoint: endpoint, kind: kind) }
        try writeAll([1], to: wishes.writeEnd.number, subject: "a wish for a socket")
        _ = try readChunk(answers.readEnd.number, limitBytes: 1)
        guard let result = state.withLock({ $0.result }) else { throw SyscallError("connect", "\(endpoint)", errno: 71) }  // EPROTO
        return OwnedFD(owning: try result.get())
    }
}
