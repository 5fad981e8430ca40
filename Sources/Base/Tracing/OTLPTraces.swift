internal import Protobuf

/// The body of `POST /v1/traces`.
/// - Spec: OTLP 1.x, `ExportTraceServiceRequest` of opentelemetry/proto/collector/trace/v1 and what it holds.
enum OTLPTraces {
    /// The most characters of an attribute's value: a client chooses some of them.
    static let valueLimit = 1024

    static func encode(_ spans: [EndedSpan], resource: [(String, TraceValue)], scope: (name: String, version: String)) -> [UInt8] {
        var request = ProtobufWriter()
        request.message(1) { resourceSpans in
            resourceSpans.message(1) { write(resource, 1, to: &$0) }
            resourceSpans.message(2) { scopeSpans in
                scopeSpans.message(1) {
                    $0.string(1, scope.name)
                    $0.string(2, scope.version)
                }
                for span in spans { scopeSpans.message(2) { write(span, to: &$0) } }
            }
        }
        return request.bytes
    }

    private static func write(_ span: EndedSpan, to writer: inout ProtobufWriter) {
        writer.data(1, span.context.traceID)
        writer.data(2, span.context.spanID)
        writer.data(4, span.parentSpanID)
        writer.string(5, String(span.name.prefix(valueLimit)))
        writer.unsigned(6, span.kind.rawValue)
        writer.fixed64(7, span.startNanoseconds)
        writer.fixed64(8, span.endNanoseconds)
        write(span.attributes, 9, to: &writer)
        guard let failure = span.failure else { return }
        writer.message(15) {
            $0.string(2, String(failure.prefix(valueLimit)))
            // STATUS_CODE_ERROR
            $0.unsigned(3, UInt8(2))
        }
    }

    private static func write(_ attributes: [(String, TraceValue)], _ number: Int, to writer: inout ProtobufWriter) {
        for (key, value) in attributes {
            writer.message(number) { pair in
                pair.string(1, key)
                pair.message(2) { any in
                    switch value {
                    // A choice of several is written whatever its value: an empty text is not left out.
                    case .text(let text): any.strings(1, [String(text.prefix(valueLimit))])
                    case .number(let number): any.present(3, UInt64(bitPattern: number))
                    }
                }
            }
        }
    }
}
