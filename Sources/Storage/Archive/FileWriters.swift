internal import Dispatch
internal import Glibc
internal import LinuxSyscalls
internal import Synchronization
internal import SystemPackage

/// A directory of the tree that entries go into, open for as long as somebody holds it.
final class OpenDirectory: Sendable {
    let file: OwnedFD
    let id: FileID

    init(_ file: consuming OwnedFD) throws(SyscallError) {
        id = FileID(try fileStatus(of: file.number))
        self.file = file
    }
}

/// A regular file with all its bytes, whose name nothing has as far as is known.
struct NewFile: Sendable {
    /// Where it belongs, for who has to look again.
    let path: EntryPath
    let directory: OpenDirectory
    let name: FilePath
    let bytes: [UInt8]
    let owner: (user: UInt32, group: UInt32)
    let mode: UInt32
    let modified: FileTime
    let printable: PrintablePath

    /// Makes it, and nothing in place of something else.
    /// - Throws: EEXIST where the name is taken.
    func make(in directory: Int32) throws(SyscallError) {
        let file = try openFile(name, [.writeOnly, .create, .exclusive, .noFollow], mode: mode & 0o777, at: directory)
        if !bytes.isEmpty { try writeAll(bytes.span, at: 0, to: file.number) }
        // Most files are as they should be from the start: each change of an inode is a transaction, a look at it is none.
        let born = try fileStatus(of: file.number)
        // Owner before mode: chown(2) clears set-id bits.
        if born.userID != owner.user || born.groupID != owner.group {
            try changeOwner(of: file.number, userID: owner.user, groupID: owner.group)
        }
        if born.mode != mode { try changeMode(of: file.number, to: mode) }
        try setTimes(of: file.number, to: modified)
    }
}

/// Makes the small files of a layer on threads of its own: a layer of many thousands is the kernel's work, and that of one processor
/// otherwise. Files of one directory are made in the order in which they came. Used by one thread, which sees to whatever else the
/// order of entries means: it waits for a directory's files, or for all, before it does anything that they might meet.
final class FileWriters: Sendable {
    /// How many threads there are beside the one that reads the archive.
    private static let laneCount = 2
    /// Of all files that wait or are being made.
    private static let limitBytes = 1 << 20
    private static let limitFiles = 512
    /// Of the directories that these files hold open.
    private let limitDirectories: Int

    private struct Lane {
        var waiting: [NewFile] = []
        /// Waiting or being made.
        var files = 0
        var isResting = false
    }

    /// What the thread of the archive waits for.
    private enum Awaited {
        case room
        case directory(FileID)
        case all
    }

    private struct State {
        var lanes = [Lane](repeating: Lane(), count: FileWriters.laneCount)
        /// Which lane has files of a directory, and how many.
        var directories: [FileID: (lane: Int, files: Int)] = [:]
        var bytes = 0
        var files: Int { lanes.reduce(0) { $0 + $1.files } }
        /// Files whose names were taken, in the order of each directory.
        var taken: [NewFile] = []
        var failure: ArchiveError?
        var hasEnded = false
        var awaited: Awaited?

        func isMet(_ awaited: Awaited, _ limitDirectories: Int) -> Bool {
            switch awaited {
            // Half of it, so that nobody is woken for every file.
            case .room:
                bytes <= FileWriters.limitBytes / 2 && files <= FileWriters.limitFiles / 2
                    && directories.count <= limitDirectories / 2
            case .directory(let id): directories[id] == nil
            case .all: files == 0
            }
        }
    }

    private let state = Mutex(State())
    private let wakes = (0..<laneCount).map { _ in DispatchSemaphore(value: 0) }
    private let progress = DispatchSemaphore(value: 0)
    private let threads = DispatchGroup()

    /// - Parameter limitDirectories: of the directories that waiting files hold open.
    /// - Throws: where the kernel gives no threads.
    init(limitDirectories: Int) throws(SyscallError) {
        self.limitDirectories = limitDirectories
        for lane in 0..<Self.laneCount {
            threads.enter()
            do throws(SyscallError) {
                try startThread(named: "unpack.files") { [self] in
                    serve(lane)
                    threads.leave()
                }
            } catch {
                threads.leave()
                end()
                throw error
            }
        }
    }

    /// Lets what waits go, and waits for what is being made. Nothing more may be asked for.
    func end() {
        let resting = state.withLock { state in
            state.hasEnded = true
            return state.lanes.indices.filter { lane in
                state.lanes[lane].waiting = []
                defer { state.lanes[lane].isResting = false }
                return state.lanes[lane].isResting
            }
        }
        for lane in resting { wakes[lane].signal() }
        threads.wait()
    }

    /// Has a file made, sooner or later.
    /// - Returns: whether all is well so far; `settle` says what is not.
    func make(_ file: NewFile) -> Bool {
        let (wakes, isFull, isWell) = state.withLock { state in
            // Files of a directory follow each other; another directory's go where less is to be done.
            let least = state.lanes.indices.min { state.lanes[$0].files < state.lanes[$1].files } ?? 0
            let lane = state.directories[file.directory.id]?.lane ?? least
            state.directories[file.directory.id, default: (lane, 0)].files += 1
            state.lanes[lane].waiting.append(file)
            state.lanes[lane].files += 1
            state.bytes += file.bytes.count
            defer { state.lanes[lane].isResting = false }
            return (
                state.lanes[lane].isResting ? self.wakes[lane] : nil,
                state.bytes > Self.limitBytes || state.files > Self.limitFiles || state.directories.count > limitDirectories,
                state.taken.isEmpty && state.failure == nil
            )
        }
        wakes?.signal()
        if isFull { wait(for: .room) }
        return isWell
    }

    /// Waits until no file of the directory is on its way.
    func finish(_ directory: OpenDirectory) { wait(for: .directory(directory.id)) }

    /// Waits until no file is on its way.
    /// - Returns: those whose names were taken, in the order of each directory.
    /// - Throws: why a file could not be made.
    func settle() throws(ArchiveError) -> [NewFile] {
        wait(for: .all)
        let (failure, taken) = state.withLock { state in
            defer { state.taken = [] }
            return (state.failure, state.taken)
        }
        if let failure { throw failure }
        return taken
    }

    /// As long as the kernel takes for files that wait already, of which there are not many.
    private func wait(for awaited: Awaited) {
        let isMet = state.withLock { state in
            if state.isMet(awaited, limitDirectories) { return true }
            state.awaited = awaited
            return false
        }
        if !isMet { progress.wait() }
    }

    // MARK: One thread's life

    private func serve(_ lane: Int) {
        while let files = next(lane) {
            for file in files { done(file, lane, result(of: file)) }
        }
    }

    /// What waits, when something does; nil at the end.
    private func next(_ lane: Int) -> [NewFile]? {
        while true {
            let (files, hasEnded) = state.withLock { state in
                defer { state.lanes[lane].waiting = [] }
                state.lanes[lane].isResting = state.lanes[lane].waiting.isEmpty && !state.hasEnded
                return (state.lanes[lane].waiting, state.hasEnded)
            }
            if hasEnded { return nil }
            if !files.isEmpty { return files }
            wakes[lane].wait()
        }
    }

    private enum Outcome {
        case made
        case taken
        case failed(SyscallError)
    }

    private func result(of file: NewFile) -> Outcome {
        // What is behind a failure is not wanted any more.
        if state.withLock({ $0.failure != nil || $0.hasEnded }) { return .made }
        do throws(SyscallError) {
            try file.make(in: file.directory.file.number)
            return .made
        } catch {
            return error.errno == EEXIST ? .taken : .failed(error)
        }
    }

    private func done(_ file: NewFile, _ lane: Int, _ outcome: Outcome) {
        let isAwaited = state.withLock { state in
            switch outcome {
            case .made: break
            case .taken: state.taken.append(file)
            case .failed(let error): state.failure = state.failure ?? refusal(error, file.printable)
            }
            state.lanes[lane].files -= 1
            state.bytes -= file.bytes.count
            if let (lane, files) = state.directories[file.directory.id] {
                state.directories[file.directory.id] = files > 1 ? (lane, files - 1) : nil
            }
            guard let awaited = state.awaited, state.isMet(awaited, limitDirectories) else { return false }
            state.awaited = nil
            return true
        }
        if isAwaited { progress.signal() }
    }
}
