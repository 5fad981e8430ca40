import EngineAPI
import LinuxSyscalls
import Logging
import SystemPackage
import Testing

@testable import Engine

@Suite("Events", .timeLimit(.minutes(1)))
struct EventTests {
    private func withJournal(
        limits: EventJournal.Limits = EventJournal.Limits(), _ body: (EventJournal, FilePath) async throws -> Void
    ) async throws {
        let directory = FilePath("/dev/shm/apus-events-\(Identifiers.random().shortID)")
        defer { try? removeTree(directory) }
        try await body(try open(directory, limits), directory)
    }

    private func open(_ directory: FilePath, _ limits: EventJournal.Limits = EventJournal.Limits()) throws -> EventJournal {
        try EventJournal(openingAt: directory, limits: limits, logger: Logger(label: "events"))
    }

    private func publish(_ numbers: Range<Int>, in journal: EventJournal) {
        for number in numbers { journal.publish(.container, "start", id: "\(number)", attributes: [:]) }
    }

    /// Ids of the first events of a session, as many as asked for.
    private func identifiers(_ count: Int, of journal: EventJournal, _ change: (inout EventRequest) -> Void) async throws -> [String] {
        var request = EventRequest()
        change(&request)
        let session = EventSession(journal, request)
        var found: [String] = []
        while found.count < count, let lines = try await session.next() {
            for line in lines {
                let message = try EngineJSON.decode(EventMessage.self, from: line)
                found.append(message.action == "start" ? message.actor.id : "\(message.action) \(message.actor.attributes["count"] ?? "")")
            }
        }
        return found
    }

    @Test("what one daemon told, the next one tells, from any number on; a line that a crash left half written is cut off")
    func reopened() async throws {
        try await withJournal { journal, directory in
            publish(0..<100, in: journal)
            journal.close()
            let file = try openFile(directory.appending(EventSegment(first: 1, newestBefore: 0).fileName), [.writeOnly, .append])
            try writeAll(Array("17 {\"Type\":\"cont".utf8), to: file.number)
            let next = try open(directory)
            publish(100..<103, in: next)
            let rest = try await identifiers(53, of: next) { $0.cursor = 51 }
            #expect(rest == (50..<103).map(String.init))
        }
    }

    @Test("the disk is bounded, and a reader that was overtaken is told how much it missed")
    func bounded() async throws {
        var limits = EventJournal.Limits()
        (limits.segmentBytes, limits.segmentCount) = (4096, 3)
        try await withJournal(limits: limits) { journal, directory in
            var request = EventRequest()
            request.cursor = 1
            let session = EventSession(journal, request)
            publish(0..<1000, in: journal)
            journal.close()
            let names = try directoryEntries(of: try openFile(directory, [.readOnly, .directory])).filter { $0.type == .regular }
            #expect(names.count == 3)
            var told: [EventMessage] = []
            while told.last?.actor.id != "999", let lines = try await session.next() {
                told += try lines.map { try EngineJSON.decode(EventMessage.self, from: $0) }
            }
            let lost = Int(told[0].actor.attributes["count"] ?? "")
            #expect(told[0].action == "events_lost" && lost == 1000 - (told.count - 1))
            #expect(told.dropFirst().map(\.actor.id) == (1000 - told.count + 1..<1000).map(String.init))
        }
    }

    @Test("S11 a reader that is overtaken again and again gets each event or is told that it is missing")
    func overtaken() async throws {
        var limits = EventJournal.Limits()
        (limits.segmentBytes, limits.segmentCount) = (1024, 2)
        try await withJournal(limits: limits) { journal, _ in
            var request = EventRequest()
            request.cursor = 1
            let session = EventSession(journal, request)
            // Ends with the loop, which the test waits for.
            let writer = Task.detached {
                for number in 0..<1_200 {
                    journal.publish(.container, "start", id: "\(number)", attributes: [:])
                    if number % 20 == 0 { journal.close() }
                }
                journal.close()
            }
            var (next, missing) = (0, 0)
            while next < 1_200, let lines = try await session.next() {
                for line in lines {
                    let message = try EngineJSON.decode(EventMessage.self, from: line)
                    if message.action == "events_lost" {
                        missing = Int(message.actor.attributes["count"] ?? "") ?? 0
                    } else {
                        #expect(message.actor.id == "\(next + missing)")
                        next += missing + 1
                        missing = 0
                    }
                }
            }
            await writer.value
        }
    }

    private func files(_ directory: FilePath) throws -> [(name: String, byteCount: Int64, isPacked: Bool)] {
        try directoryEntries(of: try openFile(directory, [.readOnly, .directory])).filter { $0.type == .regular }.map { entry in
            let file = try openFile(directory.appending(entry.name.string), .readOnly)
            let start = try readChunk(file.number, limitBytes: 4)
            return (entry.name.string, try fileStatus(of: file.number).sizeBytes, start == [0x28, 0xb5, 0x2f, 0xfd])
        }.sorted { $0.name < $1.name }
    }

    @Test(
        "S11 of events that would be larger than the journal may be none is lost: files that are full are compressed, and read like others")
    func compressed() async throws {
        var limits = EventJournal.Limits()
        (limits.segmentBytes, limits.byteCount) = (262_144, 524_288)
        let count = 20_000
        try await withJournal(limits: limits) { journal, directory in
            var request = EventRequest()
            request.cursor = 1
            let session = EventSession(journal, request)
            for start in stride(from: 0, to: count, by: 1000) {
                publish(start..<start + 1000, in: journal)
                journal.close()
            }
            let found = try files(directory)
            #expect(found.count > 4 && found.dropLast().allSatisfy(\.isPacked) && found.last?.isPacked == false)
            #expect(found.reduce(0) { $0 + $1.byteCount } <= limits.byteCount + limits.segmentBytes)
            var next = 0
            while next < count, let lines = try await session.next() {
                for line in lines {
                    #expect(try EngineJSON.decode(EventMessage.self, from: line).actor.id == "\(next)")
                    next += 1
                }
            }
            // By the next daemon too, from a place within a compressed file on.
            let again = try open(directory, limits)
            #expect(again.bounds == (1, UInt64(count) + 1))
            #expect(try await identifiers(count - 777, of: again) { $0.cursor = 778 } == (777..<count).map(String.init))
        }
    }

    @Test("what a daemon of before left uncompressed is compressed by the next one, and a file whose successor is gone is not written on")
    func compressedLater() async throws {
        var plain = EventJournal.Limits()
        plain.segmentBytes = .max
        let line = EventJournal.Limits().segmentBytes / 64
        try await withJournal(limits: plain) { journal, directory in
            publish(0..<500, in: journal)
            journal.close()
            let first = EventSegment(first: 1, newestBefore: 0)
            let next = try SegmentFile(creating: EventSegment(first: 501, newestBefore: Clock.unixNanoseconds), in: directory)
            #expect(next.byteCount < line && next.segment.first == 501)
            let later = try open(directory, plain)
            later.close()
            while try !(files(directory)[0].isPacked) { try await Task.sleep(for: .milliseconds(5)) }
            try removeFile(directory.appending(next.segment.fileName))
            let last = try open(directory, plain)
            publish(500..<503, in: last)
            #expect(try await identifiers(503, of: last) { $0.cursor = 1 } == (0..<503).map(String.init))
            #expect(try files(directory).map(\.isPacked) == [true, false] && files(directory)[0].name == first.fileName)
        }
    }

    @Test("a reader takes nothing of a line that is being written, and that a full disk may have cut off again")
    func halfWritten() async throws {
        try await withJournal { journal, directory in
            publish(0..<1, in: journal)
            journal.close()
            let path = directory.appending(EventSegment(first: 1, newestBefore: 0).fileName)
            let file = try openFile(path, [.writeOnly, .append])
            let byteCount = try fileStatus(of: file.number).sizeBytes
            try writeAll(Array("17 {\"Type\":\"cont".utf8), to: file.number)
            var request = EventRequest()
            request.cursor = 1
            let session = EventSession(journal, request)
            #expect(try await session.next()?.count == 1)
            try setSize(of: file.number, bytes: byteCount)
            publish(1..<3, in: journal)
            journal.close()
            var found: [String] = []
            while found.count < 2, let lines = try await session.next() {
                found += try lines.map { try EngineJSON.decode(EventMessage.self, from: $0).actor.id }
            }
            #expect(found == ["1", "2"])
        }
    }

    @Test("of a compressed file that is damaged the events are told to be missing, and those behind it are there")
    func damaged() async throws {
        var limits = EventJournal.Limits()
        limits.segmentBytes = 4096
        try await withJournal(limits: limits) { journal, directory in
            publish(0..<200, in: journal)
            journal.close()
            let second = try #require(try files(directory).dropFirst().first)
            let third = try #require(UInt64(try files(directory)[2].name))
            for place in [Int64(second.byteCount - 3), 400] {
                let file = try openFile(directory.appending(second.name), [.writeOnly])
                try writeAll([0xa5, 0xa5, 0xa5].span, at: place, to: file.number)
                let expected =
                    (0..<Int(second.name)! - 1).map(String.init) + ["events_lost \(third - UInt64(second.name)!)"]
                    + (Int(third) - 1..<200).map(String.init)
                for reader in [journal, try open(directory, limits)] {
                    #expect(try await identifiers(expected.count, of: reader) { $0.cursor = 1 } == expected)
                }
            }
        }
    }

    @Test("a journal opens again with several files, and finds times in them")
    func times() async throws {
        var limits = EventJournal.Limits()
        limits.segmentBytes = 2048
        try await withJournal(limits: limits) { journal, directory in
            for number in 0..<100 {
                journal.publish(.container, "start", id: "\(number)", attributes: [:], at: Int64(number) * 1_000_000_000)
            }
            journal.close()
            let next = try open(directory, limits)
            let span = try await identifiers(.max, of: next) { ($0.since, $0.until) = (40_000_000_000, 44_000_000_000) }
            #expect(span == ["40", "41", "42", "43", "44"])
        }
    }

    private func noted(_ id: String, at seconds: Int64, _ number: UInt64) -> EventJournal.Noted {
        EventJournal.Noted(action: "die", id: id, time: seconds * 1_000_000_000, number: number)
    }

    private func tell(_ event: EventJournal.Noted, in journal: EventJournal) {
        journal.publish(.container, event.action, id: event.id, attributes: [:], at: event.time)
        journal.close()
    }

    @Test("what was noted is found by its number, whatever the clock says: far in the past of all others, or at the time of another one")
    func notedEvents() async throws {
        try await withJournal { journal, directory in
            tell(noted("other", at: 100_000, 1), in: journal)
            let event = noted("box", at: 1000, journal.end)
            #expect(try journal.told(of: [event]).isEmpty)
            tell(event, in: journal)
            let next = try open(directory)
            let twin = noted("box", at: 1000, next.end)
            #expect(try next.told(of: [event, twin, noted("other", at: 1000, 1)]) == [event])
            tell(twin, in: next)
            #expect(try next.told(of: [event, twin]) == [event, twin])
        }
    }

    @Test("what is older than the journal's files was told, and what the disk has lost again was not")
    func notedBeyondTheFiles() async throws {
        var limits = EventJournal.Limits()
        (limits.segmentBytes, limits.segmentCount) = (1024, 2)
        try await withJournal(limits: limits) { journal, _ in
            let old = noted("box", at: 1000, journal.end)
            publish(0..<100, in: journal)
            journal.close()
            #expect(journal.bounds.first > 1)
            let lost = noted("box", at: 1000, journal.end + 5)
            let told = try journal.told(of: [old, lost])
            #expect(told == [old])
        }
        // Somebody took the journal away: nobody tells all ends of all containers again.
        try await withJournal { journal, _ in
            let event = noted("box", at: 1000, 77)
            let told = try journal.told(of: [event, noted("box", at: 1000, 1)])
            #expect(told == [event])
        }
    }

    @Test("no file is read for a noted event that was found before it, or that would stand before it")
    func notedFarBehind() async throws {
        var limits = EventJournal.Limits()
        (limits.segmentBytes, limits.soughtCount) = (1024, 20)
        try await withJournal(limits: limits) { journal, directory in
            let (event, lost) = (noted("box", at: 1000, 1), noted("gone", at: 1000, 1))
            tell(event, in: journal)
            publish(0..<100, in: journal)
            journal.close()
            let late = noted("late", at: 1000, journal.end)
            tell(late, in: journal)
            // Whoever opened one of these would be told that it is missing.
            for file in try files(directory).dropLast() where UInt64(file.name)! > 60 { try removeFile(directory.appending(file.name)) }
            #expect(try journal.told(of: [event]) == [event])
            #expect(try journal.told(of: [event, lost, late]) == [event, late])
            #expect(throws: SyscallError.self) { try journal.told(of: [noted("never", at: 1000, 70)]) }
        }
    }

    @Test("an event is there for good when it was flushed to the device, not when it was written")
    func durable() async throws {
        var limits = EventJournal.Limits()
        limits.synchronizationDelaySeconds = 3600
        try await withJournal(limits: limits) { journal, directory in
            publish(0..<3, in: journal)
            #expect(journal.toldCount == 3)
            while journal.end < 4 { try await Task.sleep(for: .milliseconds(5)) }
            #expect(journal.durableCount == 0)
            journal.close()
            publish(3..<4, in: journal)
            #expect(journal.toldCount == 4 && journal.durableCount == 3)
        }
        limits.synchronizationDelaySeconds = 0
        try await withJournal(limits: limits) { journal, _ in
            publish(0..<1, in: journal)
            while journal.durableCount < 1 { try await Task.sleep(for: .milliseconds(5)) }
        }
    }

    /// Writes over what follows the start of a frame of a compressed file, the heading's being the first one; the magic number stays.
    private func damage(frame number: Int, of path: FilePath) throws {
        let bytes = try readFile(path, limitBytes: 1 << 24)
        let starts = bytes.indices.dropLast(3).filter { Array(bytes[$0..<$0 + 4]) == [0x28, 0xb5, 0x2f, 0xfd] }
        try #require(starts.count > number)
        let file = try openFile(path, [.writeOnly])
        try writeAll(Array(repeating: UInt8(0xa5), count: 12).span, at: Int64(starts[number] + 4), to: file.number)
    }

    /// Leaves what a journal is whose newest file was taken away: its last one is compressed.
    private func removeNewest(of directory: FilePath) throws -> String {
        let newest = try #require(try files(directory).last)
        try removeFile(directory.appending(newest.name))
        let last = try #require(try files(directory).last)
        #expect(last.isPacked)
        return last.name
    }

    @Test("a compressed file of which no event can be read keeps its name and its place where it is the last one", arguments: [0, 1])
    func damagedNewest(frame: Int) async throws {
        var limits = EventJournal.Limits()
        limits.segmentBytes = 4096
        try await withJournal(limits: limits) { journal, directory in
            publish(0..<100, in: journal)
            journal.close()
            let name = try removeNewest(of: directory)
            try damage(frame: frame, of: directory.appending(name))
            let next = try open(directory, limits)
            let last = try #require(try files(directory).last { $0.isPacked })
            try #require(last.name == name && next.end > UInt64(name)!)
            publish(100..<200, in: next)
            next.close()
            // How many events it had, nobody knows.
            let expected = (0..<Int(name)! - 1).map(String.init) + ["events_lost 1"] + (100..<200).map(String.init)
            #expect(try await identifiers(expected.count, of: next) { $0.cursor = 1 } == expected)
            #expect(try files(directory).dropLast().allSatisfy(\.isPacked))
        }
    }

    @Test("a damaged file keeps its place and goes when it is the oldest; of a last one whose heading is damaged the numbers are its own")
    func damagedHeadings() async throws {
        var limits = EventJournal.Limits()
        limits.segmentBytes = 4096
        try await withJournal(limits: limits) { journal, directory in
            publish(0..<100, in: journal)
            journal.close()
            let (oldest, newest) = (try #require(try files(directory).first), try #require(try files(directory).last))
            // The end of its table.
            let first = try openFile(directory.appending(oldest.name), [.writeOnly])
            try writeAll([0xa5, 0xa5, 0xa5].span, at: oldest.byteCount - 3, to: first.number)
            let last = try openFile(directory.appending(newest.name), [.writeOnly])
            try writeAll([0xa5, 0xa5, 0xa5].span, at: 0, to: last.number)
            limits.segmentCount = 3
            let next = try open(directory, limits)
            #expect(next.bounds == (1, 101))
            let second = try #require(UInt64(try files(directory)[1].name))
            publish(100..<101, in: next)
            let found = try await identifiers(102 - Int(second) + 1, of: next) { $0.cursor = 1 }
            #expect(found == ["events_lost \(second - 1)"] + (Int(second) - 1..<101).map(String.init))
            publish(101..<150, in: next)
            next.close()
            #expect(try files(directory).count == 3)
        }
    }

    @Test("a reader that has a damaged file's start is told of what it has not")
    func gapBehindCursor() async throws {
        var limits = EventJournal.Limits()
        limits.segmentBytes = 400_000
        try await withJournal(limits: limits) { journal, directory in
            while try files(directory).count < 2 || !files(directory)[0].isPacked {
                publish(0..<500, in: journal)
                journal.close()
            }
            let all = try files(directory)
            let end = try #require(UInt64(all[1].name))
            try damage(frame: 2, of: directory.appending(all[0].name))
            #expect(try await identifiers(1, of: journal) { $0.cursor = end - 20 } == ["events_lost 20"])
        }
    }

    @Test("a full file that cannot be compressed hinders none behind it")
    func notPackable() async throws {
        var limits = EventJournal.Limits()
        limits.segmentBytes = 4096
        try await withJournal(limits: limits) { journal, directory in
            publish(0..<1, in: journal)
            journal.close()
            try removeFile(directory.appending(EventSegment(first: 1, newestBefore: 0).fileName))
            publish(1..<200, in: journal)
            journal.close()
            let found = try files(directory)
            #expect(found.count > 3 && found.dropLast().allSatisfy(\.isPacked))
        }
    }

    @Test("a session ends when its time is over, and one from the start begins with the first event")
    func until() async throws {
        try await withJournal { journal, _ in
            publish(0..<3, in: journal)
            journal.close()
            let all = try await identifiers(.max, of: journal) { $0.until = Clock.unixNanoseconds + 50_000_000 }
            #expect(all == ["0", "1", "2"])
            let before = try await identifiers(.max, of: journal) { ($0.since, $0.until) = (1, 2) }
            #expect(before.isEmpty)
        }
    }

    @Test(
        "filters narrow by key and widen by value",
        arguments: [
            (["event": ["exec_create"]], true), (["event": ["exec_create: sh", "die"]], true), (["event": ["create"]], false),
            (["type": ["container"]], true), (["type": ["image"]], false), (["container": ["ab"]], true), (["container": ["we"]], true),
            (["container": ["b"]], false), (["image": ["h:5000/box"]], true), (["image": ["h:5000/box:1"]], true),
            (["image": ["box"]], false), (["daemon": ["abc"]], false), (["volume": ["web"]], false),
            (["label": ["team"]], true), (["label": ["team=red"]], false), (["network": ["x"]], false), (["unheard": ["x"]], true),
        ])
    func filter(values: [String: [String]], isAccepted: Bool) {
        var message = EventMessage()
        message.type = "container"
        message.action = "exec_create: sh"
        message.actor.id = "abc"
        message.actor.attributes = ["name": "web", "image": "h:5000/box:1", "team": "blue"]
        #expect(EventFilter(Filters(values)).accepts(message) == isAccepted)
    }
}
