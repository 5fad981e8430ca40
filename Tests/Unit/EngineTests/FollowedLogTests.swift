// Rows: reliability
import CoreTypes
import LinuxSyscalls
import ShimProtocol
import SystemPackage
import Testing

@testable import Engine

@Suite struct FollowedLogTests {
    /// A log with kept files of these names.
    private func withKept(_ names: [String], _ body: (FollowedLog, () throws -> [String]) throws -> Void) throws {
        let directory = FilePath("/tmp/apus-followed-\(Identifiers.random().shortID)")
        try makeDirectories(directory)
        defer { try? removeTree(directory) }
        let path = directory.appending("log").string
        let log = FollowedLog(logPath: path)
        let follower = try log.begin()
        for name in names { try writeAll([], toFile: FilePath("\(LogLimits.followedDirectory(of: path))/\(name)")) }
        try withExtendedLifetime(follower) { try body(log) { try log.kept().map(\.string).sorted() } }
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
        let directory = FilePath("/tmp/apus-followed-\(Identifiers.random().shortID)")
        try makeDirectories(directory)
        defer { try? removeTree(directory) }
        let log = FollowedLog(logPath: directory.appending("log").string)
        let follower = try log.begin()
        for name in ["3", "4", "7", "other"] { try writeAll([], toFile: directory.appending("log.followed/\(name)")) }
        follower.reads(4)
        #expect(try log.kept().map(\.string).sorted() == ["4", "7", "other"])
        follower.reads(1 << 60)
        #expect(try log.kept().map(\.string) == ["other"])
        withExtendedLifetime(follower) {}
    }

    @Test("a log that is cleared takes along what was kept before, and no more")
    func cleared() throws {
        try withKept(["3", "4"]) { log, kept in
            try log.clear([FilePath("2"), FilePath("3")])
            #expect(try kept() == ["4"])
        }
    }
}
