internal import OCISpec

/// `HostConfig.Tmpfs`: file systems in memory.
enum TemporaryMounts {
    private static let flags: Set<String> = [
        "defaults", "ro", "rw", "suid", "nosuid", "dev", "nodev", "exec", "noexec", "sync", "async", "dirsync", "remount", "mand",
        "nomand", "atime", "noatime", "diratime", "nodiratime", "bind", "rbind", "unbindable", "runbindable", "private", "rprivate",
        "shared", "rshared", "slave", "rslave", "relatime", "norelatime", "strictatime", "nostrictatime",
    ]
    private static let valued: Set<String> = ["mode", "uid", "gid", "size", "nr_inodes", "nr_blocks", "mpol"]

    /// The mount of one entry.
    /// - Throws: `.invalidParameter` for a relative destination or an unknown option.
    static func mount(destination: String, options: String) throws(EngineError) -> MountConfiguration {
        guard destination.hasPrefix("/") else { throw EngineError(.invalidParameter, BindMount.invalidPathWords(destination)) }
        let path = cleanedPath(destination)
        guard path != "/" else {
            throw EngineError(.invalidParameter, "invalid specification: destination can't be '/'")
        }
        var chosen = ["noexec", "nosuid", "nodev", "rprivate"]
        for option in options.split(separator: ",").map(String.init) {
            let name = String(option.prefix { $0 != "=" })
            let isValued = option.contains("=")
            guard isValued ? valued.contains(name) : flags.contains(name) else {
                throw EngineError(.invalidParameter, "invalid tmpfs option [\"\(option)\"]")
            }
            // A later word overrides the default that contradicts it.
            chosen.removeAll { contradicts($0, name) }
            chosen.append(option)
        }
        return MountConfiguration(destination: path, type: "tmpfs", source: "tmpfs", options: chosen)
    }

    private static func contradicts(_ former: String, _ later: String) -> Bool {
        former == "no" + later || later == "no" + former || former.prefix { $0 != "=" } == later
            || (former == "ro" && later == "rw") || (former == "rw" && later == "ro")
    }
}
