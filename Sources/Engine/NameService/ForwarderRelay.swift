internal import LinuxSyscalls

/// One connection to a published port, and the one that goes on from there: bytes are passed in both directions until both are over.
final class ForwarderRelay {
    /// One of its two sockets.
    final class End {
        let socket: OwnedFD
        var token: UInt64 = 0
        /// What it is waited for; empty is not at all.
        var interest: Readiness = []
        /// Read at the other end, to be written here.
        var pending: ArraySlice<UInt8> = []
        /// Nothing comes from here any more, and nothing goes there any more.
        var (isReadOut, isShut) = (false, false)

        init(_ socket: consuming OwnedFD) { self.socket = socket }
    }

    /// What is held of one direction while its reader is slow.
    static let bufferBytes = 65_536

    /// What was connected to.
    let place: InternetEndpoint
    let target: InternetEndpoint
    let outer: End
    let inner: End
    /// Whether it comes from the host itself, by `::1`.
    let isOwn: Bool
    var isConnecting = true
    var isClosed = false

    init(
        _ place: InternetEndpoint, to target: InternetEndpoint, isOwn: Bool, outer: consuming OwnedFD, inner: consuming OwnedFD
    ) {
        (self.place, self.target, self.isOwn) = (place, target, isOwn)
        self.outer = End(outer)
        self.inner = End(inner)
    }

    var isOver: Bool { outer.isShut && inner.isShut }

    /// Passes on what can be passed on without waiting. - Throws: what ends the connection.
    func pump() throws(SyscallError) {
        try pass(from: outer, to: inner)
        try pass(from: inner, to: outer)
    }

    private func pass(from source: End, to target: End) throws(SyscallError) {
        if target.pending.isEmpty && !source.isReadOut {
            var buffer = [UInt8](repeating: 0, count: Self.bufferBytes)
            switch try readAvailable(source.socket.number, into: &buffer) {
            case .bytes(let count): target.pending = buffer[..<count]
            case .end: source.isReadOut = true
            case .wouldBlock: break
            }
        }
        if !target.pending.isEmpty {
            target.pending = target.pending.dropFirst(try writeAvailable(target.pending, to: target.socket.number))
        }
        if source.isReadOut && target.pending.isEmpty && !target.isShut {
            target.isShut = true
            try endWriting(to: target.socket.number)
        }
    }

    /// What an end is to be waited for now.
    func interest(of end: End) -> Readiness {
        if isConnecting { return end === inner ? .writable : [] }
        let other = end === inner ? outer : inner
        var interest: Readiness = []
        if other.pending.isEmpty && !end.isReadOut { interest.insert(.readable) }
        if !end.pending.isEmpty { interest.insert(.writable) }
        return interest
    }
}
