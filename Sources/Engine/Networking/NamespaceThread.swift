internal import CoreTypes
internal import Dispatch
internal import Glibc
package import LinuxSyscalls
internal import Netlink
internal import Synchronization
package import SystemPackage

/// The one thread that leaves the host's network namespace: what it does in another one, no other thread sees. Work is done in turn.
///
/// Root of a user namespace could leave the host's network and never come back. There the thread lives in a namespace of its own, which
/// stands for the host's in everything that networks need.
package final class NamespaceThread: Sendable {
    private let jobs = Mutex<[@Sendable () -> Void]>([])
    private let pending = DispatchSemaphore(value: 0)

    /// Starts the thread, which lives as long as the process.
    /// - Parameter home: where it lives, made where it is not there yet; nil is the host's network.
    package init(livingIn home: PinnedNamespace? = nil) throws(NetworkingError) {
        // Not self: the thread must not keep its owner alive for ever, but for this process that is the same.
        do throws(SyscallError) { try startThread(named: "networks") { [self] in serve() } } catch {
            throw NetworkingError(.kernel, "start the thread for networks: \(error)")
        }
        if let home { try runAndWait { () throws(NetworkingError) in try home.settle() } }
    }

    private func serve() {
        while true {
            pending.wait()
            let job = jobs.withLock { $0.isEmpty ? nil : $0.removeFirst() }
            job?()
        }
    }

    private func add(_ job: @escaping @Sendable () -> Void) {
        jobs.withLock { $0.append(job) }
        pending.signal()
    }

    /// Runs `body` on the thread. It begins in the host's network namespace and must end there.
    package func run<Value: Sendable>(
        _ body: @escaping @Sendable () throws(NetworkingError) -> Value
    ) async throws(NetworkingError) -> Value {
        let result: Result<Value, NetworkingError> = await withCheckedContinuation { continuation in
            add {
                let result: Result<Value, NetworkingError>
                do throws(NetworkingError) { result = .success(try body()) } catch { result = .failure(error) }
                continuation.resume(returning: result)
            }
        }
        return try result.get()
    }

    /// The same for callers that may block.
    package func runAndWait<Value: Sendable>(_ body: @escaping @Sendable () throws(NetworkingError) -> Value) throws(NetworkingError)
        -> Value
    {
        let outcome = Outcome<Value>()
        add {
            do throws(NetworkingError) { outcome.settle(.success(try body())) } catch { outcome.settle(.failure(error)) }
        }
        return try outcome.wait().get()
    }

    private final class Outcome<Value: Sendable>: Sendable {
        private let result = Mutex<Result<Value, NetworkingError>?>(nil)
        private let done = DispatchSemaphore(value: 0)

        func settle(_ value: Result<Value, NetworkingError>) {
            result.withLock { $0 = value }
            done.signal()
        }

        func wait() -> Result<Value, NetworkingError> {
            while true {
                done.wait()
                if let value = result.withLock({ $0 }) { return value }
            }
        }
    }
}

/// A network namespace that lasts without processes, because a file stands for it.
package struct PinnedNamespace: Sendable {
    /// Where the file is.
    package let path: FilePath

    package init(path: FilePath) { self.path = path }

    /// Makes a new namespace and pins it. On a thread of its own; ends in the namespace that it began in.
    package func make() throws(NetworkingError) {
        let own = "/proc/thread-self/ns/net"
        do throws(SyscallError) {
            let host = try openFile(FilePath(own), .readOnly)
            _ = try openFile(path, [.writeOnly, .create, .exclusive], mode: 0o444)
            try unshareNamespaces(.network, subject: "a container's network")
            var failure: SyscallError?
            do throws(SyscallError) { try mount(own, onto: path, flags: .bind) } catch { failure = error }
            Self.goBack(to: host)
            if let failure { throw failure }
        } catch {
            throw NetworkingError(.kernel, "make a network namespace: \(error)").followed(by: remove)
        }
    }

    /// Moves the calling thread there for good, to a new one where none is pinned yet; one that lost its mount is replaced.
    fileprivate func settle() throws(NetworkingError) {
        do throws(SyscallError) {
            let notThere: Set<Int32> = [ENOENT, EINVAL]
            do throws(SyscallError) {
                return try joinNamespace(try openFile(path, .readOnly), .network, subject: path.string)
            } catch { if !notThere.contains(error.errno) { throw error } }
            do throws(SyscallError) { try removeFile(path) } catch { if error.errno != ENOENT { throw error } }
            _ = try openFile(path, [.writeOnly, .create, .exclusive], mode: 0o444)
            try unshareNamespaces(.network, subject: "the network of networks")
            try mount("/proc/thread-self/ns/net", onto: path, flags: .bind)
        } catch { throw NetworkingError(.kernel, "make a network namespace: \(error)") }
        do throws(NetlinkError) {
            var inside = try RouteConversation()
            try inside.setLink(try inside.link(named: "lo"), up: true)
        } catch { throw NetworkingError(error) }
    }

    /// Makes one that belongs to a user namespace, whose root has its rights over it, and pins it.
    package func make(of userNamespace: FilePath) throws(NetworkingError) {
        do throws(SyscallError) {
            let owner = try openFile(userNamespace, .readOnly)
            _ = try openFile(path, [.writeOnly, .create, .exclusive], mode: 0o444)
            try withNewNamespaces(.network, of: owner.number) { process throws(SyscallError) in
                try mount("/proc/\(process)/ns/net", onto: path, flags: .bind)
            }
        } catch {
            throw NetworkingError(.kernel, "make a network namespace: \(error)").followed(by: remove)
        }
    }

    /// Pins a namespace that is there, by a path that leads to it. On a thread of its own.
    package func pin(_ namespace: String) throws(NetworkingError) {
        // What an attempt left that was cut off.
        try remove()
        do throws(SyscallError) {
            _ = try openFile(path, [.writeOnly, .create, .exclusive], mode: 0o444)
            try mount(namespace, onto: path, flags: .bind)
        } catch { throw NetworkingError(.kernel, "pin a container's network: \(error)").followed(by: remove) }
    }

    /// Runs `body` inside. On a thread of its own; ends in the namespace that it began in.
    package func enter<Value>(_ body: () throws(NetworkingError) -> Value) throws(NetworkingError) -> Value {
        let host = try join()
        defer { Self.goBack(to: host) }
        return try body()
    }

    /// - Returns: the namespace that the thread was in.
    private func join() throws(NetworkingError) -> OwnedFD {
        do throws(SyscallError) {
            let host = try openFile("/proc/thread-self/ns/net", .readOnly)
            let inside = try openFile(path, .readOnly)
            try joinNamespace(inside, .network, subject: path.string)
            return host
        } catch { throw NetworkingError(.kernel, "enter a container's network: \(error)") }
    }

    /// A descriptor of it. - Throws: ENOENT where it is not there.
    package func open() throws(SyscallError) -> OwnedFD { try openFile(path, .readOnly) }

    /// Takes the pin away; with the last process in it the namespace goes too, and all its links. What is gone already is no error.
    package func remove() throws(NetworkingError) {
        do throws(SyscallError) {
            // Mounted twice by nobody; a file without a mount is only removed.
            do throws(SyscallError) { try unmount(path, .detach) } catch { if ![EINVAL, ENOENT].contains(error.errno) { throw error } }
            do throws(SyscallError) { try removeFile(path) } catch { if error.errno != ENOENT { throw error } }
        } catch { throw NetworkingError(.kernel, "take a network namespace away: \(error)") }
    }

    /// A thread that cannot come back would do others' work in the wrong network: then the process is better dead.
    private static func goBack(to host: borrowing OwnedFD) {
        do throws(SyscallError) { try joinNamespace(host, .network, subject: "the host's network") } catch {
            preconditionFailure("no way back from a container's network: \(error)")
        }
    }
}
