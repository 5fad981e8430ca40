internal import CoreTypes
internal import LinuxSyscalls
internal import Networking
internal import ShimProtocol
internal import SystemPackage

/// What former daemons left below data root and exec root. Every function blocks.
enum Leftovers {
    /// Ids of which there is a shim, a bundle or a directory of files.
    static func containers(_ configuration: EngineConfiguration) throws(EngineError) -> Set<ContainerID> {
        let places = [
            configuration.execRoot.appending(ShimLayout.parentName), configuration.execRoot.appending("bundles"),
            configuration.execRoot.appending("netns"), configuration.dataRoot.appending("containers"),
        ]
        var ids: Set<ContainerID> = []
        for place in places {
            do throws(SyscallError) {
                let directory = try openFile(place, [.readOnly, .directory])
                for entry in try directoryEntries(of: directory, subject: place.string) {
                    // What is no id was not made by an engine; the keeper's socket lies beside the shims' directories.
                    if entry.type != .socket, let id = try? ContainerID(entry.name.string) { ids.insert(id) }
                }
            } catch {
                if error.errno != Errno.noSuchFileOrDirectory.rawValue { throw .system("look for leftovers", error) }
            }
        }
        return ids
    }

    /// Of containers that ran, and so were on record: a record is there before the first run, and goes last of all.
    /// - Returns: when their files were changed last.
    static func ofRuns(among ids: Set<ContainerID>, _ configuration: EngineConfiguration) throws(EngineError) -> [ContainerID: Timestamp] {
        var ran: [ContainerID: Timestamp] = [:]
        for id in ids {
            let paths = ContainerPaths(configuration: configuration, id: id)
            let life = ShimLayout(execRoot: configuration.execRoot.string, containerID: id.text).lifePath
            guard try anyExists(of: [FilePath(life), paths.log, paths.exitRecord]) else { continue }
            let changed = try? fileStatus(paths.directory).modified
            ran[id] = changed.map { Timestamp(seconds: $0.seconds) } ?? .now
        }
        return ran
    }

    /// Removes everything of a container that is on no record, its root aside.
    static func remove(_ id: ContainerID, _ services: ContainerServices) throws(EngineError) {
        if try exist(of: id, services.configuration) { try removeRun(of: id, services) }
        try Bundle.removeFiles(ContainerPaths(configuration: services.configuration, id: id))
    }

    /// Ends the shim and the process of a run that nobody speaks to, and removes what they hold, and the bundle.
    static func removeRun(of id: ContainerID, _ services: ContainerServices) throws(EngineError) {
        let paths = ContainerPaths(configuration: services.configuration, id: id)
        do throws(ShimError) { try services.launcher.delete(id, bundle: paths.bundle.string) } catch {
            throw .system("clean up after container \(id)", error)
        }
        try Bundle.remove(paths)
        let namespace = PinnedNamespace(path: services.networks.settings.namespaces.appending(id.text))
        do throws(NetworkingError) { try namespace.remove() } catch { throw .system("clean up after container \(id)", error) }
    }

    /// Whether a shim's directory, a bundle or a network is there.
    static func exist(of id: ContainerID, _ configuration: EngineConfiguration) throws(EngineError) -> Bool {
        let layout = ShimLayout(execRoot: configuration.execRoot.string, containerID: id.text)
        let paths = [
            FilePath(layout.directory), ContainerPaths(configuration: configuration, id: id).bundle,
            configuration.execRoot.appending("netns").appending(id.text),
        ]
        return try anyExists(of: paths)
    }

    private static func anyExists(of paths: [FilePath]) throws(EngineError) -> Bool {
        for path in paths {
            do throws(SyscallError) {
                _ = try fileStatus(path)
                return true
            } catch {
                if error.errno != Errno.noSuchFileOrDirectory.rawValue { throw .system("look for leftovers", error) }
            }
        }
        return false
    }
}
