internal import JSON

extension RuntimeConfiguration {
    /// Writes a `config.json`. What is absent or empty is not written.
    /// - Parameter indented: for people, one member a line.
    public func encode(indented: Bool = false) -> [UInt8] {
        encodeDocument(indented: indented) { writer in write(to: &writer) }
    }

    private func write(to writer: inout JSONWriter) {
        writer.object { writer in
            writer.member("ociVersion", ociVersion)
            writer.member("process", process) { $1.write(to: &$0) }
            writer.member("root", root) { writer, root in
                writer.object { writer in
                    writer.member("path", root.path)
                    if root.isReadOnly { writer.member("readonly", true) }
                }
            }
            writer.member("hostname", hostname)
            writer.member("domainname", domainname)
            writer.member("mounts", unlessEmpty: mounts) { $1.write(to: &$0) }
            if !hooks.isEmpty { writer.member("hooks", hooks) { $1.write(to: &$0) } }
            writer.member("annotations", unlessEmpty: annotations)
            writer.member("linux", linux) { $1.write(to: &$0) }
        }
    }
}

extension MountConfiguration {
    func write(to writer: inout JSONWriter) {
        writer.object { writer in
            writer.member("destination", destination)
            writer.member("type", type)
            writer.member("source", source)
            writer.member("options", unlessEmpty: options)
            writer.member("uidMappings", unlessEmpty: uidMappings) { $1.write(to: &$0) }
            writer.member("gidMappings", unlessEmpty: gidMappings) { $1.write(to: &$0) }
        }
    }
}

extension IDMapping {
    func write(to writer: inout JSONWriter) {
        writer.object { writer in
            writer.member("containerID", containerID)
            writer.member("hostID", hostID)
            writer.member("size", size)
        }
    }
}

extension HookSet {
    func write(to writer: inout JSONWriter) {
        writer.object { writer in
            writer.member("prestart", unlessEmpty: prestart) { $1.write(to: &$0) }
            writer.member("createRuntime", unlessEmpty: createRuntime) { $1.write(to: &$0) }
            writer.member("createContainer", unlessEmpty: createContainer) { $1.write(to: &$0) }
            writer.member("startContainer", unlessEmpty: startContainer) { $1.write(to: &$0) }
            writer.member("poststart", unlessEmpty: poststart) { $1.write(to: &$0) }
            writer.member("poststop", unlessEmpty: poststop) { $1.write(to: &$0) }
        }
    }
}

extension Hook {
    func write(to writer: inout JSONWriter) {
        writer.object { writer in
            writer.member("path", path)
            writer.member("args", unlessEmpty: arguments)
            writer.member("env", unlessEmpty: environment)
            writer.member("timeout", timeoutSeconds)
        }
    }
}

extension ProcessConfiguration {
    /// Writes the document that `exec --process` takes.
    public func encode(indented: Bool = false) -> [UInt8] {
        encodeDocument(indented: indented) { writer in write(to: &writer) }
    }

    func write(to writer: inout JSONWriter) {
        writer.object { writer in
            if terminal { writer.member("terminal", true) }
            writer.member("consoleSize", consoleSize) { writer, size in
                writer.object { writer in
                    writer.member("height", size.height)
                    writer.member("width", size.width)
                }
            }
            writer.name("user")
            user.write(to: &writer)
            writer.member("args", unlessEmpty: arguments)
            writer.member("env", unlessEmpty: environment)
            writer.member("cwd", workingDirectory)
            writer.member("capabilities", capabilities) { $1.write(to: &$0) }
            writer.member("rlimits", unlessEmpty: resourceLimits) { writer, limit in
                writer.object { writer in
                    writer.member("type", limit.type)
                    writer.member("hard", limit.hard)
                    writer.member("soft", limit.soft)
                }
            }
            if noNewPrivileges { writer.member("noNewPrivileges", true) }
            writer.member("apparmorProfile", appArmorProfile)
            writer.member("oomScoreAdj", oomScoreAdjustment)
            writer.member("selinuxLabel", seLinuxLabel)
            writer.member("ioPriority", ioPriority) { writer, priority in
                writer.object { writer in
                    writer.member("class", priority.schedulingClass.rawValue)
                    writer.member("priority", priority.priority)
                }
            }
            writer.member("scheduler", scheduler) { $1.write(to: &$0) }
            writer.member("execCPUAffinity", execCPUAffinity) { writer, affinity in
                writer.object { writer in
                    writer.member("initial", affinity.initial)
                    writer.member("final", affinity.final)
                }
            }
        }
    }
}

extension UserConfiguration {
    func write(to writer: inout JSONWriter) {
        writer.object { writer in
            writer.member("uid", uid)
            writer.member("gid", gid)
            writer.member("umask", umask)
            writer.member("additionalGids", unlessEmpty: additionalGIDs) { $0.integer($1) }
            writer.member("username", username)
        }
    }
}

extension CapabilitySets {
    func write(to writer: inout JSONWriter) {
        writer.object { writer in
            writer.member("bounding", unlessEmpty: bounding)
            writer.member("effective", unlessEmpty: effective)
            writer.member("permitted", unlessEmpty: permitted)
            writer.member("inheritable", unlessEmpty: inheritable)
            writer.member("ambient", unlessEmpty: ambient)
        }
    }
}

extension SchedulerConfiguration {
    func write(to writer: inout JSONWriter) {
        writer.object { writer in
            writer.member("policy", policy.rawValue)
            if nice != 0 { writer.member("nice", nice) }
            if priority != 0 { writer.member("priority", priority) }
            writer.member("flags", unlessEmpty: flags.map(\.rawValue))
            if runtimeNanoseconds != 0 { writer.member("runtime", runtimeNanoseconds) }
            if deadlineNanoseconds != 0 { writer.member("deadline", deadlineNanoseconds) }
            if periodNanoseconds != 0 { writer.member("period", periodNanoseconds) }
        }
    }
}
