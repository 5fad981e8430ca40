internal import EngineAPI
internal import LinuxSyscalls
internal import SystemPackage

/// The CDI devices that the documents of this host describe. Read anew for each start: tools write these files when hardware comes.
struct CDIRegistry: Sendable {
    /// Most that is read of one document.
    static let limitBytes = 4 << 20
    /// Most documents of one folder.
    static let documentLimit = 1000

    private struct Entry: Sendable {
        var document: CDIDocument
        var edits: CDIEdits?
    }

    private var entries: [CDIName: Entry] = [:]
    /// Documents that could not be read, and why.
    private(set) var problems: [String] = []

    /// Reads the documents of the folders; a later folder's devices stand before an earlier one's. Blocks.
    init(folders: [FilePath]) {
        for folder in folders {
            var found: [CDIName: Entry] = [:]
            var ambiguous: Set<CDIName> = []
            for path in documents(in: folder) {
                do throws(EngineError) {
                    let document = try Self.read(path)
                    for device in document.devices ?? [] {
                        guard let name = CDIName("\(document.kind)=\(device.name)") else {
                            problems.append("\(path): \(ContainerChecks.quoted(device.name)) is no name of a device")
                            continue
                        }
                        // Two documents of one folder that describe one device: neither is right.
                        if found.updateValue(Entry(document: document, edits: device.containerEdits), forKey: name) != nil {
                            ambiguous.insert(name)
                        }
                    }
                } catch { problems.append(error.message) }
            }
            for name in ambiguous {
                found[name] = nil
                problems.append("\(name): more than one document in \(folder) describes it")
            }
            entries.merge(found) { _, later in later }
        }
    }

    /// Every device, in order.
    var names: [String] { entries.keys.map(\.description).sorted() }

    /// What the named devices need, a document's own edits once.
    /// - Throws: `.invalidParameter` in Docker's words for those that no document describes.
    func edits(for names: [String]) throws(EngineError) -> [CDIEdits] {
        var result: [CDIEdits] = []
        var kinds: Set<String> = []
        var unknown: [String] = []
        for text in names {
            guard let name = CDIName(text), let entry = entries[name] else {
                unknown.append(text)
                continue
            }
            if kinds.insert(name.kind).inserted, let common = entry.document.containerEdits { result.append(common) }
            if let own = entry.edits { result.append(own) }
        }
        guard unknown.isEmpty else {
            let reasons = problems.isEmpty ? "" : " (\(problems.joined(separator: "; ")))"
            throw EngineError(
                .invalidParameter, "CDI device injection failed: unresolvable CDI devices \(unknown.joined(separator: ", "))\(reasons)")
        }
        return result
    }

    private mutating func documents(in folder: FilePath) -> [FilePath] {
        do throws(SyscallError) {
            let directory = try openFile(folder, [.readOnly, .directory])
            var paths: [FilePath] = []
            for entry in try directoryEntries(of: directory, subject: folder.string).prefix(Self.documentLimit) {
                let path = folder.pushing(entry.name)
                switch path.extension {
                case "json", "yaml": paths.append(path)
                // Which other engines pass over without a word.
                case "yml": problems.append("\(path): a document in YAML has a name that ends in .yaml")
                default: continue
                }
            }
            return paths.sorted { $0.string < $1.string }
        } catch {
            if error.errno != Errno.noSuchFileOrDirectory.rawValue { problems.append("\(error)") }
            return []
        }
    }

    private static func read(_ path: FilePath) throws(EngineError) -> CDIDocument {
        let document: CDIDocument
        do {
            let content = try readFile(path, limitBytes: limitBytes)
            let text = path.extension == "yaml" ? try YAMLReader.read(content).json(numbers: CDIDocument.numbers) : content
            document = try EngineJSON.decode(CDIDocument.self, from: text)
        } catch { throw EngineError(.invalidParameter, "\(path): \(error)") }
        guard CDIName("\(document.kind)=x") != nil else {
            throw EngineError(.invalidParameter, "\(path): kind \(ContainerChecks.quoted(document.kind)) is no vendor/class")
        }
        return document
    }
}
