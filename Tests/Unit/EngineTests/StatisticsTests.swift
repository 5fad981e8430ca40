// Rows: features
import Cgroups
import EngineAPI
import Testing

@testable import Engine

@Suite struct StatisticsTests {
    private func shown(isUnified: Bool, _ change: (inout UsageReport) -> Void) -> ContainerStatistics {
        var usage = UsageReport()
        change(&usage)
        var pressure = PressureReport()
        pressure.outOfMemory = 3
        pressure.outOfMemoryKills = 2
        var statistics = ContainerStatistics()
        statistics.show(usage, pressure, isUnified: isUnified, machineMemoryBytes: 1 << 30)
        return statistics
    }

    @Test("D22 a container without limits has the machine's memory, and tasks as many as each version says", arguments: [true, false])
    func unlimited(isUnified: Bool) {
        let statistics = shown(isUnified: isUnified) { $0.memory.usage.limit = isUnified ? .max : 0x7fff_ffff_ffff_f000 }
        #expect(statistics.memory.limit == 1 << 30)
        #expect(statistics.pids.limit == (isUnified ? .max : 0))
    }

    @Test("D22 with v2 there is no list by processor, no largest use, and failures are those of memory that ran out")
    func unified() throws {
        let statistics = shown(isUnified: true) { usage in
            usage.memory.usage.failures = 9
            usage.memory.usage.maximum = 77
        }
        #expect(statistics.memory.failures == 3 && statistics.memory.maximumUsage == 0)
        let text = String(decoding: try EngineJSON.encode(statistics), as: UTF8.self)
        #expect(text.contains("\"io_serviced_recursive\":null") && !text.contains("percpu_usage"))
    }

    @Test("D22 interfaces are counted but for loopback")
    func interfaces() {
        let text = """
            Inter-|   Receive                                                |  Transmit
             face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
                lo:     100       1    0    0    0     0          0         0      100       1    0    0    0     0       0          0
              eth0:    1234      12    1    2    0     0          0         0     5678      56    3    4    0     0       0          0
            """
        let found = NetworkStatistics.interfaces(text)
        #expect(Set(found.keys) == ["eth0"])
        #expect(found["eth0"]?.receivedBytes == 1234 && found["eth0"]?.receiveDropped == 2 && found["eth0"]?.sentBytes == 5678)
        #expect(found["eth0"]?.sendDropped == 4)
    }

    @Test("D22 the machine's time is that of its processors, of which those that are on are counted")
    func processors() {
        let times = ProcessorTimes("cpu  1 2 3 4 5 6 7 100 100 100\ncpu0 1 2 3 4 5 6 7 0 0 0\ncpu1 0 0 0 0 0 0 0 0 0 0\nintr 1\n")
        #expect(times.nanoseconds == 28 * 10_000_000 && times.processorCount == 2)
    }
}
