internal import CoreTypes
package import EngineAPI
internal import Images
internal import LinuxSyscalls
internal import OCISpec
internal import Snapshots
internal import SystemPackage

/// What `POST /commit` asks for.
package struct CommitRequest: Sendable {
    /// An id, a name, or an unambiguous beginning of an id.
    package let container: String
    /// Empty for no name.
    package let repository: String
    package let tag: String
    /// What the image's history says.
    package let message: String
    package let author: String
    /// Instructions of a Dockerfile.
    package let changes: [String]
    /// Whether a running container is paused meanwhile.
    package let pauses: Bool
    /// Goes before what the container was made with.
    package let config: ContainerConfig?

    package init(
        container: String, repository: String, tag: String, message: String, author: String, changes: [String], pauses: Bool,
        config: ContainerConfig?
    ) {
        (self.container, self.repository, self.tag) = (container, repository, tag)
        (self.message, self.author, self.changes) = (message, author, changes)
        self.pauses = pauses
        self.config = config
    }
}

extension ContainerEngine {
    /// Where containers see mounts of ours: what lies there in the writable layer are their mount points.
    static let mountPoints: Set<String> = [
        "dev", "proc", "sys", "etc/hosts", "etc/hostname", "etc/resolv.conf", ".dockerenv",
    ]

    /// Makes an image of a container as it is now.
    package func commit(_ request: CommitRequest) async throws(EngineError) -> CommitAnswer {
        let container = try container(request.container)
        let name = try Self.imageName(request.repository, tag: request.tag)
        let made = await container.document.config
        // Changes are of what the container was made with, or of what the request says instead. What they leave empty is the container's.
        var merged = request.config ?? made
        try ConfigurationChange.apply(request.changes, to: &merged)
        merged = try ImageDefaults.merge(merged, over: ImageConfig(made))
        merged.volumes.merge(made.volumes) { mine, _ in mine }
        let settings: [UInt8]
        do throws(DocumentError) { settings = try EngineJSON.encode(made).dropLast() } catch {
            throw EngineError(.system, "encode the container's settings: \(error)", cause: error)
        }
        let plan = CommitPlan(
            execution: ImageConfiguration.Execution(merged), createdBy: (made.cmd?.words ?? []).joined(separator: " "),
            container: container.id.text, containerConfig: settings,
            message: request.message, author: request.author)
        let services = try parts().services
        let id: Digest
        do throws(EngineError) {
            id = try await container.whileHeld(request.pauses) { () throws(EngineError) in
                let leftOut = try await Self.mountPoints.union(container.untouchedFiles())
                do throws(ImageError) {
                    return try await services.images.commit(
                        container.id, of: container.imageID, leavingOut: leftOut, name: name, configure: plan.configuration)
                } catch { throw EngineError(error) }
            }
        } catch { throw await container.explained(error) }
        if let name { services.tell("tag", image: id.description, name: name.familiar, labels: merged.labels) }
        await container.tell("commit", ["comment": request.message, "imageID": id.description, "imageRef": name?.familiar ?? ""])
        var answer = CommitAnswer()
        answer.id = id.description
        return answer
    }
}

/// How a commit's configuration follows from its base image's.
private struct CommitPlan: Sendable {
    let execution: ImageConfiguration.Execution
    let createdBy: String
    let container: String
    let containerConfig: [UInt8]
    let message: String
    let author: String

    @Sendable func configuration(_ base: ImageConfiguration, hasLayer: Bool) -> ImageConfiguration {
        var configuration = base
        configuration.created = .now
        configuration.author = author.isEmpty ? nil : author
        configuration.container = container
        configuration.containerConfig = containerConfig
        // Of who made the base.
        configuration.dockerVersion = nil
        configuration.execution = execution
        var step = ImageConfiguration.HistoryEntry()
        step.created = configuration.created
        step.createdBy = createdBy.isEmpty ? nil : createdBy
        step.author = configuration.author
        step.comment = message.isEmpty ? nil : message
        step.isEmptyLayer = !hasLayer
        configuration.history.append(step)
        return configuration
    }
}

extension Container {
    /// What of the engine's own files no layer is to hold, unless somebody has written there.
    fileprivate func untouchedFiles() async throws(EngineError) -> Set<String> {
        let mounts: [SnapshotMount]
        do throws(ImageError) { mounts = try await services.images.rootMounts(of: id) } catch { throw EngineError(error) }
        guard let written = mounts.last?.upperDirectory else { return [] }
        return try await BlockingWork.run { () throws(EngineError) in
            let tree = try LayeredTree(mounts: mounts)
            do throws(SyscallError) { return try InitialFiles.untouched(in: written, tree) } catch {
                throw .system("look at what the container has written", error)
            }
        }
    }
}
