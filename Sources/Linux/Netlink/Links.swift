internal import LinuxSyscalls

/// The loopback link's index: the first link that every network namespace is born with.
private let loopbackIndex: Int32 = 1

/// Brings `lo` up in the current network namespace. Bringing it up twice is no error.
/// - Throws: `NetlinkError`, `refused` with EPERM without CAP_NET_ADMIN in the namespace.
/// - Source: rtnetlink(7), RTM_NEWLINK.
package func bringLoopbackUp() throws(NetlinkError) {
    let doing = "bring lo up"
    var answer = [UInt8](repeating: 0, count: 1024)
    let count: Int
    do throws(SyscallError) {
        let socket = try openRouteSocket()
        try writeAll(linkUpRequest(index: loopbackIndex, sequence: 1), to: socket.number, subject: "NETLINK_ROUTE")
        count = try readBytes(socket.number, into: &answer)
    } catch {
        throw NetlinkError(code: .transport, doing: doing, cause: error)
    }
    guard let errno = acknowledgedErrno(answer[..<count]) else {
        throw NetlinkError(code: .malformedAnswer, doing: doing, cause: nil)
    }
    if errno != 0 {
        throw NetlinkError(code: .refused, doing: doing, cause: SyscallError("RTM_NEWLINK", "lo", errno: errno))
    }
}

/// The bytes of RTM_NEWLINK that set IFF_UP on a link and ask for an acknowledgement.
package func linkUpRequest(index: Int32, sequence: UInt32) -> [UInt8] {
    let setLink: UInt16 = 16
    let requestWithAcknowledgement: UInt16 = 0x01 | 0x04
    let up: UInt32 = 1
    var message = MessageWriter()
    message.append(UInt32(32))  // nlmsghdr: whole length, type, flags, sequence, port
    message.append(setLink)
    message.append(requestWithAcknowledgement)
    message.append(sequence)
    message.append(UInt32(0))
    message.append(UInt16(0))  // ifinfomsg: family and padding, hardware type, index, flags, mask of flags to change
    message.append(UInt16(0))
    message.append(UInt32(bitPattern: index))
    message.append(up)
    message.append(up)
    return message.bytes
}

/// The errno that an NLMSG_ERROR answer carries, 0 for success; nil when the bytes are no such answer.
package func acknowledgedErrno(_ answer: some RandomAccessCollection<UInt8>) -> Int32? {
    let bytes = Array(answer)
    let error: UInt16 = 2
    guard bytes.count >= 20, nativeInteger(bytes[4..<6]) == UInt64(error) else { return nil }
    let value = Int32(truncatingIfNeeded: nativeInteger(bytes[16..<20]))
    return value <= 0 && value != .min ? -value : nil
}

/// Appends integers in the machine's byte order, which netlink uses.
struct MessageWriter {
    private(set) var bytes: [UInt8] = []

    mutating func append(_ value: UInt8) { bytes.append(value) }

    mutating func append(contentsOf value: [UInt8]) { bytes += value }

    mutating func append(_ value: UInt16) { append(UInt32(value), byteCount: 2) }

    mutating func append(_ value: UInt32) { append(value, byteCount: 4) }

    private mutating func append(_ value: UInt32, byteCount: UInt32) {
        for index in 0..<byteCount {
            let place = isLittleEndian ? index : byteCount - 1 - index
            bytes.append(UInt8(truncatingIfNeeded: value >> (place * 8)))
        }
    }
}

/// A number in the machine's byte order.
func nativeBytes(_ value: UInt32) -> [UInt8] {
    var writer = MessageWriter()
    writer.append(value)
    return writer.bytes
}

private let isLittleEndian = 1.littleEndian == 1

func nativeInteger(_ bytes: ArraySlice<UInt8>) -> UInt64 {
    let bigEndianFirst = isLittleEndian ? Array(bytes.reversed()) : Array(bytes)
    return bigEndianFirst.reduce(0) { $0 << 8 | UInt64($1) }
}
