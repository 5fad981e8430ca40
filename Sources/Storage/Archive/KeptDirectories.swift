internal import LinuxSyscalls

/// Directories of a tree that stay open for the entries that are still to come: archives have them side by side, or in turn. Only as long
/// as nothing takes the place of anything else: a path may lead elsewhere then.
struct KeptDirectories {
    /// Of one layer, and of what the process may have open the part that one layer takes at most.
    private static let limit: UInt64 = 512
    private static let share: UInt64 = 16

    /// Most entries lie in the directory of the one before.
    private var last: (path: ArraySlice<[UInt8]>, directory: OpenDirectory)?
    /// By path, in the order of their coming.
    private var others: [[UInt8]: OpenDirectory] = [:]
    private var order: [[UInt8]] = []
    private var next = 0
    let capacity: Int

    /// - Parameter keepsOne: of a tree that others change meanwhile.
    init(keepsOne: Bool) {
        if keepsOne {
            capacity = 0
            return
        }
        // Where the kernel does not say, one is kept.
        let files: UInt64
        do throws(SyscallError) { files = try LinuxSyscalls.limit(of: .openFiles).soft } catch { files = 0 }
        capacity = Int(min(Self.limit, files / Self.share))
    }

    mutating func find(_ path: ArraySlice<[UInt8]>) -> OpenDirectory? {
        if let last, last.path == path { return last.directory }
        if others.isEmpty { return nil }
        guard let found = others[Self.key(path)] else { return nil }
        last = (path, found)
        return found
    }

    mutating func keep(_ directory: OpenDirectory, _ path: ArraySlice<[UInt8]>) {
        last = (path, directory)
        if capacity == 0 { return }
        let key = Self.key(path)
        if others.updateValue(directory, forKey: key) != nil { return }
        if order.count < capacity { return order.append(key) }
        others[order[next]] = nil
        order[next] = key
        next = (next + 1) % capacity
    }

    mutating func forget() {
        last = nil
        others = [:]
        order = []
        next = 0
    }

    private static func key(_ path: ArraySlice<[UInt8]>) -> [UInt8] {
        var key: [UInt8] = []
        key.reserveCapacity(path.reduce(0) { $0 + $1.count + 1 })
        for component in path {
            key.append(0x2f)
            key.append(contentsOf: component)
        }
        return key
    }
}
