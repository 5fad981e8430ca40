internal import Cgroups
internal import Glibc
internal import LinuxSyscalls
internal import Protobuf
internal import SystemPackage

/// A criu that works for us over a socket (`criu swrk`): what it restores becomes our child.
struct CriuProcess {
    private let program: HostProgram
    let process: Int32
    /// Closed by the execve that makes the process criu.
    private let channel: StageChannel
    /// Where it is told what to do.
    private var socket: HeldDescriptor?

    /// A request or an answer longer than this is refused: a few thousand mounts.
    private static let messageLimitBytes = 1 << 20
    /// How much of criu's log is read for its errors.
    private static let logLimitBytes = 64 << 20

    /// The numbers of criu's descriptors: its socket, its directories, and what it inherits otherwise.
    enum Number {
        static let socket: Int32 = 3
        static let images: Int32 = 4
        static let work: Int32 = 5
        static let firstInherited: Int32 = 6
    }

    /// Makes the process, which becomes criu once `proceed` is called.
    /// - Parameters:
    ///   - inherited: descriptors that criu gets as 6 and so on.
    ///   - admission: the cgroup where it goes before it begins, so that what it restores is born there.
    ///   - prepare: what its process does before it becomes criu.
    static func start(
        _ program: HostProgram, _ directories: CheckpointDirectories, inheriting inherited: [Int32] = [],
        admission: CgroupAdmission? = nil, prepare: () throws(SyscallError) -> Void = { () throws(SyscallError) in }
    ) throws(RuntimeError) -> CriuProcess {
        let doing = "starting \(program.path)"
        let (channel, theirs) = try StageChannel.pair()
        let result = try during(doing) { () throws(SyscallError) in try cloneProcess(cgroup: admission?.birthplace) }
        guard case .parent(let made) = result else {
            // The channel goes out of the way of the numbers that criu counts on.
            let free = ([theirs.socket.number] + inherited).reduce(Number.firstInherited + Int32(inherited.count), max) + 1
            guard (try? replaceDescriptor(free, by: theirs.socket.number)) != nil else { exitAtOnce(127) }
            let reporter = StageChannel(OwnedFD(owning: free))
            do throws(RuntimeError) {
                try becomeReady(doing, admission, reporter)
                try during(doing) { () throws(SyscallError) in
                    try prepare()
                    throw try execute(program, directories, inherited, reporter, free: free + 1)
                }
            } catch { try? reporter.send(.failed(error)) }
            exitAtOnce(127)
        }
        theirs.socket.close()
        return CriuProcess(program: program, process: made.process, channel: channel)
    }

    private static func becomeReady(_ doing: String, _ admission: CgroupAdmission?, _ channel: StageChannel) throws(RuntimeError) {
        try during(doing) { () throws(SyscallError) in try setParentDeathSignal(SIGKILL) }
        if let admission, admission.hasMoreToEnter {
            let entry = CgroupEntry(
                receiving: try channel.awaitCgroup(), of: admission.record, bornInUnified: admission.birthplace != nil)
            do throws(CgroupError) { try entry.enter() } catch { throw RuntimeError(error) }
        } else {
            try channel.await(.proceed)
        }
        try during(doing) { () throws(SyscallError) in
            try setSignalMask([])
            try restoreDefaultSignals()
        }
    }

    /// criu opens its directories through the procfs of the process that made its socket, and wants them in its own mount namespace: so
    /// both are made here. Returns only to say why not.
    private static func execute(
        _ program: HostProgram, _ directories: CheckpointDirectories, _ inherited: [Int32], _ channel: StageChannel, free: Int32
    ) throws(SyscallError) -> SyscallError {
        let (ours, theirs) = try SocketPair(.packets).split { (HeldDescriptor($0), HeldDescriptor($1)) }
        let images = try directories.openImages()
        let work = try directories.openWork()
        try sendMessage(StageMessage.serving.encoded, descriptors: [theirs.number], to: channel.socket.number, subject: "stage channel")
        // First out of the way of each other, then to their numbers.
        let descriptors = [ours.number, images.number, work.number] + inherited
        let apart = descriptors.reduce(free, max) + 1
        for (index, descriptor) in descriptors.enumerated() { try replaceDescriptor(apart + Int32(index), by: descriptor) }
        for index in descriptors.indices { try replaceDescriptor(Number.socket + Int32(index), by: apart + Int32(index)) }
        try closeOnExec(from: UInt32(Number.socket) + UInt32(descriptors.count))
        let path = program.searchPath.isEmpty ? [] : ["PATH=\(program.searchPath)"]
        return LinuxSyscalls.execute(program.path, arguments: ["criu", "swrk", String(Number.socket)], environment: path)
    }

    /// Lets the process become criu: it is in its cgroup, or gets the way in by this.
    /// - Parameter entry: into the cgroup, where it was admitted to one that it must enter by itself.
    /// - Throws: what kept it from becoming criu.
    mutating func proceed(_ entry: CgroupEntry? = nil) throws(RuntimeError) {
        if let entry {
            try withExtendedLifetime(entry) { () throws(RuntimeError) in
                try channel.send(.cgroupReady, descriptors: entry.descriptors)
            }
        } else {
            try channel.send(.proceed)
        }
        while case .message(let received) = try channel.receive() {
            switch (received.message, received.descriptors.first) {
            case (.failed(let error), _): throw error
            case (.serving, .some(let number)): socket = HeldDescriptor(OwnedFD(owning: number))
            case (let message, _): throw RuntimeError(.lost, doing: "starting \(program.path)", "unexpected \(message)")
            }
        }
    }

    /// Has criu do something, as long as it takes: memory is written or read meanwhile, and criu ends with us.
    /// - Parameters:
    ///   - log: where criu's log will be, which is looked into for its errors.
    ///   - notified: for each notification, with descriptors that came along.
    /// - Throws: `refused` with criu's reason, and where its log lies.
    func perform(
        _ request: CriuRequest, _ options: CriuOptions, log: FilePath,
        notified: (CriuResponse, [HeldDescriptor]) throws(RuntimeError) -> Void
    ) throws(RuntimeError) -> CriuResponse {
        let doing = request == .restore ? "restoring by criu" : "dumping by criu"
        guard let socket = socket?.number else { throw lostProcess(process) }
        func send(_ bytes: [UInt8]) throws(RuntimeError) {
            _ = try during(doing) { () throws(SyscallError) in try sendMessage(bytes, to: socket, subject: "criu") }
        }
        try send(request.encoded(options))
        while true {
            let received = try during(doing) { () throws(SyscallError) in
                try receiveMessage(from: socket, limitBytes: Self.messageLimitBytes, subject: "criu")
            }
            let descriptors = received.descriptors.map { HeldDescriptor(OwnedFD(owning: $0)) }
            guard !received.bytes.isEmpty else {
                throw RuntimeError(.lost, doing: doing, Self.reason("criu ended without an answer", log))
            }
            let response: CriuResponse
            do throws(WireError) { response = try CriuResponse(decoding: received.bytes) } catch {
                throw RuntimeError(.lost, doing: doing, "criu's answer makes no sense: \(error)")
            }
            if response.kind == CriuRequest.notify.rawValue {
                try notified(response, descriptors)
                try send(CriuRequest.acknowledgement)
                continue
            }
            guard response.succeeded else { throw RuntimeError(.refused, doing: doing, Self.reason(response.errorText, log)) }
            return response
        }
    }

    /// Lets criu end; one that does not is killed.
    func end() throws(RuntimeError) {
        channel.socket.close()
        socket?.close()
        _ = try during("waiting for criu") { () throws(SyscallError) in
            try waitForExit(ofChild: process, orKillAfterMilliseconds: 10_000)
        }
    }

    /// One line of what criu said, or else of the last errors of its log; and where to look further.
    private static func reason(_ text: String, _ log: FilePath) -> String {
        let found = (try? readFile(log, limitBytes: logLimitBytes)).map { String(decoding: $0, as: UTF8.self) } ?? ""
        let errors = found.split(whereSeparator: \.isNewline).filter { mentions($0.utf8, "Error") }.map(String.init)
        let said = errors.isEmpty ? text.split(whereSeparator: \.isNewline).map(String.init) : Array(errors.suffix(lastErrorCount))
        var reason = said.map { String($0.prefix(lineLimit)) }.joined(separator: " | ")
        if reason.isEmpty { reason = "criu failed and gave no reason" }
        // Before any container is looked at criu looks at the kernel.
        if ["kerndat", "kernel features", "vdso"].contains(where: { mentions(reason.utf8, $0) }) {
            return reason + ": this criu does not work with this kernel (`criu check` says more): take a newer criu, or another kernel"
        }
        return found.isEmpty ? reason + ": `criu check` tells what it lacks here" : reason + ": its log is \(log)"
    }

    /// Whether a text holds a word. The library's own search brings that of regular expressions with it, a tenth of the executable.
    private static func mentions(_ text: some BidirectionalCollection<UInt8>, _ word: String) -> Bool {
        text.indices.contains { text[$0...].starts(with: word.utf8) }
    }

    /// How many of criu's errors are repeated: the last say what failed, the one before them why.
    private static let lastErrorCount = 4
    /// Longer lines lose their end.
    private static let lineLimit = 300
}
