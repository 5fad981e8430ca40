internal import Glibc
internal import LinuxSyscalls

/// A conversation with a service of the network namespace that it was begun in, mostly the routing service. Blocks.
package struct RouteConversation: ~Copyable, Sendable {
    private let socket: OwnedFD
    private let subject: String
    private var sequence: UInt32 = 0

    /// The most bytes of one answer. - Source: netlink(7) recommends 8 KiB; dumps come in at most 32 KiB.
    private static let answerLimitBytes = 65_536
    /// The most reads of one dump: 4096 × 32 KiB is more than any machine's addresses.
    private static let readLimit = 4096
    /// A dump that changed under its reader is asked for again so often.
    private static let dumpAttempts = 5

    package init() throws(NetlinkError) { try self.init(.route) }

    init(_ service: NetlinkService) throws(NetlinkError) {
        subject = service == .route ? "NETLINK_ROUTE" : "netlink service \(service.rawValue)"
        do throws(SyscallError) { socket = try openNetlinkSocket(service) } catch {
            throw NetlinkError(code: .transport, doing: "open a socket to \(subject)", cause: error)
        }
    }

    mutating func nextRequest(_ type: UInt16, creates: Bool = false, replaces: Bool = false, wantsDump: Bool = false) -> RouteRequest {
        sequence &+= 1
        return RouteRequest(type, sequence: sequence, creates: creates, replaces: replaces, wantsDump: wantsDump)
    }

    /// Sends a request and returns the answer's messages, up to its end.
    @discardableResult
    func perform(_ request: RouteRequest, doing: String) throws(NetlinkError) -> [RouteMessage] {
        for _ in 0..<Self.dumpAttempts {
            var answer: [RouteMessage] = []
            if try performOnce(request, doing: doing, { answer.append($0) }) { return answer }
        }
        throw NetlinkError(code: .transport, doing: doing, cause: SyscallError("read", subject, errno: EINTR))
    }

    /// The same for an answer that is too long to be kept: each message is shown once, also of one that changed while it was given.
    func perform(_ request: RouteRequest, doing: String, _ show: (RouteMessage) -> Void) throws(NetlinkError) {
        _ = try performOnce(request, doing: doing, show)
    }

    /// - Returns: false where the kernel says that the answer changed while it was given.
    private func performOnce(_ request: RouteRequest, doing: String, _ show: (RouteMessage) -> Void) throws(NetlinkError) -> Bool {
        var isTorn = false
        do throws(SyscallError) { try writeAll(request.bytes, to: socket.number, subject: subject) } catch {
            throw NetlinkError(code: .transport, doing: doing, cause: error)
        }
        for _ in 0..<Self.readLimit {
            // What an earlier request was answered is none of this one's.
            for message in try readMessages(doing) where message.sequence == request.sequence {
                if let refusal = message.refusal(doing: doing) { throw refusal }
                isTorn = isTorn || message.wasInterrupted
                if message.endsAnswer { return !isTorn }
                show(message)
            }
        }
        throw NetlinkError(code: .transport, doing: doing, cause: SyscallError("read", subject, errno: EMSGSIZE))
    }

    private func readMessages(_ doing: String) throws(NetlinkError) -> [RouteMessage] {
        do throws(SyscallError) {
            let bytes = try readChunk(socket.number, limitBytes: Self.answerLimitBytes, subject: subject)
            if let messages = RouteMessage.all(in: bytes[...]) { return messages }
        } catch { throw NetlinkError(code: .transport, doing: doing, cause: error) }
        throw NetlinkError(code: .malformedAnswer, doing: doing, cause: nil)
    }
}
