internal import Glibc
internal import LinuxSyscalls
package import OCISpec
package import SystemPackage

/// A directory with a configuration, read once.
package struct Bundle: Sendable {
    /// Absolute, without symbolic links.
    package let path: FilePath
    /// config.json as it is, to be kept beside the container's state.
    let document: [UInt8]
    package let configuration: RuntimeConfiguration

    /// More than any configuration seen, less than would hurt.
    static let configurationLimitBytes = 16 << 20
    /// How long a document may take to come to its end that is no ordinary file but, say, a pipe.
    package static let documentTimeoutNanoseconds: Int64 = 10_000_000_000

    /// Goes to the bundle, which stays the working directory for hooks and the rest of the command, and reads its configuration.
    /// - Parameter isStrict: members that the specification does not know are errors.
    package static func load(_ path: FilePath, isStrict: Bool = false) throws(RuntimeError) -> Bundle {
        do throws(SyscallError) { try changeDirectory(path) } catch {
            throw RuntimeError(.notFound, "chdir \(path): \(errnoMessage(error.errno).lowercasedFirst)")
        }
        let absolute = try during("looking for the bundle") { () throws(SyscallError) in try workingDirectory() }
        let document: [UInt8]
        do throws(SyscallError) {
            document = try readFile(
                FilePath(RuntimeConfiguration.fileName), limitBytes: configurationLimitBytes,
                timeoutNanoseconds: documentTimeoutNanoseconds)
        } catch {
            if error.errno == ENOENT {
                throw RuntimeError(.notFound, "JSON specification file \(RuntimeConfiguration.fileName) not found")
            }
            throw RuntimeError(doing: "reading the configuration", error)
        }
        return Bundle(path: absolute, document: document, configuration: try decode(document, isStrict: isStrict))
    }

    static func decode(_ document: [UInt8], isStrict: Bool = false) throws(RuntimeError) -> RuntimeConfiguration {
        do throws(SpecProblem) { return try RuntimeConfiguration.decode(document, isStrict: isStrict) } catch {
            throw RuntimeError(doing: RuntimeConfiguration.fileName, error)
        }
    }
}
