internal import LinuxSyscalls
internal import OCISpec
internal import RuntimeCore
internal import SystemPackage

extension Verb {
    /// More than any list of mounts.
    private static let documentLimitBytes = 1 << 20

    static let mounts = Verb(
        "mounts", "mount into, or unmount from, a container that exists", operands: "add|rm <container-id> <mounts.json>",
        operandCount: 3...3, entersContainer: true
    ) { (invocation) throws(RuntimeError) in
        let words = invocation.flags.operands
        let bytes = try during("reading the mounts") { () throws(SyscallError) in
            try readFile(FilePath(words[2]), limitBytes: documentLimitBytes, timeoutNanoseconds: Bundle.documentTimeoutNanoseconds)
        }
        let mounts: [MountConfiguration]
        do throws(SpecProblem) { mounts = try MountConfiguration.decodeList(bytes) } catch { throw RuntimeError(doing: words[2], error) }
        let directory = try during("looking for the mounts") { () throws(SyscallError) in try workingDirectory() }
        let change = try MountChange(Container(words[1], in: invocation.globals.stateRoot), directory: directory)
        switch words[0] {
        case "add": try change.add(mounts)
        case "rm", "remove": try change.remove(mounts)
        default: throw RuntimeError(.invalidArgument, "mounts: \(words[0].debugDescription) is neither add nor rm")
        }
        return 0
    }
}
