package import Protobuf

/// `UpdateTaskRequest`: other limits for a container that is there.
package struct UpdateTaskRequest: ProtobufMessage {
    package static let fullName = "containerd.task.v2.UpdateTaskRequest"
    package var id = ""
    /// The OCI runtime specification's `linux.resources` as JSON.
    package var resources: ProtobufAny?

    package init() {}
    package init(id: String, resources: ProtobufAny) {
        self.id = id
        self.resources = resources
    }

    /// The JSON of limits under containerd's name for it.
    package static func limits(_ json: [UInt8]) -> ProtobufAny {
        ProtobufAny(typeURL: "types.containerd.io/opencontainers/runtime-spec/1/LinuxResources", value: json)
    }

    // Field 3, annotations, is ignored: nothing here depends on them.
    package mutating func setField(_ number: Int, to value: ProtobufField) throws(WireError) {
        switch number {
        case 1: id = try value.string()
        case 2: resources = try value.message()
        default: break
        }
    }

    package func write(to writer: inout ProtobufWriter) {
        writer.string(1, id)
        writer.message(2, resources)
    }
}

/// `StatsResponse`: what the container uses, as containerd's cgroup package spells it.
package struct StatsResponse: ProtobufMessage {
    package static let fullName = "containerd.task.v2.StatsResponse"
    /// `io.containerd.cgroups.v1.Metrics` or `io.containerd.cgroups.v2.Metrics`.
    package var stats: ProtobufAny?

    package init() {}
    package init(stats: ProtobufAny) { self.stats = stats }

    package mutating func setField(_ number: Int, to value: ProtobufField) throws(WireError) {
        if number == 1 { stats = try value.message() }
    }

    package func write(to writer: inout ProtobufWriter) { writer.message(1, stats) }
}

/// A message whose fields are numbers and messages, as cgroup statistics are: built from a list, for a peer that has the `.proto`.
package struct CounterMessage: Sendable {
    private var writer = ProtobufWriter()

    package init() {}

    /// A `uint64` field.
    package mutating func number(_ field: Int, _ value: UInt64?) { writer.unsigned(field, value ?? 0) }

    /// A `repeated uint64` field.
    package mutating func numbers(_ field: Int, _ values: [UInt64]) { for value in values { writer.present(field, value) } }

    /// A `double` field.
    package mutating func decimal(_ field: Int, _ value: Double) { writer.fixed64(field, value.bitPattern) }

    /// A `string` field.
    package mutating func text(_ field: Int, _ value: String) { writer.string(field, value) }

    /// A field that is a message of its own; nothing in it leaves it out.
    package mutating func part(_ field: Int, _ build: (inout CounterMessage) -> Void) {
        var part = CounterMessage()
        build(&part)
        writer.data(field, part.writer.bytes)
    }

    /// The message under its type's name.
    package func packed(as typeName: String) -> ProtobufAny { ProtobufAny(typeURL: typeName, value: writer.bytes) }
}
