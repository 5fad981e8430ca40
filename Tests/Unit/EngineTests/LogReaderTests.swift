// Rows: features
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
        var lines: [LogLine] = []
        while true {
            let batch = try reader.nextBatch()
            lines += batch.lines
            if batch.reachedEnd || batch.passedUntil { break }
        }
        return lines.map { String(decoding: $0.bytes, as: UTF8.self) }.joined().replacing("\n", with: " ")
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

    @Test("D17 who does not follow the log has what it held when reading began, of which a record that was not whole is no part")
    func endOfReading() throws {
        try withLog { path throws in
            var next: [UInt8] = []
            LogRecord(unixNanoseconds: 10_000, stream: .stdout, isPartial: false, text: Array("10".utf8)[...]).encode(into: &next)
            let file = try openFile(FilePath(path), [.writeOnly, .append])
            try writeAll(Array(next.prefix(next.count / 2)), to: file.number)
            var options = LogOptions()
            options.stdout = true
            options.stderr = true
            options.tail = 2
            var reader = LogReader(logPath: path, fileCount: 3, options: options)
            #expect(try reader.nextBatch().lines.map { String(decoding: $0.bytes, as: UTF8.self) } == ["8\n", "9\n"])
            try writeAll(Array(next.dropFirst(next.count / 2)), to: file.number)
            #expect(try reader.nextBatch().lines.isEmpty)
            try renameFile(FilePath(path), to: FilePath(path + ".1"))
            try writeAll(LogFileHeader(sequence: 4).encoded() + next, toFile: FilePath(path))
            let batch = try reader.nextBatch()
            #expect(batch.lines.isEmpty && batch.reachedEnd)
        }
    }

    /// One file of 20 000 lines, one each microsecond, with its index.
    private func withIndexedLog(_ body: (String) throws -> Void) throws {
        let directory = FilePath("/tmp/apus-log-\(Identifiers.random().shortID)")
        try makeDirectories(directory)
        defer { try? removeTree(directory) }
        var bytes = LogFileHeader(sequence: 1).encoded()
        var index = LogIndex.header(sequence: 1)
        var indexed = 0
        for line in 1...20_000 {
            LogRecord(unixNanoseconds: Int64(line) * 1000, stream: .stdout, isPartial: false, text: Array("\(line)".utf8)[...])
                .encode(into: &bytes)
            if bytes.count - indexed >= Int(LogIndex.strideByteCount) {
                indexed = bytes.count
                index += LogIndex.Entry(offset: UInt64(indexed), unixNanoseconds: Int64(line) * 1000).encoded()
            }
        }
        for (name, contents) in [("log", bytes), ("log.index", index)] {
            let file = try openFile(directory.appending(name), [.writeOnly, .create], mode: 0o600)
            try writeAll(contents, to: file.number)
        }
        try body(directory.appending("log").string)
    }

    /// Zeros in place of a part of the file: what is read there is no record.
    private func wipe(_ path: String, from offset: Int64, byteCount: Int) throws {
        let file = try openFile(FilePath(path), .writeOnly)
        try seek(file.number, to: offset)
        try writeAll([UInt8](repeating: 0, count: byteCount), to: file.number)
    }

    @Test("D18 lines since a time are found by the index, without what lies before", arguments: [1, 2, 9999, 10_000, 19_999, 20_000])
    func indexed(line: Int) throws {
        try withIndexedLog { path throws in
            // Whoever read from the start would find nothing.
            if line > 9000 { try wipe(path, from: 24, byteCount: 100_000) }
            let text = try read(path) {
                $0.since = Int64(line) * 1000
                $0.until = Int64(line + 1) * 1000
            }
            #expect(text == (line == 20_000 ? "20000 " : "\(line) \(line + 1) "))
        }
    }

    @Test("the last lines are found from the index's last place behind a record that is torn")
    func tornIndexedEnd() throws {
        try withIndexedLog { path throws in
            try wipe(path, from: 24, byteCount: 100_000)
            let file = try openFile(FilePath(path), [.writeOnly, .append])
            try writeAll([9, 0, 0, 0, 1, 2, 3], to: file.number)
            let end = try read(path) { $0.tail = 2 }
            #expect(end == "19999 20000 ")
        }
    }

    @Test("behind a damaged record the log goes on where the index knows one")
    func damage() throws {
        try withIndexedLog { path throws in
            try wipe(path, from: 24 + 21 * 3, byteCount: 5)
            let text = try read(path)
            let lines = text.split(separator: " ").compactMap { Int($0) }
            #expect(lines.prefix(3) == [1, 2, 3] && lines.last == 20_000)
            #expect(lines.count > 16_000 && zip(lines.dropFirst(3), lines.dropFirst(4)).allSatisfy { $0 + 1 == $1 })
        }
    }

    @Test("a file that is no log, or damaged, costs its own lines, and that is said")
    func unreadable() throws {
        for content in [[UInt8](repeating: 0, count: 64), PackedLogTable.magic + [UInt8](repeating: 0, count: 64)] {
            try withLog { path throws in
                try writeAll(content, toFile: FilePath(path + ".1"))
                let text = try read(path)
                #expect(text.hasPrefix("[apus: a file of the log is left out: read \(path).1: "))
                #expect(text.contains("] 1 2 3 [apus: 1 log files were cleared or rotated away before they were read] 7 8 9 "))
                try StoredLog.clear(path, copy: nil, fileCount: 3)
                let rest = try read(path)
                #expect(rest == "")
            }
        }
    }

    @Test("D18 an index of another file is not believed")
    func foreignIndex() throws {
        try withIndexedLog { path throws in
            let index = LogIndex.header(sequence: 9) + LogIndex.Entry(offset: 77, unixNanoseconds: 0).encoded()
            try writeAll(index, toFile: FilePath(path + ".index"))
            let text = try read(path) { $0.since = 19_999_000 }
            #expect(text == "19999 20000 ")
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
