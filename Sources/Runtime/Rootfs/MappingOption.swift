internal import OCISpec

/// An owner mapping written into a mount option, as crun has it: `idmap=uids=0-1-10#20-30-5;gids=0-100-10`. Each triple is an id that
/// files have, the id that is shown, and how many; with `@` before it, the second is an id of the container's user namespace.
struct MappingOption: Equatable, Sendable {
    /// Before the ids of the user namespace are looked up.
    private struct Triple: Equatable {
        let mapping: IDMapping
        let isRelative: Bool
    }

    private let users: [Triple]
    private let groups: [Triple]

    /// nil for what is no such mapping.
    init?(_ text: Substring) {
        var (users, groups): ([Triple], [Triple]) = ([], [])
        for part in text.split(separator: ";", omittingEmptySubsequences: false) {
            let halves = part.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard halves.count == 2, let triples = Self.triples(halves[1]) else { return nil }
            switch halves[0] {
            case "uids" where users.isEmpty: users = triples
            case "gids" where groups.isEmpty: groups = triples
            default: return nil
            }
        }
        guard !users.isEmpty, !groups.isEmpty else { return nil }
        self.users = users
        self.groups = groups
    }

    private static func triples(_ text: Substring) -> [Triple]? {
        var triples: [Triple] = []
        for part in text.split(separator: "#", omittingEmptySubsequences: false) {
            let isRelative = part.first == "@"
            let numbers = part.dropFirst(isRelative ? 1 : 0).split(separator: "-", omittingEmptySubsequences: false)
                .map { digits in digits.first == "+" ? nil : UInt32(digits) }
            guard numbers.count == 3, let first = numbers[0], let second = numbers[1], let count = numbers[2], count > 0,
                UInt64(max(first, second)) + UInt64(count) <= UInt64(UInt32.max)
            else { return nil }
            triples.append(Triple(mapping: IDMapping(containerID: first, hostID: second, size: count), isRelative: isRelative))
            if triples.count > IDMapping.maximumCount { return nil }
        }
        return triples
    }

    /// The mappings in the host's ids; nil where one lies outside the container's user namespace.
    func mappings(in linux: LinuxConfiguration) -> (users: [IDMapping], groups: [IDMapping])? {
        guard let users = Self.absolute(users, linux.uidMappings), let groups = Self.absolute(groups, linux.gidMappings) else { return nil }
        return (users, groups)
    }

    private static func absolute(_ triples: [Triple], _ namespace: [IDMapping]) -> [IDMapping]? {
        var mappings: [IDMapping] = []
        for triple in triples {
            var mapping = triple.mapping
            if triple.isRelative {
                let inside = namespace.first { outer in
                    outer.containerID <= mapping.hostID
                        && UInt64(mapping.hostID) + UInt64(mapping.size) <= UInt64(outer.containerID) + UInt64(outer.size)
                }
                guard let inside else { return nil }
                mapping.hostID = inside.hostID + (mapping.hostID - inside.containerID)
            }
            mappings.append(mapping)
        }
        return mappings
    }
}
