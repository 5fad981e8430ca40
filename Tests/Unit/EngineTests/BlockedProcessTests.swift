// Rows: reliability
import LinuxSyscalls
import SystemPackage
import Testing

@testable import Engine

@Suite struct BlockedProcessTests {
    @Test(
        "of a list of processes that is cut all but the last are known",
        arguments: [("", []), ("12", []), ("12 ", [12]), ("12 345 ", [12, 345]), ("12 345 67", [12, 345])] as [(String, [UInt32])])
    func cut(text: String, processes: [UInt32]) {
        #expect(BlockedProcess.processes(Array(text.utf8)) == processes)
    }
}
