internal import CoreTypes
internal import EngineAPI

/// In which order containers that need each other are started; they are stopped the other way round.
struct ContainerOrder: Equatable, Sendable {
    /// Ids: those of one wave need only such of earlier ones.
    let waves: [[String]]

    /// - Parameter needs: by id, the ids without which a container cannot run. Ids that are no keys do not count.
    init(needs: [String: Set<String>]) {
        var waves: [[String]] = []
        var open = needs.mapValues { $0.filter { needs[$0] != nil } }
        while !open.isEmpty {
            let ready = open.filter { $0.value.isEmpty }.map(\.key)
            // Containers that need each other in a circle can only be tried together.
            let wave = ready.isEmpty ? Array(open.keys) : ready
            waves.append(wave.sorted())
            open = open.filter { !wave.contains($0.key) }.mapValues { $0.subtracting(wave) }
        }
        self.waves = waves
    }

    /// The words by which a container's settings name others: whose namespaces it joins, whose volumes it has, whom it is linked to.
    static func names(in host: HostConfig) -> [String] {
        var names = host.links.compactMap { $0.split(separator: ":").first.map(String.init) }
        names += host.volumesFrom.compactMap { (try? VolumesFrom(parsing: $0))?.container }
        if let modes = try? NamespaceModes(host) {
            names += modes.owners.compactMap { if case .container(let name) = $0.owner { name } else { nil } }
        }
        return names
    }
}

extension ContainerIndex {
    /// The order of every container that there is.
    func order() async -> [[Container]] {
        let containers = Dictionary(all.map { ($0.id.text, $0) }) { first, _ in first }
        var needs: [String: Set<String>] = [:]
        for (id, container) in containers {
            let names = ContainerOrder.names(in: await container.document.hostConfig)
            needs[id] = Set(names.compactMap { (try? find($0))?.id.text }).subtracting([id])
        }
        return ContainerOrder(needs: needs).waves.map { $0.compactMap { containers[$0] } }
    }
}
