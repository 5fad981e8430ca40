internal import CoreTypes
internal import LinuxSyscalls
internal import Netlink
internal import OCISpec
internal import SystemPackage

/// Moves network devices of the host into a container's network namespace: `linux.netDevices`.
/// - Spec: config-linux.md, "Network Devices".
struct NetworkDevices {
    /// By their names on the host.
    let devices: [String: NetDevice]

    /// Moves every device, gives it back the addresses that the move took, and brings it up.
    /// - Parameters:
    ///   - process: in the container's network namespace, which is not the caller's.
    ///   - path: of a namespace that others made.
    ///   - isRestoring: passes over what a namespace by path still has of the container that was written to images.
    /// - Throws: `refused` naming the device; those moved before go back to the host with the namespace's end, if they are no virtual ones.
    func move(toNamespaceOf process: Int32, path: String?, isRestoring: Bool = false) throws(RuntimeError) {
        if devices.isEmpty { return }
        let join = NamespacePlan.Join(type: .network, kind: .network, path: path ?? "/proc/\(process)/ns/net")
        let target = try OpenedNamespace(join)
        let home = try OpenedNamespace(NamespacePlan.Join(type: .network, kind: .network, path: "/proc/self/ns/net"))
        var inside = try conversation(in: target, returningTo: home)
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
                try inside.restore(try host.moveLink(name, toNamespace: target.file.number, as: newName))
            }
        } catch { throw refusal(error) }
    }

    /// A socket belongs to the namespace that it was made in: the runtime is there for that moment only.
    private func conversation(in target: OpenedNamespace, returningTo home: OpenedNamespace) throws(RuntimeError) -> RouteConversation {
        func leave() throws(RuntimeError) {
            try during("leaving the container's network namespace") { () throws(SyscallError) in try home.enter() }
        }
        try during("entering the container's network namespace") { () throws(SyscallError) in try target.enter() }
        let inside: RouteConversation
        do throws(NetlinkError) { inside = try RouteConversation() } catch { throw refusal(error).followed(by: leave) }
        try leave()
        return inside
    }

    private func refusal(_ error: NetlinkError) -> RuntimeError {
        RuntimeError(.refused, doing: "moving linux.netDevices", error.description)
    }
}
