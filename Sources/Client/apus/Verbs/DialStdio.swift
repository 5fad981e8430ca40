internal import Dispatch
internal import EngineClient
internal import LinuxSyscalls
internal import SystemPackage

/// What `ssh://` starts on the daemon's machine.
let dialStdioVerb = Verb(
    ["system dial-stdio"], "", "Proxy the stdio stream to the daemon connection. Should not be invoked manually."
) { invocation in
    guard case .unix(let path) = invocation.environment.client.endpoint.place else {
        throw Complaint("dial-stdio leads to a unix socket only, not to \(invocation.environment.client.endpoint)")
    }
    let socket: OwnedFD
    do throws(SyscallError) { socket = try connectUnixSocket(FilePath(path)) } catch {
        throw EngineClientError.cannotConnect(invocation.environment.client.endpoint, .init(errno: error.errno))
    }
    let descriptor = socket.release()
    // Ends with the process.
    DispatchQueue(label: "input").async {
        copy(from: 0, to: descriptor)
        // The daemon is told; where it has left, there is nobody to tell.
        try? endWriting(to: descriptor)
    }
    await withCheckedContinuation { continuation in
        DispatchQueue(label: "output").async {
            copy(from: descriptor, to: 1)
            continuation.resume()
        }
    }
    return 0
}

/// Copies to the end, or until nobody reads: then the other direction ends, too.
private func copy(from source: Int32, to target: Int32) {
    do throws(SyscallError) {
        while true {
            let chunk = try readChunk(source, limitBytes: 64 << 10, subject: "stream")
            if chunk.isEmpty { return }
            try writeAll(chunk, to: target)
        }
    } catch {}
}
