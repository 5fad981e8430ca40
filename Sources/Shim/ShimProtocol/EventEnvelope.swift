package import Protobuf

/// `containerd.types.Envelope`: an event with its time and topic, as it is forwarded to containerd and streamed
/// to `apusd`.
package struct EventEnvelope: ProtobufMessage {
    package static let fullName = "containerd.types.Envelope"
    package var timestamp: ProtobufTimestamp?
    package var namespace = ""
    package var topic = ""
    package var event: ProtobufAny?

    package init() {}
    package init(timestamp: ProtobufTimestamp, namespace: String, event: TaskEvent) {
        self.timestamp = timestamp
        self.namespace = namespace
        topic = event.topic
        self.event = event.packed
    }

    package mutating func setField(_ number: Int, to value: ProtobufField) throws(WireError) {
        switch number {
        case 1: timestamp = try value.message()
        case 2: namespace = try value.string()
        case 3: topic = try value.string()
        case 4: event = try value.message()
        default: break
        }
    }

    package func write(to writer: inout ProtobufWriter) {
        writer.message(1, timestamp)
        writer.string(2, namespace)
        writer.string(3, topic)
        writer.message(4, event)
    }
}

/// `ForwardRequest` of containerd's events service over ttrpc.
package struct ForwardEventRequest: ProtobufMessage {
    package static let fullName = "containerd.services.events.ttrpc.v1.ForwardRequest"
    /// The service and the method that it is for.
    package static let service = "containerd.services.events.ttrpc.v1.Events"
    package static let method = "Forward"

    package var envelope: EventEnvelope?

    package init() {}
    package init(envelope: EventEnvelope) { self.envelope = envelope }

    package mutating func setField(_ number: Int, to value: ProtobufField) throws(WireError) {
        if number == 1 { envelope = try value.message() }
    }

    package func write(to writer: inout ProtobufWriter) { writer.message(1, envelope) }
}
