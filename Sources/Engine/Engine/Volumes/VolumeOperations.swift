internal import CoreTypes
package import EngineAPI
internal import Logging
internal import SystemPackage

/// What the API does with volumes.
extension ContainerEngine {
    /// The only driver: directories of the data root, and what mount(8) can put there.
    static let volumeDriver = "local"

    /// `POST /volumes/create`: makes a volume, or finds the one of that name.
    package func createVolume(_ request: VolumeCreateRequest) async throws(EngineError) -> Volume {
        try Self.checkVolumeDriver(request.driver)
        let store = try parts().services.volumes
        var labels = request.labels
        var name = request.name
        if name.isEmpty {
            name = Identifiers.random()
            labels[VolumeDocument.anonymousLabel] = ""
        }
        let document = try await store.create(name, options: request.driverOptions, labels: labels)
        return Volume(name, document, in: store.folder)
    }

    /// - Throws: `.notFound` in Docker's words for a driver that is not there.
    static func checkVolumeDriver(_ name: String) throws(EngineError) {
        guard ["", volumeDriver].contains(name) else {
            throw EngineError(.notFound, "error looking up volume plugin \(name): plugin \"\(name)\" not found")
        }
    }

    /// `GET /volumes`. Filters: `dangling`, `driver`, `label`, `name`.
    package func volumes(_ filters: Filters) async throws(EngineError) -> VolumeList {
        if let unknown = filters.unknownKey(besides: ["dangling", "driver", "label", "name"]) {
            throw EngineError(.invalidParameter, "invalid filter '\(unknown)'")
        }
        let wantsDangling = try Self.flag("dangling", filters)
        var names: [NamePattern] = []
        for text in filters["name"] { names.append(try NamePattern(text)) }
        let drivers = filters["driver"]
        let store = try parts().services.volumes
        var answer = VolumeList()
        for (name, document, users) in await store.all {
            guard wantsDangling.map({ $0 == users.isEmpty }) ?? true, drivers.isEmpty || drivers.contains(Self.volumeDriver),
                names.isEmpty || names.contains(where: { $0.matches(name) }), filters.matchesLabels(document.labels)
            else { continue }
            answer.volumes.append(Volume(name, document, in: store.folder))
        }
        return answer
    }

    /// `GET /volumes/{name}`.
    package func inspectVolume(_ name: String) async throws(EngineError) -> Volume {
        let store = try parts().services.volumes
        return Volume(name, try await store.find(name), in: store.folder)
    }

    /// `DELETE /volumes/{name}`. - Parameter force: one that is not there is no error.
    package func removeVolume(_ name: String, force: Bool) async throws(EngineError) {
        let volumes = try parts().services.volumes
        try await removing { () throws(EngineError) in
            do throws(EngineError) { try await volumes.remove(name) } catch {
                if !(force && error.code == .notFound) { throw error }
            }
        }
    }

    /// `POST /volumes/prune`: removes volumes that no container has. Filters: `label`, `label!`, and `all`, without which only those go
    /// that nobody named.
    /// - Throws: `.conflict` while another prune is under way.
    package func pruneVolumes(_ filters: Filters, takesNamed: Bool) async throws(EngineError) -> VolumesPruneReport {
        if let unknown = filters.unknownKey(besides: ["all", "label", "label!"]) {
            throw EngineError(.invalidParameter, "invalid filter '\(unknown)'")
        }
        let takesAll = try Self.flag("all", filters) ?? takesNamed
        return try await pruning(.volume) { () throws(EngineError) in
            try await removing { () throws(EngineError) in try await prune(filters, takesAll: takesAll) }
        }
    }

    private func prune(_ filters: Filters, takesAll: Bool) async throws(EngineError) -> VolumesPruneReport {
        if let container = try parts().services.index.unreadable.first(where: \.mayHaveAnyVolume) {
            throw EngineError(
                .conflict,
                "no volume is pruned, as nobody knows which are those of container \(container.name): \(container.reason); rm -f removes it"
            )
        }
        let store = try parts().services.volumes
        var report = VolumesPruneReport()
        for (name, document, users) in await store.all {
            guard users.isEmpty, takesAll || document.isAnonymous, filters.matchesLabels(document.labels),
                !filters["label!"].contains(where: { Filters(["label": [$0]]).matchesLabels(document.labels) })
            else { continue }
            let bytes: Int64
            do throws(EngineError) {
                // Of one that cannot be read nobody knows whether it was named; and some are gone meanwhile.
                do throws(EngineError) { _ = try await store.find(name) } catch { continue }
                bytes = try await BlockingWork.run(.trees) { () throws(EngineError) in try store.folder.usedBytes(name) }
            } catch {
                // What cannot be measured can be removed, and one is no reason to keep the others.
                logger.warning("\(error)")
                bytes = 0
            }
            do throws(EngineError) { try await store.remove(name) } catch {
                // Taken, or removed by somebody else, meanwhile.
                if error.code != .conflict && error.code != .notFound { logger.warning("\(error)") }
                continue
            }
            report.volumesDeleted.append(name)
            report.spaceReclaimed += UInt64(clamping: bytes)
        }
        try parts().services.events.publish(.volume, "prune", id: "", attributes: ["reclaimed": "\(report.spaceReclaimed)"])
        return report
    }

    private static func flag(_ key: String, _ filters: Filters) throws(EngineError) -> Bool? {
        do throws(DocumentError) { return try filters.flag(key) } catch {
            throw EngineError(.invalidParameter, error.reason, cause: error)
        }
    }
}

extension Volume {
    /// A volume as the API tells it.
    init(_ name: String, _ document: VolumeDocument, in folder: VolumeFolder) {
        self.init()
        self.name = name
        createdAt = Timestamp(seconds: document.created.seconds).description
        driver = ContainerEngine.volumeDriver
        labels = document.labels
        mountpoint = folder.contents(of: name).string
        options = document.options
        scope = "local"
    }
}
