import LinuxSyscalls
import OCISpec
import RuntimeCore
import Testing

@Suite("Plans of namespaces and processes")
struct PlanTests {
    @Test(
        "new namespaces are cloned, cgroup and time made later, those with a path joined, and a user namespace joined by a stage of its own"
    )
    func namespaces() {
        let plan = NamespacePlan([
            LinuxNamespace(.mount), LinuxNamespace(.pid), LinuxNamespace(.cgroup), LinuxNamespace(.time),
            LinuxNamespace(.network, path: "/run/netns/a"), LinuxNamespace(.user, path: "/proc/1/ns/user"),
        ])
        #expect(plan.cloned == [.mount, .pid])
        #expect(plan.hasNewCgroup && plan.hasNewTime)
        #expect(plan.joined.map(\.path) == ["/run/netns/a"] && plan.joined.map(\.type) == [.network])
        #expect(plan.joinedUser?.path == "/proc/1/ns/user")
        #expect(plan.hasUser && !plan.hasNewUser)
        let none = NamespacePlan([])
        #expect(none.cloned.isEmpty && none.joined.isEmpty && !none.hasUser && !none.hasNewCgroup && !none.hasNewTime)
    }

    @Test("of several variables of a name the last counts, and what the caller adds comes after the configuration's")
    func environment() throws {
        var process = ProcessConfiguration(workingDirectory: "/")
        process.environment = ["A=1", "B=2", "A=3"]
        #expect(try ProcessPlan(process, addedEnvironment: ["B=4"]).environment == ["A=3", "B=4"])
    }

    @Test("limits have the kernel's numbers, in the configuration's order; a name that is none is told by its field")
    func limits() throws {
        var process = ProcessConfiguration(workingDirectory: "/")
        process.resourceLimits = [
            ResourceLimit(type: "RLIMIT_NOFILE", soft: 10, hard: .max), ResourceLimit(type: "RLIMIT_CPU", soft: 1, hard: 2),
        ]
        let plan = try ProcessPlan(process)
        #expect(plan.limits.map(\.resource.rawValue) == [7, 0])
        #expect(plan.limits[0].soft == 10 && plan.limits[0].hard == .max)
        process.resourceLimits = [ResourceLimit(type: "RLIMIT_NONE", soft: 1, hard: 1)]
        #expect(
            problem { () throws(RuntimeError) in _ = try ProcessPlan(process) }?.description
                == "process.rlimits: \"RLIMIT_NONE\" is no limit")
    }

    @Test("a set of capabilities loses what the machine cannot give, and ambient ones must be permitted and inheritable")
    func capabilities() throws {
        var sets = CapabilitySets()
        sets.bounding = ["CAP_CHOWN", "CAP_KILL", "CAP_SYS_ADMIN"]
        sets.permitted = ["CAP_CHOWN", "CAP_SYS_ADMIN"]
        sets.inheritable = ["CAP_CHOWN", "CAP_KILL"]
        sets.ambient = ["CAP_CHOWN", "CAP_KILL"]
        var plan = try CapabilityPlan(sets)
        #expect(plan.raisableAmbient.numbers == [0])
        let machine = CapabilitySet(number: 0).union(CapabilitySet(number: 5))
        #expect(plan.restrict(to: machine) == .sysAdmin)
        #expect(plan.bounding == machine && plan.permitted.numbers == [0] && plan.effective.isEmpty)
        #expect(try CapabilityPlan(nil).bounding.isEmpty)
        sets.effective = ["CAP_FLY"]
        #expect(
            problem { () throws(RuntimeError) in _ = try CapabilityPlan(sets) }?.description
                == "process.capabilities.effective: \"CAP_FLY\" is no capability")
    }
}

/// What `body` is refused for.
func problem(_ body: () throws(RuntimeError) -> Void) -> RuntimeError? {
    do throws(RuntimeError) {
        try body()
        return nil
    } catch { return error }
}
