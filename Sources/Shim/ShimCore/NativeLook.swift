internal import LinuxSyscalls
internal import ShimProtocol
internal import Synchronization
internal import SystemPackage

/// One look into a container's network or root, by a thread of its own in place of a program: entering a network namespace is each
/// thread's own affair, and a file system of the container's may never answer.
final class NativeLook {
    /// Bytes read of an answer for its status.
    private static let answerByteCount = 4096

    private let probe: NativeProbe
    private let loop: EventLoop
    private let shared: SharedLook
    private var completion: ((Int32, String) -> Void)?
    private var watch: Watch?
    private var socket: Descriptor?
    private var answer: [UInt8] = []
    private var isCancelled = false

    /// - Parameters:
    ///   - process: the container's first one, not reaped.
    ///   - completion: gets 0 for well, 1 otherwise, and a sentence. Not called after `cancel`, but for one whose thread hangs: when it no longer does.
    init(_ probe: NativeProbe, process: Int32, loop: EventLoop, _ completion: @escaping (Int32, String) -> Void) throws(ShimError) {
        self.probe = probe
        self.loop = loop
        self.completion = completion
        let shared = try Self.place(of: probe, process: process)
        self.shared = shared
        do throws(SyscallError) {
            watch = try loop.watch(shared.done.number, for: .readable) { [self] _ in looked() }
            try startThread(named: "health check") { shared.look(probe) }
        } catch {
            watch?.cancel()
            throw ShimError("look into the container", error)
        }
    }

    private static func place(of probe: NativeProbe, process: Int32) throws(ShimError) -> SharedLook {
        do throws(SyscallError) {
            switch probe {
            case .http, .tcp: return try SharedLook(place: try openFile(FilePath("/proc/\(process)/ns/net"), .readOnly))
            // Neither a link nor `..` leads out of it, and with O_PATH nothing of the container is asked to open anything.
            case .file: return try SharedLook(place: try openFile(FilePath("/proc/\(process)/root"), [.path, .directory]))
            }
        } catch { throw ShimError("look into the container", error) }
    }

    /// Nobody wants to know any more.
    func cancel() {
        isCancelled = true
        if socket != nil { finish(1, "cancelled") }
    }

    private func looked() {
        guard let outcome = shared.outcome.withLock({ $0 }) else { return }
        switch outcome {
        case .found: finish(0, "")
        case .failed(let text): finish(1, text)
        case .connecting(let number):
            watch?.cancel()
            let socket = Descriptor(OwnedFD(owning: number))
            self.socket = socket
            if isCancelled { return finish(1, "cancelled") }
            follow(.writable) { [self] in connected(socket) }
        }
    }

    private func follow(_ readiness: Readiness, _ handler: @escaping () -> Void) {
        guard let socket else { return }
        watch?.cancel()
        do throws(SyscallError) { watch = try loop.watch(socket.number, for: readiness) { _ in handler() } } catch { finish(1, "\(error)") }
    }

    private func connected(_ socket: Descriptor) {
        do throws(SyscallError) {
            try checkConnection(of: socket.number, subject: probe.subject)
            guard case .http(let place, let path) = probe else { return finish(0, "connected to \(probe.subject)") }
            let host = place.address.contains(":") ? "[\(place.address)]" : place.address
            let request =
                "GET \(path) HTTP/1.1\r\nHost: \(host):\(place.port)\r\nUser-Agent: apus\r\nAccept: */*\r\nConnection: close\r\n\r\n"
            let bytes = Array(request.utf8)
            // A new connection's buffer has room for more than the longest probe.
            guard try writeAvailable(bytes[...], to: socket.number) == bytes.count else { return finish(1, "the request was not taken") }
            follow(.readable) { [self] in answered(socket) }
        } catch { finish(1, "\(error)") }
    }

    private func answered(_ socket: Descriptor) {
        do throws(SyscallError) {
            switch try loop.read(socket.number) {
            case .bytes(let count): answer += loop.scratch[..<min(count, Self.answerByteCount)]
            case .end: return finish(1, "no answer from \(probe.subject)")
            case .wouldBlock: return
            }
        } catch { return finish(1, "\(error)") }
        guard let end = answer.firstIndex(of: UInt8(ascii: "\n")) else {
            if answer.count >= Self.answerByteCount { finish(1, "an answer that is not HTTP") }
            return
        }
        let line = String(decoding: answer[..<end], as: UTF8.self).trimmingWhitespace
        let words = line.split(separator: " ")
        guard words.count >= 2, words[0].hasPrefix("HTTP/"), let status = Int(words[1]) else {
            return finish(1, "an answer that is not HTTP")
        }
        finish((200..<400).contains(status) ? 0 : 1, line)
    }

    private func finish(_ code: Int32, _ text: String) {
        watch?.cancel()
        watch = nil
        socket = nil
        let action = completion
        completion = nil
        action?(code, text)
    }
}

extension NativeProbe {
    /// What it looks at, for its words.
    fileprivate var subject: String {
        switch self {
        case .http(let place, _), .tcp(let place): "\(place.address) port \(place.port)"
        case .file(let path): path
        }
    }
}

/// What the thread and the loop see.
private final class SharedLook: Sendable {
    enum Outcome: Sendable {
        /// A socket of the container's network, on its way.
        case connecting(Int32)
        case found
        case failed(String)
    }

    let place: OwnedFD
    let outcome = Mutex<Outcome?>(nil)
    let done: EventCounter

    init(place: consuming OwnedFD) throws(SyscallError) {
        done = try EventCounter(blocking: false)
        self.place = place
    }

    /// The thread's work.
    func look(_ probe: NativeProbe) {
        let found: Outcome
        do throws(SyscallError) {
            switch probe {
            case .http(let target, _), .tcp(let target):
                try joinNamespace(place, .network, subject: "the container's network")
                found = .connecting(try beginConnecting(to: target.address, port: target.port).release())
            case .file(let path):
                _ = try openInRoot(FilePath(path), [.path], root: place)
                found = .found
            }
        } catch { found = .failed("\(error)") }
        outcome.withLock { $0 = found }
        done.raise()
    }
}
