"""Traces for OpenTelemetry, taken by a collector that decodes them: docs/service.md."""

import http.server
import os
import re
import socket
import subprocess
import threading
import time

import pytest
from conftest import BUILD, CLIENTS, Client, Daemon
from engine_http import api
from processes import held_in_one_of_several_rounds, wait_until

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


def fields(data):
    """Number and value of each field of a protobuf message."""
    place = 0

    def varint():
        nonlocal place
        value = shift = 0
        while True:
            byte = data[place]
            place += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    while place < len(data):
        tag = varint()
        if tag & 7 == 0:
            value = varint()
        elif tag & 7 == 1:
            value, place = int.from_bytes(data[place:place + 8], "little"), place + 8
        else:
            assert tag & 7 == 2
            length = varint()
            value, place = data[place:place + length], place + length
            assert len(value) == length
        yield tag >> 3, value


def attributes(pairs):
    found = {}
    for pair in pairs:
        key, value = (value for _, value in fields(pair))
        (number, inner), = fields(value)
        found[key.decode()] = inner.decode() if number == 1 else inner
    return found


class Span:
    def __init__(self, data):
        every = list(fields(data))
        one = dict(every)
        self.trace, self.id, self.parent = one[1].hex(), one[2].hex(), one.get(4, b"").hex()
        self.name, self.kind, self.start, self.end = one[5].decode(), one[6], one[7], one[8]
        self.attributes = attributes(value for number, value in every if number == 9)
        self.failure = dict(fields(one[15])) if 15 in one else None


class Collector(http.server.ThreadingHTTPServer):
    """`answers` are statuses of its first requests; then it is content."""
    daemon_threads = True

    def __init__(self, answers=()):
        self.spans, self.requests, self.resource, self.answers = [], [], {}, list(answers)
        super().__init__(("127.0.0.1", 0), Take)
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server_address[1]}"

    def take(self, body):
        for number, one in fields(body):
            assert number == 1
            for kind, value in fields(one):
                if kind == 1:
                    self.resource = attributes(pair for _, pair in fields(value))
                else:
                    self.spans += [Span(span) for place, span in fields(value) if place == 2]

    def named(self, name):
        return [span for span in self.spans if span.name == name]

    def close(self):
        self.shutdown()
        self.server_close()


class Take(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        status = self.server.answers.pop(0) if self.server.answers else 200
        self.server.requests.append((self.path, dict(self.headers), status))
        if status == 200:
            self.server.take(body)
        self.send_response(status)
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture
def collector():
    collector = Collector()
    yield collector
    collector.close()


@pytest.fixture
def traced(workspace):
    """Starts daemons whose environment asks for traces."""
    made = []

    def start(endpoint, *flags, **variables):
        daemon = Daemon(os.path.join(workspace, f"t{len(os.listdir(workspace))}"))
        os.makedirs(daemon.folder)
        made.append(daemon)
        return daemon.start("--bridge", "none", *flags, env={"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "OTEL_BSP_SCHEDULE_DELAY": "100", **variables})

    yield start
    for daemon in made:
        if daemon.process.poll() is None:
            for one in api(daemon, "GET", "/containers/json?all=1")[1]:
                api(daemon, "DELETE", f"/containers/{one['Id']}?force=1")
            wait_until(lambda: not daemon.supervisors(), "shims and keeper have ended")
            daemon.stop()
        daemon.forget_firewall()


def test_each_request_is_a_span_below_the_clients_own(traced, collector):
    daemon = traced(collector.url, OTEL_SERVICE_NAME="mine", OTEL_EXPORTER_OTLP_HEADERS="authorization=Bearer%20x", OTEL_RESOURCE_ATTRIBUTES="a=b")
    began = time.time_ns()
    api(daemon, "GET", "/v1.41/containers/nosuch/json?size=1", expect=404, headers={"traceparent": f"00-{TRACE}-{PARENT}-01", "User-Agent": "me"})
    span, = wait_until(lambda: collector.named("GET /containers/{id}/json"), "the span has come")
    assert (span.trace, span.parent, span.kind) == (TRACE, PARENT, 2) and re.fullmatch("[0-9a-f]{16}", span.id) and span.id != PARENT
    assert began <= span.start <= span.end <= time.time_ns()
    assert span.attributes == {"http.request.method": "GET", "http.route": "/containers/{id}/json", "http.response.status_code": 404,
                               "url.path": "/v1.41/containers/nosuch/json", "user_agent.original": "me"}
    assert span.failure is None
    # A client whose trace is not kept, one of no trace, and a path that leads nowhere.
    api(daemon, "GET", "/info", headers={"traceparent": f"00-{TRACE}-{PARENT}-00"})
    api(daemon, "GET", "/version", headers={"traceparent": "nonsense"})
    api(daemon, "GET", "/nowhere", expect=404)
    root, = wait_until(lambda: collector.named("GET"), "the span of no route has come")
    # Each is sent by its own thread, once it has answered.
    wait_until(lambda: collector.named("GET /version"), "the span of the one before has come")
    assert root.parent == "" and root.trace != TRACE and root.attributes["url.path"] == "/nowhere"
    assert len(collector.named("GET /version")) == 1 and collector.named("GET /version")[0].parent == "" and not collector.named("GET /info")
    path, headers, _ = collector.requests[0]
    assert path == "/v1/traces" and headers["Content-Type"] == "application/x-protobuf" and headers["authorization"] == "Bearer x"
    assert collector.resource["service.name"] == "mine" and collector.resource["a"] == "b" and collector.resource["service.version"]


def test_what_takes_long_has_spans_of_its_own(traced, collector, registry, workspace):
    daemon = traced(collector.url)
    client = Client("apus", CLIENTS["apus"], daemon.host, workspace)
    image = f"{registry.host}/alpha"
    client("pull", image).ok()
    name = client("create", "--init", image, "sh", "-c", "trap exit TERM; while :; do sleep 0.05; done").line()
    client("start", name).ok()
    client("stop", name).ok()
    # The outermost ends last.
    wait_until(lambda: all(collector.named(f"POST /containers/{{id}}/{verb}") for verb in ("start", "stop")) and collector.named("POST /images/create"),
               "the last span has come")
    spans = {span.id: span for span in collector.spans}

    def below(parent):
        return sorted((span for span in spans.values() if span.parent == parent.id), key=lambda span: span.start)

    def only(spans):
        one, = spans
        return one

    pull = only(below(only(collector.named("POST /images/create"))))
    assert pull.name == "pull" and pull.attributes["image.name"].startswith(image)
    names = [span.name for span in below(pull)]
    assert names[0] == "resolve" and names.count("layer download") == 3 and names.count("layer unpack") == 3
    for span in below(pull)[1:]:
        assert re.fullmatch("sha256:[0-9a-f]{64}", span.attributes["layer.digest"]) and span.attributes["layer.size"] > 0
    started = only(below(only(collector.named("POST /containers/{id}/start"))))
    assert started.name == "container start" and started.attributes == {"container.id": name}
    steps = below(started)
    assert [span.name for span in steps] == ["bundle", "shim", "runtime create", "runtime start"]
    for span in spans.values():
        above = spans.get(span.parent)
        assert span.start <= span.end and (above is None or (above.trace == span.trace and above.start <= span.start and span.end <= above.end))
    stopped = only(below(only(collector.named("POST /containers/{id}/stop"))))
    assert stopped.name == "container stop" and stopped.end - stopped.start < 10**10


def test_a_failure_is_told(traced, collector, registry):
    daemon = traced(collector.url)
    api(daemon, "POST", "/images/create?fromImage=" + registry.host + "/nosuch&tag=latest")
    failed, = wait_until(lambda: collector.named("pull"), "the span has come")
    assert failed.failure[3] == 2 and b"nosuch" in failed.failure[2]


def test_spans_are_sent_at_the_end_and_again_where_the_collector_is_busy(traced):
    collector = Collector([503])
    daemon = traced(collector.url)
    api(daemon, "GET", "/version")
    wait_until(lambda: collector.named("GET /version"), "the span has come by the second request", seconds=20)
    assert [status for _, _, status in collector.requests][:2] == [503, 200]
    api(daemon, "GET", "/info")
    assert daemon.stop() == 0
    assert collector.named("GET /info")
    collector.close()


@pytest.mark.parametrize("kind", ["dead", "silent", "full"])
def test_a_collector_that_is_of_no_use_slows_nobody(traced, kind):
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        if kind != "dead":
            # Connections are taken, or not even that; nothing is answered.
            listener.listen(0 if kind == "full" else 100)
        held = []
        if kind == "full":
            for _ in range(4):
                held.append(socket.socket())
                held[-1].setblocking(False)
                held[-1].connect_ex(listener.getsockname())
        daemon = traced(f"http://127.0.0.1:{listener.getsockname()[1]}", "--log-level", "debug", OTEL_BSP_MAX_QUEUE_SIZE="50",
                        OTEL_EXPORTER_OTLP_TIMEOUT="1000")

        def slowest():
            took = []
            for _ in range(300):
                began = time.monotonic()
                api(daemon, "GET", "/_ping", expect=200)
                took.append(time.monotonic() - began)
            return max(took)

        held_in_one_of_several_rounds(slowest, 0.5, "the slowest of 300 answers comes")
        wait_until(lambda: "spans not sent" in daemon.log(), "that nothing goes out is told", seconds=20)
        began = time.monotonic()
        assert daemon.stop() == 0
        assert time.monotonic() - began < 6
        lost = sum(int(count) for count in re.findall(r"spans dropped.*? count=(\d+)", open(daemon.log_path, encoding="utf-8").read()))
        assert lost >= 300
        for one in held:
            one.close()


@pytest.mark.parametrize("variables, reason", [
    ({"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, "OTEL_EXPORTER_OTLP_PROTOCOL=grpc: it takes http/protobuf alone"),
    ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "127.0.0.1:4318"}, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=127.0.0.1:4318: it takes http://HOST"),
])
def test_what_is_not_served_is_refused_at_the_start(workspace, variables, reason):
    folder = os.path.join(workspace, "refused")
    said = subprocess.run([f"{BUILD}/apusd", "--host", f"unix://{folder}/s", "--data-root", f"{folder}/d", "--exec-root", f"{folder}/r", "--config", ""],
                          env={**os.environ, "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", **variables}, capture_output=True, text=True,
                          timeout=20, check=False)
    assert said.returncode == 1 and reason in said.stderr


def test_nothing_is_sent_where_the_environment_says_so(traced, collector):
    for variables in ({"OTEL_TRACES_EXPORTER": "none"}, {"OTEL_SDK_DISABLED": "true"}):
        daemon = traced(collector.url, **variables)
        api(daemon, "GET", "/version")
        assert daemon.stop() == 0
    assert collector.requests == []
