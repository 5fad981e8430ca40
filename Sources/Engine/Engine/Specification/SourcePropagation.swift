internal import LinuxSyscalls
internal import OCISpec
internal import SystemPackage

/// Whether mounts that come and go on the host reach a container that asks for them: the mount that a path lies on must pass them on.
enum SourcePropagation {
    /// Looks at each bind that asks for mounts of the host. Blocks.
    /// - Throws: `.system` in Docker's words for one whose mount is private.
    static func check(_ binds: [BindMount]) throws(EngineError) {
        for bind in binds where bind.hasDefaultPropagation != true {
            switch bind.rootfsPropagation {
            case .shared: try check(bind.source, "a shared mount") { $0.hasPrefix("shared:") }
            case .slave: try check(bind.source, "a shared or slave mount", isFollowed)
            default: break
            }
        }
    }

    /// A bind that follows the host by the daemon's own choice is private where its mount passes nothing on, as with Docker. Blocks.
    static func settled(_ plan: MountPlan) -> MountPlan {
        var (settled, alone) = (plan, Set<String>())
        for bind in plan.binds where bind.hasDefaultPropagation == true && bind.rootfsPropagation == .slave {
            do throws(EngineError) { try check(existing(bind.source), "", isFollowed) } catch { alone.insert(bind.destination) }
        }
        settled.changeBinds { if alone.contains($0.destination) { $0.propagation = "rprivate" } }
        return settled
    }

    /// What is not there yet is made in the nearest folder that is.
    private static func existing(_ path: String) -> String {
        var place = FilePath(path)
        while (try? fileStatus(place, followingLinks: true)) == nil, place.removeLastComponent() {}
        return place.string
    }

    private static func isFollowed(_ word: String) -> Bool { word.hasPrefix("shared:") || word.hasPrefix("master:") }

    private static func check(_ path: String, _ wanted: String, _ passesOn: (String) -> Bool) throws(EngineError) {
        let entry: MountTableEntry?
        do throws(SyscallError) {
            let file = try openFile(FilePath(path), .path)
            let number = try mountNumber(of: file.number)
            entry = try mountTable().first { $0.id == number }
        } catch { throw .system("look at the mount of \(path)", error) }
        // What lies outside our root is not in the table: the runtime will say what it thinks of it.
        guard let entry, !entry.propagation.contains(where: passesOn) else { return }
        throw EngineError(.system, "path \(path) is mounted on \(entry.mountPoint) but it is not \(wanted)")
    }
}
