internal import LinuxSyscalls
internal import NameService

fillStandardDescriptors()
do throws(NameServiceError) { try NameCommand.run(CommandLine.arguments) } catch {
    try? writeAll(Array("apus-net: \(error)\n".utf8), to: 2, subject: "standard error")
    exitAtOnce(1)
}
