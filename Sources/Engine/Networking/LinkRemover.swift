internal import LinuxSyscalls
internal import Netlink
internal import Synchronization

/// Takes links of the host away, where nobody waits for it. Blocks for as long as the kernel waits for its processors, and may be called from any
/// thread, from one at a time.
package final class LinkRemover: Sendable {
    /// A group of links that nobody else has: it lasts from one request to the next.
    private static let group: UInt32 = 0x6170_7573
    /// Nil while it is had with the kernel.
    private let host: Mutex<RouteConversation?>

    /// In the network namespace of the calling thread.
    package init() throws(NetworkingError) {
        do throws(NetlinkError) { host = Mutex(try RouteConversation()) } catch { throw NetworkingError(error) }
    }

    /// Takes links away in one step, in which the kernel waits once for all. One that is gone is no error.
    /// - Returns: those that stay, and why.
    package func remove(_ links: [String]) -> [String: NetworkingError] {
        guard var host = host.withLock({ $0.take() }) else {
            let isBusy = NetworkingError(.kernel, "other network devices are being removed")
            return Dictionary(uniqueKeysWithValues: links.map { ($0, isBusy) })
        }
        let failures = Self.remove(links, &host)
        putBack(host)
        return failures
    }

    private func putBack(_ conversation: consuming RouteConversation) {
        var free: RouteConversation? = conversation
        host.withLock { swap(&$0, &free) }
    }

    private static func remove(_ links: [String], _ host: inout RouteConversation) -> [String: NetworkingError] {
        if links.count > 1 && removeTogether(links, &host) { return [:] }
        var failures: [String: NetworkingError] = [:]
        for link in links {
            do throws(NetlinkError) { try host.deleteLink(link) } catch {
                if !error.isMissing { failures[link] = NetworkingError(error) }
            }
        }
        return failures
    }

    /// - Returns: false where each is to be tried alone.
    private static func removeTogether(_ links: [String], _ host: inout RouteConversation) -> Bool {
        do throws(NetlinkError) {
            for link in links {
                do throws(NetlinkError) { try host.setGroup(group, of: link) } catch { if !error.isMissing { throw error } }
            }
            do throws(NetlinkError) { try host.deleteLinks(in: group) } catch { if !error.isMissing { throw error } }
            return true
        } catch { return false }
    }
}
