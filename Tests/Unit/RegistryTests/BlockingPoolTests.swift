import Dispatch
import Registry
import Synchronization
import Testing

/// Counts calls that are under way, and holds them until it is opened.
private final class Gate: Sendable {
    private let state = Mutex((running: 0, most: 0))
    private let opened = DispatchSemaphore(value: 0)

    var most: Int { state.withLock { $0.most } }
    var running: Int { state.withLock { $0.running } }

    func open() { opened.signal() }

    /// Blocks until the gate is open.
    func pass() {
        state.withLock { state in
            state.running += 1
            state.most = max(state.most, state.running)
        }
        opened.wait()
        opened.signal()
        state.withLock { $0.running -= 1 }
    }
}

@Suite("Threads for calls that block")
struct BlockingPoolTests {
    @Test("calls beyond the width wait, and all of them run")
    func width() async {
        let pool = BlockingPool(name: "test", width: 3)
        let gate = Gate()
        await withTaskGroup(of: Int.self) { group in
            for number in 0..<20 {
                group.addTask {
                    await pool.run {
                        gate.pass()
                        return number
                    }
                }
            }
            while gate.running < 3 { await Task.yield() }
            #expect(!pool.runIfIdle {})
            gate.open()
            var numbers: Set<Int> = []
            for await number in group { numbers.insert(number) }
            #expect(numbers == Set(0..<20))
        }
        #expect(gate.most == 3)
    }

    @Test("calls that block hold up no other pool, though they are more than the threads that libdispatch has", .timeLimit(.minutes(2)))
    func independence() async {
        let count = 300
        let (stuck, free) = (BlockingPool(name: "stuck", width: count), BlockingPool(name: "free", width: 1))
        let gate = Gate()
        await withTaskGroup(of: Void.self) { group in
            for _ in 0..<count { group.addTask { await stuck.run { gate.pass() } } }
            while gate.running < count && !Task.isCancelled { await Task.yield() }
            #expect(gate.running == count)
            for number in 0..<100 { #expect(await free.run { number } == number) }
            gate.open()
        }
    }

    @Test("a width that grows lets those run that wait, and one that shrinks holds up those that come", .timeLimit(.minutes(2)))
    func otherWidth() async {
        let pool = BlockingPool(name: "test", width: 1)
        let (first, second) = (Gate(), Gate())
        await withTaskGroup(of: Void.self) { group in
            for _ in 0..<8 { group.addTask { await pool.run { first.pass() } } }
            while first.running < 1 { await Task.yield() }
            pool.limit(to: 4)
            while first.running < 4 && !Task.isCancelled { await Task.yield() }
            #expect(!pool.runIfIdle {})
            pool.limit(to: 2)
            for _ in 0..<8 { group.addTask { await pool.run { second.pass() } } }
            first.open()
            while second.running < 2 && !Task.isCancelled { await Task.yield() }
            #expect(!pool.runIfIdle {})
            second.open()
        }
        #expect(first.most == 4)
        #expect(second.most == 2)
    }

    @Test("threads that rest are used again")
    func rest() async {
        let pool = BlockingPool(name: "test", width: 8)
        for round in 0..<2_000 {
            async let first = pool.run { round }
            async let second = pool.run { round + 1 }
            #expect(await (first, second) == (round, round + 1))
        }
        // Whoever ends a call rests, or ends, a moment later.
        while !pool.runIfIdle({}) { await Task.yield() }
    }
}
