internal import Glibc
internal import LinuxSyscalls
package import SystemPackage

/// What `checkpoint` and `restore` are asked for beyond the container.
package struct CheckpointOptions: Sendable {
    /// What becomes of the cgroups of a container's processes.
    package enum CgroupsMode: String, CaseIterable, Sendable {
        case soft, full, strict, ignore

        /// - Source: criu_cg_mode of criu's images/rpc.proto.
        var number: UInt32 {
            switch self {
            case .ignore: 0
            case .soft: 3
            case .full: 4
            case .strict: 5
            }
        }
    }

    /// Where the images lie.
    package var imageDirectory: FilePath
    /// Where criu's log and its other files lie; nil means with the images.
    package var workDirectory: FilePath?
    /// Earlier images, relative to these.
    package var parentPath: String?
    package var leavesRunning = false
    /// Writes memory alone, for a later dump that has less to do.
    package var isPreDump = false
    package var keepsConnections = false
    package var skipsConnectionsInFlight = false
    package var remapsLinks = false
    package var hasExternalUnixSockets = false
    package var isShellJob = false
    package var locksFiles = false
    package var deduplicates = false
    /// Memory is copied when it is needed, by a page server.
    package var isLazy = false
    /// Gets a NUL when a lazy dump is ready to serve.
    package var statusDescriptor: Int32?
    package var pageServer: (address: String, port: Int32)?
    package var cgroupsMode = CgroupsMode.soft
    package var securityProfile: String?
    package var mountContext: String?
    /// The program that does it: a path, or a name that is looked for.
    private let criu: String
    /// Where it is looked for.
    package var searchPath: String

    package init(imageDirectory: FilePath, criu: String, searchPath: String) {
        self.imageDirectory = imageDirectory
        self.criu = criu
        self.searchPath = searchPath
    }

    /// - Throws: `unsupported` where there is none, or the caller has no right to what it does.
    func program() throws(RuntimeError) -> HostProgram {
        guard let program = HostProgram.find(criu, path: searchPath) else {
            let absence =
                criu.contains("/") ? "and \(criu) is no program: --criu" : "which is not installed or not in PATH (Debian: criu)"
            throw RuntimeError(.unsupported, "checkpoint and restore are done by criu, \(absence)")
        }
        guard effectiveUserID() == 0 else {
            throw RuntimeError(.unsupported, "checkpoint and restore are done by criu, which needs root: run \(program.path) as root")
        }
        return program
    }

    /// What both directions have in common.
    /// - Parameter annotations: `org.criu.config` names a file of criu's options, an empty value none.
    func common(_ directories: CheckpointDirectories, root: String, annotations: [String: String]) -> CriuOptions {
        var options = CriuOptions()
        options.set(.imagesDirectory, UInt32(CriuProcess.Number.images))
        options.set(.workDirectory, UInt32(CriuProcess.Number.work))
        options.set(.logLevel, 4)
        options.set(.logFile, directories.log.lastComponent?.string)
        options.set(.root, root)
        options.set(.notifies, true)
        options.set(.orphanTerminal, true)
        options.set(.keepsConnections, keepsConnections)
        options.set(.externalUnixSockets, hasExternalUnixSockets)
        options.set(.isShellJob, isShellJob)
        options.set(.locksFiles, locksFiles)
        options.set(.deduplicates, deduplicates)
        options.set(.isLazy, isLazy)
        options.set(.cgroupMode, cgroupsMode.number)
        // Links and addresses of a network namespace are their maker's business, not the runtime's.
        options.set(.emptyNamespaces, UInt32(truncatingIfNeeded: NamespaceTypes.network.rawValue))
        // Where users of runc have theirs.
        let file = annotations["org.criu.config"] ?? "/etc/criu/runc.conf"
        if !file.isEmpty { options.set(.configurationFile, file) }
        return options
    }
}

/// The directories of images and of criu's work.
struct CheckpointDirectories {
    let images: FilePath
    let work: FilePath
    let log: FilePath

    /// - Parameter isMaking: whether the images' directory is made where it is missing.
    init(_ options: CheckpointOptions, log name: String, isMaking: Bool) throws(RuntimeError) {
        images = options.imageDirectory
        work = options.workDirectory ?? images
        log = work.appending(name)
        do throws(SyscallError) {
            if isMaking { try makeDirectories(images, mode: 0o700) }
            _ = try openImages()
            if options.workDirectory != nil { try makeDirectories(work, mode: 0o700) }
            // Else errors of an earlier one could be taken for this one's.
            do throws(SyscallError) { try removeFile(log) } catch  where error.errno == ENOENT {}
        } catch { throw RuntimeError(doing: "opening the directory of images", error) }
    }

    func openImages() throws(SyscallError) -> OwnedFD { try openFile(images, [.readOnly, .directory]) }

    func openWork() throws(SyscallError) -> OwnedFD { try openFile(work, [.readOnly, .directory]) }
}
