internal import CoreTypes
internal import LinuxSyscalls
internal import ShimProtocol
internal import SystemPackage

extension SyslogTarget {
    private static let localSockets = ["/dev/log", "/var/run/syslog", "/var/run/log"]
    private static let defaultPort: UInt32 = 514
    private static let daemonFacility: UInt32 = 3
    private static let facilities: [String: UInt32] = [
        "kern": 0, "user": 1, "mail": 2, "daemon": 3, "auth": 4, "syslog": 5, "lpr": 6, "news": 7, "uucp": 8, "cron": 9, "authpriv": 10,
        "ftp": 11,
        "local0": 16, "local1": 17, "local2": 18, "local3": 19, "local4": 20, "local5": 21, "local6": 22, "local7": 23,
    ]
    private static let formats: [String: Format] = ["": .local, "rfc3164": .rfc3164, "rfc5424": .rfc5424, "rfc5424micro": .rfc5424Micro]

    /// What the driver's options come to, but for tag and host.
    /// - Throws: `.invalidParameter` in Docker's words, and in ours for what is not served.
    init(_ options: [String: String]) throws(EngineError) {
        self.init()
        for name in ["syslog-tls-ca-cert", "syslog-tls-cert", "syslog-tls-key", "syslog-tls-skip-verify"] where options[name] != nil {
            throw EngineError(.notImplemented, "log opt \(name) is not supported yet: syslog is sent in the clear")
        }
        try setAddress(options["syslog-address"] ?? "")
        try setFacility(options["syslog-facility"] ?? "")
        guard let format = Self.formats[options["syslog-format"] ?? ""] else {
            throw EngineError(.invalidParameter, "Invalid syslog format")
        }
        self.format = format
    }

    private mutating func setFacility(_ text: String) throws(EngineError) {
        if text.isEmpty {
            facility = Self.daemonFacility
        } else if let known = Self.facilities[text] ?? UInt32(text), known <= 23 {
            facility = known
        } else {
            throw EngineError(.invalidParameter, "invalid syslog facility")
        }
    }

    private mutating func setAddress(_ text: String) throws(EngineError) {
        if text.isEmpty {
            path = Self.localSockets.first { (try? fileStatus(FilePath($0))) != nil } ?? Self.localSockets[0]
            return
        }
        guard let colon = text.firstRange(of: "://") else { throw wrongForm(text) }
        let rest = String(text[colon.upperBound...])
        switch text[..<colon.lowerBound] {
        case "unix", "unixgram":
            transport = text.hasPrefix("unixgram") ? .datagrams : .local
            path = rest
        case "tcp", "udp":
            transport = text.hasPrefix("tcp") ? .tcp : .udp
            try setPlace(rest, of: text)
        case "tcp+tls":
            throw EngineError(.notImplemented, "log opt syslog-address: tcp+tls is not supported yet: syslog is sent in the clear")
        default: throw wrongForm(text)
        }
    }

    private func wrongForm(_ text: String) -> EngineError {
        EngineError(.invalidParameter, "syslog-address should be in form proto://address, got \(text)")
    }

    /// `192.0.2.1`, `192.0.2.1:514`, `[2001:db8::1]:514`.
    private mutating func setPlace(_ place: String, of text: String) throws(EngineError) {
        var host = place[...]
        var portText: Substring?
        if host.hasPrefix("["), let end = host.firstIndex(of: "]") {
            portText = host[end...].dropFirst().isEmpty ? nil : host[end...].dropFirst(2)
            host = host[..<end].dropFirst()
        } else if let colon = host.lastIndex(of: ":") {
            (host, portText) = (host[..<colon], host[colon...].dropFirst())
        }
        guard let number = portText.map({ UInt16($0) }) ?? UInt16(Self.defaultPort), number > 0 else {
            throw EngineError(.invalidParameter, "invalid port in syslog-address \(text)")
        }
        guard let address = IPAddress(host == "localhost" ? "127.0.0.1" : host) else {
            throw EngineError(.invalidParameter, "syslog-address \(text): name the server by its address, names are not resolved here")
        }
        self.address = address.bytes
        port = UInt32(number)
    }
}

extension JournalTarget {
    /// Where systemd's journal listens.
    static let systemSocketPath = "/run/systemd/journal/socket"

    /// The journal of this machine.
    /// - Parameter attributes: labels and variables that the options choose: their names become the journal's.
    init(tag: String, names: LogTag, attributes: [String: String]) {
        self.init()
        socketPath = Self.systemSocketPath
        fields = [
            "CONTAINER_ID=\(names.containerID.prefix(12))", "CONTAINER_ID_FULL=\(names.containerID)",
            "CONTAINER_NAME=\(names.containerName)",
            "CONTAINER_TAG=\(tag)", "IMAGE_NAME=\(names.imageName)", "SYSLOG_IDENTIFIER=\(tag)",
        ]
        for (name, value) in attributes.sorted(by: { $0.key < $1.key }) {
            let word = Self.fieldName(name)
            if !word.isEmpty { fields.append("\(word)=\(value)") }
        }
    }

    /// Capitals, digits and underscores, of which none is first. - Source: moby, sanitizeKeyMod.
    private static func fieldName(_ name: String) -> String {
        let letters = name.uppercased().unicodeScalars.map { letter in
            ("A"..."Z").contains(letter) || ("0"..."9").contains(letter) ? Character(letter) : "_"
        }
        return String(letters.drop { $0 == "_" })
    }
}
