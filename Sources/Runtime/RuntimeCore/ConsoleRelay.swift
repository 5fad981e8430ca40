internal import Glibc
internal import LinuxSyscalls

/// Copies between our standard input and output and a container's terminal, with our own terminal, if that is what they are, in raw mode
/// meanwhile.
final class ConsoleRelay {
    private let master: Int32
    private var saved: TerminalSettings?
    private var readsInput = true
    private var readsTerminal = true
    private var chunk = [UInt8](repeating: 0, count: 16_384)

    init(master: Int32) throws(RuntimeError) {
        self.master = master
        do throws(SyscallError) {
            try resize()
            if isTerminal(0) { saved = try TerminalSettings.makeRaw(0) }
        } catch { throw RuntimeError(doing: "preparing the terminal", error) }
    }

    /// What to wait for.
    var descriptors: [Int32] { (readsInput ? [0] : []) + (readsTerminal ? [master] : []) }

    /// Copies what one of `descriptors` has.
    func pass(from descriptor: Int32) throws(RuntimeError) {
        do throws(SyscallError) {
            let target: Int32 = descriptor == 0 ? master : 1
            let count = try readBytes(descriptor, into: &chunk)
            if count == 0 { return stop(descriptor) }
            try writeAll(chunk[..<count], to: target, subject: "terminal")
        } catch {
            // EIO: nobody has the terminal open any more.
            if error.errno != EIO { throw RuntimeError(doing: "relaying the terminal", error) }
            stop(descriptor)
        }
    }

    /// Copies what the terminal still holds once its last user has ended.
    func drain() throws(RuntimeError) {
        while readsTerminal {
            let ready = try during("relaying the terminal") { () throws(SyscallError) in
                try waitUntilReadable([master], timeoutMilliseconds: 0)
            }
            if ready.isEmpty { return }
            try pass(from: master)
        }
    }

    /// Gives the container's terminal the size of ours, if ours is one.
    func resize() throws(SyscallError) {
        if isTerminal(0) { try setWindowSize(try windowSize(of: 0), of: master) }
    }

    /// Puts our terminal back as it was; that cannot be helped where it is gone.
    func end() {
        try? saved?.restore(to: 0)
        saved = nil
    }

    private func stop(_ descriptor: Int32) {
        if descriptor == 0 { readsInput = false } else { readsTerminal = false }
    }
}
