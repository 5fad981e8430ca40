internal import JSON
internal import OCISpec
internal import RuntimeCore

/// A container as `state` and `list` show it: the members of runc, in its order.
struct ContainerSummary {
    let state: ContainerState
    let record: ContainerRecord
    /// Who made it; `state` leaves it empty, as runc does.
    var owner = ""

    init(of container: Container) throws(RuntimeError) {
        state = try container.state()
        record = try container.record()
    }

    var processText: String { String(state.pid ?? 0) }

    /// As `state` answers, by runc's white space: no line ends behind it.
    var document: [UInt8] {
        var writer = JSONWriter(style: .indentedByTwo, escapesAsGo: true)
        write(to: &writer)
        return writer.bytes
    }

    func write(to writer: inout JSONWriter) {
        writer.object { writer in
            writer.member("ociVersion", state.ociVersion)
            writer.member("id", state.id)
            writer.member("pid", state.pid ?? 0)
            writer.member("status", state.status.rawValue)
            writer.member("bundle", state.bundle)
            writer.member("rootfs", record.rootfs)
            writer.member("created", record.created)
            writer.member("annotations", unlessEmpty: state.annotations)
            writer.member("owner", owner)
        }
    }
}
