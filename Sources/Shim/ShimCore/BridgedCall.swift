internal import SystemPackage

/// One call of a runtime's command line, as `RuntimeCommand` writes it, whose executable is a shim of containerd's.
package struct BridgedCall: Equatable, Sendable {
    /// How the names of such executables begin.
    package static let namePrefix = "containerd-shim-"

    /// Path of that shim.
    package var shim = ""
    package var root = ""
    package var logPath = ""
    package var verb = ""
    package var id = ""
    /// What follows the id.
    package var rest = ""
    package var flags: Set<String> = []
    package var values: [String: String] = [:]

    /// Whether an executable speaks the task service in place of a runtime's verbs.
    package static func isNeeded(for executable: String) -> Bool {
        FilePath(executable).lastComponent?.string.hasPrefix(namePrefix) ?? false
    }

    /// - Throws: `ShimError.invalidRequest` for what `RuntimeCommand` does not write.
    package init(_ words: [String]) throws(ShimError) {
        var words = words[...]
        shim = words.popFirst() ?? ""
        var positional: [String] = []
        while let word = words.popFirst() {
            switch word {
            case "--all", "--force", "--detach", "--no-pivot", "--no-new-keyring", "--systemd-cgroup": flags.insert(word)
            case _ where word.hasPrefix("--"):
                guard let value = words.popFirst() else { throw ShimError(.invalidRequest, "flag \(word)", cause: "needs a value") }
                values[word] = value
            default: positional.append(word)
            }
        }
        (root, logPath) = (values["--root"] ?? "", values["--log"] ?? "")
        guard positional.count >= 2, root.hasPrefix("/"), logPath.hasPrefix("/"), shim.hasPrefix("/") else {
            throw ShimError(.invalidRequest, "bridge", cause: "wants a shim, --root, --log, a verb and an id")
        }
        (verb, id) = (positional[0], positional[1])
        rest = positional.count > 2 ? positional[2] : ""
    }

    /// Where the bridge keeps what it must know of the container.
    var directory: String { "\(root)/\(id)" }
    var addressPath: String { "\(directory)/address" }
    var bundlePath: String { "\(directory)/bundle" }

    /// The id of an exec: the name of the file that gets its pid, which no other call has.
    static func execID(pidFile: String) -> String { FilePath(pidFile).lastComponent?.string ?? "" }
}
