internal import CoreTypes
package import EngineAPI
internal import Images
internal import LinuxSyscalls
internal import Logging
internal import Registry
internal import SystemPackage

extension ContainerEngine {
    /// What is extra must be so twice, this long apart: containers come and go meanwhile.
    private static let secondLook = Duration.seconds(1)

    /// `POST /system/check`: compares store, records and kernel, and repairs what is asked for.
    /// - Throws: `.conflict` while another one is under way, or images are pruned.
    package func checkSystem(_ request: SystemCheckRequest) async throws(EngineError) -> SystemCheckReport {
        try await pruning(.image) { () throws(EngineError) in try await check(request) }
    }

    private func check(_ request: SystemCheckRequest) async throws(EngineError) -> SystemCheckReport {
        let services = try parts().services
        let keys = request.credentials.mapValues { RegistryCredentials($0) }
        let store: StoreReport
        do throws(ImageError) {
            store = try await services.images.checkStore(
                repairs: request.repair, inUse: { await Self.withMountedRoots(services.index) },
                secondLook: { () throws(CancellationError) in try await Pause.wait(for: Self.secondLook) },
                credentials: { keys[$0] ?? .anonymous })
        } catch { throw EngineError(error) }
        var answer = SystemCheckReport()
        (answer.blobs, answer.bytes, answer.layers) = (store.blobs, store.readBytes, store.layers)
        answer.containers = services.index.all.count
        answer.findings = store.findings.map(SystemCheckFinding.init) + Self.unreadableRecords(services)
        try await addMissingRoots(services, to: &answer)
        try await addLeftovers(services, request.repair, to: &answer)
        services.logger.notice("the store was checked", metadata: ["findings": "\(answer.findings.count)"])
        return answer
    }

    /// Containers whose roots are mounted, or whose start has begun.
    private static func withMountedRoots(_ index: ContainerIndex) async -> Set<ContainerID> {
        var found: Set<ContainerID> = []
        for container in index.all where await container.usesRoot { found.insert(container.id) }
        return found
    }

    private func addMissingRoots(_ services: ContainerServices, to answer: inout SystemCheckReport) async throws(EngineError) {
        let (containers, roots): ([Container], Set<ContainerID>)
        // In this order: what is in the list had its root before.
        do throws(ImageError) { (containers, roots) = (services.index.all, try services.images.containersWithRoots()) } catch {
            throw EngineError(error)
        }
        for container in containers where !roots.contains(container.id) {
            // What is just being made or removed is none the worse.
            guard (try? services.index.find(container.id.text)) != nil, await container.isSettled else { continue }
            var finding = SystemCheckFinding("missing", "root", container.id.text)
            finding.remark = "what the container wrote is gone: remove it"
            answer.findings.append(finding)
        }
    }

    /// Nothing mends these: an engine that can read them may come, and what belongs to them is kept for it.
    private static func unreadableRecords(_ services: ContainerServices) -> [SystemCheckFinding] {
        services.index.unreadable.sorted { $0.id.text < $1.id.text }.map { container in
            var finding = SystemCheckFinding("unreadable", "record", container.id.text)
            finding.detail = container.reason
            finding.remark = "\(container.wayBack); rm -f \(container.name) removes the container with all that it wrote"
            return finding
        }
    }

    /// Roots, shims, bundles, mounts and cgroups of containers that are on no record, readable or not.
    private func addLeftovers(_ services: ContainerServices, _ repairs: Bool, to answer: inout SystemCheckReport) async throws(EngineError)
    {
        var found = try await leftovers(services)
        if found.isEmpty { return }
        do { try await Pause.wait(for: Self.secondLook) } catch { throw EngineError(.unavailable, "the check was cancelled") }
        found.formIntersection(try await leftovers(services))
        for leftover in found.sorted(by: Leftover.goesBefore) {
            var finding = SystemCheckFinding("extra", leftover.object, leftover.id)
            finding.detail = leftover.path
            if repairs {
                do throws(EngineError) {
                    try await remove(leftover, services)
                    finding.repaired = true
                } catch { finding.remark = error.message }
            }
            answer.findings.append(finding)
        }
    }

    private func leftovers(_ services: ContainerServices) async throws(EngineError) -> Set<Leftover> {
        let configuration = services.configuration
        let roots: Set<ContainerID>
        do throws(ImageError) { roots = try services.images.containersWithRoots() } catch { throw EngineError(error) }
        let found = try await BlockingWork.run { () throws(EngineError) in
            var found = try Leftover.mounts(configuration)
            found += try Leftovers.containers(configuration).map { Leftover(object: "leftover", id: $0.text, path: "") }
            found += roots.map { Leftover(object: "root", id: $0.text, path: "") }
            return try found + Leftover.cgroups(of: Set(found.map(\.id)))
        }
        let known = Set(services.index.ids.map(\.text))
        return Set(found).filter { !known.contains($0.id) }
    }

    private func remove(_ leftover: Leftover, _ services: ContainerServices) async throws(EngineError) {
        guard let id = try? ContainerID(leftover.id) else { return }
        if leftover.object == "root" {
            do throws(ImageError) { try await services.images.removeRoot(of: id) } catch { throw EngineError(error) }
            return
        }
        try await BlockingWork.run(.programs) { () throws(EngineError) in
            do throws(SyscallError) {
                switch leftover.object {
                case "mount": try unmount(FilePath(leftover.path), [.detach])
                case "cgroup": try removeDirectory(FilePath(leftover.path))
                default: break
                }
            } catch { throw .system("clean up after container \(id)", error) }
            if leftover.object == "leftover" { try Leftovers.remove(id, services) }
        }
    }
}

/// Something of a container that may be on no record.
private struct Leftover: Hashable, Sendable {
    let object: String
    let id: String
    let path: String

    /// What lies on something else goes before it.
    static func goesBefore(_ first: Leftover, _ second: Leftover) -> Bool {
        let order = ["mount", "cgroup", "leftover", "root"]
        let (one, other) = (order.firstIndex(of: first.object) ?? 0, order.firstIndex(of: second.object) ?? 0)
        // Of mounts the deepest goes first.
        return one != other ? one < other : (first.id, second.path) < (second.id, first.path)
    }

    /// Mounts below the places that are made for containers. Blocks.
    static func mounts(_ configuration: EngineConfiguration) throws(EngineError) -> [Leftover] {
        let places = ["bundles", "netns"].map { "\(configuration.execRoot.appending($0))/" }
        do throws(SyscallError) {
            return try mountTable().compactMap { mount in
                guard let place = places.first(where: { mount.mountPoint.hasPrefix($0) }) else { return nil }
                let id = mount.mountPoint.dropFirst(place.utf8.count).prefix { $0 != "/" }
                return (try? ContainerID(String(id))).map { Leftover(object: "mount", id: $0.text, path: mount.mountPoint) }
            }
        } catch { throw .system("look for leftovers", error) }
    }

    /// Cgroups of these containers, of the one hierarchy or of each, where none of a name has a process. A cgroup itself does not say which
    /// daemon's it is: ours are those of containers of which something lies in our folders, where it is written before a cgroup is made
    /// and removed after. Blocks.
    static func cgroups(of containers: Set<String>) throws(EngineError) -> [Leftover] {
        let mount = FilePath("/sys/fs/cgroup")
        var found: [Leftover] = []
        var used: Set<String> = []
        do throws(SyscallError) {
            let top = try openFile(mount, [.readOnly, .directory])
            let hierarchies = try directoryEntries(of: top).filter { $0.type == .directory }.map { mount.pushing($0.name) }
            for place in ([mount] + hierarchies).map({ $0.appending("apus") }) {
                do throws(SyscallError) {
                    let directory = try openFile(place, [.readOnly, .directory, .noFollow])
                    for entry in try directoryEntries(of: directory)
                    where entry.type == .directory && containers.contains(entry.name.string) {
                        let path = place.pushing(entry.name)
                        let processes = try readFile(path.appending("cgroup.procs"), limitBytes: 1 << 20)
                        if !processes.isEmpty { used.insert(entry.name.string) }
                        found.append(Leftover(object: "cgroup", id: entry.name.string, path: path.string))
                    }
                } catch {
                    // A hierarchy without containers, or a cgroup that went away meanwhile.
                    guard [.noSuchFileOrDirectory, .operationNotSupportedByDevice].contains(Errno(rawValue: error.errno)) else {
                        throw error
                    }
                }
            }
        } catch { throw .system("look for leftovers", error) }
        return found.filter { !used.contains($0.id) }
    }
}

extension Container {
    /// Whether it is neither being made nor being removed.
    fileprivate var isSettled: Bool { state.phase != .removing }

    /// Whether the root is mounted, or may be in a moment: a start is marked before it asks for the root's mounts.
    fileprivate var usesRoot: Bool {
        switch state {
        case .created, .exited, .dead: rootReaders > 0
        case .starting, .running, .paused, .stopping, .exiting, .restarting, .removing: true
        }
    }
}

extension SystemCheckFinding {
    fileprivate init(_ kind: String, _ object: String, _ id: String) {
        self.init()
        (self.kind, self.object, self.id) = (kind, object, id)
    }

    fileprivate init(_ finding: StoreFinding) {
        self.init(finding.kind.rawValue, finding.object.rawValue, finding.id)
        (detail, images, repaired, remark) = (finding.detail, finding.images, finding.isRepaired, finding.remark)
    }
}
