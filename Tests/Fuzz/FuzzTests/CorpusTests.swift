import LinuxSyscalls
import SystemPackage
import Testing

@Suite("Readers of outside bytes")
struct CorpusTests {
    private static let corpora = FilePath(#filePath).removingLastComponent().removingLastComponent().appending("Corpus")
    /// As large as what the fuzzer makes.
    private static let limitBytes = 65_536

    private func names(in folder: FilePath) throws -> [String] {
        try directoryEntries(of: try openFile(folder, [.readOnly, .directory])).map(\.name.string).sorted()
    }

    /// One after another: readers of files share a directory.
    @Test("each takes the inputs that the fuzzer begins with, whole and cut off, without a finding")
    func corpora() throws {
        defer { Scratch.remove() }
        #expect(try names(in: Self.corpora) == FuzzTarget.all.map(\.name).sorted())
        for target in FuzzTarget.all {
            let folder = Self.corpora.appending(target.name)
            for name in try names(in: folder) {
                let bytes = try readFile(folder.appending(name), limitBytes: Self.limitBytes)
                for count in [bytes.count, bytes.count - 1, bytes.count / 2, 1, 0] where (0...bytes.count).contains(count) {
                    Input.$name.withValue("\(target.name)/\(name), \(count) bytes") { target.run(Array(bytes.prefix(count))) }
                }
            }
        }
    }

    @Test("a finding is told with its input, and what holds is not")
    func finding() {
        Input.$name.withValue("json/deep") {
            #expect(complaint(false, "lost") == "json/deep: lost")
            #expect(complaint(true, "kept") == nil)
        }
    }
}
