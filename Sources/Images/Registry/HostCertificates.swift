internal import LinuxSyscalls
internal import SystemPackage

/// What proves a registry to us, and us to it, beside what this machine trusts: the files of Docker's `certs.d/HOST[:PORT]`, where
/// `*.crt` are authorities, and `NAME.cert` with `NAME.key` is a client's certificate.
/// - Source: Docker's manual, "Verify repository client with certificates".
struct HostCertificates: Equatable, Sendable {
    /// A certificate and its key, paths of PEM files.
    struct Client: Equatable, Sendable {
        let certificate: String
        let key: String
    }

    /// PEM of the authorities, one behind the other; empty for none.
    private(set) var authorities: [UInt8] = []
    private(set) var client: Client?

    /// Bytes of one authority's file: hundreds of certificates.
    private static let fileLimitBytes = 1 << 20

    /// No certificates beside the machine's.
    init() {}

    /// Reads what the folders hold for one registry. A folder that is not there holds nothing.
    /// - Parameter folders: each like `/etc/docker/certs.d`; all count.
    init(for authority: String, in folders: [String]) throws(RegistryError) {
        for folder in folders.map({ "\($0)/\(authority)" }) {
            let names: [String]
            do throws(SyscallError) { names = try SettingsFile.names(in: folder) } catch {
                let failure = FileFailure(error)
                if failure.isMissing { continue }
                throw RegistryError(.refused, doing: "", cause: "the folder of certificates \(folder): \(failure)")
            }
            for name in names where name.hasSuffix(".crt") { try add(authority: "\(folder)/\(name)") }
            for name in names where name.hasSuffix(".cert") {
                let key = "\(name.dropLast(5)).key"
                guard names.contains(key) else {
                    throw RegistryError(
                        .refused, doing: "",
                        cause: "missing key \(key) for client certificate \(folder)/\(name). Authorities have the extension .crt")
                }
                if client == nil { client = Client(certificate: "\(folder)/\(name)", key: "\(folder)/\(key)") }
            }
        }
    }

    /// Reads what a file of settings names.
    /// - Parameters:
    ///   - authorities: paths of PEM files.
    ///   - client: paths of a certificate and its key.
    init(authorities: [String], client: (certificate: String, key: String)?) throws(RegistryError) {
        for path in authorities { try add(authority: path) }
        self.client = client.map { Client(certificate: $0.certificate, key: $0.key) }
    }

    private mutating func add(authority path: String) throws(RegistryError) {
        do throws(SyscallError) {
            authorities += try SettingsFile.content(of: path, limitBytes: Self.fileLimitBytes) + [UInt8(ascii: "\n")]
        } catch {
            if error.errno == Errno.fileTooLarge.rawValue {
                throw RegistryError(.refused, doing: "", cause: "the authority \(path) is larger than \(Self.fileLimitBytes) bytes")
            }
            throw RegistryError(.refused, doing: "", cause: "the authority \(path): \(FileFailure(error))")
        }
    }
}
