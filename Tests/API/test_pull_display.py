"""What `apus pull` shows on a terminal: a line for each layer that is drawn anew, and no bar where there is no room for one."""

import http.server
import json
import os
import re
import socketserver
import threading

import pexpect
import pytest
from oci_images import Image, Pusher, files, tar

SEQUENCE = re.compile(r"\x1b\[(\d*)([A-Z])")


class Screen:
    """Of a terminal, what a reader sees in the end. - Source: ECMA-48, CUU, CUD, EL."""

    def __init__(self, text):
        self.lines, self.row, self.column = [""], 0, 0
        while text:
            if sequence := SEQUENCE.match(text):
                self.obey(sequence[2], int(sequence[1] or 1))
                text = text[sequence.end():]
            else:
                self.take(text[0])
                text = text[1:]

    def obey(self, letter, number):
        if letter == "A":
            assert number <= self.row, "beyond the first line"
            self.row -= number
        elif letter == "B":
            self.row += number
            assert self.row < len(self.lines), "beyond the last line"
        else:
            assert (letter, number) == ("K", 2), (letter, number)
            self.lines[self.row] = ""

    def take(self, character):
        if character == "\r":
            self.column = 0
        elif character == "\n":
            self.row += 1
            self.lines += [""] * (self.row + 1 - len(self.lines))
        else:
            line = self.lines[self.row].ljust(self.column)
            self.lines[self.row] = line[:self.column] + character + line[self.column + 1:]
            self.column += 1


def pulled(apus, name, columns, host=None):
    """What a pull wrote to a terminal of that width."""
    environment = {**apus.environment, **({"DOCKER_HOST": host} if host else {})}
    child = pexpect.spawn(apus.path, ["pull", name], env=environment, dimensions=(24, columns), timeout=60, encoding="utf-8")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0, child.before
    return child.before


def test_feature_B01_a_pull_on_a_terminal_has_one_line_for_each_layer(apus, registry):
    name = f"{registry.host}/drawn"
    image = Image([tar(files({name: os.urandom(3 << 20)})) for name in ("one", "two")])
    Pusher(registry.host).push("drawn", image)
    apus("rmi", "-f", name)
    try:
        lines = Screen(pulled(apus, name, 100)).lines
        layers = [f"{layer['digest'][7:19]}: Pull complete" for layer in image.layers]
        assert lines[:2] == ["Using default tag: latest", "latest: Pulling from drawn"]
        assert sorted(lines[2:4]) == sorted(layers)
        assert lines[4:] == [f"Digest: {image.digest}", f"Status: Downloaded newer image for {name}:latest", f"{name}:latest", ""]
    finally:
        apus("rmi", "-f", name)


# What an engine tells while two layers come, one after the other; the first is half there when the second is done.
TOLD = [
    {"status": "Pulling from any", "id": "latest"},
    {"status": "Pulling fs layer", "id": "one"}, {"status": "Pulling fs layer", "id": "two"},
    {"status": "Downloading", "id": "one", "progressDetail": {"current": 1_000_000, "total": 4_000_000}},
    {"status": "Downloading", "id": "two", "progressDetail": {"current": 5_000, "total": 10_000}},
    {"status": "Pull complete", "id": "two"},
    {"status": "Downloading", "id": "one", "progressDetail": {"current": 2_000_000, "total": 4_000_000}},
]


class ScriptedEngine(http.server.BaseHTTPRequestHandler):
    def address_string(self):
        return "unix"

    def log_message(self, *_):
        pass

    def answer(self, body, kind):
        self.send_response(200)
        self.send_header("Api-Version", "1.51")
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body if self.command != "HEAD" else b"")

    def do_HEAD(self):
        self.answer(b"OK", "text/plain")

    do_GET = do_HEAD

    def do_POST(self):
        self.answer("".join(json.dumps(message) + "\n" for message in TOLD).encode(), "application/json")


@pytest.fixture
def scripted(workspace):
    path = os.path.join(workspace, "scripted.sock")
    with socketserver.ThreadingUnixStreamServer(path, ScriptedEngine) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        yield f"unix://{path}"
        server.shutdown()
    os.unlink(path)


HALF = f"[{'=' * 25}>{' ' * 25}]  2MB/4MB"


@pytest.mark.parametrize("columns, shown", [(80, "2MB/4MB"), (110, "2MB/4MB"), (111, HALF), (120, HALF)])
def test_feature_B01_the_bar_is_drawn_where_a_line_has_room_for_it(apus, scripted, columns, shown):
    said = pulled(apus, "any", columns, host=scripted)
    assert Screen(said).lines[1:4] == ["latest: Pulling from any", f"one: Downloading {shown}", "two: Pull complete"], said
    assert max(len(line) for line in Screen(said).lines) < columns
    assert ("=" in said) == (columns > 110)
