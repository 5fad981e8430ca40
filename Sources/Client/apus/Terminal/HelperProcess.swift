internal import Glibc

/// What a program said, and how it ended.
struct HelperAnswer {
    let output: [UInt8]
    /// 0 to 255; nil where a signal ended it.
    let exitCode: Int32?
}

/// Runs a program that is looked for on PATH, without a shell; its errors go where ours go. It may ask a person something, so it is
/// waited for as long as it takes.
/// - Parameter limitBytes: of its output; more is an error.
/// - Throws: `Complaint` where it cannot be run.
func runHelper(_ program: String, _ argument: String, input: [UInt8], limitBytes: Int) throws(Complaint) -> HelperAnswer {
    let (toChild, fromChild) = (try HelperPipe(), try HelperPipe())
    var actions = unsafe posix_spawn_file_actions_t()
    unsafe posix_spawn_file_actions_init(&actions)
    defer { unsafe _ = posix_spawn_file_actions_destroy(&actions) }
    unsafe posix_spawn_file_actions_adddup2(&actions, toChild.reading, 0)
    unsafe posix_spawn_file_actions_adddup2(&actions, fromChild.writing, 1)
    var attributes = SpawnAttributes(isGroupOfItsOwn: false)
    var process: pid_t = 0
    let words = unsafe [strdup(program), strdup(argument), nil]
    defer { unsafe words.forEach { unsafe free($0) } }
    let refusal = unsafe posix_spawnp(&process, program, &actions, &attributes.value, words, environ)
    toChild.close(reading: true)
    fromChild.close(reading: false)
    guard refusal == 0 else {
        toChild.close(reading: false)
        fromChild.close(reading: true)
        throw Complaint("cannot run \(program): \(unsafe String(cString: strerror(refusal)))")
    }
    // One that does not want its input has closed the pipe; what it says then counts.
    _ = unsafe input.withUnsafeBytes { unsafe write(toChild.writing, $0.baseAddress, $0.count) }
    toChild.close(reading: false)
    let output = fromChild.readAll(limitBytes: limitBytes + 1)
    fromChild.close(reading: true)
    var status: Int32 = 0
    while unsafe waitpid(process, &status, 0) == -1 && errno == EINTR {}
    if output.count > limitBytes { throw Complaint("\(program) says more than \(limitBytes) bytes") }
    return HelperAnswer(output: output, exitCode: status & 0x7f == 0 ? status >> 8 & 0xff : nil)
}

/// How another program begins: with no signal blocked, as those are that this program takes itself. - Source: posix_spawn(3).
private struct SpawnAttributes: ~Copyable {
    var value = posix_spawnattr_t()

    init(isGroupOfItsOwn: Bool) {
        unsafe posix_spawnattr_init(&value)
        var none = sigset_t()
        unsafe sigemptyset(&none)
        unsafe posix_spawnattr_setsigmask(&value, &none)
        unsafe posix_spawnattr_setpgroup(&value, 0)
        unsafe posix_spawnattr_setflags(&value, Int16(POSIX_SPAWN_SETSIGMASK | (isGroupOfItsOwn ? POSIX_SPAWN_SETPGROUP : 0)))
    }

    deinit {
        var ended = value
        unsafe _ = posix_spawnattr_destroy(&ended)
    }
}

/// A pipe whose ends no other program inherits.
private struct HelperPipe {
    let reading: Int32
    let writing: Int32

    init() throws(Complaint) {
        var ends: [Int32] = [-1, -1]
        guard unsafe pipe(&ends) == 0 else { throw Complaint("cannot make a pipe: \(unsafe String(cString: strerror(errno)))") }
        (reading, writing) = (ends[0], ends[1])
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
    }

    func close(reading isReading: Bool) { _ = Glibc.close(isReading ? reading : writing) }

    func readAll(limitBytes: Int) -> [UInt8] {
        var whole: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 4096)
        while whole.count < limitBytes {
            let count = unsafe buffer.withUnsafeMutableBytes { unsafe read(reading, $0.baseAddress, $0.count) }
            if count == -1 && errno == EINTR { continue }
            if count <= 0 { break }
            whole += buffer[..<count]
        }
        return whole
    }
}

/// Runs a program that is looked for on PATH, without a shell, with one socket for its input and output; its errors go where ours go. It
/// ends when the socket is closed, or we end.
/// - Returns: the socket's other end.
/// - Throws: `Complaint` where it cannot be run.
func startConnected(_ command: [String]) throws(Complaint) -> Int32 {
    var ends: [Int32] = [-1, -1]
    guard unsafe socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0, &ends) == 0 else {
        throw Complaint("cannot make a socket: \(unsafe String(cString: strerror(errno)))")
    }
    for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
    var actions = unsafe posix_spawn_file_actions_t()
    unsafe posix_spawn_file_actions_init(&actions)
    defer { unsafe _ = posix_spawn_file_actions_destroy(&actions) }
    unsafe posix_spawn_file_actions_adddup2(&actions, ends[1], 0)
    unsafe posix_spawn_file_actions_adddup2(&actions, ends[1], 1)
    // A terminal's interrupt is the command's affair, not ssh's.
    var attributes = SpawnAttributes(isGroupOfItsOwn: true)
    var process: pid_t = 0
    let words = unsafe command.map { unsafe strdup($0) } + [nil]
    defer { unsafe words.forEach { unsafe free($0) } }
    let refusal = unsafe posix_spawnp(&process, command[0], &actions, &attributes.value, words, environ)
    close(ends[1])
    guard refusal == 0 else {
        close(ends[0])
        throw Complaint("cannot run \(command[0]): \(unsafe String(cString: strerror(refusal)))")
    }
    return ends[0]
}
