package import Protobuf

/// `apus.shim.v1.AttachRequest`: which process, and which of its streams.
package struct AttachRequest: ProtobufMessage {
    package static let fullName = "apus.shim.v1.AttachRequest"
    package var id = ""
    /// Empty for the container's first process.
    package var execID = ""
    package var stdin = false
    package var stdout = false
    /// Never anything on it where the process has a terminal.
    package var stderr = false
    /// The client was attached by a shim that was killed, and has what lies before `stdoutFrom` and `stderrFrom`.
    package var resumes = false
    /// Bytes of the stream since it began.
    package var stdoutFrom: UInt64 = 0
    package var stderrFrom: UInt64 = 0
    /// By which the client's input is known, also to the shim that takes this one's place; 0 where the client does not count it.
    package var stdinID: UInt64 = 0

    package init() {}
    package init(id: String, execID: String = "", stdin: Bool, stdout: Bool, stderr: Bool) {
        self.id = id
        self.execID = execID
        self.stdin = stdin
        self.stdout = stdout
        self.stderr = stderr
    }

    package mutating func setField(_ number: Int, to value: ProtobufField) throws(WireError) {
        switch number {
        case 1: id = try value.string()
        case 2: execID = try value.string()
        case 3: stdin = try value.bool()
        case 4: stdout = try value.bool()
        case 5: stderr = try value.bool()
        case 6: resumes = try value.bool()
        case 7: stdoutFrom = try value.uint64()
        case 8: stderrFrom = try value.uint64()
        case 9: stdinID = try value.uint64()
        default: break
        }
    }

    package func write(to writer: inout ProtobufWriter) {
        writer.string(1, id)
        writer.string(2, execID)
        writer.bool(3, stdin)
        writer.bool(4, stdout)
        writer.bool(5, stderr)
        writer.bool(6, resumes)
        writer.unsigned(7, stdoutFrom)
        writer.unsigned(8, stderrFrom)
        writer.unsigned(9, stdinID)
    }
}

/// `apus.shim.v1.AttachMessage`: one data frame of an attachment.
///
/// Shim to client: `attached` once, then output, and now and then `taken`, then `exited` after the last of it, then the response that
/// ends the stream. Client to shim: `stdin`, and ttrpc's end of data for the half-close; leaving is closing
/// the connection.
package struct AttachMessage: ProtobufMessage {
    package static let fullName = "apus.shim.v1.AttachMessage"

    /// What a message carries.
    package enum Kind: UInt32, Sendable {
        case unknown = 0
        /// The attachment is registered: all that the process writes from here on will come.
        case attached = 1
        case stdin = 2
        case stdout = 3
        case stderr = 4
        /// The process has ended and all of its output was sent before.
        case exited = 5
        /// The client's input up to `stdinPlace` was taken, and reaches the process whatever becomes of this shim.
        case taken = 6
    }

    /// The longest `data` of one message, either way.
    package static let maximumDataByteCount = 65_536

    package var kind = Kind.unknown
    package var data: [UInt8] = []
    /// With `exited`.
    package var exit: ExitNotice?
    /// With `attached`: bytes of the streams before the first that comes; 0 where nobody counts them.
    package var stdoutPlace: UInt64 = 0
    package var stderrPlace: UInt64 = 0
    /// With `attached` and `taken`: bytes of the client's input that were taken.
    package var stdinPlace: UInt64 = 0
    /// With `attached`: whether `stdinPlace` says so, and `taken` will be said.
    package var countsStdin = false

    package init() {}
    package init(_ kind: Kind, data: [UInt8] = [], exit: ExitNotice? = nil) {
        self.kind = kind
        self.data = data
        self.exit = exit
    }

    package mutating func setField(_ number: Int, to value: ProtobufField) throws(WireError) {
        switch number {
        case 1: kind = Kind(rawValue: try value.uint32()) ?? .unknown
        case 2: data = try value.bytes()
        case 3: exit = try value.message()
        case 4: stdoutPlace = try value.uint64()
        case 5: stderrPlace = try value.uint64()
        case 6: stdinPlace = try value.uint64()
        case 7: countsStdin = try value.bool()
        default: break
        }
    }

    package func write(to writer: inout ProtobufWriter) {
        writer.unsigned(1, kind.rawValue)
        writer.data(2, data)
        writer.message(3, exit)
        writer.unsigned(4, stdoutPlace)
        writer.unsigned(5, stderrPlace)
        writer.unsigned(6, stdinPlace)
        writer.bool(7, countsStdin)
    }
}
