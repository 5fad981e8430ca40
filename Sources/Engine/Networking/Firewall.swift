internal import LinuxSyscalls
internal import Netlink
internal import Synchronization

/// The firewall of one daemon: two tables of its own, changed in single transactions. Every function blocks, and may be called from any thread.
package final class Firewall: Sendable {
    private struct State: Sendable {
        var rules: FirewallRules
        var elements = FirewallElements()
        /// Published ports: what the maps hold of them is written out for the kernel alone.
        var ports: Set<FirewallPort> = []
        /// Whether `replace` has made our tables, or tried to.
        var isBegun = false
        /// Whether they are made.
        var isMade = false
        /// Whether the kernel keeps others from changing them, as far as is known: before Linux 6.9 it does not.
        var ownsTables: Bool
    }

    private let state: Mutex<State>
    private let socket: FirewallSocket
    /// Of both tables.
    package let name: String

    /// In the network namespace of the calling thread.
    /// - Parameters:
    ///   - name: of both tables.
    ///   - ownsTables: false leaves them open to others' changes, as an older kernel does.
    package init(name: String, ownsTables: Bool = true) throws(NetworkingError) {
        self.name = name
        state = Mutex(State(rules: FirewallRules(name: name), ownsTables: ownsTables))
        do throws(NetlinkError) { socket = try FirewallSocket() } catch { throw NetworkingError(error) }
    }

    /// What the kernel calls the socket that our changes come through.
    var port: UInt32 { socket.port }

    /// What a network, a container on it or a published port adds to the tables.
    package struct Part: Sendable {
        var elements = FirewallElements()
        var ports: Set<FirewallPort> = []

        package init() {}
        var isEmpty: Bool { ports.isEmpty && elements.bySet.allSatisfy(\.value.isEmpty) }
        package mutating func add(_ network: FirewallNetwork) { elements.insert(FirewallElements(network)) }
        package mutating func add(_ endpoint: FirewallEndpoint) { elements.insert(FirewallElements(endpoint)) }
        package mutating func add(_ part: Part) {
            elements.insert(part.elements)
            ports.formUnion(part.ports)
        }
        package mutating func add(_ port: FirewallPort) {
            ports.insert(port)
            if !port.isDirect { elements.insert(FirewallElements(themselves: port.containerAddress)) }
        }
    }

    /// Makes the tables hold exactly this, whatever they held, in one transaction.
    package func replace(with part: Part, dropsForeignForwarding: Bool) throws(NetworkingError) {
        try change { state throws(NetworkingError) in
            state.rules.dropsForeignForwarding = dropsForeignForwarding
            (state.elements, state.ports) = (part.elements, part.ports)
            state.isBegun = true
            try rebuild(&state)
        }
    }

    /// Whether the tables are made, and the kernel keeps others from changing them.
    var isOurs: Bool { state.withLock { $0.isMade && $0.ownsTables } }

    /// Makes the tables anew as they should be: after somebody else changed them. - Returns: false before they were made first.
    func restore() throws(NetworkingError) -> Bool {
        var isMade = false
        try change { state throws(NetworkingError) in
            isMade = state.isMade
            if isMade { try rebuild(&state) }
        }
        return isMade
    }

    /// Leads to one port of the same address what is sent by IPv6 to published ports and cannot be led to containers.
    package func lead(toForwarder port: UInt16) throws(NetworkingError) {
        try change { state throws(NetworkingError) in
            guard state.rules.forwarderPort != port else { return }
            state.rules.forwarderPort = port
            if state.isMade { try rebuild(&state) }
        }
    }

    /// Adds what a part needs. On failure nothing has changed.
    package func add(_ part: Part) throws(NetworkingError) { try exchange(removing: Part(), adding: part) }

    /// Takes away what a part added.
    package func remove(_ part: Part) throws(NetworkingError) { try exchange(removing: part, adding: Part()) }

    /// Both in one transaction. On failure nothing has changed. What could not be made at first is made now, or nothing is added to it.
    package func exchange(removing old: Part, adding new: Part) throws(NetworkingError) {
        try change { state throws(NetworkingError) in
            let before = (elements: state.elements, ports: state.ports)
            state.elements.remove(old.elements)
            state.elements.insert(new.elements)
            state.ports.subtract(old.ports)
            state.ports.formUnion(new.ports)
            // Until everyone who runs is known, what a former daemon left protects them.
            guard state.isBegun else { return }
            guard state.isMade else {
                if !new.isEmpty { try rebuild(&state, orBackTo: before) }
                return
            }
            var changes = FirewallTransaction()
            for set in FirewallSetName.allCases {
                let table = set.isOfBridgeTable ? state.rules.frames : state.rules.packets
                let (was, becomes) = (before.elements.bySet[set] ?? [], state.elements.bySet[set] ?? [])
                // Only what the two parts name can differ; the whole sets are not compared.
                let gone = (old.elements.bySet[set] ?? []).filter { was.contains($0) && !becomes.contains($0) }
                let come = (new.elements.bySet[set] ?? []).filter { !was.contains($0) && becomes.contains($0) }
                changes.removeElements(Array(gone), from: set.rawValue, in: table)
                changes.addElements(Array(come), to: set.rawValue, in: table)
            }
            let (gone, come) = (old.ports.intersection(before.ports).subtracting(state.ports), new.ports.subtracting(before.ports))
            for (map, elements) in Self.elements(gone) { changes.removeElements(elements, from: map.rawValue, in: state.rules.packets) }
            for (map, elements) in Self.elements(come) { changes.addElements(elements, to: map.rawValue, in: state.rules.packets) }
            do throws(NetlinkError) { try changes.commit(through: socket, doing: "change the firewall") } catch {
                // Somebody has changed our tables: they are made anew as a whole, or things stay as they were.
                try rebuild(&state, orBackTo: before)
            }
        }
    }

    private static func elements(_ ports: Set<FirewallPort>) -> [FirewallSetName: [FirewallElement]] {
        Dictionary(grouping: ports, by: \.map).mapValues { $0.flatMap(\.elements) }
    }

    private func change(_ body: (inout State) throws(NetworkingError) -> Void) throws(NetworkingError) {
        let failure = state.withLock { state -> NetworkingError? in
            do throws(NetworkingError) {
                try body(&state)
                return nil
            } catch { return error }
        }
        if let failure { throw failure }
    }

    private func rebuild(
        _ state: inout State, orBackTo before: (elements: FirewallElements, ports: Set<FirewallPort>)
    ) throws(NetworkingError) {
        do throws(NetworkingError) { try rebuild(&state) } catch {
            (state.elements, state.ports) = before
            throw error
        }
    }

    private func rebuild(_ state: inout State) throws(NetworkingError) {
        func rebuild(isOwned: Bool) throws(NetlinkError) {
            var changes = FirewallTransaction()
            state.rules.make(in: &changes, isOwned: isOwned)
            for (set, elements) in state.elements.bySet {
                let table = set.isOfBridgeTable ? state.rules.frames : state.rules.packets
                changes.addElements(Array(elements), to: set.rawValue, in: table)
            }
            for (map, elements) in Self.elements(state.ports) { changes.addElements(elements, to: map.rawValue, in: state.rules.packets) }
            try changes.commit(through: socket, doing: "make the firewall")
        }
        do throws(NetlinkError) {
            do throws(NetlinkError) { try rebuild(isOwned: state.ownsTables) } catch {
                guard state.ownsTables, Self.isUnknownToTheKernel(error) else { throw error }
                try rebuild(isOwned: false)
                state.ownsTables = false
            }
        } catch { throw NetworkingError(error) }
        state.isMade = true
    }

    private static func isUnknownToTheKernel(_ error: NetlinkError) -> Bool {
        let (invalid, unsupported): (Int32, Int32) = (22, 95)  // EINVAL, EOPNOTSUPP
        return [invalid, unsupported].contains(error.cause?.errno)
    }
}
