internal import CoreTypes
internal import LinuxSyscalls
internal import Protobuf
internal import ShimCore
internal import ShimProtocol
internal import SystemPackage

fillStandardDescriptors()

/// Prints to standard error and ends.
func fail(_ error: ShimError) -> Never {
    try? writeAll(Array("apus-shim: \(error)\n".utf8), to: 2, subject: "standard error")
    exitAtOnce(1)
}

do throws(ShimError) {
    let executable = (try? readSymbolicLink("/proc/self/exe"))?.string ?? ""
    let invocation = try ShimInvocation(
        arguments: CommandLine.arguments, environment: processEnvironment(), executable: executable)
    var answer: [UInt8] = []
    switch invocation.action {
    case .start: answer = try StartCommand.run(invocation)
    case .delete: answer = try DeleteCommand.run(invocation).encoded()
    case .information: answer = try InformationCommand.run(invocation).encoded()
    case .bridge: exitAtOnce(try BridgeCommand.run(invocation))
    case .version: answer = Array("apus-shim \(Product.version)\n".utf8)
    case .adopt: answer = Array(try StartCommand.adopt(invocation).utf8)
    case .serve: try ServeCommand.run(invocation)
    case .packLog: try PackLogCommand.run(invocation)
    case .resume: try ServeCommand.run(invocation, resuming: true)
    case .keep: try KeepCommand.run(invocation)
    }
    do throws(SyscallError) {
        try writeAll(answer, to: 1, subject: "standard output")
    } catch { throw ShimError("answer", error) }
} catch { fail(error) }
