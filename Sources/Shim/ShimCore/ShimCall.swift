internal import LinuxSyscalls
internal import Protobuf
internal import ShimProtocol
internal import SystemPackage

/// One call of a shim that runs, for the short-lived commands: it waits for the answer.
enum ShimCall {
    private static let chunkByteCount = 65_536
    /// Longer than the shim itself waits for processes that it deletes to end.
    static let answerMilliseconds: Int32 = 15_000

    /// - Throws: what the shim refused, under its own code; `.kernel` where none answers.
    static func ask<Answer: ProtobufMessage>(
        _ layout: ShimLayout, _ service: String, _ method: String, _ message: some ProtobufMessage
    ) throws(ShimError) -> Answer {
        let directory: Descriptor
        do throws(SyscallError) { directory = Descriptor(try openFile(FilePath(layout.directory), [.path, .directory])) } catch {
            throw ShimError("\(method) of the shim in \(layout.directory)", error)
        }
        return try ask(socket: ShimDirectory.socketPath(layout, through: directory.owned).string, service, method, message)
    }

    /// The same by the path of a socket.
    /// - Parameter answerMilliseconds: nil waits for as long as the shim lives.
    static func ask<Answer: ProtobufMessage>(
        socket path: String, _ service: String, _ method: String, _ message: some ProtobufMessage,
        answerMilliseconds: Int32? = answerMilliseconds
    ) throws(ShimError) -> Answer {
        let doing = "\(method) of the shim at \(path)"
        let response: TtrpcResponse
        do throws(SyscallError) {
            let socket = try connectUnixSocket(FilePath(path))
            let request = TtrpcRequest(service: service, method: method, payload: message)
            try writeAll(TtrpcFrame(streamID: 1, request: request).encoded(), to: socket.number, subject: path)
            response = try answer(from: socket, answerMilliseconds, doing)
        } catch { throw ShimError(doing, error) }
        do throws(TtrpcStatus) { return try response.result() } catch {
            throw ShimError(
                error.code == .notFound ? .notFound : error.code == .failedPrecondition ? .wrongState : .runtime, doing,
                cause: error.message)
        }
    }

    private static func answer(from socket: borrowing OwnedFD, _ deadline: Int32?, _ doing: String) throws(SyscallError) -> TtrpcResponse {
        var decoder = TtrpcFrameDecoder()
        while true {
            guard try !waitUntilReadable([socket.number], timeoutMilliseconds: deadline).isEmpty else {
                throw SyscallError("wait", doing, errno: 110)
            }
            let bytes = try readChunk(socket.number, limitBytes: chunkByteCount, subject: doing)
            if bytes.isEmpty { throw SyscallError("read", doing, errno: 104) }
            decoder.append(bytes)
            do throws(WireError) {
                if let frame = try decoder.next() { return try TtrpcResponse(decoding: frame.payload) }
            } catch { throw SyscallError("read", "\(doing): \(error)", errno: 71) }
        }
    }
}
