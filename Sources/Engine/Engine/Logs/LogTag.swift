/// What a log option `tag` may name in `{{.FIELD}}`. - Source: moby, daemon/logger/loginfo.go.
struct LogTag: Sendable {
    let containerID: String
    let containerName: String
    let imageID: String
    let imageName: String

    /// Refuses a template that could not be filled.
    static func check(_ options: [String: String]) throws(EngineError) {
        _ = try LogTag(containerID: "", containerName: "", imageID: "", imageName: "").filled(options["tag"] ?? "")
    }

    /// Fills a template.
    /// - Throws: `.invalidParameter` for anything in braces that is no field.
    func filled(_ template: String) throws(EngineError) -> String {
        var answer = ""
        var rest = template[...]
        while let open = rest.firstRange(of: "{{") {
            answer += rest[..<open.lowerBound]
            let inner = rest[open.upperBound...]
            guard let close = inner.firstRange(of: "}}") else {
                throw EngineError(.invalidParameter, "log opt tag: '\(template)' has no end to its '{{'")
            }
            let word = inner[..<close.lowerBound].filter { $0 != " " }
            guard let value = field(word) else {
                throw EngineError(
                    .invalidParameter,
                    "log opt tag: '{{\(word)}}' is none of .ID, .FullID, .Name, .ImageID, .ImageFullID, .ImageName and .DaemonName")
            }
            answer += value
            rest = inner[close.upperBound...]
        }
        return answer + rest
    }

    private func field(_ word: String) -> String? {
        switch word {
        case ".ID": String(containerID.prefix(12))
        case ".FullID": containerID
        case ".Name": containerName
        case ".ImageID": String(imageID.drop { $0 != ":" }.dropFirst().prefix(12))
        case ".ImageFullID": imageID
        case ".ImageName": imageName
        case ".DaemonName": "docker"
        default: nil
        }
    }
}
