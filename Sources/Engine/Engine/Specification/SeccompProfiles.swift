internal import EngineAPI
internal import OCISpec

/// Which system call filter a container gets.
enum SeccompProfiles {
    /// The filter that a request's options come to; nil for none.
    /// - Parameter usual: the daemon's, for those that name none: a profile's text, `unconfined`, or nil for the engine's own.
    /// - Throws: `.invalidParameter` for a profile that is none.
    static func configuration(for host: HostConfig, usual: String? = nil, facts: HostFacts) throws(EngineError) -> SeccompConfiguration? {
        // Docker lets a privileged container have a filter only when its request brings one.
        let options = try SecurityOptions(parsing: host.securityOpt)
        let capabilities = Set(try Capabilities.requested(host, highest: facts.highestCapability))
        switch options.seccomp {
        case .unconfined: return nil
        case .standard where !host.privileged && options.profile != .strict && usual != nil:
            return usual == "unconfined" ? nil : try custom(usual ?? "", capabilities: capabilities, facts: facts)
        case .standard, .builtin:
            return host.privileged ? nil : defaultSeccompProfile(options.profile ?? .standard, capabilities: capabilities)
        case .profile(let text): return try custom(text, capabilities: capabilities, facts: facts)
        }
    }

    /// Reads a profile in Docker's format, and keeps the rules that hold for this machine and these capabilities.
    /// - Returns: nil for a profile that says nothing, with which dockerd filters nothing.
    static func custom(
        _ text: String, capabilities: Set<String>, facts: HostFacts, architecture: SeccompConfiguration.Architecture = .machine
    ) throws(EngineError) -> SeccompConfiguration? {
        let profile = try decoded(text)
        if profile.saysNothing { return nil }
        let defaultAction = profile.defaultAction ?? ""
        guard let action = SeccompConfiguration.Action(rawValue: defaultAction) else { throw invalid("defaultAction", defaultAction) }
        var configuration = SeccompConfiguration(defaultAction: action)
        configuration.defaultErrnoReturn = profile.defaultErrnoRet
        configuration.architectures = try architectures(profile, machine: architecture)
        for flag in profile.flags ?? [] {
            guard let known = SeccompConfiguration.Flag(rawValue: flag) else { throw invalid("flags", flag) }
            configuration.flags.append(known)
        }
        let conditions = Conditions(capabilities: capabilities, machine: architecture.goName, kernel: facts.kernelVersion)
        for call in profile.syscalls ?? [] where conditions.hold(call.includes) && !conditions.anyHolds(call.excludes) {
            configuration.rules.append(try rule(call))
        }
        return configuration
    }

    /// Refuses as the daemon's own what no container could have, and a profile that says nothing: it would filter nothing for everybody, where
    /// `unconfined` is the word for that and is told as such.
    static func check(usual text: String?) throws(EngineError) {
        guard let text, text != "unconfined" else { return }
        guard try !decoded(text).saysNothing else {
            throw ContainerChecks.invalid(
                "the seccomp profile has neither defaultAction nor syscalls and would filter nothing: say unconfined if that is meant")
        }
    }

    /// - Throws: for what is no JSON, in the words of Go's decoder.
    private static func decoded(_ text: String) throws(EngineError) -> DockerProfile {
        func undecodable(_ reason: String, _ cause: any Error) -> EngineError {
            EngineError(.invalidParameter, "Decoding seccomp profile failed: \(reason)", cause: cause)
        }
        do throws(GoSyntaxError) {
            if try EngineJSON.compacted(Array(text.utf8)) == Array("null".utf8) { return DockerProfile() }
        } catch { throw undecodable("\(error)", error) }
        do throws(DocumentError) { return try EngineJSON.decodeRequest(DockerProfile.self, from: Array(text.utf8)) } catch {
            throw undecodable(error.fault, error)
        }
    }

    private static func architectures(
        _ profile: DockerProfile, machine: SeccompConfiguration.Architecture
    ) throws(EngineError) -> [SeccompConfiguration.Architecture] {
        let listed = profile.architectures ?? []
        let mapped = (profile.archMap ?? []).first { $0.architecture == machine.rawValue }
        guard listed.isEmpty || mapped == nil else {
            throw EngineError(
                .invalidParameter,
                "'architectures' and 'archMap' were specified in the seccomp profile, use either 'architectures' or 'archMap'")
        }
        var result: [SeccompConfiguration.Architecture] = []
        for name in listed + (mapped.map { [$0.architecture ?? ""] + ($0.subArchitectures ?? []) } ?? []) {
            guard let known = SeccompConfiguration.Architecture(rawValue: name) else { throw invalid("architectures", name) }
            result.append(known)
        }
        return result
    }

    private static func rule(_ call: DockerProfile.Call) throws(EngineError) -> SeccompConfiguration.Rule {
        if call.name?.isEmpty == false, call.names?.isEmpty == false {
            throw EngineError(
                .invalidParameter, "'name' and 'names' were specified in the seccomp profile, use either 'name' or 'names'")
        }
        guard let action = SeccompConfiguration.Action(rawValue: call.action ?? "") else { throw invalid("action", call.action ?? "") }
        var arguments: [SeccompConfiguration.Argument] = []
        for argument in call.args ?? [] {
            let word = argument.op ?? ""
            guard let comparison = SeccompConfiguration.Comparison(rawValue: word) else { throw invalid("op", word) }
            arguments.append(
                SeccompConfiguration.Argument(
                    index: argument.index ?? 0, value: argument.value ?? 0, valueTwo: argument.valueTwo ?? 0, comparison: comparison))
        }
        return SeccompConfiguration.Rule(
            names: (call.names ?? []) + (call.name.map { [$0] } ?? []), action: action, errnoReturn: call.errnoRet, arguments: arguments)
    }

    private static func invalid(_ field: String, _ word: String) -> EngineError {
        EngineError(.invalidParameter, "seccomp profile: \(field): unknown word \"\(word)\"")
    }
}

/// When a rule of a profile holds.
private struct Conditions {
    let capabilities: Set<String>
    let machine: String
    let kernel: KernelVersion

    /// All of what is listed.
    func hold(_ filter: DockerProfile.Filter?) -> Bool {
        guard let filter else { return true }
        let architectures = filter.arches ?? []
        return (architectures.isEmpty || architectures.contains(machine)) && (filter.caps ?? []).allSatisfy(capabilities.contains)
            && (filter.minKernel.flatMap(KernelVersion.init).map { kernel >= $0 } ?? true)
    }

    /// Any of what is listed.
    func anyHolds(_ filter: DockerProfile.Filter?) -> Bool {
        guard let filter else { return false }
        return (filter.arches ?? []).contains(machine) || (filter.caps ?? []).contains(where: capabilities.contains)
            || (filter.minKernel.flatMap(KernelVersion.init).map { kernel >= $0 } ?? false)
    }
}

/// A seccomp profile as `--security-opt seccomp=FILE` sends it. - Source: docs.docker.com/engine/security/seccomp.
private struct DockerProfile: Decodable {
    struct Architecture: Decodable {
        var architecture: String?
        var subArchitectures: [String]?
    }

    struct Filter: Decodable {
        var caps: [String]?
        var arches: [String]?
        var minKernel: String?
    }

    struct Argument: Decodable {
        var index: UInt32?
        var value: UInt64?
        var valueTwo: UInt64?
        var op: String?
    }

    struct Call: Decodable {
        var name: String?
        var names: [String]?
        var action: String?
        var errnoRet: UInt32?
        var args: [Argument]?
        var includes: Filter?
        var excludes: Filter?
    }

    /// Then dockerd filters nothing.
    var saysNothing: Bool { (defaultAction ?? "").isEmpty && (syscalls ?? []).isEmpty }

    var defaultAction: String?
    var defaultErrnoRet: UInt32?
    var architectures: [String]?
    var archMap: [Architecture]?
    var flags: [String]?
    var syscalls: [Call]?
}
