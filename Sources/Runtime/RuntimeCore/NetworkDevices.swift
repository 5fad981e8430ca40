internal import CoreTypes
internal import LinuxSyscalls
internal import Netlink
internal import OCISpec
internal import SystemPackage

/// Moves network devices of the host into a container's network namespace, `linux.netDevices`, and back where the container does not come
/// about: the namespace's end would be that of every virtual one.
/// - Spec: config-linux.md, "Network Devices".
final class NetworkDevices {
    private struct Arrival {
        let link: MovedLink
        /// As it was called when it came.
        let name: String
        /// By which it is found whatever it is called by now; nil where nobody got to look.
        var index: Int32?
    }

    /// By their names on the host.
    private let devices: [String: NetDevice]
    /// Held for as long as a device may have to come back: the processes in it may have ended.
    private var target: OpenedNamespace?
    private var arrivals: [Arrival] = []

    init(_ linux: LinuxConfiguration?) { devices = linux?.netDevices ?? [:] }

    /// Moves every device, gives it back the addresses that the move took, and brings it up.
    /// - Parameters:
    ///   - process: in the container's network namespace, which is not the caller's.
    ///   - path: of a namespace that others made.
    ///   - isRestoring: passes over what a namespace by path still has of the container that was written to images.
    /// - Throws: `refused` naming the device; those moved before wait for `giveBack`.
    func move(toNamespaceOf process: Int32, path: String?, isRestoring: Bool = false) throws(RuntimeError) {
        if devices.isEmpty { return }
        let join = NamespacePlan.Join(type: .network, kind: .network, path: path ?? "/proc/\(process)/ns/net")
        let target = try OpenedNamespace(join)
        self.target = target
        var inside = try conversation(in: target, returningTo: try home())
        do throws(NetlinkError) {
            var host = try RouteConversation()
            for (name, device) in devices.sorted(by: { $0.key < $1.key }) {
                let template = device.name ?? name
                if isRestoring, path != nil, try !host.hasLink(named: name),
                    try inside.hasLink(named: RouteConversation.name(template, number: 0))
                {
                    continue
                }
                let newName = try inside.freeName(for: template)
                let moved = try host.moveLink(name, toNamespace: target.file.number, as: newName)
                // On record before anything else can fail.
                arrivals.append(Arrival(link: moved, name: newName, index: nil))
                let found = try inside.link(named: newName)
                arrivals[arrivals.count - 1].index = found.index
                try inside.restore(moved, to: found)
            }
        } catch { throw Self.refusal("moving linux.netDevices", error) }
    }

    /// The container has them from here on, and its namespace decides about their end.
    func letGo() {
        arrivals = []
        target = nil
    }

    /// Moves back what was moved: by their former names, with the addresses that they had, up if they were.
    /// - Throws: `refused` naming the first device that cannot come back, and then the others; the rest has come back.
    func giveBack() throws(RuntimeError) {
        guard let target, !arrivals.isEmpty else { return letGo() }
        defer { letGo() }
        let home = try home()
        var inside = try conversation(in: target, returningTo: home)
        var attempts = Attempts()
        for arrival in arrivals.reversed() {
            attempts.add { () throws(RuntimeError) in
                let name = arrival.link.formerName
                do throws(NetlinkError) {
                    let found =
                        if let index = arrival.index { try inside.link(at: index, subject: name) } else {
                            try inside.link(named: arrival.name)
                        }
                    _ = try inside.moveLink(found, toNamespace: home.file.number, as: name)
                    var host = try RouteConversation()
                    try host.restore(arrival.link, to: try host.link(named: name), up: arrival.link.wasUp)
                } catch { throw Self.refusal("moving linux.netDevices[\(name.debugDescription)] back", error) }
            }
        }
        try attempts.finish()
    }

    private func home() throws(RuntimeError) -> OpenedNamespace {
        try OpenedNamespace(NamespacePlan.Join(type: .network, kind: .network, path: "/proc/self/ns/net"))
    }

    /// A socket belongs to the namespace that it was made in: the runtime is there for that moment only.
    private func conversation(in target: OpenedNamespace, returningTo home: OpenedNamespace) throws(RuntimeError) -> RouteConversation {
        func leave() throws(RuntimeError) {
            try during("leaving the container's network namespace") { () throws(SyscallError) in try home.enter() }
        }
        try during("entering the container's network namespace") { () throws(SyscallError) in try target.enter() }
        let inside: RouteConversation
        do throws(NetlinkError) { inside = try RouteConversation() } catch {
            throw Self.refusal("moving linux.netDevices", error).followed(by: leave)
        }
        try leave()
        return inside
    }

    private static func refusal(_ doing: String, _ error: NetlinkError) -> RuntimeError {
        RuntimeError(.refused, doing: doing, error.description)
    }
}
