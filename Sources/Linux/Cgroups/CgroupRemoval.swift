internal import Glibc
internal import LinuxSyscalls
internal import SystemPackage

extension Cgroup {
    /// How long processes that were killed may take to leave.
    package static let deletionTimeoutNanoseconds: Int64 = 5_000_000_000

    /// Removes this cgroup from every hierarchy, with what is below it and with those above that `create` made and that
    /// nobody else uses. What is gone already is no error.
    /// - Throws: `refused` with EBUSY when processes are still in it after the time.
    package func delete(timeoutNanoseconds: Int64 = deletionTimeoutNanoseconds) throws(CgroupError) {
        var wait = BackOff(nanoseconds: timeoutNanoseconds)
        var first: CgroupError?
        for branch in branches {
            do throws(SyscallError) { try branch.remove(&wait) } catch {
                first = first ?? CgroupError(doing: "delete cgroup \(branch.place.directory)", cause: error)
            }
        }
        if let first { throw first }
    }

    /// Undoes a creation: what existed before stays.
    func removeWhatWasMade() throws(CgroupError) {
        for branch in branches where branch.place.foundDepth < branch.depth {
            var wait = BackOff(nanoseconds: 10_000_000)
            try doing("delete cgroup \(branch.place.directory)") { () throws(SyscallError) in try branch.remove(&wait) }
        }
    }
}

extension Cgroup.Branch {
    var depth: Int { place.components.count }

    func remove(_ wait: inout BackOff) throws(SyscallError) {
        let path = FilePath(place.path)
        while true {
            do throws(SyscallError) {
                try removeDirectory(path, at: root.number)
                break
            } catch {
                switch error.errno {
                case ENOENT: break
                case EBUSY, ENOTEMPTY, EAGAIN:
                    // What the container made below goes first; then processes that are dying may still be in it.
                    try leaf?.removeDescendants()
                    do throws(SyscallError) { try removeDirectory(path, at: root.number) } catch let again {
                        if again.errno == ENOENT { break }
                        if !wait.rest() { throw again }
                        continue
                    }
                default: throw error
                }
                break
            }
        }
        try removeParents()
    }

    private func removeParents() throws(SyscallError) {
        let components = place.components
        var end = components.count - 1
        while end > place.foundDepth {
            do throws(SyscallError) {
                try removeDirectory(FilePath(relativePath(of: components[..<end])), at: root.number)
            } catch {
                // Another container moved in, or left and removed it.
                if [EBUSY, ENOTEMPTY, ENOENT].contains(error.errno) { return }
                throw error
            }
            end -= 1
        }
    }
}

extension CgroupDirectory {
    /// Removes the cgroups below, the deepest first; those with processes stay.
    fileprivate func removeDescendants() throws(SyscallError) {
        try visitDescendants(left: { (parent, name) throws(SyscallError) in
            do throws(SyscallError) { try removeDirectory(name, at: parent.number) } catch {
                if ![EBUSY, ENOTEMPTY, ENOENT].contains(error.errno) { throw error }
            }
        })
    }
}
