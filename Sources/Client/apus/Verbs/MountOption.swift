internal import EngineAPI

/// Why a value of `--mount` is none; nil when it is one.
@Sendable func complaintAboutMount(_ text: String) -> String? {
    var draft = MountDraft()
    return draft.read(text)
}

/// The mount that `--mount type=bind,src=/a,dst=/b,ro` describes; nil for one that `complaintAboutMount` finds fault with.
func mount(_ text: String) -> Mount? {
    var draft = MountDraft()
    return draft.read(text) == nil ? draft.mount : nil
}

private struct MountDraft {
    var mount = Mount()

    /// - Returns: what is wrong, in docker's words.
    mutating func read(_ text: String) -> String? {
        mount.type = "volume"
        let fields: [String]
        do throws(Complaint) { fields = try commaSeparated(text) } catch { return error.description }
        for field in fields {
            let (key, value) = splitOnce(field, at: "=")
            if let complaint = take(key.lowercased(), value, of: field) { return complaint }
        }
        if mount.type.isEmpty { return "type is required" }
        if mount.target.isEmpty { return "target is required" }
        return mismatch
    }

    private mutating func take(_ key: String, _ value: String?, of field: String) -> String? {
        switch key {
        case "readonly", "ro", "volume-nocopy", "bind-nonrecursive":
            guard let isOn = parseBool(value ?? "true") else { return "invalid value for \(key): \(value ?? "")" }
            takeSwitch(key, isOn)
            return nil
        default:
            guard let value else { return "invalid field '\(field)' must be a key=value pair" }
            return take(key, value) ?? nil
        }
    }

    private mutating func takeSwitch(_ key: String, _ isOn: Bool) {
        switch key {
        case "volume-nocopy": mount.volumeOptions = changed(mount.volumeOptions ?? VolumeOptions()) { $0.noCopy = isOn }
        case "bind-nonrecursive": mount.bindOptions = changed(mount.bindOptions ?? BindOptions()) { $0.nonRecursive = isOn }
        default: mount.readOnly = isOn
        }
    }

    private mutating func take(_ key: String, _ value: String) -> String? {
        switch key {
        case "type": mount.type = value.lowercased()
        case "source", "src": mount.source = value.hasPrefix(".") ? String(absoluteBind(value + ":").dropLast()) : value
        case "target", "dst", "destination": mount.target = value
        case "consistency": mount.consistency = value
        case "bind-recursive": return takeRecursion(value)
        case "idmap":
            mount.bindOptions = changed(mount.bindOptions ?? BindOptions()) { $0.ownerMapping = "idmap=\(value)" }
        case "bind-propagation": mount.bindOptions = changed(mount.bindOptions ?? BindOptions()) { $0.propagation = value }
        case "volume-subpath": mount.volumeOptions = changed(mount.volumeOptions ?? VolumeOptions()) { $0.subpath = value }
        case "image-subpath": mount.imageOptions = changed(mount.imageOptions ?? ImageOptions()) { $0.subpath = value }
        case "volume-label":
            let (name, text) = splitOnce(value, at: "=")
            mount.volumeOptions = changed(mount.volumeOptions ?? VolumeOptions()) { $0.labels[name] = text ?? "" }
        case "volume-driver": takeDriver { $0.name = value }
        case "volume-opt":
            let (name, text) = splitOnce(value, at: "=")
            takeDriver { $0.options[name] = text ?? "" }
        case "tmpfs-size":
            guard let bytes = parseByteSize(value) else { return "invalid value for \(key): \(value)" }
            mount.tmpfsOptions = changed(mount.tmpfsOptions ?? TmpfsOptions()) { $0.sizeBytes = bytes }
        case "tmpfs-mode":
            guard let mode = UInt32(value, radix: 8) else { return "invalid value for \(key): \(value)" }
            mount.tmpfsOptions = changed(mount.tmpfsOptions ?? TmpfsOptions()) { $0.mode = mode }
        default: return "unexpected key '\(key)' in '\(key)=\(value)'"
        }
        return nil
    }

    private mutating func takeRecursion(_ value: String) -> String? {
        var options = mount.bindOptions ?? BindOptions()
        switch value {
        case "enabled": break
        case "disabled": options.nonRecursive = true
        case "writable": options.readOnlyNonRecursive = true
        case "readonly": options.readOnlyForceRecursive = true
        default:
            return "invalid value for bind-recursive: \(value) (must be \"enabled\", \"disabled\", \"writable\", or \"readonly\")"
        }
        mount.bindOptions = options
        return nil
    }

    /// What is wrong with the options together, in docker's words.
    private var mismatch: String? {
        let kinds: [(String, Bool)] = [
            ("bind", mount.bindOptions != nil), ("volume", mount.volumeOptions != nil), ("tmpfs", mount.tmpfsOptions != nil),
            ("image", mount.imageOptions != nil),
        ]
        if let kind = kinds.first(where: { $0.1 && $0.0 != mount.type }) {
            return "cannot mix '\(kind.0)-*' options with mount type '\(mount.type)'"
        }
        guard let bind = mount.bindOptions else { return nil }
        if bind.readOnlyNonRecursive && !mount.readOnly {
            return "option 'bind-recursive=writable' requires 'readonly' to be specified in conjunction"
        }
        if bind.readOnlyForceRecursive {
            if !mount.readOnly { return "option 'bind-recursive=readonly' requires 'readonly' to be specified in conjunction" }
            if bind.propagation != "rprivate" {
                return "option 'bind-recursive=readonly' requires 'bind-propagation=rprivate' to be specified in conjunction"
            }
        }
        return nil
    }

    private mutating func takeDriver(_ change: (inout VolumeDriverConfig) -> Void) {
        mount.volumeOptions = changed(mount.volumeOptions ?? VolumeOptions()) { options in
            options.driverConfig = changed(options.driverConfig ?? VolumeDriverConfig(), change)
        }
    }

    private func changed<Value>(_ value: Value, _ change: (inout Value) -> Void) -> Value {
        var copy = value
        change(&copy)
        return copy
    }
}
