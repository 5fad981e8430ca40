internal import LinuxSyscalls
internal import ShimProtocol
internal import SystemPackage

/// The container's root file system as the request describes it, below the bundle.
enum RootMounts {
    /// Mounts of one request.
    static let maximumCount = 64

    /// Performs the mounts in order; those done are undone when one fails.
    static func mount(_ mounts: [RootMount], bundle: String) throws(ShimError) {
        guard mounts.count <= maximumCount else { throw ShimError(.limitReached, "\(mounts.count) root mounts") }
        if let one = mounts.first(where: { FstabOptions($0.options).isLoop }) {
            throw ShimError(.unsupported, "mount \(one.source)", cause: "option loop")
        }
        for (index, one) in mounts.enumerated() {
            do throws(SyscallError) {
                if index == 0 { try makeDirectories(root(bundle)) }
                try FstabMount(type: one.type, source: one.source, options: one.options).perform(onto: target(of: one, bundle: bundle))
            } catch {
                let failure = ShimError("mount \(one.type) \(one.source) onto \(target(of: one, bundle: bundle))", error)
                if let problem = unmount(mounts.prefix(index), bundle: bundle) {
                    throw ShimError(failure.code, failure.doing, cause: "\(failure.cause); and \(problem)")
                }
                throw failure
            }
        }
    }

    /// Takes the mounts away, last first. Returns the first problem, in words; what is not mounted is none.
    static func unmount(_ mounts: some BidirectionalCollection<RootMount>, bundle: String) -> String? {
        var problem: String?
        for one in mounts.reversed() {
            do throws(SyscallError) {
                try LinuxSyscalls.unmount(target(of: one, bundle: bundle), [.detach, .noFollow])
            } catch  where error.isMissing || error.isNotMounted {
            } catch { problem = problem ?? "\(error)" }
        }
        return problem
    }

    /// Takes everything away that is mounted on the bundle's root directory, and with it what is below, for a shim that is lost.
    static func unmountAll(bundle: String) throws(SyscallError) {
        do throws(SyscallError) {
            for _ in 0..<maximumCount { try LinuxSyscalls.unmount(root(bundle), [.detach, .noFollow]) }
        } catch  where error.isMissing || error.isNotMounted {}
    }

    private static func root(_ bundle: String) -> FilePath { FilePath(bundle).appending("rootfs") }

    // The bundle is the host's: nothing of the image has run when it is mounted, and targets are below by name.
    private static func target(of mount: RootMount, bundle: String) -> FilePath {
        let below = FilePath(mount.target).components.filter { $0.kind == .regular }
        return below.reduce(into: root(bundle)) { $0.append($1) }
    }
}
