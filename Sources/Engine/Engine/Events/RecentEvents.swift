internal import EngineAPI
internal import LinuxSyscalls
internal import SystemPackage

extension EventJournal {
    /// What was told last, as far as it was asked for.
    struct Recent: Sendable {
        fileprivate struct Event: Hashable {
            let action: String
            let id: String
            let time: Int64
        }

        fileprivate var events: Set<Event> = []
        /// What happened before was told: a daemon tells what it has written down at once.
        fileprivate var begin = Int64.min

        /// Whether an event was told.
        /// - Parameter time: its own, one of those that were asked for.
        func isKnown(_ action: String, of id: String, at time: Int64) -> Bool {
            time < begin || events.contains(Event(action: action, id: id, time: time))
        }
    }

    /// A daemon that lived this long after it had written something down has told it.
    private static let recentNanoseconds: Int64 = 600_000_000_000

    /// Looks for events of certain times among those of the last minutes that a daemon told something in. Blocks.
    func recent(at times: Set<Int64>) throws(SyscallError) -> Recent {
        var recent = Recent()
        // A journal that is gone, or begins, knows of nothing: then nothing is told twice.
        guard let newest, let oldest = times.filter({ $0 >= newest - Self.recentNanoseconds }).min() else {
            recent.begin = .max
            return recent
        }
        recent.begin = newest - Self.recentNanoseconds
        var place = number(since: oldest)
        while case .more(let segment) = standing(of: place) {
            var reader = try EventReader(segment: segment.first, path: directory.appending(segment.fileName))
            while case let entries = try reader.next(before: segment.end), !entries.isEmpty {
                for entry in entries where times.contains(entry.time) {
                    guard let message = try? EngineJSON.decode(EventMessage.self, from: Array(entry.json)) else { continue }
                    recent.events.insert(Recent.Event(action: message.action, id: message.actor.id, time: entry.time))
                }
            }
            place = segment.end
        }
        return recent
    }
}
