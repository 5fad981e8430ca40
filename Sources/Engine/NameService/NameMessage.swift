/// What a question asks for.
struct RecordType: Hashable, Sendable {
    let number: UInt16
    static let address = RecordType(number: 1)
    static let pointer = RecordType(number: 12)
    static let addressV6 = RecordType(number: 28)
    static let extensions = RecordType(number: 41)
    static let any = RecordType(number: 255)
}

/// How an answer ended. - Source: RFC 1035, 4.1.1; RFC 6891, 6.1.3.
enum ResponseCode: UInt16, Sendable {
    case success = 0, serverFailure = 2, notImplemented = 4, refused = 5
    /// Needs an OPT record for its upper bits.
    case badVersion = 16
}

/// The one question of a message.
struct NameQuestion: Equatable, Sendable {
    let name: DomainName
    let type: RecordType
    let recordClass: UInt16

    static let (internet, anyClass): (UInt16, UInt16) = (1, 255)
}

/// The OPT record of a message. - Source: RFC 6891.
struct NameExtensions: Equatable, Sendable {
    /// The largest datagram that its sender takes.
    let payloadBytes: UInt16
    let version: UInt8
}

/// A message of DNS, as far as somebody in between needs to know it. - Source: RFC 1035, section 4.
struct NameMessage: Equatable, Sendable {
    static let headerBytes = 12
    /// A question of anybody honest is far shorter.
    static let queryLimitBytes = 4096

    let id: UInt16
    private let flags: UInt16
    let question: NameQuestion
    /// Where the question ends in the bytes that were read.
    let questionEnd: Int
    /// nil where there is none.
    let extensions: NameExtensions?

    var isResponse: Bool { flags & 0x8000 != 0 }
    var isTruncated: Bool { flags & 0x0200 != 0 }
    /// 0 is a question.
    var operation: UInt16 { flags >> 11 & 0xf }
    /// The lower four bits.
    var responseCode: UInt16 { flags & 0xf }
    /// What an answer repeats of a question's flags: operation, recursion desired, checking disabled.
    var repeatedFlags: UInt16 { flags & 0x7910 }

    /// Reads a message; nil for what is none, has not exactly one question, or a record outside its bytes.
    init?(_ bytes: [UInt8]) {
        guard bytes.count >= Self.headerBytes else { return nil }
        func number(_ place: Int) -> UInt16 { UInt16(bytes[place]) << 8 | UInt16(bytes[place + 1]) }
        id = number(0)
        flags = number(2)
        guard number(4) == 1, let (name, end) = Self.readName(bytes, at: Self.headerBytes), end + 4 <= bytes.count else { return nil }
        question = NameQuestion(name: name, type: RecordType(number: number(end)), recordClass: number(end + 2))
        questionEnd = end + 4
        var found: NameExtensions?
        var position = questionEnd
        for _ in 0..<(Int(number(6)) + Int(number(8)) + Int(number(10))) {
            guard let (_, nameEnd) = Self.readName(bytes, at: position), nameEnd + 10 <= bytes.count else { return nil }
            let recordEnd = nameEnd + 10 + Int(number(nameEnd + 8))
            guard recordEnd <= bytes.count else { return nil }
            if number(nameEnd) == RecordType.extensions.number {
                guard found == nil else { return nil }
                found = NameExtensions(payloadBytes: number(nameEnd + 2), version: bytes[nameEnd + 5])
            }
            position = recordEnd
        }
        extensions = found
    }

    /// Reads a name, following pointers, which lead strictly backwards: so they end.
    /// - Returns: the name, and where what follows it begins.
    private static func readName(_ bytes: [UInt8], at start: Int) -> (DomainName, Int)? {
        var wire: [UInt8] = []
        var (position, limit) = (start, start)
        var end: Int?
        while position < bytes.count {
            let length = Int(bytes[position])
            switch length {
            case 0: return (DomainName(wire: wire), end ?? position + 1)
            case 1...DomainName.labelLimitBytes:
                guard position + 1 + length <= bytes.count, wire.count + 1 + length <= DomainName.limitBytes else { return nil }
                wire.append(UInt8(length))
                wire += bytes[(position + 1)..<(position + 1 + length)].lazy.map(DomainName.lowercased)
                position += 1 + length
            case 0xc0...0xff:
                guard position + 1 < bytes.count else { return nil }
                let target = (length & 0x3f) << 8 | Int(bytes[position + 1])
                guard target >= headerBytes, target < limit else { return nil }
                end = end ?? position + 2
                (position, limit) = (target, target)
            default: return nil
            }
        }
        return nil
    }

    /// How large a datagram may be that answers this.
    var datagramLimitBytes: Int {
        // More than this is not answered in one datagram, whatever the other end says it takes.
        let ours = 4096
        return min(max(512, Int(extensions?.payloadBytes ?? 0)), ours)
    }
}

/// One record of an answer.
enum NameRecord: Equatable, Sendable {
    /// Four or sixteen bytes.
    case address([UInt8])
    case pointer(SpelledName)

    /// Names and addresses change when containers start again: who remembers them shall not do so for long.
    static let lifeSeconds: UInt32 = 5

    /// Behind the name of the question, which the record is about.
    var bytes: [UInt8] {
        let (type, data): (RecordType, [UInt8]) =
            switch self {
            case .address(let bytes): (bytes.count == 4 ? .address : .addressV6, bytes)
            case .pointer(let name): (.pointer, name.wire + [0])
            }
        let name = 0xc000 | UInt16(NameMessage.headerBytes)
        return bigEndian(name) + bigEndian(type.number) + bigEndian(NameQuestion.internet) + bigEndian(UInt16(Self.lifeSeconds >> 16))
            + bigEndian(UInt16(Self.lifeSeconds & 0xffff)) + bigEndian(UInt16(data.count)) + data
    }
}

/// Writes answers.
enum NameReply {
    private static let (response, truncated, recursionAvailable): (UInt16, UInt16, UInt16) = (0x8000, 0x0200, 0x0080)

    /// - Parameters:
    ///   - bytes: those that `query` was read from.
    ///   - limitBytes: what does not fit is left out, and the answer says that it is cut.
    static func make(
        to query: NameMessage, of bytes: [UInt8], _ code: ResponseCode, _ records: [NameRecord] = [], isCut: Bool = false, limitBytes: Int
    ) -> [UInt8] {
        let question = bytes[NameMessage.headerBytes..<query.questionEnd]
        let ours: UInt16 = 1232
        let upperCode = UInt8(code.rawValue >> 4)
        let options =
            query.extensions == nil ? [] : [0] + bigEndian(RecordType.extensions.number) + bigEndian(ours) + [upperCode, 0, 0, 0, 0, 0]
        var body = Array(question)
        var (count, cut) = (UInt16(0), isCut)
        for record in records.lazy.map(\.bytes) {
            guard NameMessage.headerBytes + body.count + record.count + options.count <= limitBytes, count < .max else {
                cut = true
                break
            }
            body += record
            count += 1
        }
        let flags = Self.response | query.repeatedFlags | (cut ? truncated : 0) | recursionAvailable | code.rawValue & 0xf
        let counts = bigEndian(1) + bigEndian(count) + bigEndian(0) + bigEndian(options.isEmpty ? 0 : 1)
        return bigEndian(query.id) + bigEndian(flags) + counts + body + options
    }

    /// The same message under another number.
    static func renumbered(_ bytes: [UInt8], _ id: UInt16) -> [UInt8] { bigEndian(id) + bytes.dropFirst(2) }
}

func bigEndian(_ number: UInt16) -> [UInt8] { [UInt8(number >> 8), UInt8(number & 0xff)] }
