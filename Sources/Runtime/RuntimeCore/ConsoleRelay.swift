internal import Glibc
internal import LinuxSyscalls

/// Copies between our standard input and output and a container's terminal, with our own terminal, if that is what they are, in raw mode
/// meanwhile. Neither way waits for the other: a program that does not read may write all the same.
final class ConsoleRelay {
    /// What a pipe or terminal that has room takes without making us wait: PIPE_BUF.
    private static let chunkBytes = 4096

    /// One way.
    private struct Stream {
        var hasMore = true
        /// Read and not yet written; nothing more is read until it is.
        var pending: ArraySlice<UInt8> = []
    }

    private let master: Int32
    private let writesToTerminal = isTerminal(1)
    private var saved: TerminalSettings?
    private var input = Stream()
    private var output = Stream()
    private var chunk = [UInt8](repeating: 0, count: ConsoleRelay.chunkBytes)

    init(master: Int32) throws(RuntimeError) {
        self.master = master
        do throws(SyscallError) {
            // Ours alone; our standard files are not.
            try setNonBlocking(true, of: master)
            try resize()
            if isTerminal(0) { saved = try TerminalSettings.makeRaw(0) }
        } catch { throw RuntimeError(doing: "preparing the terminal", error) }
    }

    /// What to wait for.
    var awaited: [AwaitedDescriptor] {
        var awaited: [AwaitedDescriptor] = []
        if !input.pending.isEmpty { awaited.append(AwaitedDescriptor(master, to: .write)) }
        if input.pending.isEmpty && input.hasMore { awaited.append(AwaitedDescriptor(0, to: .read)) }
        if let nextOfOutput { awaited.append(nextOfOutput) }
        return awaited
    }

    /// What to wait for until all that the terminal holds has been written, once its last user has ended: with what is to be read it is
    /// either there or never comes. nil at its end.
    var nextOfOutput: AwaitedDescriptor? {
        if !output.pending.isEmpty { return AwaitedDescriptor(1, to: .write) }
        return output.hasMore ? AwaitedDescriptor(master, to: .read) : nil
    }

    /// Copies what one of `awaited` has or takes.
    func pass(_ ready: AwaitedDescriptor) throws(RuntimeError) {
        try during("relaying the terminal") { () throws(SyscallError) in
            switch (ready.number, ready.action) {
            case (0, .read): try readInput()
            case (_, .read): try readOutput()
            case (1, .write): try writeOutput()
            case (_, .write): try writeInput()
            }
        }
    }

    private func readInput() throws(SyscallError) {
        do throws(SyscallError) {
            switch try readAvailable(0, into: &chunk) {
            case .bytes(let count): input.pending = chunk[..<count]
            case .end: input.hasMore = false
            case .wouldBlock: break
            }
        } catch  where error.errno == EBADF {
            // Whoever called us has no input for us.
            input.hasMore = false
        }
    }

    private func readOutput() throws(SyscallError) {
        switch try readAvailable(master, into: &chunk) {
        case .bytes(let count): output.pending = chunk[..<count]
        case .end: output.hasMore = false
        case .wouldBlock: break
        }
    }

    private func writeInput() throws(SyscallError) {
        do throws(SyscallError) { input.pending = input.pending.dropFirst(try writeAvailable(input.pending, to: master)) } catch {
            // EIO: nobody has the terminal open any more.
            if error.errno != EIO { throw error }
            input = Stream(hasMore: false)
        }
    }

    private func writeOutput() throws(SyscallError) {
        do throws(SyscallError) { output.pending = output.pending.dropFirst(try writeAvailable(output.pending, to: 1)) } catch {
            // Nobody sits at our own terminal any more, of which the program has heard by a signal: what it says is said to nobody.
            if error.errno != EIO || !writesToTerminal { throw error }
            output.pending = []
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
}
