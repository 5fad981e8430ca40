internal import CoreTypes
internal import Synchronization

/// Which containers there are, by id and by name. The lock is held for look-ups only.
final class ContainerIndex: Sendable {
    private struct State {
        var containers: [String: Container] = [:]
        /// Those whose records cannot be read.
        var unreadable: [String: UnreadableContainer] = [:]
        /// Those of them that are being removed.
        var leaving: Set<String> = []
        /// Ids by name: those of containers, of any that cannot be read, and of containers in the making.
        var names: [String: String] = [:]
        /// The images of containers in the making.
        var making: [ContainerID: Digest] = [:]
        /// Container ids by exec id.
        var execs: [String: String] = [:]
    }

    private let state = Mutex(State())

    /// Keeps a name for a container in the making.
    /// - Throws: `.conflict` in Docker's words.
    func reserve(name: String, for id: ContainerID) throws(EngineError) {
        let owner = state.withLock { state -> String? in
            if let owner = state.names[name] { return owner }
            state.names[name] = id.text
            return nil
        }
        if let owner { throw Self.nameInUse(name, by: owner) }
    }

    /// Docker's words for a name that another container has.
    static func nameInUse(_ name: String, by owner: String) -> EngineError {
        EngineError(
            .conflict,
            "Conflict. The container name \"/\(name)\" is already in use by container \"\(owner)\". "
                + "You have to remove (or rename) that container to be able to reuse that name.")
    }

    /// Gives back a name that was kept for a container, unless it is another's by now.
    func release(name: String, for id: ContainerID) {
        state.withLock { state in
            if state.names[name] == id.text { state.names.removeValue(forKey: name) }
        }
    }

    // MARK: Containers in the making

    /// Tells that a container is about to be made of an image: what there is of it before it is in the list is its own, and the image used.
    func beginMaking(_ id: ContainerID, of image: Digest) { state.withLock { $0.making[id] = image } }

    /// It is in the list now, or nothing is left of it.
    func endMaking(_ id: ContainerID) { state.withLock { _ = $0.making.removeValue(forKey: id) } }

    /// Every container that is on record, whether that can be read or not, and each that is being made.
    var ids: Set<ContainerID> {
        state.withLock { state in
            Set(state.containers.values.map(\.id)).union(state.unreadable.values.map(\.id)).union(state.making.keys)
        }
    }

    /// The images of all of these.
    var usedImages: Set<Digest> {
        state.withLock { state in
            Set(state.containers.values.map(\.imageID)).union(state.unreadable.values.compactMap(\.imageID)).union(state.making.values)
        }
    }

    /// Those of them that are of an image.
    func users(of image: Digest) -> Set<ContainerID> {
        state.withLock { state in
            Set(state.containers.values.filter { $0.imageID == image }.map(\.id))
                .union(state.unreadable.values.filter { $0.imageID == image }.map(\.id))
                .union(state.making.filter { $0.value == image }.keys)
        }
    }

    // MARK: Containers

    func insert(_ container: Container, name: String) {
        state.withLock { state in
            state.containers[container.id.text] = container
            state.names[name] = container.id.text
        }
    }

    /// Takes a container out, with its names.
    func remove(_ container: Container) {
        state.withLock { state in
            state.containers.removeValue(forKey: container.id.text)
            state.names = state.names.filter { $0.value != container.id.text }
            state.execs = state.execs.filter { $0.value != container.id.text }
        }
    }

    /// Every container, newest first.
    var all: [Container] {
        state.withLock { Array($0.containers.values) }.sorted { ($0.created, $0.id.text) > ($1.created, $1.id.text) }
    }

    /// The same with those whose records cannot be read.
    var listed: [Found] {
        let found = state.withLock { $0.containers.values.map(Found.container) + $0.unreadable.values.map(Found.unreadable) }
        return found.sorted { $0.place > $1.place }
    }

    /// The container that a user's word means: an id, a name, or the beginning of an id, in this order.
    /// - Throws: `.notFound`, or `.invalidParameter` for a beginning of several; `.system` for one whose record cannot be read.
    func find(_ word: String) throws(EngineError) -> Container {
        switch try look(for: word) {
        case .container(let container): return container
        case .unreadable(let unreadable): throw unreadable.complaint
        }
    }

    /// The id of a container that has exactly this id or name.
    func identifier(of word: String) -> String? {
        let name = word.hasPrefix("/") ? String(word.dropFirst()) : word
        return state.withLock { state in
            guard let id = state.containers[word] != nil ? word : state.names[name], state.containers[id] != nil else { return nil }
            return id
        }
    }

    /// What a word may mean.
    enum Found {
        case container(Container)
        case unreadable(UnreadableContainer)

        /// In lists.
        fileprivate var place: (Timestamp, String) {
            switch self {
            case .container(let container): (container.created, container.id.text)
            case .unreadable(let unreadable): (unreadable.created, unreadable.id.text)
            }
        }
    }

    /// The same, for who can do something with a container whose record cannot be read.
    func look(for word: String) throws(EngineError) -> Found {
        let found = state.withLock { state -> [Found] in
            func known(_ id: String) -> Found? { state.containers[id].map(Found.container) ?? state.unreadable[id].map(Found.unreadable) }
            if let exact = known(word) { return [exact] }
            let name = word.hasPrefix("/") ? String(word.dropFirst()) : word
            if let named = state.names[name].flatMap(known) { return [named] }
            guard !word.isEmpty else { return [] }
            return state.containers.filter { $0.key.hasPrefix(word) }.map { .container($0.value) }
                + state.unreadable.filter { $0.key.hasPrefix(word) }.map { .unreadable($0.value) }
        }
        guard let first = found.first else { throw Self.noSuchContainer(word) }
        guard found.count == 1 else { throw EngineError(.invalidParameter, "Multiple IDs found with provided prefix: \(word)") }
        return first
    }

    static func noSuchContainer(_ word: String) -> EngineError { EngineError(.notFound, "No such container: \(word)") }

    // MARK: Containers whose records cannot be read

    func insert(_ container: UnreadableContainer) {
        state.withLock { state in
            state.unreadable[container.id.text] = container
            state.names[container.name] = container.id.text
        }
    }

    /// In no order.
    var unreadable: [UnreadableContainer] { state.withLock { Array($0.unreadable.values) } }

    /// - Returns: false where somebody else removes it.
    func beginRemoval(of container: UnreadableContainer) -> Bool {
        state.withLock { $0.unreadable[container.id.text] != nil && $0.leaving.insert(container.id.text).inserted }
    }

    /// It could not be removed.
    func endRemoval(of container: UnreadableContainer) { state.withLock { _ = $0.leaving.remove(container.id.text) } }

    /// Takes one out, with its name.
    func remove(_ container: UnreadableContainer) {
        state.withLock { state in
            state.unreadable.removeValue(forKey: container.id.text)
            state.leaving.remove(container.id.text)
            state.names = state.names.filter { $0.value != container.id.text }
        }
    }

    // MARK: - Execs

    func insert(exec id: String, of container: ContainerID) { state.withLock { $0.execs[id] = container.text } }

    func remove(exec id: String) { state.withLock { _ = $0.execs.removeValue(forKey: id) } }

    /// The container of an exec, by its id or an unambiguous beginning.
    /// - Throws: `.notFound`, with the exec's full id on success.
    func find(exec word: String) throws(EngineError) -> (id: String, container: Container) {
        let found = state.withLock { state -> (String, Container)? in
            let ids = state.execs[word] != nil ? [word] : word.isEmpty ? [] : state.execs.keys.filter { $0.hasPrefix(word) }
            guard ids.count == 1, let owner = state.execs[ids[0]], let container = state.containers[owner] else { return nil }
            return (ids[0], container)
        }
        guard let found else { throw EngineError(.notFound, "No such exec instance: \(word)") }
        return found
    }
}
