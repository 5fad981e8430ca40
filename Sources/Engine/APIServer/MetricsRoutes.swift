package import Engine
internal import EngineAPI
internal import NIOHTTP1

/// `/metrics`: what the engine and its containers do and use, for Prometheus.
package struct MetricsRoutes: Sendable {
    /// Containers whose use is read at once.
    private static let width = 16

    private let engine: ContainerEngine

    /// Numbers of `engine`.
    package init(engine: ContainerEngine) { self.engine = engine }

    /// All of them.
    package var all: [Route] {
        [
            Route(.GET, "/metrics") { _ in
                .whole(.ok, ["Content-Type": MetricsText.contentType], Array(try await text().utf8))
            }
        ]
    }

    private func text() async throws -> String {
        var metrics = MetricsText()
        let version = engine.version()
        let containers = try await engine.containers(all: true, limit: nil, size: false, filters: Filters())
        metrics.add(
            "engine_daemon_engine_info", .gauge, "The engine and the machine it runs on",
            [("version", version.version), ("kernel", version.kernelVersion), ("architecture", version.architecture)], 1)
        let states = Dictionary(grouping: containers, by: \.state).mapValues(\.count)
        for state in ["created", "running", "paused", "restarting", "exited", "dead"] {
            metrics.add(
                "engine_daemon_container_states_containers", .gauge, "Containers in each state", [("state", state)],
                Double(states[state] ?? 0))
        }
        metrics.add("engine_daemon_images", .gauge, "Images that are here", [], Double(try await engine.info().images))
        let running = containers.filter { ["running", "paused"].contains($0.state) }
        for (container, sample) in try await samples(of: running) {
            let name = container.names.first.map { String($0.drop { $0 == "/" }) } ?? ""
            metrics.add(sample, labels: [("id", container.id), ("name", name), ("image", container.image)])
        }
        return metrics.text
    }

    /// What is used now, in the order of the list. One that ends meanwhile is left out.
    private func samples(of containers: [ContainerSummary]) async throws -> [(ContainerSummary, ContainerStatistics)] {
        var found: [Int: ContainerStatistics] = [:]
        try await withThrowingTaskGroup(of: (Int, ContainerStatistics?).self) { group in
            for (index, container) in containers.enumerated() {
                if index >= Self.width, let (index, sample) = try await group.next() { found[index] = sample }
                group.addTask {
                    do throws(EngineError) {
                        return (index, try await engine.containerStatistics(container.id, rhythm: .once).next())
                    } catch {
                        if error.code == .notFound { return (index, nil) }
                        throw error
                    }
                }
            }
            for try await (index, sample) in group { found[index] = sample }
        }
        return containers.enumerated().compactMap { index, container in found[index].map { (container, $0) } }
    }
}

extension MetricsText {
    /// One container's use.
    mutating func add(_ sample: ContainerStatistics, labels: [(String, String)]) {
        let seconds = { (nanoseconds: UInt64) in Double(nanoseconds) / 1e9 }
        add("container_cpu_usage_seconds_total", .counter, "Processor time", labels, seconds(sample.cpu.usage.total))
        add("container_cpu_user_seconds_total", .counter, "Processor time of programs", labels, seconds(sample.cpu.usage.user))
        add(
            "container_cpu_system_seconds_total", .counter, "Processor time of the kernel for them", labels,
            seconds(sample.cpu.usage.kernel))
        add(
            "container_cpu_cfs_throttled_seconds_total", .counter, "Time held back by the processor quota", labels,
            seconds(sample.cpu.throttling.throttledNanoseconds))
        add("container_memory_usage_bytes", .gauge, "Memory in use, with what is cached of files", labels, Double(sample.memory.usage))
        add("container_memory_limit_bytes", .gauge, "Most memory that may be in use", labels, Double(sample.memory.limit))
        add("container_processes", .gauge, "Processes and threads", labels, Double(sample.pids.current))
        if let kills = sample.more?.outOfMemoryKills {
            add("container_oom_kills_total", .counter, "Processes killed for want of memory", labels, Double(kills))
        }
        for (name, interface) in sample.networks.sorted(by: { $0.key < $1.key }) {
            let place = labels + [("interface", name)]
            add("container_network_receive_bytes_total", .counter, "Bytes received", place, Double(interface.receivedBytes))
            add("container_network_transmit_bytes_total", .counter, "Bytes sent", place, Double(interface.sentBytes))
            add(
                "container_network_receive_packets_dropped_total", .counter, "Packets lost on receipt", place,
                Double(interface.receiveDropped))
            add(
                "container_network_transmit_packets_dropped_total", .counter, "Packets lost on sending", place,
                Double(interface.sendDropped))
        }
        for (operation, metric) in [("read", "container_fs_reads_bytes_total"), ("write", "container_fs_writes_bytes_total")] {
            let entries = (sample.blockIO.ioServiceBytes ?? []).filter { $0.operation.lowercased() == operation }
            add(
                metric, .counter, "Bytes \(operation == "read" ? "read from" : "written to") disks", labels,
                entries.reduce(0) { $0 + Double($1.value) })
        }
        for (resource, pressure) in (sample.more?.pressure ?? [:]).sorted(by: { $0.key < $1.key }) {
            for (share, line) in [("waiting", pressure.some), ("stalled", pressure.full)] {
                guard let line else { continue }
                add(
                    "container_pressure_\(resource)_\(share)_seconds_total", .counter,
                    "Time in which \(share == "waiting" ? "some" : "all") processes waited for \(resource)", labels,
                    Double(line.total) / 1e6)
            }
        }
    }
}
