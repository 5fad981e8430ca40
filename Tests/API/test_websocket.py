"""Attachments by websocket, through Debian's python3-websocket."""

import socket
import struct

import pytest
import websocket
from engine_http import api, stream
from processes import wait_until


def connect(daemon, path, **headers):
    """An upgraded connection; a refusal is an exception with its status."""
    return websocket.create_connection(f"ws://d{path}", socket=stream(daemon.socket), timeout=30, header=[f"{name}: {text}" for name, text in headers.items()])


def collected(connection, end, ends=1, further=b""):
    """What is said until `end` was said so often, and `further` once."""
    said = b""
    while said.count(end) < ends or further not in said:
        part = connection.recv()
        assert part, said
        said += part if isinstance(part, bytes) else part.encode()
    return said


def test_what_a_process_says_and_hears_goes_through_frames(own_daemon, apus, image):
    apus("run", "-d", "-i", "--name", "talk", image, "sh", "-c", "while read line; do echo got $line; echo oops >&2; done; echo bye").ok()
    with_all = connect(own_daemon, "/v1.41/containers/talk/attach/ws?stream=1")
    with_all.send_binary(b"one\ntwo\n")
    # Both streams as they come: a websocket has no frames of Docker's own.
    assert b"got one\n" in collected(with_all, b"oops\n", 2, b"got two\n")
    with_all.ping("still there?")
    with_all.send(b"x" * 70_000 + b"\n", websocket.ABNF.OPCODE_BINARY)
    assert len(collected(with_all, b"oops\n", 1, b"x\n")) >= 70_000
    choosy = connect(own_daemon, "/v1.51/containers/talk/attach/ws?stream=1&stdin=1&stderr=1")
    choosy.send("three\n")
    assert collected(choosy, b"oops\n") == b"oops\n"
    for connection in (with_all, choosy):
        connection.close()
    assert apus("inspect", "-f", "{{.State.Running}}", "talk").line() == "true"


def test_the_end_of_the_container_ends_the_websocket_in_good_order(own_daemon, apus, image):
    apus("create", "-i", "--name", "brief", image, "sh", "-c", "echo first; cat >/dev/null").ok()
    connection = connect(own_daemon, "/containers/brief/attach/ws?stream=1&stdout=1&logs=1")
    apus("start", "brief").ok()
    assert collected(connection, b"first\n") == b"first\n"
    apus("kill", "brief").ok()
    opcode, frame = connection.recv_data()
    assert opcode == websocket.ABNF.OPCODE_CLOSE and struct.unpack(">H", frame) == (1000,)
    old = connect(own_daemon, "/v1.27/containers/brief/attach/ws?logs=1&stdout=1")
    assert old.recv_data() == (websocket.ABNF.OPCODE_TEXT, b"first\n")
    old.close()


def test_detach_keys_leave_the_container_running(own_daemon, apus, image):
    apus("run", "-d", "-it", "--name", "term", image, "cat").ok()
    connection = connect(own_daemon, "/containers/term/attach/ws?stream=1&stdin=1&stdout=1&detachKeys=ctrl-x,x")
    connection.send_binary(b"\x18x")
    while connection.recv_data()[0] != websocket.ABNF.OPCODE_CLOSE:
        pass
    assert apus("inspect", "-f", "{{.State.Running}}", "term").line() == "true"


@pytest.mark.parametrize("header", [{"Sec-WebSocket-Version": "8"}, {"Sec-WebSocket-Key": "short"}, {"Upgrade": "tcp"}])
def test_what_is_no_handshake_is_refused(own_daemon, apus, image, header):
    apus("create", "--name", "quiet", image).ok()
    headers = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA=="}
    status, said = api(own_daemon, "GET", "/containers/quiet/attach/ws?stream=1", headers={**headers, **header})
    assert status == 400 and said["message"]
    assert api(own_daemon, "GET", "/containers/none/attach/ws", headers=headers)[0] == 404


def test_frames_that_no_client_may_send_end_the_connection_and_nothing_else(own_daemon, apus, image):
    apus("run", "-d", "-i", "--name", "calm", image, "cat").ok()
    mask = b"\0\0\0\0"
    for bytes_, code in [
            (b"\x82\x05hello", 1002), (b"\xc2\x85" + mask + b"hello", 1002), (b"\x83\x80" + mask, 1002), (b"\x09\x80" + mask, 1002),
            (b"\x82\xff" + struct.pack(">Q", 1 << 40) + mask, 1009), (b"\x82\xff" + b"\xff" * 8 + mask, 1009),
            (b"\x89\xfe" + struct.pack(">H", 200) + mask + b"x" * 200, 1002)]:
        connection = connect(own_daemon, "/containers/calm/attach/ws?stream=1&stdin=1&stdout=1")
        connection.sock.sendall(bytes_)
        opcode, frame = connection.recv_data()
        assert opcode == websocket.ABNF.OPCODE_CLOSE and struct.unpack(">H", frame) == (code,), bytes_
        connection.shutdown()
    cut = connect(own_daemon, "/containers/calm/attach/ws?stream=1&stdin=1")
    cut.sock.sendall(b"\x82\xfe\x01")
    cut.sock.shutdown(socket.SHUT_RDWR)
    cut.shutdown()
    wait_until(lambda: apus("inspect", "-f", "{{.State.Running}}", "calm").line() == "true", "the container runs on")
