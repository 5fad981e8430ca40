/// Writes an archive where `--output` says, or to the standard output. A file comes into being whole or not at all.
/// - Parameter failure: what is said before why no file can be written.
/// - Throws: `Complaint` for a terminal, which has no use for an archive; what `produce` throws.
func keepArchive(
    _ arguments: Arguments, orSay failure: String,
    _ produce: (@escaping @Sendable ([UInt8]) async throws -> Void) async throws -> Void
) async throws {
    guard let path = arguments.string("output"), !path.isEmpty else {
        if StandardStream.output.isTerminal {
            throw Complaint("cowardly refusing to save to a terminal. Use the -o flag or redirect")
        }
        return try await produce { StandardStream.output.write($0) }
    }
    if let problem = NewFile.missingFolder(of: path) ?? NewFile.special(at: path).map({ "cannot write to a \($0)" }) {
        throw Complaint("\(failure): \(problem)")
    }
    let file: NewFile
    do throws(Complaint) { file = try NewFile(replacing: path) } catch { throw Complaint("\(failure): \(error)") }
    do {
        try await produce { try file.write($0) }
        try file.finish()
    } catch {
        file.discard()
        throw error
    }
}
