package import Protobuf

/// `apus.shim.v1.LogDelivery`: how output gets into the log, and where else it goes.
package struct LogDelivery: ProtobufMessage, Equatable {
    package static let fullName = "apus.shim.v1.LogDelivery"
    /// Files that are written no more are compressed.
    package var compresses = false
    /// Output that cannot be written at once is dropped past `bufferByteLimit`, and counted; else the payload waits.
    package var isNonBlocking = false
    /// Bytes that may wait for the disk; only of use where `isNonBlocking`.
    package var bufferByteLimit: UInt64 = 0
    /// Where each line goes as well; at most one of the two.
    package var syslog: SyslogTarget?
    package var journal: JournalTarget?
    /// A copy that other programs read.
    package var jsonFile: JSONFileTarget?

    package init() {}

    package mutating func setField(_ number: Int, to value: ProtobufField) throws(WireError) {
        switch number {
        case 1: compresses = try value.bool()
        case 2: isNonBlocking = try value.bool()
        case 3: bufferByteLimit = try value.uint64()
        case 4: syslog = try value.message()
        case 5: journal = try value.message()
        case 6: jsonFile = try value.message()
        default: break
        }
    }

    package func write(to writer: inout ProtobufWriter) {
        writer.bool(1, compresses)
        writer.bool(2, isNonBlocking)
        writer.unsigned(3, bufferByteLimit)
        writer.message(4, syslog)
        writer.message(5, journal)
        writer.message(6, jsonFile)
    }
}
