"""The engine's API without a client library: one request, or a connection of bytes."""

import contextlib
import http.client
import json
import socket


class Connection(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path, timeout=60):
        super().__init__("d", timeout=timeout)
        self.path = path

    def connect(self):
        self.sock = stream(self.path, self.timeout)


def stream(path, timeout=60):
    """A connected socket."""
    connected = socket.socket(socket.AF_UNIX)
    connected.settimeout(timeout)
    connected.connect(path)
    return connected


def api(daemon, method, path, body=None, expect=None, headers=None, timeout=60):
    """One request: the status, and the answer's document (its text where it is none)."""
    connection = Connection(daemon.socket, timeout)
    try:
        payload = None if body is None else body if isinstance(body, str) else json.dumps(body)
        kind = {} if payload is None else {"Content-Type": "application/json"}
        # Who refuses a body reads no further, and has answered.
        with contextlib.suppress(BrokenPipeError):
            connection.request(method, path, payload, {**kind, **(headers or {})})
        answer = connection.getresponse()
        text = answer.read().decode(errors="replace")
    finally:
        connection.close()
    assert expect is None or answer.status == expect, (answer.status, text)
    try:
        return answer.status, json.loads(text)
    except ValueError:
        return answer.status, text
