internal import CoreTypes
internal import Images
internal import Logging
internal import Records
internal import SystemPackage

/// What every container's supervisor works with.
struct ContainerServices: Sendable {
    let configuration: EngineConfiguration
    let records: ContainerRecords
    let images: ImageLibrary
    let imageLabels = ImageLabels()
    let volumes: VolumeStore
    let reactor: ShimReactor
    let launcher: ShimLauncher
    let watcher: LogWatcher
    let index: ContainerIndex
    let events: EventJournal
    let destroyed: DestroyedContainers
    let networks: Networks
    let userNamespaces: UserNamespacePool
    let facts: HostFacts
    let halt: Halt
    /// Room for what removes something, on a full disk.
    let reserve: DiskReserve
    let logger: Logger
}

/// Where a container's files lie.
struct ContainerPaths: Sendable {
    /// Durable: log, exit record, the files for `/etc`.
    let directory: FilePath
    /// Of this boot: config.json and the mount point of the root.
    let bundle: FilePath

    init(configuration: EngineConfiguration, id: ContainerID) {
        directory = configuration.dataRoot.appending("containers").appending(id.text)
        bundle = configuration.execRoot.appending("bundles").appending(id.text)
    }

    /// Records of the execs of this run.
    var execs: FilePath { bundle.appending("execs") }
    /// Where shared memory lies that other containers may join.
    var sharedMemory: FilePath { bundle.appending("shm") }
    /// Where paths inside volumes are pinned for this run.
    var pins: FilePath { bundle.appending("pins") }
    /// The user namespace of this run.
    var userNamespace: FilePath { pins.appending("user-namespace") }
    /// What the network of this run is.
    var networkRecord: FilePath { bundle.appending(NetworkAttachment.fileName) }
    var log: FilePath { directory.appending("log") }
    /// The copy of the log for programs that read Docker's json-file, named as docker names it.
    var jsonLog: FilePath { directory.appending("\(directory.lastComponent?.string ?? "")-json.log") }
    var exitRecord: FilePath { directory.appending("exit") }
    var networkFiles: NetworkFiles {
        NetworkFiles(
            hosts: directory.appending("hosts").string, hostname: directory.appending("hostname").string,
            resolver: directory.appending("resolv.conf").string)
    }
}
