import LinuxSyscalls
import ShimProtocol
import SystemPackage
import Testing

@testable import Engine

@Suite struct LogReaderTests {
    /// Three files with the lines 1 to 9, three in each; every third on standard error; line 5 in two pieces.
    private func withLog(_ body: (String) throws -> Void) throws {
        let directory = FilePath("/tmp/apus-log-\(Identifiers.random().shortID)")
        try makeDirectories(directory)
        defer { try? removeTree(directory) }
        for number in 0..<3 {
            var bytes = LogFileHeader(sequence: UInt64(number + 1)).encoded()
            for line in (number * 3 + 1)...(number * 3 + 3) {
                let pieces = line == 5 ? ["fi", "ve"] : ["\(line)"]
                for (index, piece) in pieces.enumerated() {
                    LogRecord(
                        unixNanoseconds: Int64(line) * 1000, stream: line % 3 == 0 ? .stderr : .stdout, isPartial: index + 1 < pieces.count,
                        text: Array(piece.utf8)[...]
                    ).encode(into: &bytes)
                }
            }
            let path = number == 2 ? "log" : "log.\(2 - number)"
            let file = try openFile(directory.appending(path), [.writeOnly, .create], mode: 0o600)
            try writeAll(bytes, to: file.number)
        }
        try body(directory.appending("log").string)
    }

    private func read(_ path: String, _ change: (inout LogOptions) -> Void = { _ in }) throws -> String {
        var options = LogOptions()
        options.stdout = true
        options.stderr = true
        change(&options)
        var reader = LogReader(logPath: path, fileCount: 3, options: options)
        let batch = try reader.nextBatch()
        #expect(batch.reachedEnd || batch.passedUntil)
        return batch.lines.map { String(decoding: $0.bytes, as: UTF8.self) }.joined().replacing("\n", with: " ")
    }

    @Test("D17 the files of a rotated log are one log")
    func whole() throws {
        try withLog { path throws in
            let text = try read(path)
            #expect(text == "1 2 3 4 five 6 7 8 9 ")
        }
    }

    @Test(
        "the last lines are found from the end, over files, and pieces of a line count once",
        arguments: [(0, ""), (2, "8 9 "), (4, "6 7 8 9 "), (5, "five 6 7 8 9 "), (99, "1 2 3 4 five 6 7 8 9 ")])
    func tail(count: Int, expected: String) throws {
        try withLog { path throws in
            let text = try read(path) { $0.tail = count }
            #expect(text == expected)
        }
    }

    @Test("only one stream, and only a span of time, are read when asked")
    func selection() throws {
        try withLog { path throws in
            let errors = try read(path) { $0.stdout = false }
            #expect(errors == "3 6 9 ")
            let span = try read(path) {
                $0.since = 5000
                $0.until = 7000
            }
            #expect(span == "five 6 7 ")
        }
    }

    @Test("a record torn by a crash ends the log and spoils nothing before it")
    func tornEnd() throws {
        try withLog { path throws in
            let file = try openFile(FilePath(path), [.writeOnly, .append])
            try writeAll([9, 0, 0, 0, 1, 2, 3], to: file.number)
            let end = try read(path) { $0.tail = 2 }
            #expect(end == "8 9 ")
            let whole = try read(path)
            #expect(whole == "1 2 3 4 five 6 7 8 9 ")
        }
    }

    @Test("a reader goes on in the file that rotation began meanwhile")
    func rotation() throws {
        try withLog { path throws in
            var options = LogOptions()
            options.stdout = true
            options.tail = 1
            options.follow = true
            var reader = LogReader(logPath: path, fileCount: 3, options: options)
            #expect(try reader.nextBatch().lines.isEmpty)
            try renameFile(FilePath(path), to: FilePath(path + ".1"))
            var bytes = LogFileHeader(sequence: 4).encoded()
            LogRecord(unixNanoseconds: 10, stream: .stdout, isPartial: false, text: Array("10".utf8)[...]).encode(into: &bytes)
            let file = try openFile(FilePath(path), [.writeOnly, .create], mode: 0o600)
            try writeAll(bytes, to: file.number)
            #expect(try reader.nextBatch().lines.map { String(decoding: $0.bytes, as: UTF8.self) } == ["10\n"])
        }
    }
}
