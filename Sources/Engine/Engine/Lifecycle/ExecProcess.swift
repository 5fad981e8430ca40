internal import CoreTypes
internal import EngineAPI

/// A further process of a container.
struct ExecProcess: Sendable {
    /// Where in its life it is.
    enum State: Sendable {
        case created
        case starting
        case running(pid: UInt32)
        case ended(exitCode: Int)
    }

    let id: String
    let created: Timestamp
    private(set) var request: ExecCreateRequest
    /// Of its words and variables.
    private(set) var byteCount: Int
    /// Settled with the exit code when it ends, in whichever way.
    let end = OneShot<Int>()
    /// Settled when its process is there, or never will be.
    let begun = OneShot<Void>()
    var state = State.created {
        didSet {
            switch state {
            case .created, .starting: break
            case .running: begun.settle(())
            case .ended(let exitCode):
                // It is not begun again, and nobody is shown them.
                request.env = []
                byteCount = Self.byteCount(of: request)
                begun.settle(())
                end.settle(exitCode)
            }
        }
    }

    init(id: String, created: Timestamp, request: ExecCreateRequest) {
        self.id = id
        self.created = created
        self.request = request
        byteCount = Self.byteCount(of: request)
    }

    private static func byteCount(of request: ExecCreateRequest) -> Int {
        ((request.cmd?.words ?? []) + request.env).reduce(0) { $0 + $1.utf8.count }
    }

    /// Its words, as events show them.
    var commandLine: String { (request.cmd?.words ?? []).joined(separator: " ") }

    /// What the next daemon must know of it.
    var record: ExecRecord {
        var record = ExecRecord(created: created, request: request)
        if case .ended(let exitCode) = state { record.exitCode = exitCode }
        return record
    }

    /// The answer to a client's question.
    func inspection(containerID: String) -> ExecInspect {
        var answer = ExecInspect()
        answer.id = id
        answer.containerID = containerID
        answer.detachKeys = request.detachKeys
        answer.openStdin = request.attachStdin
        answer.openStdout = request.attachStdout
        answer.openStderr = request.attachStderr
        answer.processConfig.tty = request.tty
        answer.processConfig.entrypoint = request.cmd?.words.first ?? ""
        answer.processConfig.arguments = Array((request.cmd?.words ?? []).dropFirst())
        answer.processConfig.privileged = request.privileged
        answer.processConfig.user = request.user
        switch state {
        case .created, .starting: break
        case .running(let pid):
            answer.running = true
            answer.pid = Int(pid)
        case .ended(let exitCode):
            answer.exitCode = exitCode
            answer.canRemove = true
        }
        return answer
    }
}
