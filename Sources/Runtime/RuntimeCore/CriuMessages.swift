internal import Protobuf

/// What criu's service is asked, and what it answers: the part of its protobuf messages that is used.
/// - Source: criu's images/rpc.proto.
enum CriuRequest: UInt64 {
    case dump = 1
    case restore = 2
    case preDump = 4
    case notify = 6

    /// The request with its options.
    func encoded(_ options: CriuOptions) -> [UInt8] {
        var writer = ProtobufWriter()
        writer.unsigned(1, rawValue)
        writer.data(2, options.encoded)
        return writer.bytes
    }

    /// The answer to a notification: criu may go on.
    static var acknowledgement: [UInt8] {
        var writer = ProtobufWriter()
        writer.unsigned(1, Self.notify.rawValue)
        writer.bool(3, true)
        return writer.bytes
    }
}

/// criu's options; those that are not set are left out, and criu's own defaults hold.
struct CriuOptions: Equatable {
    private(set) var encoded: [UInt8] = []

    mutating func set(_ option: CriuOption, _ isOn: Bool) { write { $0.bool(option.rawValue, isOn) } }

    /// Zero is written too: it is another value than none.
    mutating func set(_ option: CriuOption, _ number: UInt32) { write { $0.present(option.rawValue, UInt64(number)) } }

    mutating func set(_ option: CriuOption, _ value: String?) { if let value { write { $0.string(option.rawValue, value) } } }

    /// For options that are pairs of texts.
    mutating func add(_ option: CriuOption, _ key: String, _ value: String) {
        addPair(option) { pair in
            pair.string(1, key)
            pair.string(2, value)
        }
    }

    /// For options that are pairs of a text and a number.
    mutating func add(_ option: CriuOption, _ key: String, _ number: Int32) {
        addPair(option) { pair in
            pair.string(1, key)
            pair.present(2, UInt64(UInt32(bitPattern: number)))
        }
    }

    private mutating func addPair(_ option: CriuOption, _ body: (inout ProtobufWriter) -> Void) {
        var pair = ProtobufWriter()
        body(&pair)
        write { $0.data(option.rawValue, pair.bytes) }
    }

    private mutating func write(_ body: (inout ProtobufWriter) -> Void) {
        var writer = ProtobufWriter()
        body(&writer)
        encoded += writer.bytes
    }
}

/// The numbers of criu_opts.
enum CriuOption: Int {
    case imagesDirectory = 1
    case process = 2
    case leavesRunning = 3
    case externalUnixSockets = 4
    case keepsConnections = 5
    case evasiveDevices = 6
    case isShellJob = 7
    case locksFiles = 8
    case logLevel = 9
    case logFile = 10
    case pageServer = 11
    case notifies = 12
    case root = 13
    case parentImages = 14
    case tracksMemory = 15
    case deduplicates = 16
    case workDirectory = 17
    case remapsLinks = 18
    case externalMount = 23
    case cgroupRoot = 25
    case restoresSibling = 26
    case inheritedDescriptor = 27
    case cgroupMode = 34
    case external = 37
    case emptyNamespaces = 38
    case joinedNamespace = 39
    case frozenCgroup = 44
    case skipsInFlight = 46
    case isLazy = 48
    case orphanTerminal = 50
    case configurationFile = 51
    case securityProfile = 53
    case mountContext = 63
}

/// What criu says.
struct CriuResponse: Equatable {
    var kind: UInt64 = 0
    var succeeded = false
    /// The restored root process, or that of a notification.
    var process: Int32 = 0
    /// The moment that a notification tells of.
    var moment = ""
    var errorText = ""

    /// - Throws: for bytes that are no response.
    init(decoding bytes: [UInt8]) throws(WireError) {
        for field in try Self.fields(of: bytes[...], "criu_resp") {
            switch field.number {
            case 1: kind = try field.uint64()
            case 2: succeeded = try field.bool()
            // criu_restore_resp
            case 4: process = try Self.fields(of: try field.slice(), "criu_restore_resp").first { $0.number == 1 }?.int32() ?? 0
            case 5:
                for part in try Self.fields(of: try field.slice(), "criu_notify") {
                    switch part.number {
                    case 1: moment = try part.string()
                    case 2: process = try part.int32()
                    default: break
                    }
                }
            case 9: errorText = try field.string()
            default: break
            }
        }
    }

    private static func fields(of bytes: ArraySlice<UInt8>, _ message: String) throws(WireError) -> [ProtobufField] {
        var reader = ProtobufReader(bytes, subject: message)
        var fields: [ProtobufField] = []
        while let (number, value) = try reader.next() { fields.append(ProtobufField(value: value, number: number, message: message)) }
        return fields
    }
}
