internal import ShimProtocol

/// Why a shim did not do what it was asked.
struct ShimError: Error, Sendable, CustomStringConvertible {
    enum Code: Equatable, Sendable {
        /// The shim said no; with the status of its answer.
        case refused(TtrpcStatus.Code)
        /// Nothing listens where the shim should.
        case absent
        /// The connection broke: the shim is gone, or is going.
        case disconnected
        /// No answer in time.
        case timedOut
        /// What came is not what the protocol says.
        case garbled
        /// No shim could be started.
        case notStarted
    }

    let code: Code
    /// The shim's or the runtime's own words.
    let message: String

    init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    init(_ status: TtrpcStatus) { self.init(.refused(status.code), status.message) }

    var description: String { message }

    /// Whether the shim has answered, and did nothing.
    var isRefusal: Bool { if case .refused = code { true } else { false } }

    /// Whether the shim says that there is no such process, or that it has ended.
    var isNotFound: Bool { code == .refused(.notFound) }
}
