package import Protobuf

/// What lies where below `apusd`'s exec root, so that a new daemon finds the shims of the old one.
///
///     <exec-root>/shims/<container id>/    0700
///         socket     the ttrpc socket, 0600; appears when the shim can be spoken to
///         pid        a `ShimProcessIdentity`
///         options    a `ShimRecord`, written at Create before anything is made
///         life       a `LifeRecord`, from the first start on: for a shim that takes a killed one's place
///         stdout     what was taken from the container's standard output, the part that is not in its log yet; the rest is a hole
///         stderr     the same of its standard error
///         logged     how far both are in the log
package struct ShimLayout: Equatable, Sendable {
    /// The directory of all shims in the exec root.
    package static let parentName = "shims"
    package static let socketName = "socket"
    package static let pidName = "pid"
    package static let optionsName = "options"
    package static let groupName = "group"
    package static let tasksName = "tasks"
    /// What a shim that ended itself leaves: nothing. What a killed one leaves: this file tells how it got on.
    package static let directoryMode: UInt32 = 0o700

    /// The shim's own directory.
    package let directory: String

    /// - Parameter directory: what `apus-shim start -directory` was given.
    package init(directory: String) { self.directory = directory }

    /// - Parameter execRoot: `apusd --exec-root`.
    package init(execRoot: String, containerID: String) {
        self.init(directory: "\(execRoot)/\(Self.parentName)/\(containerID)")
    }

    package var socketPath: String { "\(directory)/\(Self.socketName)" }
    package var pidPath: String { "\(directory)/\(Self.pidName)" }
    package var optionsPath: String { "\(directory)/\(Self.optionsName)" }
    package var lifePath: String { "\(directory)/life" }
    /// The key of the group whose containers a shim serves; there for such a shim alone.
    package var groupPath: String { "\(directory)/\(Self.groupName)" }
    /// The directories of a group's containers, by id.
    package var tasksPath: String { "\(directory)/\(Self.tasksName)" }
    package var loggedPath: String { "\(directory)/logged" }
    package func spoolPath(_ stream: LogRecord.Stream) -> String { "\(directory)/\(stream == .stdout ? "stdout" : "stderr")" }
}

/// Which process a shim is, told apart from a later one with the same number: "<pid> <start time>\n".
package struct ShimProcessIdentity: Equatable, Sendable {
    /// More than two numbers take.
    package static let maximumByteCount = 64

    package var pid: Int32
    /// Clock ticks after boot: field 22 of /proc/<pid>/stat.
    package var startTimeTicks: UInt64

    package init(pid: Int32, startTimeTicks: UInt64) {
        self.pid = pid
        self.startTimeTicks = startTimeTicks
    }

    /// - Throws: `WireError.malformed` for anything but two numbers.
    package init(decoding bytes: some Collection<UInt8>) throws(WireError) {
        let words = bytes.split(whereSeparator: { $0 == 0x20 || $0 == 0x0a })
            .map { String(decoding: $0, as: UTF8.self) }
        guard words.count == 2, let pid = Int32(words[0]), pid > 0, let ticks = UInt64(words[1]) else {
            throw WireError(.malformed, "shim pid file")
        }
        self.init(pid: pid, startTimeTicks: ticks)
    }

    package func encoded() -> [UInt8] { Array("\(pid) \(startTimeTicks)\n".utf8) }
}

/// `apus.shim.v1.Record`: what a shim was asked to do, for whoever finds its directory.
package struct ShimRecord: ProtobufMessage {
    package static let fullName = "apus.shim.v1.Record"
    package static let currentVersion: UInt32 = 1
    /// The longest record: what one Create request may hold, and the namespace.
    package static let maximumByteCount = 2 * TtrpcFrame.maximumPayloadByteCount + 65_536

    package var version = ShimRecord.currentVersion
    package var namespace = ""
    package var id = ""
    package var bundle = ""
    package var options: ProtobufAny?
    /// The container's first process in the host's pid namespace; 0 until it is made.
    package var pid: UInt32 = 0
    /// All of what Create asked for.
    package var request: CreateTaskRequest?

    package init() {}

    package mutating func setField(_ number: Int, to value: ProtobufField) throws(WireError) {
        switch number {
        case 1:
            version = try value.uint32()
            guard version == Self.currentVersion else { throw WireError(.unsupported, "shim record version \(version)") }
        case 2: namespace = try value.string()
        case 3: id = try value.string()
        case 4: bundle = try value.string()
        case 5: options = try value.message()
        case 6: pid = try value.uint32()
        case 7: request = try value.message()
        default: break
        }
    }

    package func write(to writer: inout ProtobufWriter) {
        writer.unsigned(1, version)
        writer.string(2, namespace)
        writer.string(3, id)
        writer.string(4, bundle)
        writer.message(5, options)
        writer.unsigned(6, pid)
        writer.message(7, request)
    }
}
