/// What the shim's executable was called for.
///
/// containerd's convention: Go's flags (`-id X`, `-id=X`, one dash or two), then the action.
/// - Spec: containerd core/runtime/v2/README.md, "Commands".
package struct ShimInvocation: Equatable, Sendable {
    /// What to do.
    package enum Action: String, Sendable {
        /// Begin a shim for a container and print its address.
        case start
        /// Take away what a shim that is gone left, and print a `DeleteResponse`.
        case delete
        /// Begin a shim in place of one that was killed, with the container that it had, and print its address.
        case adopt
        /// Be the shim that `start` began.
        case serve
        /// Compress a file of the container's log that is written no more.
        case packLog = "pack-log"
        /// Be the one that `adopt` began.
        case resume
        /// Be what holds open files for shims.
        case keep
        /// Print the version: `-v`.
        case version
        /// Print what the shim and its runtime can do: `-info`.
        case information
        /// Answer a runtime's command line with a shim of containerd's.
        case bridge
    }

    package var action: Action
    package var configuration = ShimConfiguration()
    /// The bundle, from `-bundle`; else the working directory is it.
    package var bundle = ""
    /// The descriptor that `serve` listens on.
    package var listener: Int32 = -1
    /// The descriptor of the directory that `serve` was begun for; another one may stand at its path by now.
    package var place: Int32 = -1
    /// The container's log, and which of its files `pack-log` compresses.
    package var logPath = ""
    /// The runtime's command line that `bridge` answers.
    package var words: [String] = []
    package var logSequence: UInt64 = 0

    /// Reads arguments and environment.
    /// - Parameter environment: `KEY=value` each.
    /// - Throws: `ShimError.invalidRequest` for a flag or an action that there is not.
    package init(arguments: [String], environment: [String], executable: String) throws(ShimError) {
        var words = arguments.dropFirst()[...]
        var printed: Action?
        // A runtime would take it for the container's own and mount it into there.
        configuration.environment = environment.filter { !$0.hasPrefix("NOTIFY_SOCKET=") }
        configuration.executable = executable
        action = .start
        while let word = words.first, word.hasPrefix("-") {
            words = words.dropFirst()
            var name = word.drop { $0 == "-" }
            var value: String?
            if let equals = name.firstIndex(of: "=") {
                value = String(name[name.index(after: equals)...])
                name = name[..<equals]
            }
            switch name {
            case "debug": continue
            case "v", "version": printed = .version
            case "info": printed = .information
            case "group",
                "namespace", "id", "address", "publish-binary", "bundle", "directory", "events", "listener", "place", "log",
                "sequence":
                guard let given = value ?? words.popFirst() else {
                    throw ShimError(.invalidRequest, "flag -\(name)", cause: "needs a value")
                }
                set(String(name), to: given)
            default: throw ShimError(.invalidRequest, "flag -\(name)", cause: "unknown")
            }
        }
        if let printed {
            action = printed
            return
        }
        if words.first == Action.bridge.rawValue {
            action = .bridge
            self.words = Array(words.dropFirst())
            return
        }
        guard words.count == 1, let word = words.first, let action = Action(rawValue: word), ![.version, .information].contains(action)
        else {
            throw ShimError(.invalidRequest, "arguments", cause: "want one of start and delete")
        }
        self.action = action
        try check()
        if action == .start && configuration.directory.isEmpty { findEventsAddress(environment) }
    }

    private mutating func set(_ flag: String, to value: String) {
        switch flag {
        case "namespace": configuration.namespace = value
        case "id": configuration.id = value
        case "directory": configuration.directory = value
        case "bundle": bundle = value
        case "events": configuration.eventsAddress = value
        case "listener": listener = Int32(value) ?? -1
        case "place": place = Int32(value) ?? -1
        case "log": logPath = value
        case "sequence": logSequence = UInt64(value) ?? 0
        case "address": configuration.containerdAddress = value
        case "group": configuration.group = value
        default: break
        }
    }

    /// - Throws: `ShimError.invalidRequest` for an id that could not be a file's name.
    static func check(id: String) throws(ShimError) {
        guard !id.isEmpty, id.utf8.count <= 255, !id.hasPrefix("."), !id.contains("/") else {
            throw ShimError(.invalidRequest, "id \(id.prefix(300))", cause: "not a container's id")
        }
    }

    private func check() throws(ShimError) {
        if [.serve, .resume, .keep].contains(action) && listener <= 2 || [.serve, .resume].contains(action) && place <= 2 {
            throw ShimError(.invalidRequest, action.rawValue, cause: "only start and adopt begin it")
        }
        if [.adopt, .keep].contains(action) && configuration.directory.isEmpty {
            throw ShimError(.invalidRequest, action.rawValue, cause: "needs -directory")
        }
        try Self.check(id: configuration.id)
        guard !configuration.namespace.contains("/") else {
            throw ShimError(.invalidRequest, "flag -namespace \(configuration.namespace)", cause: "not a namespace")
        }
        guard configuration.directory.isEmpty || configuration.directory.hasPrefix("/") else {
            throw ShimError(.invalidRequest, "flag -directory \(configuration.directory)", cause: "not an absolute path")
        }
    }

    /// `apusd` gives a directory and subscribes to events; containerd wants them sent.
    private mutating func findEventsAddress(_ environment: [String]) {
        let variable = environment.first { $0.hasPrefix("TTRPC_ADDRESS=") }?.dropFirst("TTRPC_ADDRESS=".count)
        if let variable, !variable.isEmpty {
            configuration.eventsAddress = String(variable)
        } else if !configuration.containerdAddress.isEmpty {
            configuration.eventsAddress = "\(configuration.containerdAddress).ttrpc"
        }
    }
}
