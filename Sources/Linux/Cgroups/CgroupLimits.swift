internal import CoreTypes
internal import Glibc
internal import LinuxSyscalls
package import OCISpec
internal import SystemPackage

extension Cgroup {
    /// Changes the limits of a container that exists, all of them or none. Its rules for devices stay as they are.
    /// - Throws: `unsupported`, `unavailable` or `refused`, naming the member that asked for it.
    package func apply(_ resources: LinuxResources) throws(CgroupError) {
        let legacy = branches.filter { $0.place.version == .v1 }.flatMap(\.place.names).compactMap(CgroupController.init(rawValue:))
        let resources = try completed(resources)
        let steps = try CgroupPlanner(mode: record.mode, legacyControllers: Set(legacy)).plan(updating: resources)
        var undo = CgroupUndo()
        do throws(CgroupError) {
            try perform(steps, &undo)
            // Told last, for nobody would untell it; it rounds what it then writes itself.
            if try tellSystemd(resources) { try perform(steps) }
        } catch {
            var told = error
            for write in undo.writes.reversed() { told = told.followed { () throws(CgroupError) in try perform(write) } }
            throw told
        }
    }

    /// v2 has files that hold two values, or one relative to another: what a change leaves unsaid comes from the kernel.
    private func completed(_ resources: LinuxResources) throws(CgroupError) -> LinuxResources {
        guard record.mode == .unified, let leaf = unifiedLeaf else { return resources }
        var completed = resources
        if let swap = resources.memory?.swapBytes, swap > 0, (resources.memory?.limitBytes ?? 0) == 0 {
            let limit = try doing("set linux.resources.memory.swap") { () throws(SyscallError) in try leaf.read("memory.max") }
            completed.memory?.limitBytes = Int64(limit)
        }
        if let cpu = resources.cpu, (cpu.periodMicroseconds ?? 0) != 0, (cpu.quotaMicroseconds ?? 0) == 0 {
            let both = try doing("set linux.resources.cpu.period") { () throws(SyscallError) in try leaf.read("cpu.max") }
            completed.cpu?.quotaMicroseconds = both.split(separator: " ").first.flatMap { Int64($0) } ?? -1
        }
        return completed
    }

    func perform(_ steps: [CgroupStep]) throws(CgroupError) {
        var undo: CgroupUndo?
        for step in steps { try perform(step, &undo) }
    }

    /// The same.
    /// - Parameter undo: gets what takes back that which was done, also where not all of it could be.
    private func perform(_ steps: [CgroupStep], _ undo: inout CgroupUndo) throws(CgroupError) {
        var noted: CgroupUndo? = undo
        defer { undo = noted ?? undo }
        for step in steps { try perform(step, &noted) }
    }

    private func perform(_ step: CgroupStep, _ undo: inout CgroupUndo?) throws(CgroupError) {
        switch step {
        case .write(let write): try perform(write, &undo)
        case .writeIfThere(let write):
            do throws(CgroupError) { try perform(write, &undo) } catch {
                if error.code != .unavailable { throw error }
            }
        case .writeFirstThere(let writes): try performFirst(writes, &undo)
        case .writePair(let first, let second):
            do throws(CgroupError) { try perform(first, &undo) } catch {
                guard error.cause?.errno == EINVAL else { throw error }
                try perform(second, &undo)
                try perform(first, &undo)
                return
            }
            try perform(second, &undo)
        case .writeTogether(let writes): try performTogether(writes, &undo)
        case .attachDeviceProgram(let rules): try attach(DeviceProgram(rules))
        case .requireMemoryUsage(let limit): try requireMemoryUsage(atMost: limit)
        }
    }

    /// - Parameter undo: nil notes nothing.
    private func perform(_ write: CgroupWrite, _ undo: inout CgroupUndo?) throws(CgroupError) {
        let old = undo == nil ? nil : try leaf(for: write)?.oldValues(for: write)
        do throws(CgroupError) { try perform(write) } catch {
            // Of several values some may be written.
            if let old, write.values.count > 1 { undo?.note(old, insteadOf: write) }
            throw error
        }
        if let old { undo?.note(old, insteadOf: write) }
    }

    private func leaf(for write: CgroupWrite) -> CgroupDirectory? {
        write.version == .v1 ? legacyLeaf(write.controllerName) : unifiedLeaf
    }

    private func perform(_ write: CgroupWrite) throws(CgroupError) {
        let what = "set \(write.field)"
        guard let leaf = leaf(for: write) else {
            throw CgroupError(.unavailable, doing: what, reason: "no \(write.controllerName) controller is mounted")
        }
        do throws(SyscallError) {
            let file = try openFile(FilePath(write.file), .writeOnly, at: leaf.number)
            for value in write.values { try writeAll(Array(value.utf8), to: file.number, subject: "\(write.file) \(value)") }
        } catch {
            if error.call == "open" && error.errno == ENOENT {
                throw CgroupError(
                    .unavailable, doing: what,
                    reason: "there is no \(write.file): this kernel lacks it, or the \(write.controllerName) controller is not enabled"
                )
            }
            throw CgroupError(doing: what, cause: error)
        }
    }

    private func performTogether(_ writes: [CgroupWrite], _ undo: inout CgroupUndo?) throws(CgroupError) {
        var waiting = writes
        while !waiting.isEmpty {
            var refused: [CgroupWrite] = []
            var refusal: CgroupError?
            for write in waiting {
                do throws(CgroupError) { try perform(write, &undo) } catch {
                    guard error.cause?.errno == EINVAL else { throw error }
                    refused.append(write)
                    refusal = refusal ?? error
                }
            }
            if let refusal, refused.count == waiting.count { throw refusal }
            waiting = refused
        }
    }

    private func performFirst(_ writes: [CgroupWrite], _ undo: inout CgroupUndo?) throws(CgroupError) {
        var missing: CgroupError?
        for write in writes {
            do throws(CgroupError) {
                try perform(write, &undo)
                return
            } catch {
                if error.code != .unavailable { throw error }
                missing = error
            }
        }
        if let missing { throw missing }
    }

    /// Replaces the programs of this cgroup: the new one is in force before the old ones go.
    private func attach(_ program: DeviceProgram?) throws(CgroupError) {
        guard let leaf = unifiedLeaf else {
            throw CgroupError(.unavailable, doing: "set linux.resources.devices", reason: "no devices controller is mounted")
        }
        let path = leaf.path.string
        try doing("set linux.resources.devices") { () throws(SyscallError) in
            let old = try attachedDevicePrograms(ofCgroup: leaf.number, subject: path)
            if let program {
                try attachDeviceProgram(try loadDeviceProgram(program.bytes), toCgroup: leaf.number, subject: path)
            }
            for identifier in old { try detachDeviceProgram(identifier, fromCgroup: leaf.number, subject: path) }
        }
    }

    private func requireMemoryUsage(atMost limit: Int64) throws(CgroupError) {
        let usage = try memoryUsage()
        if usage > UInt64(limit) {
            throw CgroupError(
                .unsupported, doing: "set linux.resources.memory.limit",
                reason: "\(usage) bytes are in use, more than the new limit of \(limit), and checkBeforeUpdate is set")
        }
    }
}
