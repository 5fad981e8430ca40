internal import EngineAPI
internal import LinuxSyscalls
internal import SystemPackage

extension EventJournal {
    /// An event that was written down before it was told, so that nobody's death loses it.
    struct Noted: Hashable, Sendable {
        let action: String
        /// Whom it happened to.
        let id: String
        /// Its own time, which the clock may have said of others as well: nanoseconds since 1970.
        let time: Int64
        /// The journal's next number when it was noted: told, it has this one or a later one, whatever clocks say.
        let number: UInt64

        fileprivate var name: Name { Name(action: action, id: id, time: time) }
    }

    /// What the lines of an event have in common.
    fileprivate struct Name: Hashable {
        let action: String
        let id: String
        let time: Int64
    }

    /// Which of these have been told. Blocks.
    ///
    /// What is older than the journal's first file was told: whoever notes an event tells it next, and a daemon that begins tells what the one before it
    /// could not ahead of all else. So it was where the journal was taken away, as far as anybody knows.
    func told(of noted: [Noted]) throws(SyscallError) -> Set<Noted> {
        let (first, end) = bounds
        var (told, sought): (Set<Noted>, [Name: [Noted]]) = ([], [:])
        for event in noted {
            if event.number < first || end == 1 && event.number > end {
                told.insert(event)
            } else if event.number < end {
                sought[event.name, default: []].append(event)
            }
        }
        let times = Set(sought.keys.map(\.time))
        var (rest, place) = (sought.values.flatMap { $0 }, UInt64(0))
        // A file is opened only for those that are not found yet, and may stand in it.
        while let number = rest.map({ max($0.number, place) }).min(), case .more(let segment) = standing(of: number) {
            var reader = try EventReader(segment: segment.first, path: directory.appending(segment.fileName))
            while case let entries = try reader.next(before: segment.end, within: segment.readableByteCount), !entries.isEmpty {
                for entry in entries where times.contains(entry.time) {
                    guard let message = try? EngineJSON.decode(EventMessage.self, from: Array(entry.json)) else { continue }
                    let name = Name(action: message.action, id: message.actor.id, time: entry.time)
                    told.formUnion(sought[name, default: []].filter { $0.number <= entry.number })
                }
            }
            place = segment.end
            rest.removeAll { told.contains($0) || $0.number < place && place - $0.number >= limits.soughtCount }
        }
        return told
    }
}
