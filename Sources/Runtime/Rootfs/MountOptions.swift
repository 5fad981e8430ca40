internal import LinuxSyscalls

/// The options of one entry of `mounts`, sorted by what acts on them.
/// - Spec: runtime-spec v1.3.0, config.md, "Linux mount options"; mount(8).
struct MountOptions: Equatable {
    var attributes = AttributeChange()
    var recursiveAttributes = AttributeChange()
    var propagation: [PropagationChange] = []
    /// `bind` or `rbind` was given.
    var bind: Bind?
    /// `idmap` or `ridmap` was given.
    var ownerMapping: Bind?
    /// What stood behind `idmap=` or `ridmap=`.
    var mappingOption: MappingOption?
    /// `tmpcopyup`: a tmpfs begins with what lies at its place in the root.
    var copiesUp = false
    /// `copy-symlink`: a source that is a symbolic link is made again rather than mounted.
    var copiesLink = false
    /// `src-nofollow` and `dest-nofollow`: a symbolic link at the end of the way is meant itself.
    var followsSource = true
    var followsDestination = true
    /// `remount`: attributes of the mount that is there already change.
    var remounts = false
    /// What is left for the file system.
    var parameters: [FileSystemParameter] = []

    enum Bind { case single, recursive }

    /// Sorts options; of two that contradict each other the later one wins.
    /// - Throws: `unsupported`, naming `field` and the option.
    init(_ options: [String], field: String) throws(RootfsError) {
        for option in options where !take(option) {
            if try takeMapping(option, field: field) { continue }
            if isRefused(option) {
                throw RootfsError(.unsupported, field, "the mount option '\(option)' is not supported")
            }
            let parts = option.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            if let key = parts.first, !key.isEmpty {
                parameters.append(FileSystemParameter(key: String(key), value: parts.count > 1 ? String(parts[1]) : nil))
            }
        }
    }

    /// Takes an option of the mount itself; false for one of the file system.
    private mutating func take(_ option: String) -> Bool {
        switch option {
        // fsopen(2) has no flag for i_version: the file systems that count versions do so by themselves.
        case "defaults", "silent", "loud", "async", "nolazytime", "nomand", "iversion", "noiversion": return true
        case "remount": remounts = true
        case "idmap": ownerMapping = .single
        case "ridmap": ownerMapping = .recursive
        case "tmpcopyup": copiesUp = true
        case "copy-symlink": copiesLink = true
        case "src-nofollow": followsSource = false
        case "dest-nofollow": followsDestination = false
        case "bind": bind = .single
        case "rbind": bind = .recursive
        case "private", "slave", "shared", "unbindable", "rprivate", "rslave", "rshared", "runbindable":
            propagation.append(propagationChange(option))
        default:
            if let change = attributeChange(for: option) {
                attributes.apply(change)
            } else if option.first == "r", let change = attributeChange(for: String(option.dropFirst())) {
                recursiveAttributes.apply(change)
            } else {
                return false
            }
        }
        return true
    }

    /// Takes `idmap=uids=…;gids=…`, or with an `r` for the mounts below as well.
    private mutating func takeMapping(_ option: String, field: String) throws(RootfsError) -> Bool {
        let recursive = option.hasPrefix("ridmap=")
        guard recursive || option.hasPrefix("idmap=") else { return false }
        guard let mapping = MappingOption(option.dropFirst(recursive ? 7 : 6)) else {
            throw RootfsError(.invalidConfiguration, field, "\(option.debugDescription) is not like idmap=uids=0-100-10;gids=0-100-10")
        }
        ownerMapping = recursive ? .recursive : .single
        mappingOption = mapping
        return true
    }

    private func propagationChange(_ option: String) -> PropagationChange {
        let recursive = option.first == "r"
        let propagation: MountPropagation =
            switch recursive ? String(option.dropFirst()) : option {
            case "shared": .shared
            case "slave": .slave
            case "unbindable": .unbindable
            default: .isPrivate
            }
        return PropagationChange(propagation: propagation, recursive: recursive)
    }
}

/// Options that make no sense for a mount being made.
private func isRefused(_ option: String) -> Bool { option == "move" }

/// The options that this runtime acts on by itself; others go to the file system.
package let knownMountOptions: [String] =
    [
        "async", "bind", "copy-symlink", "defaults", "dest-nofollow", "dirsync", "idmap", "iversion", "lazytime", "loud", "noiversion",
        "nolazytime", "private", "rbind", "remount", "ridmap", "rprivate", "rshared", "rslave", "runbindable", "shared", "silent", "slave",
        "src-nofollow", "sync", "tmpcopyup", "unbindable",
    ] + attributeNames + attributeNames.filter { $0 != "ro" }.map { "r" + $0 } + ["rro"]

private let attributeNames = [
    "atime", "dev", "diratime", "exec", "noatime", "nodev", "nodiratime", "noexec", "norelatime", "nostrictatime", "nosuid", "nosymfollow",
    "relatime", "ro", "rw", "strictatime", "suid", "symfollow",
]

/// What an option changes on one mount; with a leading `r` it acts on the mounts below as well. A switch, because a dictionary costs
/// more to build than a whole container's options cost to read.
private func attributeChange(for option: String) -> AttributeChange? {
    switch option {
    case "ro": AttributeChange(set: .readOnly)
    case "rw": AttributeChange(clear: .readOnly)
    case "nosuid": AttributeChange(set: .noSetUserID)
    case "suid": AttributeChange(clear: .noSetUserID)
    case "nodev": AttributeChange(set: .noDevices)
    case "dev": AttributeChange(clear: .noDevices)
    case "noexec": AttributeChange(set: .noExecute)
    case "exec": AttributeChange(clear: .noExecute)
    case "nosymfollow": AttributeChange(set: .noSymlinkFollow)
    case "symfollow": AttributeChange(clear: .noSymlinkFollow)
    case "nodiratime": AttributeChange(set: .noDirectoryAccessTime)
    case "diratime": AttributeChange(clear: .noDirectoryAccessTime)
    case "noatime": AttributeChange(set: .noAccessTime, clear: .accessTimeField)
    case "strictatime": AttributeChange(set: .strictAccessTime, clear: .accessTimeField)
    // What is left when neither is set is relatime.
    case "relatime", "norelatime", "nostrictatime", "atime": AttributeChange(clear: .accessTimeField)
    default: nil
    }
}

extension AttributeChange {
    /// Adds a later change, which wins over what is here.
    mutating func apply(_ later: AttributeChange) {
        set = set.subtracting(later.clear).union(later.set)
        clear = clear.subtracting(later.set).union(later.clear)
    }
}
