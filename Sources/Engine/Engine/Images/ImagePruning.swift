internal import CoreTypes
package import EngineAPI
internal import Images
internal import Records

extension ContainerEngine {
    /// `POST /images/prune`. Filters: `dangling` (true unless said otherwise), `label`, `label!`, `until`.
    /// - Throws: `.conflict` while another prune is under way.
    package func pruneImages(filters: Filters) async throws(EngineError) -> ImagesPruneReport {
        if let unknown = filters.unknownKey(besides: ["dangling", "label", "label!", "until"]) {
            throw EngineError(.invalidParameter, "invalid filter '\(unknown)'")
        }
        let services = try parts().services
        let onlyDangling: Bool
        do throws(DocumentError) { onlyDangling = try filters.flag("dangling") ?? true } catch {
            throw EngineError(.invalidParameter, error.reason, cause: error)
        }
        let until = try filters["until"].map { text throws(EngineError) in try PruneFilter.moment(text) }.min()
        return try await pruning(.image) { () throws(EngineError) in
            try await removing { () throws(EngineError) in
                try await prune(services, onlyDangling: onlyDangling, until: until, filters)
            }
        }
    }

    private func prune(
        _ services: ContainerServices, onlyDangling: Bool, until: Timestamp?, _ filters: Filters
    ) async throws(EngineError) -> ImagesPruneReport {
        let (index, used) = (services.index, services.index.usedImages)
        let images: [NamedImage]
        do throws(ImageError) { images = try await services.images.list() } catch { throw EngineError(error) }
        var chosen: [NamedImage] = []
        for named in images where !used.contains(named.image.id) && (named.tags.isEmpty || !onlyDangling) {
            if let until, named.image.created >= until { continue }
            if try await matchesLabels(named, filters, services) { chosen.append(named) }
        }
        // Each name's removal is told with its image's labels, which are gone by then.
        var (labels, owners): ([Digest: [String: String]], [String: Digest]) = ([:], [:])
        for named in chosen {
            labels[named.image.id] = await named.names.isEmpty ? [:] : services.labels(of: named)
            for name in named.names { owners[name.familiar] = named.image.id }
        }
        do throws(ImageError) {
            let (steps, reclaimed) = try await services.images.prune(chosen) { !index.users(of: $0).isEmpty }
            var report = ImagesPruneReport()
            report.imagesDeleted = steps.map(ImageDeleteItem.init)
            report.spaceReclaimed = reclaimed.bytes
            for step in steps {
                let id =
                    switch step {
                    case .untagged(let name): owners[name]
                    case .deleted(let digest): digest
                    }
                // What has none is a layer.
                if let id, let labels = labels[id] { services.tell([step], of: id, labels: labels) }
            }
            services.events.publish(.image, "prune", id: "", attributes: ["reclaimed": "\(reclaimed.bytes)"])
            return report
        } catch { throw EngineError(error) }
    }

    private func matchesLabels(_ image: NamedImage, _ filters: Filters, _ services: ContainerServices) async throws(EngineError) -> Bool {
        if filters["label"].isEmpty && filters["label!"].isEmpty { return true }
        // What may have the label that keeps it is kept.
        guard let labels = try await services.imageLabels.labels(of: image, in: services.images) else { return false }
        return filters.matchesLabels(labels) && filters["label!"].allSatisfy { !Filters(["label": [$0]]).matchesLabels(labels) }
    }
}

extension ImageDeleteItem {
    init(_ step: RemovalStep) {
        self.init()
        switch step {
        case .untagged(let name): untagged = name
        case .deleted(let digest): deleted = digest.description
        }
    }
}
