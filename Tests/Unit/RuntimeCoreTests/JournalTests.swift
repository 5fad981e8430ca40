import RuntimeCore
import Testing

@Suite("What the runtime tells of its stages")
struct JournalTests {
    @Test("where nobody wants to hear of what goes well no text of it is made", arguments: [false, true])
    func debug(_ isWanted: Bool) {
        var (made, told) = (0, [String]())
        let journal = Journal(tellsDebug: isWanted) { level, message in told.append("\(level.rawValue) \(message)") }
        func text() -> String {
            made += 1
            return "started"
        }
        journal.debug(text())
        journal.warn("odd")
        #expect(made == (isWanted ? 1 : 0))
        #expect(told == (isWanted ? ["debug started", "warning odd"] : ["warning odd"]))
    }
}
