// Rows: reliability
import CoreTypes
import LinuxSyscalls
import ShimProtocol
import SystemPackage
import Testing

@testable import Engine

@Suite struct FollowedLogTests {
    private static let endMilliseconds: Int32 = 10
    private static let endLooks = 1000

    /// A log in a directory of its own, which goes when its last follower has: what is kept for followers is removed once they are gone, beside whoever let
    /// go of them.
    private func withLog(_ body: (FollowedLog, FilePath) throws -> Void) throws {
        let directory = FilePath("/tmp/apus-followed-\(Identifiers.random().shortID)")
        try makeDirectories(directory)
        let log = FollowedLog(logPath: directory.appending("log").string)
        // Whatever comes of it.
        let outcome = Result { try body(log, directory) }
        for _ in 0..<Self.endLooks
        where try !directoryEntries(of: try openFile(directory, [.readOnly, .directory]), subject: directory.string).isEmpty {
            _ = try waitUntilReadable([], timeoutMilliseconds: Self.endMilliseconds)
        }
        // Empty: nothing is kept for nobody.
        try removeDirectory(directory)
        try outcome.get()
    }

    /// A log with kept files of these names, which one follows who has not begun to read.
    private func withKept(_ names: [String], _ body: (FollowedLog, () throws -> [String]) throws -> Void) throws {
        try withLog { log, directory in
            let follower = try log.begin()
            for name in names { try writeAll([], toFile: directory.appending("log.followed/\(name)")) }
            try withExtendedLifetime(follower) { try body(log) { try log.kept().map(\.string).sorted() } }
        }
    }

    @Test("what every follower has read is removed, whatever number a damaged file has")
    func read() throws {
        try withKept(["3", "4", "7", "other"]) { log, kept in
            let (first, second) = (try log.begin(), try log.begin())
            first.reads(4)
            second.reads(7)
            #expect(try kept() == ["3", "4", "7", "other"], "one of them has not begun")
            withExtendedLifetime((first, second)) {}
        }
        try withLog { log, directory in
            let follower = try log.begin()
            for name in ["3", "4", "7", "other"] { try writeAll([], toFile: directory.appending("log.followed/\(name)")) }
            follower.reads(4)
            #expect(try log.kept().map(\.string).sorted() == ["4", "7", "other"])
            follower.reads(1 << 60)
            #expect(try log.kept().map(\.string) == ["other"])
            withExtendedLifetime(follower) {}
        }
    }

    @Test("a log that is cleared takes along what was kept before, and no more")
    func cleared() throws {
        try withKept(["3", "4"]) { log, kept in
            try log.clear([FilePath("2"), FilePath("3")])
            #expect(try kept() == ["4"])
        }
    }
}
