internal import LinuxSyscalls

/// The options of one entry of `mounts`, sorted by what acts on them.
/// - Spec: runtime-spec v1.3.0, config.md, "Linux mount options"; mount(8).
struct MountOptions: Equatable {
    var attributes = AttributeChange()
    var recursiveAttributes = AttributeChange()
    var propagation: [PropagationChange] = []
    /// `bind` or `rbind` was given.
    var bind: Bind?
    /// What is left for the file system.
    var parameters: [FileSystemParameter] = []

    enum Bind { case single, recursive }

    /// Sorts options; of two that contradict each other the later one wins.
    /// - Throws: `unsupported`, naming `field` and the option.
    init(_ options: [String], field: String) throws(RootfsError) {
        for option in options where !take(option) {
            if refusedOptions.contains(option) || option.hasPrefix("idmap=") || option.hasPrefix("ridmap=") {
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
        case "defaults", "silent", "loud", "async", "nolazytime", "nomand", "noiversion": return true
        case "bind": bind = .single
        case "rbind": bind = .recursive
        case "private", "slave", "shared", "unbindable", "rprivate", "rslave", "rshared", "runbindable":
            propagation.append(propagationChange(option))
        default:
            if let change = attributeOptions[option] {
                attributes.apply(change)
            } else if option.first == "r", let change = attributeOptions[String(option.dropFirst())] {
                recursiveAttributes.apply(change)
            } else {
                return false
            }
        }
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

/// Options that later work brings, or that make no sense for a mount being made.
private let refusedOptions: Set<String> = [
    "remount", "move", "tmpcopyup", "idmap", "ridmap", "copy-symlink", "src-nofollow", "dest-nofollow",
]

/// Each option of one mount; with a leading `r` it acts on the mounts below as well.
private let attributeOptions: [String: AttributeChange] = [
    "ro": AttributeChange(set: .readOnly), "rw": AttributeChange(clear: .readOnly),
    "nosuid": AttributeChange(set: .noSetUserID), "suid": AttributeChange(clear: .noSetUserID),
    "nodev": AttributeChange(set: .noDevices), "dev": AttributeChange(clear: .noDevices),
    "noexec": AttributeChange(set: .noExecute), "exec": AttributeChange(clear: .noExecute),
    "nosymfollow": AttributeChange(set: .noSymlinkFollow), "symfollow": AttributeChange(clear: .noSymlinkFollow),
    "nodiratime": AttributeChange(set: .noDirectoryAccessTime), "diratime": AttributeChange(clear: .noDirectoryAccessTime),
    "noatime": AttributeChange(set: .noAccessTime, clear: .accessTimeField), "atime": AttributeChange(clear: .accessTimeField),
    "strictatime": AttributeChange(set: .strictAccessTime, clear: .accessTimeField),
    "nostrictatime": AttributeChange(clear: .accessTimeField),
    "relatime": AttributeChange(clear: .accessTimeField), "norelatime": AttributeChange(clear: .accessTimeField),
]

extension AttributeChange {
    /// Adds a later change, which wins over what is here.
    mutating func apply(_ later: AttributeChange) {
        set = set.subtracting(later.clear).union(later.set)
        clear = clear.subtracting(later.set).union(later.clear)
    }
}
