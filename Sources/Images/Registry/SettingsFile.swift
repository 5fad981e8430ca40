internal import FoundationEssentials

/// Reads files of settings about registries.
enum SettingsFile {
    /// The document of a file; nil where there is none.
    static func read(_ path: String) throws(RegistryError) -> TOMLTable? {
        let attributes: [FileAttributeKey: Any]
        do { attributes = try FileManager.default.attributesOfItem(atPath: path) } catch {
            let failure = FileFailure(error)
            if failure.isMissing { return nil }
            throw refuse(path, "\(failure)")
        }
        if let size = attributes[.size] as? Int, size > TOMLParser.limitBytes {
            throw refuse(path, "it has \(size) bytes, at most \(TOMLParser.limitBytes) are read")
        }
        let bytes: Data
        do { bytes = try Data(contentsOf: URL(filePath: path)) } catch { throw refuse(path, "\(FileFailure(error))") }
        return try explain(path) { () throws(SettingsProblem) in try TOMLParser.parse(Array(bytes)) }
    }

    /// Names the file beside the line.
    static func explain<Value>(_ path: String, _ body: () throws(SettingsProblem) -> Value) throws(RegistryError) -> Value {
        do throws(SettingsProblem) { return try body() } catch { throw refuse("\(path):\(error.line)", error.words) }
    }

    static func refuse(_ place: String, _ words: String) -> RegistryError {
        RegistryError(.refused, doing: "", cause: "\(place): \(words)")
    }
}
