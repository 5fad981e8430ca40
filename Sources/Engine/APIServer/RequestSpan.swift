internal import NIOHTTP1
internal import Tracing

/// The span of a request, below that of the client's where it names one.
/// - Spec: OpenTelemetry, "Semantic Conventions for HTTP Spans": a server's span is named by method and route.
struct RequestSpan: Sendable {
    private let span: TraceSpan

    /// nil where the client's trace is not kept.
    init?(_ tracer: Tracer, _ head: HTTPRequestHead) {
        let parent = head.headers.first(name: "traceparent").flatMap { TraceContext(header: $0) }
        let method = "\(head.method)"
        guard let span = tracer.request(method, parent: parent) else { return nil }
        span.add("http.request.method", .text(method))
        // What stands behind may be a secret.
        span.add("url.path", .text(String(head.uri.prefix { $0 != "?" })))
        if let agent = head.headers.first(name: "user-agent") { span.add("user_agent.original", .text(agent)) }
        self.span = span
    }

    /// Runs what serves the request with this as the task's span.
    func run<Result>(_ route: Route, _ body: () async throws -> Result) async throws -> Result {
        span.rename("\(route.method) \(route.pattern.described)")
        span.add("http.route", .text(route.pattern.described))
        return try await TraceSpan.$current.withValue(span) { try await body() }
    }

    /// - Parameter status: nil where the answer was cut off.
    func end(_ status: HTTPResponseStatus?) {
        guard let status else { return span.end(failure: "the answer was cut off") }
        span.add("http.response.status_code", .number(Int64(status.code)))
        span.end(failure: status.code >= 500 ? status.reasonPhrase : nil)
    }
}

extension RoutePattern {
    /// As it is described, with names in place of `{}` and `{*}`.
    var described: String {
        let isNamed = ["/images", "/distribution", "/volumes"].contains { text.hasPrefix($0) }
        return text.split(separator: "/").map { $0.hasPrefix("{") ? (isNamed ? "/{name}" : "/{id}") : "/\($0)" }.joined()
    }
}
