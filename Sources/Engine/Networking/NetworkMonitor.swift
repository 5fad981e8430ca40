package import CoreTypes
internal import LinuxSyscalls
internal import Netlink

/// What happened to the host's network, by whomever.
package struct HostChanges: Sendable {
    /// Links that went away.
    package var linksGone: Set<String> = []
    /// Links that were switched on or off, or joined or left a bridge.
    package var linksChanged: Set<String> = []
    /// Whether some link lost an address.
    package var hasLostAddresses = false
    /// The families whose packets are forwarded no more.
    package var forwardingOff: Set<IPAddress.Family> = []
    /// Whether more happened than was heard of: anything may have.
    package var isIncomplete = false

    package init() {}

    var isEmpty: Bool { linksGone.isEmpty && linksChanged.isEmpty && !hasLostAddresses && forwardingOff.isEmpty && !isIncomplete }
}

/// What is said of repairs that somebody undoes each time: so often, and then nothing more until he rests.
struct RepairReports {
    static let limit = 10
    static let calmNanoseconds: Int64 = 60_000_000_000
    private var (count, last): (Int, Int64) = (0, 0)

    /// - Parameter now: of the clock that is never set.
    /// - Returns: what to say of one repair more; nil for nothing.
    mutating func words(_ now: Int64) -> String? {
        if now - last > Self.calmNanoseconds { count = 0 }
        last = now
        count += 1
        if count > Self.limit { return nil }
        return "the firewall was changed by somebody else, and is restored"
            + (count == Self.limit ? "; that happens again and again, and is told no more until a minute without it" : "")
    }
}

/// Notices when somebody else changes our tables or links, on a thread of its own that lives as long as the process.
package enum NetworkMonitor {
    /// Changes come in bursts: so long after the last one it is looked at what there is to repair.
    private static let quietMilliseconds: Int32 = 20
    /// A burst that does not end is not waited out.
    private static let burstReads = 50

    /// - Parameters:
    ///   - firewall: restored by this thread itself where others can change it, and where it could not be made ours at first.
    ///   - changed: called with all else that happened; must not block.
    package static func start(
        _ firewall: Firewall, changed: @escaping @Sendable (HostChanges) -> Void,
        report: @escaping @Sendable (String) -> Void
    ) throws(NetworkingError) {
        let watch: NetworkWatch
        // What nobody else can change needs no watch.
        do throws(NetlinkError) { watch = try NetworkWatch(hearsFirewall: !firewall.isOurs) } catch { throw NetworkingError(error) }
        do throws(SyscallError) {
            try startThread(named: "network monitor") {
                var reports = RepairReports()
                while true {
                    do throws(NetlinkError) { try follow(watch, firewall, &reports, changed, report) } catch {
                        // Nothing more can be heard: everything is as it was, only repairs are not made any more.
                        return report("the network is not watched any more: \(error)")
                    }
                }
            }
        } catch { throw NetworkingError(.kernel, "watch the network: \(error)") }
    }

    private static func follow(
        _ watch: NetworkWatch, _ firewall: Firewall, _ reports: inout RepairReports, _ changed: @Sendable (HostChanges) -> Void,
        _ report: @Sendable (String) -> Void
    ) throws(NetlinkError) {
        var tables: Set<String> = []
        var heard = HostChanges()
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
                case .linkGone(let name): heard.linksGone.insert(name)
                case .linkChanged(let name): heard.linksChanged.insert(name)
                case .addressGone: heard.hasLostAddresses = true
                case .forwardingOff(let family): heard.forwardingOff.insert(family)
                case .missed:
                    tables.insert(firewall.name)
                    heard.isIncomplete = true
                }
            }
            timeout = quietMilliseconds
        }
        if tables.contains(firewall.name) {
            do throws(NetworkingError) {
                if try firewall.restore(), let words = reports.words(monotonicNanoseconds()) { report(words) }
            } catch { report("restore the firewall: \(error)") }
        }
        if !heard.isEmpty { changed(heard) }
    }
}
