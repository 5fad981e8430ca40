internal import JSON

extension ContainerState {
    /// Reads the state that a runtime printed or a hook was given.
    /// - Throws: `SpecProblem` naming the member.
    public static func decode(_ bytes: [UInt8]) throws(SpecProblem) -> ContainerState {
        try decodeDocument(bytes) { (reader: inout JSONReader) throws(JSONError) in try ContainerState(from: &reader) }
    }

    init(from reader: inout JSONReader) throws(JSONError) {
        var version: String?
        var id: String?
        var status: Status?
        var pid: Int32?
        var bundle: String?
        var annotations: [String: String] = [:]
        try reader.readObject { (reader: inout JSONReader, name: String) throws(JSONError) in
            switch name {
            case "ociVersion": version = try reader.readString()
            case "id": id = try reader.readString()
            case "status": status = try reader.readCase()
            case "pid": pid = try reader.readInteger()
            case "bundle": bundle = try reader.readString()
            case "annotations": annotations = try reader.readStringDictionary()
            default: try reader.skipValue()
            }
        }
        self.init(
            ociVersion: try reader.require(version, "ociVersion"), id: try reader.require(id, "id"),
            status: try reader.require(status, "status"), pid: pid == 0 ? nil : pid, bundle: try reader.require(bundle, "bundle"),
            annotations: annotations)
    }

    /// Writes the state for hooks, as runc's library does: a container without a process has no pid.
    public func encode(indented: Bool = false) -> [UInt8] {
        encodeDocument(indented: indented) { writer in
            writer.object { writer in
                writer.member("ociVersion", ociVersion)
                writer.member("id", id)
                writer.member("status", status.rawValue)
                writer.member("pid", pid)
                writer.member("bundle", bundle)
                writer.member("annotations", unlessEmpty: annotations)
            }
        }
    }
}

extension RuntimeFeatures {
    /// Writes the document of `features`.
    /// - Parameter indented: by four spaces, as runc's.
    public func encode(indented: Bool = true) -> [UInt8] {
        encodeDocument(style: indented ? .indentedByFour : .compact) { writer in
            writer.object { writer in
                writer.member("ociVersionMin", ociVersionMin)
                writer.member("ociVersionMax", ociVersionMax)
                writer.member("hooks", hooks)
                writer.member("mountOptions", mountOptions)
                writer.name("linux")
                linux.write(to: &writer)
                writer.member("annotations", unlessEmpty: annotations)
                writer.member("potentiallyUnsafeConfigAnnotations", unlessEmpty: potentiallyUnsafeConfigAnnotations)
            }
        }
    }
}

extension RuntimeFeatures.Linux {
    func write(to writer: inout JSONWriter) {
        writer.object { writer in
            writer.member("namespaces", namespaces.map(\.rawValue))
            writer.member("capabilities", capabilities)
            writer.name("cgroup")
            writer.object { writer in
                writer.member("v1", cgroup.v1)
                writer.member("v2", cgroup.v2)
                writer.member("systemd", cgroup.systemd)
                writer.member("systemdUser", cgroup.systemdUser)
                writer.member("rdma", cgroup.rdma)
            }
            writer.name("seccomp")
            writer.object { writer in
                writer.member("enabled", seccomp.enabled)
                writer.member("actions", unlessEmpty: seccomp.actions)
                writer.member("operators", unlessEmpty: seccomp.operators)
                writer.member("archs", unlessEmpty: seccomp.architectures)
                writer.member("knownFlags", unlessEmpty: seccomp.knownFlags)
                writer.member("supportedFlags", unlessEmpty: seccomp.supportedFlags)
            }
            let switches = [("apparmor", appArmorEnabled), ("selinux", seLinuxEnabled), ("netDevices", netDevicesEnabled)]
            for (name, enabled) in switches {
                writer.name(name)
                writer.object { writer in writer.member("enabled", enabled) }
            }
            writer.name("intelRdt")
            writer.object { writer in
                writer.member("enabled", intelRdtEnabled)
                writer.member("schemata", intelRdtSchemata)
                writer.member("monitoring", intelRdtMonitoring)
            }
            if !memoryPolicyModes.isEmpty {
                writer.name("memoryPolicy")
                writer.object { writer in
                    writer.member("modes", memoryPolicyModes.map(\.rawValue))
                    writer.member("flags", unlessEmpty: memoryPolicyFlags.map(\.rawValue))
                }
            }
            writer.name("mountExtensions")
            writer.object { writer in
                writer.name("idmap")
                writer.object { writer in writer.member("enabled", idMappedMountsEnabled) }
            }
        }
    }
}
