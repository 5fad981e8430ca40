internal import JSON

extension LinuxConfiguration {
    func write(to writer: inout JSONWriter) {
        writer.object { writer in
            writer.member("uidMappings", unlessEmpty: uidMappings) { $1.write(to: &$0) }
            writer.member("gidMappings", unlessEmpty: gidMappings) { $1.write(to: &$0) }
            writer.member("sysctl", unlessEmpty: sysctl)
            writer.member("resources", resources) { $1.write(to: &$0) }
            writer.member("cgroupsPath", cgroupsPath)
            writer.member("namespaces", unlessEmpty: namespaces) { writer, namespace in
                writer.object { writer in
                    writer.member("type", namespace.kind.rawValue)
                    writer.member("path", namespace.path)
                }
            }
            writer.member("devices", unlessEmpty: devices) { $1.write(to: &$0) }
            writer.member("netDevices", unlessEmpty: netDevices) { writer, device in
                writer.object { writer in writer.member("name", device.name) }
            }
            writer.member("seccomp", seccomp) { $1.write(to: &$0) }
            writer.member("rootfsPropagation", rootfsPropagation?.rawValue)
            writer.member("maskedPaths", unlessEmpty: maskedPaths)
            writer.member("readonlyPaths", unlessEmpty: readonlyPaths)
            writer.member("mountLabel", mountLabel)
            writer.member("intelRdt", intelRdt) { $1.write(to: &$0) }
            writer.member("memoryPolicy", memoryPolicy) { writer, policy in
                writer.object { writer in
                    writer.member("mode", policy.mode.rawValue)
                    writer.member("nodes", policy.nodes)
                    writer.member("flags", unlessEmpty: policy.flags.map(\.rawValue))
                }
            }
            writer.member("personality", personality) { writer, personality in
                writer.object { writer in
                    writer.member("domain", personality.domain.rawValue)
                    writer.member("flags", unlessEmpty: personality.flags)
                }
            }
            writer.member("timeOffsets", timeOffsets) { writer, offsets in
                writer.object { writer in
                    writer.member("boottime", offsets.boottime) { $1.write(to: &$0) }
                    writer.member("monotonic", offsets.monotonic) { $1.write(to: &$0) }
                }
            }
        }
    }
}

extension LinuxDevice {
    func write(to writer: inout JSONWriter) {
        writer.object { writer in
            writer.member("path", path)
            writer.member("type", kind.rawValue)
            if kind != .fifo {
                writer.member("major", major)
                writer.member("minor", minor)
            }
            writer.member("fileMode", fileMode)
            writer.member("uid", uid)
            writer.member("gid", gid)
        }
    }
}

extension TimeOffsets.Offset {
    func write(to writer: inout JSONWriter) {
        writer.object { writer in
            writer.member("secs", seconds)
            writer.member("nanosecs", nanoseconds)
        }
    }
}

extension IntelRdt {
    func write(to writer: inout JSONWriter) {
        writer.object { writer in
            writer.member("closID", closID)
            writer.member("schemata", unlessEmpty: schemata)
            writer.member("l3CacheSchema", l3CacheSchema)
            writer.member("memBwSchema", memBwSchema)
            if enableMonitoring { writer.member("enableMonitoring", true) }
        }
    }
}

extension SeccompConfiguration {
    func write(to writer: inout JSONWriter) {
        writer.object { writer in
            writer.member("defaultAction", defaultAction.rawValue)
            writer.member("defaultErrnoRet", defaultErrnoReturn)
            writer.member("architectures", unlessEmpty: architectures.map(\.rawValue))
            writer.member("flags", unlessEmpty: flags.map(\.rawValue))
            writer.member("listenerPath", listenerPath)
            writer.member("listenerMetadata", listenerMetadata)
            writer.member("syscalls", unlessEmpty: rules) { writer, rule in
                writer.object { writer in
                    writer.member("names", rule.names)
                    writer.member("action", rule.action.rawValue)
                    writer.member("errnoRet", rule.errnoReturn)
                    writer.member("args", unlessEmpty: rule.arguments) { $1.write(to: &$0) }
                }
            }
        }
    }
}

extension SeccompConfiguration.Argument {
    func write(to writer: inout JSONWriter) {
        writer.object { writer in
            writer.member("index", index)
            writer.member("value", value)
            if valueTwo != 0 { writer.member("valueTwo", valueTwo) }
            writer.member("op", comparison.rawValue)
        }
    }
}
