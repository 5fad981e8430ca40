internal import APIServer
internal import Engine
internal import LinuxSyscalls
internal import SystemPackage

/// Where clients come in.
struct Doors: Sendable {
    private let options: DaemonOptions
    private let tls: CurrentTLS?
    private var sockets: [ListeningSocket] = []
    private var link: DockerSocket?
    private var inherited: [Int32] = []
    private var addresses: [(host: String, port: Int)] = []

    init(options: DaemonOptions, tls: CurrentTLS?) {
        self.options = options
        self.tls = tls
    }

    /// Makes sockets and links. What was made before a failure is among `removals`.
    /// - Parameter inherited: sockets of the service manager, which are used for `fd://`, and where no `--host` is given.
    mutating func open(inherited: [Int32]) throws {
        let hosts = try options.hostAddresses()
        for host in hosts.isEmpty ? [inherited.isEmpty ? .unix(options.execRoot.appending("apus.sock")) : .inherited] : hosts {
            switch host {
            case .unix(let path): sockets.append(try ListeningSocket(path, group: options.socketGroup))
            case .internet(let host, let port): addresses.append((host, port))
            case .inherited:
                if inherited.isEmpty { throw StartError("--host fd://: the service manager has handed over no socket") }
                for socket in inherited where try isInternet(socket) && !options.tls.verifies && !options.tls.servesAnyone {
                    throw StartError(
                        "--host fd://: a socket of TCP is not served without --tlsverify: whoever reaches it would be root here")
                }
                self.inherited = inherited
            }
        }
        if let path = options.dockerSocket {
            guard let target = sockets.first?.path else { throw StartError("--docker-socket needs a --host unix://PATH to lead to") }
            link = try DockerSocket(path, to: target)
        }
    }

    /// For the listener.
    func places(of engine: ContainerEngine) throws -> [ListeningPlace] {
        let routes = APIListener.routes(of: engine)
        let guests = tls.map { tls in { @Sendable in tls.get() } }
        let admission =
            options.tls.verifies ? Admission.everyone : .noPages(hosts: Set(addresses.map { $0.host.lowercased() } + [try hostName()]))
        var places = sockets.map { ListeningPlace(.descriptor($0.descriptor), routes: routes) }
        for socket in inherited {
            let isInternet = try isInternet(socket)
            places.append(
                ListeningPlace(
                    .descriptor(socket), routes: routes, tls: isInternet ? guests : nil, admission: isInternet ? admission : .everyone))
        }
        for (host, port) in addresses {
            places.append(ListeningPlace(.internet(host: host, port: port), routes: routes, tls: guests, admission: admission))
        }
        if let metrics = options.metricsAddress, case .internet(let host, let port) = try HostAddress("tcp://\(metrics)", isSecure: false) {
            places.append(ListeningPlace(.internet(host: host, port: port), routes: MetricsRoutes(engine: engine).all))
        }
        for index in places.indices { places[index].oldest = options.oldestVersion }
        return places
    }

    /// For the log.
    var names: [String] {
        sockets.map(\.path.string) + addresses.map { "tcp://\($0.host):\($0.port)" } + inherited.map { "fd://\($0)" }
    }

    /// Each takes one away of what `open` made.
    var removals: [() throws(SyscallError) -> Void] {
        sockets.map { socket in socket.remove } + (link.map { link in [link.remove] } ?? [])
    }

    /// Whether a socket is none of the unix sockets, which the kernel lists by their inodes.
    private func isInternet(_ socket: Int32) throws -> Bool {
        let name = try readSymbolicLink(FilePath("/proc/self/fd/\(socket)")).string
        guard name.hasPrefix("socket:[") else { throw StartError("--host fd://: descriptor \(socket) is \(name), no socket") }
        let inode = name.dropFirst("socket:[".count).dropLast()
        let list = String(decoding: try readFile("/proc/self/net/unix", limitBytes: 64 << 20), as: UTF8.self)
        return !list.split(separator: "\n").contains { $0.split(separator: " ").contains { $0 == inode } }
    }

    private func hostName() throws -> String {
        String(decoding: try readFile("/proc/sys/kernel/hostname", limitBytes: 256), as: UTF8.self).filter { !$0.isNewline }.lowercased()
    }
}
