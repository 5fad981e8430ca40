internal import Synchronization
internal import TLSTransport

/// What `tcp://` is served with.
struct TLSSettings: Equatable, Sendable {
    /// `--tls`, or what implies it.
    var isOn = false
    /// `--tlsverify`: clients prove themselves.
    var verifies = false
    var files = TLSContext.Files()
    /// `--insecure-tcp`.
    var servesAnyone = false

    /// - Throws: `UsageError` where anyone could connect and nobody said that this is meant; and for files that are missing.
    func check(_ hosts: [HostAddress]) throws(UsageError) {
        if isOn && (files.certificate == nil || files.key == nil) {
            throw UsageError("--tls needs --tlscert and --tlskey: the daemon's certificate and its key")
        }
        if verifies && files.authorities == nil { throw UsageError("--tlsverify needs --tlscacert: whose clients may connect") }
        for case .internet(let host, let port) in hosts where !verifies && !servesAnyone {
            throw UsageError(
                "tcp://\(host):\(port) is not served \(isOn ? "without --tlsverify" : "without TLS"): whoever reaches it would be root here. "
                    + "Give --tlsverify, --tlscacert, --tlscert and --tlskey, use ssh://, or say --insecure-tcp")
        }
    }
}

/// The context that new connections get. It can be renewed.
final class CurrentTLS: Sendable {
    private let settings: TLSSettings
    private let context: Mutex<TLSContext>

    /// - Throws: `StartError` naming the file.
    init(_ settings: TLSSettings) throws(StartError) {
        self.settings = settings
        context = Mutex(try Self.make(settings))
    }

    /// Reads the files again. - Throws: `StartError`; connections then get what they got before.
    func renew() throws(StartError) {
        let made = try Self.make(settings)
        context.withLock { $0 = made }
    }

    func get() -> TLSContext { context.withLock(\.self) }

    private static func make(_ settings: TLSSettings) throws(StartError) -> TLSContext {
        do throws(TLSError) {
            return try TLSContext(isServer: true, verifies: settings.verifies, settings.files)
        } catch { throw StartError("TLS of tcp://: \(error)") }
    }
}
