/// Where below a container's cgroup a process is put: the texts of `exec --cgroup`, `[<controller>[,<controller>…]:]<path>` each.
package struct SubordinatePaths: Equatable, Sendable {
    /// By controller; an empty name stands for every hierarchy, and then for it alone.
    private var paths: [String: String] = [:]

    /// - Throws: `invalidPath` in runc's words.
    package init(_ texts: [String]) throws(CgroupError) {
        for text in texts {
            let parts = text.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
            switch parts.count {
            case 1:
                if texts.count > 1 { throw Self.invalid("invalid --cgroup argument: \(text) (missing <controller>: prefix)") }
                paths[""] = text
            case 2:
                for controller in parts[0].split(separator: ",", omittingEmptySubsequences: false).map(String.init) {
                    if paths.updateValue(parts[1], forKey: controller) != nil {
                        throw Self.invalid("invalid --cgroup argument(s): multiple paths for controller \(controller.debugDescription)")
                    }
                }
            default: throw Self.invalid("invalid --cgroup argument: \(text)")
            }
        }
    }

    package var isEmpty: Bool { paths.isEmpty }

    /// The path for a hierarchy of these controllers, or of none.
    func path(for names: [String]) -> String? {
        paths[""] ?? names.lazy.compactMap { paths[$0] ?? paths["name=\($0)"] }.first
    }

    /// Every controller named must be one of this cgroup's.
    func check(against cgroup: Cgroup) throws(CgroupError) {
        for controller in paths.keys.sorted() where !controller.isEmpty {
            if cgroup.record.mode == .unified {
                throw CgroupError(
                    .unsupported, doing: "--cgroup \(controller):", reason: "cgroup v2 has one path for all controllers: leave them out")
            }
            guard cgroup.branches.contains(where: { $0.place.names.contains { $0 == controller || "name=\($0)" == controller } }) else {
                throw Self.invalid("unknown controller \(controller.debugDescription) in --cgroup")
            }
        }
    }

    private static func invalid(_ reason: String) -> CgroupError { CgroupError(.invalidPath, doing: "exec", reason: reason) }
}
