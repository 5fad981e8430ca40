internal import CoreTypes

/// `--platform` of verbs about images that the daemon has.
func platformFlag(_ usage: String, kind: Flag.Kind = .string) -> Flag {
    Flag("platform", nil, kind, "\(usage). Formatted as \"os[/arch[/variant]]\" (e.g., \"linux/amd64\")")
}

extension Invocation {
    /// The platform of an image that is brought here, or of a container; nil for the daemon's own.
    var wantedPlatform: String? {
        let text = arguments.string("platform") ?? environment.variables["DOCKER_DEFAULT_PLATFORM"] ?? ""
        return text.isEmpty ? nil : text
    }
}

extension Arguments {
    /// The value of `--platform`; nil where it is not given.
    func platform() throws(Complaint) -> Platform? {
        guard let text = string("platform"), !text.isEmpty else { return nil }
        return try Self.platform(text)
    }

    /// The values of `--platform` where it may be given more than once, or with several between commas.
    func platforms() throws(Complaint) -> [Platform] {
        try list("platform").map { (text) throws(Complaint) in try Self.platform(text) }
    }

    private static func platform(_ text: String) throws(Complaint) -> Platform {
        do throws(InvalidPlatform) { return try Platform(parsing: text) } catch { throw Complaint("\(error)") }
    }
}
