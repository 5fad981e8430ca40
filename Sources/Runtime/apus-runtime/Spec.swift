internal import Glibc
internal import LinuxSyscalls
internal import OCISpec
internal import RuntimeCore
internal import SystemPackage

extension Verb {
    static let spec = Verb(
        "spec", "create a new configuration, \(RuntimeConfiguration.fileName)", operands: "", operandCount: 0...0,
        flags: [
            .value("bundle", "b", help: "the bundle's directory (default: the working directory)"),
            .toggle("rootless", help: "for a user who is not root"),
        ]
    ) { (invocation) throws(RuntimeError) in
        let template =
            invocation.flags.isSet("rootless")
            ? RuntimeConfiguration.rootlessTemplate(uid: effectiveUserID(), gid: effectiveGroupID()) : RuntimeConfiguration.template()
        let path = FilePath(invocation.flags.value("bundle") ?? ".").appending(RuntimeConfiguration.fileName)
        do throws(SyscallError) {
            let file = try openFile(path, [.writeOnly, .create, .exclusive], mode: 0o666)
            try writeAll(template.encode(indented: true) + Array("\n".utf8), to: file.number, subject: path.string)
        } catch {
            if error.errno == EEXIST {
                throw RuntimeError(.alreadyExists, "File \(RuntimeConfiguration.fileName) exists. Remove it first")
            }
            throw RuntimeError(doing: "writing the configuration", error)
        }
        return 0
    }
}
