/// Reads the part of YAML that programs write which print what they hold: mappings and sequences in blocks and in brackets, scalars plain and in
/// quotes, on one line or folded over several. What makes one part of a text stand for another (anchors, aliases, merges), tags, block scalars,
/// keys that are no scalars and more than one document are refused by name.
/// - Source: YAML 1.2.2, chapters 5 to 8; docs/decisions/0089-a-yaml-reader-of-our-own.md.
struct YAMLReader {
    /// Most collections within one another.
    static let maximumDepth = 32
    /// Most values of a text.
    static let maximumValueCount = 200_000

    let bytes: [UInt8]
    /// The end of the document, which a line `...` may tell.
    var end: Int
    var position = 0
    var line = 1
    var lineStart = 0
    private var depth = 0
    private var valueCount = 0

    private init(bytes: [UInt8]) {
        self.bytes = bytes
        end = bytes.count
    }

    /// - Throws: `YAMLError` with the line.
    static func read(_ bytes: [UInt8]) throws(YAMLError) -> YAMLValue {
        var reader = YAMLReader(bytes: bytes)
        guard String(validating: bytes, as: UTF8.self) != nil else { throw reader.problem("the text is no UTF-8") }
        if let place = bytes.firstIndex(where: { $0 < 0x20 && $0 != 0x0a && !isWhite($0) }) {
            reader.line += bytes[..<place].count { $0 == 0x0a }
            throw reader.problem("a control character")
        }
        try reader.delimit()
        let value = try reader.blockValue(within: -1)
        try reader.skipToContent()
        guard reader.isAtEnd else { throw reader.problem("this belongs to nothing above it; its indentation may be wrong") }
        return value
    }

    // MARK: The document

    var isAtEnd: Bool { position >= end }
    /// The next byte; 0, which no text has, at the end.
    var peek: UInt8 { position < end ? bytes[position] : 0 }
    /// The byte after the next; 0 at the end.
    var second: UInt8 { position + 1 < end ? bytes[position + 1] : 0 }
    var column: Int { position - lineStart }

    func problem(_ reason: String) -> YAMLError { YAMLError(line: line, reason: reason) }

    /// Passes over what stands before the one document, and finds where it ends.
    private mutating func delimit() throws(YAMLError) {
        if bytes.starts(with: [0xef, 0xbb, 0xbf]) { (position, lineStart) = (3, 3) }
        var start = position
        var number = 0
        var hasBegun = false
        var hasEnded = false
        while start < bytes.count {
            number += 1
            let lineEnd = bytes[start...].firstIndex(of: 0x0a) ?? bytes.count
            let content = Self.trimmed(bytes[start..<lineEnd])
            let isAtMargin = content.startIndex == start
            switch content.first {
            case nil, UInt8(ascii: "#"): break
            case _ where hasEnded: throw YAMLError(line: number, reason: "a second document is not read; write it to a file of its own")
            case UInt8(ascii: "%") where isAtMargin && !hasBegun:
                throw YAMLError(line: number, reason: "directives (%) are not read")
            case _ where isAtMargin && Self.isMarker(content, "---"):
                guard !hasBegun else {
                    throw YAMLError(line: number, reason: "a second document is not read; write it to a file of its own")
                }
                guard Self.isBlank(content.dropFirst(3)) else {
                    throw YAMLError(line: number, reason: "a value beside the beginning of its document (---) is not read")
                }
                hasBegun = true
                (position, lineStart, line) = (min(lineEnd + 1, bytes.count), min(lineEnd + 1, bytes.count), number + 1)
            case _ where isAtMargin && Self.isMarker(content, "..."):
                hasEnded = true
                end = start
            default: hasBegun = true
            }
            start = lineEnd + 1
        }
    }

    private static func isMarker(_ content: ArraySlice<UInt8>, _ marker: String) -> Bool {
        guard content.starts(with: marker.utf8) else { return false }
        return content.count == 3 || [0x20, 0x09].contains(content[content.startIndex + 3])
    }

    private static func isBlank(_ rest: ArraySlice<UInt8>) -> Bool {
        let text = trimmed(rest)
        return text.isEmpty || text.first == UInt8(ascii: "#")
    }

    private static func trimmed(_ text: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
        var text = text
        while let byte = text.first, isWhite(byte) { text.removeFirst() }
        while let byte = text.last, isWhite(byte) { text.removeLast() }
        return text
    }

    /// A space, a tab, or half of a line's end.
    static func isWhite(_ byte: UInt8) -> Bool { [0x20, 0x09, 0x0d].contains(byte) }
    /// What ends an indicator such as `-`: white space, the line, or the text.
    static func isBreak(_ byte: UInt8) -> Bool { byte == 0 || byte == 0x0a || isWhite(byte) }

    // MARK: White space

    /// Passes over the rest of a line that has only white space and a comment left.
    /// - Returns: whether that is so.
    mutating func skipToLineEnd() -> Bool {
        var isSeparate = column == 0
        while Self.isWhite(peek) {
            position += 1
            isSeparate = true
        }
        if peek == UInt8(ascii: "#"), isSeparate {
            while !isAtEnd && peek != 0x0a { position += 1 }
        }
        return isAtEnd || peek == 0x0a
    }

    mutating func takeLineFeed() {
        position += 1
        line += 1
        lineStart = position
    }

    /// Passes over white space, comments and lines' ends, to the next token or to the end.
    mutating func skipToContent() throws(YAMLError) {
        var isIndentation = column == 0
        while skipToLineEnd(), !isAtEnd {
            takeLineFeed()
            isIndentation = true
        }
        if isIndentation, !isAtEnd, bytes[lineStart..<position].contains(0x09) { throw problem("a tab cannot indent") }
    }

    // MARK: Blocks

    /// A value that may lie on lines of its own.
    /// - Parameters:
    ///   - indent: the column of the collection that it is in.
    ///   - isMember: of a mapping, whose sequences may begin in its own column.
    private mutating func blockValue(within indent: Int, isMember: Bool = false) throws(YAMLError) -> YAMLValue {
        try skipToContent()
        if isAtEnd { return .null }
        let begin = column
        let isElement = peek == UInt8(ascii: "-") && Self.isBreak(second)
        guard begin > indent || (isMember && isElement && begin == indent) else { return .null }
        if isElement { return try nested { reader throws(YAMLError) in try reader.blockSequence(at: begin) } }
        if let name = try implicitKey() {
            return try nested { reader throws(YAMLError) in try reader.blockMapping(at: begin, first: name) }
        }
        return try flatValue(within: indent)
    }

    private mutating func blockSequence(at begin: Int) throws(YAMLError) -> YAMLValue {
        var elements: [YAMLValue] = []
        while !isAtEnd, column == begin, peek == UInt8(ascii: "-"), Self.isBreak(second) {
            position += 1
            try count()
            elements.append(try blockValue(within: begin))
            try skipToContent()
        }
        try requireDedent(from: begin)
        return .sequence(elements)
    }

    private mutating func blockMapping(at begin: Int, first: String) throws(YAMLError) -> YAMLValue {
        var members = YAMLMembers()
        var next: String? = first
        while let name = next {
            try count()
            try members.begin(name, in: self)
            members.end(try memberValue(within: begin))
            try skipToContent()
            next = !isAtEnd && column == begin ? try implicitKey() : nil
            if next == nil, !isAtEnd, column == begin { throw problem("this line has no \": \", which a member of a mapping needs") }
        }
        try requireDedent(from: begin)
        return .mapping(members.all)
    }

    /// What follows a colon: a value on its line, or a block beneath it.
    private mutating func memberValue(within begin: Int) throws(YAMLError) -> YAMLValue {
        if skipToLineEnd() { return try blockValue(within: begin, isMember: true) }
        if peek == UInt8(ascii: "-"), Self.isBreak(second) { throw problem("a sequence cannot begin on the line of its key") }
        return try flatValue(within: begin)
    }

    private func requireDedent(from begin: Int) throws(YAMLError) {
        if !isAtEnd, column > begin { throw problem("this belongs to nothing above it; its indentation may be wrong") }
    }

    /// A value that is no block: in brackets, in quotes or plain; nothing but a comment may follow it.
    private mutating func flatValue(within indent: Int) throws(YAMLError) -> YAMLValue {
        let value: YAMLValue
        switch peek {
        case UInt8(ascii: "["), UInt8(ascii: "{"): value = try flowValue()
        case UInt8(ascii: "\""), UInt8(ascii: "'"):
            value = .scalar(try quoted(), isPlain: false)
        default:
            try refuseIndicator()
            value = Self.resolved(try plain(within: indent))
        }
        guard skipToLineEnd() else {
            throw problem(peek == UInt8(ascii: ":") ? "a second \": \" on a line" : "unexpected text after a value")
        }
        return value
    }

    /// The key that begins here, with its colon passed over; nil, and nothing passed over, where no key is.
    private mutating func implicitKey() throws(YAMLError) -> String? {
        let before = self
        switch peek {
        case UInt8(ascii: "\""), UInt8(ascii: "'"):
            let name = try quoted()
            if line == before.line, try takeColon() { return name }
        case UInt8(ascii: "["), UInt8(ascii: "{"): break
        default:
            try refuseIndicator()
            let name = plainOnLine(inFlow: false)
            if try takeColon() {
                if name.isEmpty { throw problem("a member without a name") }
                return name
            }
        }
        self = before
        return nil
    }

    private mutating func takeColon() throws(YAMLError) -> Bool {
        while Self.isWhite(peek) { position += 1 }
        guard peek == UInt8(ascii: ":"), Self.isBreak(second) else { return false }
        position += 1
        return true
    }

    // MARK: Limits

    /// Reads a collection one level deeper.
    mutating func nested(_ read: (inout YAMLReader) throws(YAMLError) -> YAMLValue) throws(YAMLError) -> YAMLValue {
        guard depth < Self.maximumDepth else { throw problem("more than \(Self.maximumDepth) collections within one another") }
        depth += 1
        let value = try read(&self)
        depth -= 1
        return value
    }

    mutating func count() throws(YAMLError) {
        valueCount += 1
        guard valueCount <= Self.maximumValueCount else { throw problem("more than \(Self.maximumValueCount) values") }
    }

    /// What a plain scalar says: nothing at all where it is one of the words for that.
    static func resolved(_ text: String) -> YAMLValue {
        ["", "~", "null", "Null", "NULL"].contains(text) ? .null : .scalar(text, isPlain: true)
    }
}

/// The members of a mapping that is being read, of which each name is one's alone.
struct YAMLMembers {
    private(set) var all: [YAMLValue.Member] = []
    private var names: Set<String> = []
    private var name = ""

    /// - Throws: for a name that stands there already, or that merges another mapping into this one.
    mutating func begin(_ name: String, in reader: YAMLReader) throws(YAMLError) {
        if name == "<<" { throw reader.problem("a merge (<<) is not read") }
        guard names.insert(name).inserted else { throw reader.problem("a second member \(ContainerChecks.quoted(name)) of one mapping") }
        self.name = name
    }

    mutating func end(_ value: YAMLValue) { all.append(YAMLValue.Member(name: name, value: value)) }
}
