import Protobuf
import ShimProtocol
import Testing

@Suite("Log, exit record, pid file")
struct FileFormatTests {
    private let records = [
        LogRecord(unixNanoseconds: 1, stream: .stdout, isPartial: false, text: []),
        LogRecord(unixNanoseconds: .max, stream: .stderr, isPartial: true, text: [0, 10, 255]),
        LogRecord(unixNanoseconds: -1, stream: .stdout, isPartial: false, text: ArraySlice(repeating: 7, count: LogLimits.recordByteCount)),
    ]

    private var file: [UInt8] {
        records.reduce(into: LogFileHeader(sequence: 9).encoded()) { $1.encode(into: &$0) }
    }

    @Test("Records come out of a file whatever the pieces it is read in", arguments: [1, 7, 4096, 1 << 20])
    func decoding(pieceSize: Int) throws {
        var decoder = LogDecoder()
        var found: [LogRecord] = []
        for start in stride(from: 0, to: file.count, by: pieceSize) {
            decoder.append(file[start..<min(start + pieceSize, file.count)])
            while let record = try decoder.next() { found.append(record) }
        }
        #expect(found.map { Array($0.text) } == records.map { Array($0.text) })
        #expect(found.map(\.unixNanoseconds) == [1, .max, -1] && decoder.header?.sequence == 9)
        #expect(decoder.validByteCount == UInt64(file.count))
    }

    @Test("Wherever a file is torn, what stands before is kept and the tail known")
    func tornTail() throws {
        let boundaries = [24, 44, 67].map { UInt64($0) }
        for count in 24..<100 {
            var decoder = LogDecoder()
            decoder.append(file.prefix(count))
            while try decoder.next() != nil {}
            #expect(decoder.validByteCount == boundaries.last { $0 <= UInt64(count) })
        }
    }

    @Test("A file can be read backwards from its end")
    func backwards() throws {
        var end = file.count
        var texts: [[UInt8]] = []
        while end > LogFileHeader.byteCount {
            let length = try LogRecord.byteCount(trailer: file[(end - 4)..<end])
            texts.append(Array(try #require(try LogRecord.decode(file[(end - length)..<end])).text))
            end -= length
        }
        #expect(texts == records.reversed().map { Array($0.text) })
    }

    @Test("What cannot be a record is refused: zeros, wrong streams, long texts, a trailer that differs")
    func malformed() {
        var good: [UInt8] = []
        records[1].encode(into: &good)
        for (index, value) in [(0, 2), (3, 1), (12, 0), (12, 3), (13, 2), (14, 1), (19, 4)] as [(Int, UInt8)] {
            var bad = good
            bad[index] = value
            #expect(throws: WireError.self) { try LogRecord.decode(bad[...]) }
        }
        #expect(throws: WireError.self) { try LogRecord.decode([UInt8](repeating: 0, count: 64)[...]) }
    }

    @Test("Another version's header says so, another file's is malformed")
    func headers() {
        var other = LogFileHeader(sequence: 1).encoded()
        other[8] = 2
        #expect(throws: WireError(.unsupported, "log header version 2")) { try LogFileHeader(decoding: other) }
        #expect(throws: WireError(.malformed, "log header")) { try LogFileHeader(decoding: Array("{\"log\":1}".utf8)) }
        #expect(throws: WireError(.truncated, "log header")) { try LogFileHeader(decoding: Array("APUS".utf8)) }
    }

    @Test("An exit record comes back as it was, and a later one's new members do no harm")
    func exitRecord() throws {
        let record = ExitRecord(
            id: "box", pid: 5, exitCode: 137, signal: 9, startedAtUnixNanoseconds: 1, exitedAtUnixNanoseconds: .max, oomKilled: true)
        #expect(try ExitRecord(decoding: record.encoded()) == record)
        let extended = String(decoding: record.encoded(), as: UTF8.self).replacing("{", with: "{\"new\":[1],", maxReplacements: 1)
        #expect(try ExitRecord(decoding: Array(extended.utf8)) == record)
    }

    @Test(
        "What is no exit record is refused",
        arguments: ["", "{}", "[]", "{\"version\":1}", "{\"version\":2,\"id\":\"box\"}", "{\"version\":1,\"id\":\"box\"} x"])
    func badExitRecord(text: String) {
        #expect(throws: WireError.self) { try ExitRecord(decoding: Array(text.utf8)) }
    }

    @Test("A shim's pid file names a process for good")
    func identity() throws {
        let identity = ShimProcessIdentity(pid: 17, startTimeTicks: 1 << 40)
        #expect(try ShimProcessIdentity(decoding: identity.encoded()) == identity)
        for text in ["", "17", "-1 5\n", "0 5", "17 x", "1 2 3"] {
            #expect(throws: WireError.self) { try ShimProcessIdentity(decoding: Array(text.utf8)) }
        }
    }

    @Test("A shim's record of another version is not guessed at")
    func record() throws {
        var record = ShimRecord()
        record.id = "box"
        #expect(try ShimRecord(decoding: record.encoded()) == record)
        record.version = 2
        #expect(throws: WireError(.unsupported, "shim record version 2")) { try ShimRecord(decoding: record.encoded()) }
    }

    @Test(
        "A line of JSON is Docker's, whatever its bytes",
        arguments: [
            (Array("a\t\"\\<&>\r\u{7f}".utf8), #"a\u0009\"\\\u003c\u0026\u003e\r"# + "\u{7f}"),
            (Array("ä€😀".utf8), "ä€😀"), (Array("\u{2028}\u{2029}\u{2027}".utf8), #"\u2028\u2029"# + "\u{2027}"),
            ([0xff, 0x41, 0xc0, 0x80], #"\ufffdA\ufffd\ufffd"#), ([0xe2, 0x82], #"\ufffd\ufffd"#),
            ([0xed, 0xa0, 0x80], #"\ufffd\ufffd\ufffd"#),
            ([0xf4, 0x90, 0x80, 0x80], #"\ufffd\ufffd\ufffd\ufffd"#), ([0xf0, 0x9f, 0x98], #"\ufffd\ufffd\ufffd"#),
            ([0, 0x1f], #"\u0000\u001f"#),
        ])
    func jsonLines(text: [UInt8], expected: String) {
        var bytes: [UInt8] = []
        let record = LogRecord(unixNanoseconds: 1_500_000_000, stream: .stderr, isPartial: false, text: text[...])
        JSONLogLines(attributes: ["b=2=3", "a<=", "none"]).append(record, to: &bytes)
        let attributes = #""attrs":{"a\u003c":"","b":"2=3"}"#
        let line = "{\"log\":\"\(expected)\\n\",\"stream\":\"stderr\",\(attributes),\"time\":\"1970-01-01T00:00:01.5Z\"}\n"
        #expect(String(decoding: bytes, as: UTF8.self) == line)
    }

    private struct DiskFull: Error, Equatable {}

    @Test("A packed file is its heading's frame, those of 256 KiB each, and their table", arguments: [0, 9, 10, 300_000, 600_000])
    func packing(byteCount: Int) throws {
        var (place, packed, chunks) = (0, [UInt8](), [Int]())
        try PackedLogTable.pack(headingByteCount: 10) { limitBytes throws(DiskFull) in
            let chunk = [UInt8](repeating: 7, count: min(limitBytes, byteCount - place))
            place += chunk.count
            return chunk
        } compress: { chunk throws(DiskFull) in
            chunks.append(chunk.count)
            return [1, 2, 3]
        } write: { bytes throws(DiskFull) in
            packed += bytes
        }
        var expected = byteCount > 0 ? [min(10, byteCount)] : []
        while expected.reduce(0, +) < byteCount { expected.append(min(PackedLogTable.frameByteCount, byteCount - expected.reduce(0, +))) }
        #expect(chunks == expected)
        #expect(packed.starts(with: [UInt8](repeating: 0, count: chunks.count).flatMap { _ in [1, 2, 3] as [UInt8] }))
        guard byteCount > 0 else { return }
        let table = try PackedLogTable(decoding: Array(packed.dropFirst(chunks.count * 3)), fileByteCount: UInt64(packed.count))
        #expect(table.byteCount == UInt64(byteCount) && table.frames.map(\.byteCount) == chunks)
    }

    @Test("What refuses a part of a packed file ends the packing")
    func packingRefused() {
        var written = 0
        #expect(throws: DiskFull()) {
            try PackedLogTable.pack(headingByteCount: 10) { limitBytes throws(DiskFull) in
                [UInt8](repeating: 7, count: limitBytes)
            } compress: { chunk throws(DiskFull) in
                chunk
            } write: { _ throws(DiskFull) in
                if written == 2 { throw DiskFull() }
                written += 1
            }
        }
        #expect(written == 2)
    }
}
