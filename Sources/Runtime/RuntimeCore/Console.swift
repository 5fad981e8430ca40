internal import Glibc
internal import LinuxSyscalls
internal import OCISpec
internal import Rootfs
internal import SystemPackage

/// The terminal of a container or of a process that `exec` adds.
enum Console {
    /// A process that is left alone hands the master of its terminal to somebody, and one without a terminal has none to hand over.
    static func checkSocket(_ socket: FilePath?, hasTerminal: Bool) throws(RuntimeError) {
        if hasTerminal && socket == nil {
            throw RuntimeError(.invalidArgument, "cannot allocate a terminal without a console socket: --console-socket")
        }
        if !hasTerminal && socket != nil {
            throw RuntimeError(.invalidArgument, "cannot use a console socket without a terminal: process.terminal")
        }
    }

    /// Makes a terminal the calling session leader's, and its standard files, gives it to the user that the payload runs as, and sends
    /// its master to whoever asked for one.
    /// - Parameters:
    ///   - slave: of a terminal that was just made, opened through its master.
    ///   - socket: gets the master with a name that nobody reads, as from runc.
    static func attach(
        master: borrowing OwnedFD, slave: borrowing OwnedFD, for plan: ProcessPlan, sendingMasterTo socket: HeldDescriptor
    ) throws(RuntimeError) {
        try StandardFilesOwner(userID: plan.user.uid).handOver(terminal: slave)
        let (masterNumber, slaveNumber) = (master.number, slave.number)
        do throws(SyscallError) {
            if let size = plan.windowSize { try setWindowSize(size, of: masterNumber) }
            try sendMessage(Array("/dev/ptmx".utf8), descriptors: [masterNumber], to: socket.number, subject: "console socket")
            try takeControllingTerminal(slaveNumber)
            for number: Int32 in 0...2 { try replaceDescriptor(number, by: slaveNumber) }
        } catch { throw RuntimeError(doing: "attaching the terminal", error) }
    }

    /// Makes a terminal in the devpts of a container that the calling process has joined, and attaches it. What the container calls
    /// /dev/pts/ptmx is verified before it is used (CVE-2025-52565).
    static func attachInContainer(for plan: ProcessPlan, sendingMasterTo socket: HeldDescriptor) throws(RuntimeError) {
        let master: OwnedFD
        do throws(SyscallError) {
            master = try openMultiplexer(RootDirectory(openFile("/", [.path, .directory])))
        } catch { throw RuntimeError(doing: "opening a terminal in the container", error) }
        let slave: OwnedFD
        do { slave = try openTerminalPeer(of: master) } catch { throw RuntimeError(doing: "opening a terminal in the container", error) }
        try attach(master: master, slave: slave, for: plan, sendingMasterTo: socket)
    }

    /// Looked at before it is opened, for opening can do something already, and again afterwards: the container may have put something else
    /// in its place meanwhile.
    private static func openMultiplexer(_ root: borrowing RootDirectory) throws(SyscallError) -> OwnedFD {
        let path = "/dev/pts/ptmx"
        func verify(_ found: borrowing OwnedFD) throws(SyscallError) {
            let status = try fileStatus(of: found.number, subject: path)
            guard status.type == .characterDevice, status.device == DeviceNumber(major: 5, minor: 2),
                try fileSystemKind(of: found.number, subject: path) == .devpts
            else { throw SyscallError("verify", "\(path) as the terminal multiplexer", errno: EPERM) }
        }
        try verify(root.open(path))
        let master = try root.open(path, [.readWrite, .noControllingTerminal])
        try verify(master)
        return master
    }

    /// Takes the master that `attach` sent, and gives the terminal the size of ours, if our standard input is one, before the program
    /// can look at it.
    static func receiveMaster(from socket: HeldDescriptor) throws(RuntimeError) -> OwnedFD {
        let message: ReceivedMessage
        do { message = try receiveMessage(from: socket.number, limitBytes: 4096, subject: "console socket") } catch {
            throw RuntimeError(doing: "receiving the terminal", error)
        }
        guard message.descriptors.count == 1, let number = message.descriptors.first else {
            for descriptor in message.descriptors { _ = OwnedFD(owning: descriptor) }
            throw RuntimeError(.lost, doing: "receiving the terminal", "the container sent none")
        }
        let master = OwnedFD(owning: number)
        do throws(SyscallError) {
            if isTerminal(0) { try setWindowSize(try windowSize(of: 0), of: master.number) }
        } catch { throw RuntimeError(doing: "sizing the terminal", error) }
        return master
    }
}

/// The ends of the console socket: the caller's, or a pair of our own for a terminal that the command keeps.
final class ConsoleEnds {
    /// Lent to the process that makes the terminal; nil without a terminal.
    let sending: HeldDescriptor?
    /// Where the command takes the master from.
    let receiving: HeldDescriptor?

    init(socket: FilePath?, terminal: Bool) throws(RuntimeError) {
        guard terminal else {
            sending = nil
            receiving = nil
            return
        }
        do throws(SyscallError) {
            if let socket {
                sending = HeldDescriptor(try connectUnixSocket(socket))
                receiving = nil
            } else {
                (sending, receiving) = try SocketPair(.stream).split { (HeldDescriptor($0), HeldDescriptor($1)) }
            }
        } catch { throw RuntimeError(doing: "connecting to the console socket", error) }
    }
}
