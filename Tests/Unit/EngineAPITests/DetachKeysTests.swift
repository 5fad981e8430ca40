import EngineAPI
import Testing

@Suite("Detach keys")
struct DetachKeysTests {
    @Test("sequences are read as docker writes them")
    func parsing() throws {
        #expect(try DetachKeys("").bytes == [16, 17])
        #expect(try DetachKeys("ctrl-a,b,ctrl-@,ctrl-_").bytes == [1, 98, 0, 31])
        for text in ["ctrl-", "ctrl-1", "ab", "a,,b", "ctrl-A", String(repeating: "a,", count: 32) + "a"] {
            #expect(throws: DetachKeysError.self) { try DetachKeys(text) }
        }
    }

    @Test("keys are found across reads, and what only began like them is passed on")
    func scanning() {
        var scanner = DetachScanner(keys: .standard)
        #expect(scanner.scan([1, 16]).passed == [1])
        let second = scanner.scan([2])
        #expect(second.passed == [16, 2] && !second.isDetached)
        let third = scanner.scan([16, 16])
        #expect(third.passed == [16] && !third.isDetached)
        let fourth = scanner.scan([17, 9])
        #expect(fourth.passed.isEmpty && fourth.isDetached)
    }

    @Test("without keys everything is passed on")
    func none() {
        var scanner = DetachScanner(keys: .none)
        #expect(scanner.scan([16, 17]).passed == [16, 17])
    }
}
