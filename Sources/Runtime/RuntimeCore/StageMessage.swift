package import OCISpec

/// What the runtime and the process that becomes the payload tell each other, in the order of docs/process-stages.md.
package enum StageMessage: Equatable, Sendable {
    /// Joining stage to runtime, whose child it is: the process that goes on in its place.
    case forked(process: Int32)
    /// Runtime to init: the mappings of your user namespace stand.
    case identityReady
    /// Runtime to init, with the control files to enter: the cgroup stands. To a process that `exec` adds: systemd has put you there.
    case cgroupReady
    /// Init to runtime: everything is mounted, the old root is still there.
    case rootMounted
    /// Runtime to init: `prestart` and `createRuntime` hooks have run.
    case hooksDone
    /// Init to runtime: only the last steps before execve are left.
    case prepared
    /// Runtime to init: the record names you and your limits stand; go on to the gate or, without one, to execve. `start` says it too.
    case proceed
    /// From the process that becomes the payload: the filter is loaded, and this descriptor of mine listens to it. By write(2) alone; the
    /// answer is `proceed`, by read(2) alone: other calls may already wait for the listener.
    case listening(descriptor: Int32)
    /// From the process that becomes criu, with a socket: there it will be told what to do.
    case serving
    /// To a created container's init, at its gate, without any: lend me your namespaces. And the answer, with a descriptor of each.
    case namespaces([LinuxNamespace.Kind])
    /// Either way: worth a warning.
    case remark(String)
    /// From the process that becomes the payload: it gives up.
    case failed(RuntimeError)

    /// A longer text loses its end.
    package static let limitBytes = 65_536
    /// What the runtime tells is one byte.
    static let instructionLimitBytes = 64

    /// The first byte. A container that waits for `start` may be an older version's: numbers stay.
    private enum Kind: UInt8 {
        case forked = 1
        case identityReady = 2
        case rootMounted = 3
        case hooksDone = 4
        case prepared = 5
        case proceed = 6
        case remark = 7
        case failed = 8
        case cgroupReady = 9
        case listening = 10
        case serving = 11
        case namespaces = 12
    }

    /// One byte of kind; then decimal, text, or code byte and two texts with a NUL between.
    package var encoded: [UInt8] {
        switch self {
        case .forked(let process): Self.bytes(.forked, Array(String(process).utf8))
        case .identityReady: Self.bytes(.identityReady)
        case .rootMounted: Self.bytes(.rootMounted)
        case .cgroupReady: Self.bytes(.cgroupReady)
        case .serving: Self.bytes(.serving)
        case .namespaces(let kinds): Self.bytes(.namespaces, Array(kinds.map(\.rawValue).joined(separator: ",").utf8))
        case .hooksDone: Self.bytes(.hooksDone)
        case .prepared: Self.bytes(.prepared)
        case .proceed: Self.bytes(.proceed)
        case .listening(let descriptor): Self.bytes(.listening, Array(String(descriptor).utf8))
        case .remark(let text): Self.bytes(.remark, Array(text.utf8))
        case .failed(let error):
            Self.bytes(.failed, [error.code.rawValue] + Array(error.doing.utf8) + [0] + Array(error.cause.utf8))
        }
    }

    private static func bytes(_ kind: Kind, _ rest: [UInt8] = []) -> [UInt8] { [kind.rawValue] + rest.prefix(limitBytes - 1) }

    /// nil where the bytes are no message.
    package init?(_ bytes: [UInt8]) {
        guard let first = bytes.first, let kind = Kind(rawValue: first) else { return nil }
        let rest = bytes.dropFirst()
        switch kind {
        case .forked:
            guard let process = Int32(String(decoding: rest, as: UTF8.self)), process > 0 else { return nil }
            self = .forked(process: process)
        case .identityReady: self = .identityReady
        case .rootMounted: self = .rootMounted
        case .hooksDone: self = .hooksDone
        case .prepared: self = .prepared
        case .proceed: self = .proceed
        case .remark: self = .remark(String(decoding: rest, as: UTF8.self))
        case .failed:
            guard let code = rest.first.flatMap({ RuntimeError.Code(rawValue: $0) }) else { return nil }
            let texts = rest.dropFirst().split(separator: 0, maxSplits: 1, omittingEmptySubsequences: false)
            guard texts.count == 2 else { return nil }
            self = .failed(
                RuntimeError(code, doing: String(decoding: texts[0], as: UTF8.self), String(decoding: texts[1], as: UTF8.self)))
        case .cgroupReady: self = .cgroupReady
        case .serving: self = .serving
        case .namespaces:
            let names = String(decoding: rest, as: UTF8.self).split(separator: ",")
            let kinds = names.compactMap { LinuxNamespace.Kind(rawValue: String($0)) }
            guard kinds.count == names.count else { return nil }
            self = .namespaces(kinds)
        case .listening:
            guard let descriptor = Int32(String(decoding: rest, as: UTF8.self)), descriptor >= 0 else { return nil }
            self = .listening(descriptor: descriptor)
        }
    }
}
