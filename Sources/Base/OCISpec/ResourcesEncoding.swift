internal import JSON

extension LinuxResources {
    /// Writes the document that `update --resources` takes.
    public func encode(indented: Bool = false) -> [UInt8] {
        encodeDocument(indented: indented) { writer in write(to: &writer) }
    }

    func write(to writer: inout JSONWriter) {
        writer.object { writer in
            writer.member("devices", unlessEmpty: devices) { $1.write(to: &$0) }
            writer.member("memory", memory) { $1.write(to: &$0) }
            writer.member("cpu", cpu) { $1.write(to: &$0) }
            writer.member("pids", pids) { writer, pids in writer.object { writer in writer.member("limit", pids.limit) } }
            writer.member("blockIO", blockIO) { $1.write(to: &$0) }
            writer.member("hugepageLimits", unlessEmpty: hugepageLimits) { writer, limit in
                writer.object { writer in
                    writer.member("pageSize", limit.pageSize)
                    writer.member("limit", limit.limitBytes)
                }
            }
            writer.member("network", network) { writer, network in
                writer.object { writer in
                    writer.member("classID", network.classID)
                    writer.member("priorities", unlessEmpty: network.priorities) { writer, priority in
                        writer.object { writer in
                            writer.member("name", priority.name)
                            writer.member("priority", priority.priority)
                        }
                    }
                }
            }
            writer.member("rdma", unlessEmpty: rdma) { writer, limit in
                writer.object { writer in
                    writer.member("hcaHandles", limit.hcaHandles)
                    writer.member("hcaObjects", limit.hcaObjects)
                }
            }
            writer.member("unified", unlessEmpty: unified)
        }
    }
}

extension DeviceRule {
    func write(to writer: inout JSONWriter) {
        writer.object { writer in
            writer.member("allow", allow)
            if kind != .all { writer.member("type", kind.rawValue) }
            writer.member("major", major)
            writer.member("minor", minor)
            writer.member("access", access.text)
        }
    }
}

extension DeviceRule.Access {
    /// The letters of the specification and of cgroup v1: `rwm`.
    public var text: String {
        (contains(.read) ? "r" : "") + (contains(.write) ? "w" : "") + (contains(.makeNode) ? "m" : "")
    }
}

extension MemoryLimits {
    func write(to writer: inout JSONWriter) {
        writer.object { writer in
            writer.member("limit", limitBytes)
            writer.member("reservation", reservationBytes)
            writer.member("swap", swapBytes)
            writer.member("kernel", kernelBytes)
            writer.member("kernelTCP", kernelTCPBytes)
            writer.member("swappiness", swappiness)
            writer.member("disableOOMKiller", disableOOMKiller)
            writer.member("useHierarchy", useHierarchy)
            writer.member("checkBeforeUpdate", checkBeforeUpdate)
        }
    }
}

extension CPULimits {
    func write(to writer: inout JSONWriter) {
        writer.object { writer in
            writer.member("shares", shares)
            writer.member("quota", quotaMicroseconds)
            writer.member("burst", burstMicroseconds)
            writer.member("period", periodMicroseconds)
            writer.member("realtimeRuntime", realtimeRuntimeMicroseconds)
            writer.member("realtimePeriod", realtimePeriodMicroseconds)
            writer.member("cpus", cpus)
            writer.member("mems", mems)
            writer.member("idle", idle)
        }
    }
}

extension BlockIOLimits {
    func write(to writer: inout JSONWriter) {
        writer.object { writer in
            writer.member("weight", weight)
            writer.member("leafWeight", leafWeight)
            writer.member("weightDevice", unlessEmpty: weightDevice) { writer, device in
                writer.object { writer in
                    writer.member("major", device.major)
                    writer.member("minor", device.minor)
                    writer.member("weight", device.weight)
                    writer.member("leafWeight", device.leafWeight)
                }
            }
            writer.member("throttleReadBpsDevice", unlessEmpty: throttleReadBytes) { $1.write(to: &$0) }
            writer.member("throttleWriteBpsDevice", unlessEmpty: throttleWriteBytes) { $1.write(to: &$0) }
            writer.member("throttleReadIOPSDevice", unlessEmpty: throttleReadOperations) { $1.write(to: &$0) }
            writer.member("throttleWriteIOPSDevice", unlessEmpty: throttleWriteOperations) { $1.write(to: &$0) }
        }
    }
}

extension BlockIOLimits.Throttle {
    func write(to writer: inout JSONWriter) {
        writer.object { writer in
            writer.member("major", major)
            writer.member("minor", minor)
            writer.member("rate", rate)
        }
    }
}
