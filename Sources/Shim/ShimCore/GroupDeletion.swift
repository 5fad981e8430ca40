internal import LinuxSyscalls
internal import Protobuf
internal import ShimProtocol
internal import SystemPackage

/// `delete` of one container of several: the shim serves the others on, so it is asked, and taken away with the last of them only.
enum GroupDeletion {
    /// How long the shim may take to see that the container's processes have ended, which the runtime has killed.
    private static let attemptCount = 100
    private static let attemptMilliseconds: Int32 = 50

    /// Has a shim that lives forget the container, whose processes are gone.
    /// - Parameter configuration: of the shim.
    /// - Returns: whether that shim is to stay: it lives, or others' directories are there.
    static func leave(_ configuration: ShimConfiguration) throws(ShimError) -> Bool {
        let (layout, id) = (configuration.layout, configuration.id)
        do throws(SyscallError) {
            if try ShimDirectory.process(of: layout) != nil, try forget(layout, id) { return true }
            try removeTree(FilePath(configuration.ofTask(id).directory))
            // Looked at last: of members that are taken away at once, the last one sees that it is.
            return try !ShimDirectory.members(layout).isEmpty
        } catch { throw ShimError("delete \(id)", error) }
    }

    /// - Returns: whether it has; a shim that does not answer has to go, unless others need it.
    private static func forget(_ layout: ShimLayout, _ id: String) throws(SyscallError) -> Bool {
        for _ in 0..<attemptCount {
            do throws(ShimError) {
                let _: DeleteResponse = try ShimCall.ask(
                    layout, TaskMethod.service, TaskMethod.delete.rawValue, ProcessRequest(id: id))
                break
            } catch {
                if error.code == .notFound { break }
                guard error.code == .wrongState else { return false }
            }
            _ = try waitUntilReadable([], timeoutMilliseconds: attemptMilliseconds)
        }
        let answer: ProtobufEmpty? = try? ShimCall.ask(
            layout, TaskMethod.service, TaskMethod.shutdown.rawValue, ShutdownRequest(id: id))
        return answer != nil
    }
}
