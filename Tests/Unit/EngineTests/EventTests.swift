import EngineAPI
import Testing

@testable import Engine

@Suite("Events", .timeLimit(.minutes(1)))
struct EventTests {
    private func publish(_ count: Int, in log: EventLog) {
        for number in 0..<count { log.publish(.container, "start", id: "\(number)", attributes: [:]) }
    }

    @Test("the last events are kept, and no more")
    func kept() async {
        let log = EventLog()
        publish(EventLog.keptCount + 10, in: log)
        let session = EventSession(log, since: 0, until: 0, filter: EventFilter(Filters()))
        #expect(await session.next() == nil, "all of them came after the end that was asked for")
        let whole = EventSession(log, since: 0, until: .max, filter: EventFilter(Filters()))
        #expect(await whole.next()?.actor.id == "10")
    }

    @Test("who does not listen in time is cut off, and the others are not")
    func backlog() async {
        let log = EventLog()
        let slow = EventSession(log, since: nil, until: nil, filter: EventFilter(Filters()))
        publish(EventLog.backlogCount + 1, in: log)
        for number in 0..<EventLog.backlogCount { #expect(await slow.next()?.actor.id == "\(number)") }
        #expect(await slow.next() == nil)
        let other = EventSession(log, since: nil, until: nil, filter: EventFilter(Filters()))
        publish(1, in: log)
        #expect(await other.next()?.actor.id == "0")
    }

    @Test("a session ends when its time is over")
    func until() async {
        let session = EventSession(EventLog(), since: nil, until: Clock.unixNanoseconds + 1_000_000, filter: EventFilter(Filters()))
        #expect(await session.next() == nil)
    }

    @Test(
        "filters narrow by key and widen by value",
        arguments: [
            (["event": ["exec_create"]], true), (["event": ["exec_create: sh", "die"]], true), (["event": ["create"]], false),
            (["type": ["container"]], true), (["type": ["image"]], false), (["container": ["ab"]], true), (["container": ["we"]], true),
            (["container": ["b"]], false), (["image": ["h:5000/box"]], true), (["image": ["h:5000/box:1"]], true),
            (["image": ["box"]], false),
            (["label": ["team"]], true), (["label": ["team=red"]], false), (["network": ["x"]], false), (["unheard": ["x"]], true),
        ])
    func filter(values: [String: [String]], isAccepted: Bool) {
        var message = EventMessage()
        message.type = "container"
        message.action = "exec_create: sh"
        message.actor.id = "abc"
        message.actor.attributes = ["name": "web", "image": "h:5000/box:1", "team": "blue"]
        #expect(EventFilter(Filters(values)).accepts(message) == isAccepted)
    }
}
