package import CoreTypes
internal import LinuxSyscalls
internal import Netlink

/// Notices when somebody else changes our tables or takes one of our links away, on a thread of its own that lives as long as the process.
package enum NetworkMonitor {
    /// Changes come in bursts: so long after the last one it is looked at what there is to repair.
    private static let quietMilliseconds: Int32 = 20
    /// A burst that does not end is not waited out.
    private static let burstReads = 50

    /// - Parameters:
    ///   - firewall: restored by this thread itself.
    ///   - changed: called with the names of links that went away, and the families whose packets are forwarded no more; must not block.
    package static func start(
        _ firewall: Firewall, changed: @escaping @Sendable ([String], [IPAddress.Family]) -> Void,
        report: @escaping @Sendable (String) -> Void
    ) throws(NetworkingError) {
        let watch: NetworkWatch
        do throws(NetlinkError) { watch = try NetworkWatch() } catch { throw NetworkingError(error) }
        do throws(SyscallError) {
            try startThread {
                while true {
                    do throws(NetlinkError) { try follow(watch, firewall, changed, report) } catch {
                        // Nothing more can be heard: everything is as it was, only repairs are not made any more.
                        return report("the network is not watched any more: \(error)")
                    }
                }
            }
        } catch { throw NetworkingError(.kernel, "watch the network: \(error)") }
    }

    private static func follow(
        _ watch: NetworkWatch, _ firewall: Firewall, _ changed: @Sendable ([String], [IPAddress.Family]) -> Void,
        _ report: @Sendable (String) -> Void
    ) throws(NetlinkError) {
        var tables: Set<String> = []
        var links: Set<String> = []
        var families: Set<IPAddress.Family> = []
        var timeout: Int32?
        for _ in 0..<burstReads {
            let changes = try watch.next(timeoutMilliseconds: timeout, besides: firewall.port)
            if changes.isEmpty && timeout != nil { break }
            // At once as well as at the end: while the rules are away, nothing keeps packets from where they do not belong.
            if timeout == nil && changes.contains(where: { [.table(firewall.name), .missed].contains($0) }) {
                do throws(NetworkingError) { _ = try firewall.restore() } catch { report("restore the firewall: \(error)") }
            }
            for change in changes {
                switch change {
                case .table(let name): tables.insert(name)
                case .linkGone(let name): links.insert(name)
                case .forwardingOff(let family): families.insert(family)
                case .missed: tables.insert(firewall.name)
                }
            }
            timeout = quietMilliseconds
        }
        if tables.contains(firewall.name) {
            do throws(NetworkingError) {
                if try firewall.restore() { report("the firewall was changed by somebody else, and is restored") }
            } catch { report("restore the firewall: \(error)") }
        }
        if !links.isEmpty || !families.isEmpty { changed(links.sorted(), Array(families)) }
    }
}
