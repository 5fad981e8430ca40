internal import CoreTypes
internal import LinuxSyscalls
internal import Protobuf
package import ShimProtocol
internal import SystemPackage

/// `apus-shim -info`: what the shim is, and what the runtime can do that the options on standard input name.
package enum InformationCommand {
    private static let optionsByteCount = 1 << 20
    private static let featuresByteCount = 1 << 20
    private static let runtimeMilliseconds: Int32 = 10_000
    private static let name = "io.containerd.apus.v2"

    /// - Throws: `ShimError` for options that cannot be read, and where their runtime is missing.
    package static func run(_ invocation: ShimInvocation) throws(ShimError) -> RuntimeInformation {
        var information = RuntimeInformation()
        information.name = name
        information.version = RuntimeVersion(Product.version)
        let given: [UInt8]
        do throws(SyscallError) { given = try readAll(0, limitBytes: optionsByteCount, subject: "standard input") } catch {
            throw ShimError("options", error)
        }
        do throws(WireError) { information.options = given.isEmpty ? nil : try ProtobufAny(decoding: given) } catch {
            throw ShimError("options", error)
        }
        let options = try TaskOptions(information.options, namespace: invocation.configuration.namespace)
        let runtime = try RuntimeLocator.find(options.runtime, configuration: invocation.configuration)
        information.features = try features(of: runtime, invocation.configuration).map(RuntimeInformation.features)
        return information
    }

    /// nil where the runtime has no such verb: nobody asks it of one.
    private static func features(of runtime: String, _ configuration: ShimConfiguration) throws(ShimError) -> [UInt8]? {
        do throws(SyscallError) {
            // A file, so that a runtime that says much waits for nobody.
            let output = try makeMemoryFile(named: "features")
            let null = try openFile("/dev/null", .readWrite)
            let process = try spawnProcess(
                FilePath(runtime), arguments: [runtime, "features"], environment: configuration.environment, input: null.number,
                output: output.number, error: null.number)
            guard try waitForExit(ofChild: process, orKillAfterMilliseconds: runtimeMilliseconds) == .exited(0) else { return nil }
            try seek(output.number, to: 0, subject: "features")
            let document = try readAll(output.number, limitBytes: featuresByteCount, subject: "features")
            return document.isEmpty ? nil : document
        } catch { throw ShimError("\(runtime) features", error) }
    }
}
