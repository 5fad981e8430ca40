"""What a command line asks of the daemon: docker's and `apus` to one socket that writes down what comes, body beside body."""

import http.server
import json
import re
import shlex
import socketserver
import threading

import pytest
from conftest import CLIENTS, Client
from test_clients import NEWEST

# Each is a container's that both make of it, or both refuse in the same words.
LINES = r"""
--dns-opt ndots:2 --dns-option timeout:1 --dns-opt rotate
--dns-search a_b
--dns-search .
--dns-search 'a b'
--dns-search ' a.b. '
--dns-search a-b.c --dns-search 1a
--dns-search -a
--dns-search a..b
--dns-search 1
--dns-search ''
--network mine --net-alias one --network-alias two
--net mine
--gpus all
--gpus 2
--gpus device=0
--gpus '"device=0,1",capabilities=utility'
--gpus 'driver=nvidia,"capabilities=compute,utility","options=a=b,c=d"'
--gpus count=2
--gpus all --gpus device=3
--gpus all,all
--gpus count=2,count=3
--gpus 1x
--gpus other=1
--gpus ''
--cpu-shares 0x10
--cpu-shares 0b11
--cpu-shares 017
--cpu-shares 1_000
--cpu-shares +5
--cpu-shares 08
--cpu-shares 1__0
--cpu-shares 99999999999999999999
--stop-timeout 0x5
--stop-timeout -1
--pids-limit 0o20
--cpus 1/2
--cpus 1.5
--cpus 3/4
--cpus 1/3
--cpus 1/0
--cpus x
--cpus 0.0000000001
--pull ''
--pull no
--expose 80/
--expose 80/udp
--expose 80-82
--expose 70000
--expose 90-80
--expose a-b
--expose 1-
--expose ''
--expose 80:80
-p +80:80
-p 80:+80
-p 70000:80
-p 8080:80/tcp
-p 127.0.0.1:8080-8082:80-82
-p published=8080,target=80,protocol=udp
-p target=80
-p target=80-90,published=80-90
-p published=80,target=80,mode=host,protocol=tcp
-p target=
-p target=80,published
-p =80
--mount 'type=volume,src=v,dst=/x,volume-driver=local,volume-opt=type=nfs,volume-opt=device=:/x,"volume-opt=o=addr=10.0.0.1,rw"'
--mount 'type=bind,"src=/a,b",dst=/x'
--mount 'type=bind,"src=/a""b",dst=/x'
--mount 'type=bind,"src=/a,dst=/x'
--mount 'type=bind,src=/a"b,dst=/x'
--mount 'type=bind,"src=/a"b,dst=/x'
--network 'name=n,"alias=x"'
--network '"name=n","alias=a","driver-opt=Key=a,b"'
--network 'name=n,"alias=x'
--network 'name=n,al"ias=x'
--network name=n,driver-opt=Key=Value
--gpus '"device=0,1'
--gpus 'device="0"'
-l ''
-l =a
-l 'a b=c'
-l a=b
-l a
--log-driver none
--log-driver none --log-opt a=b
--log-opt a=b
--blkio-weight 500
--blkio-weight 0x20
--blkio-weight 70000
--blkio-weight -1
--blkio-weight x
--blkio-weight-device /dev/sda:5
--blkio-weight-device /dev/sda:0
--blkio-weight-device /dev/sda:500
--blkio-weight-device sda:500
--blkio-weight-device /dev/sda
--device-read-bps /dev/sda:1mb
--device-read-bps /dev/sda:x
--device-read-bps sda:1
--device-write-iops /dev/sda:10
--device-write-iops /dev/sda:-1
--memory 64m
--memory 1x
--memory x
--env-file FILE
--env-file .
--env-file FILE.marked
--env-file FILE.binary
--env-file FILE.spaces
--env-file FILE.nameless
--env-file FILE.mixed
--label-file FILE.marked
--label-file FILE.binary
--label-file FILE.spaces
--label-file FILE
--env-file /nosuch
--mac-address zz
--mac-address 00:11:22:33:44:55
--mac-address 00-11-22-33-44-55
--mac-address 0011.2233.4455
--mac-address 00:11-22:33:44:55
--mac-address 00:11:22:33:44
--mac-address 00:11:22:33:44:5
--mac-address 00:11:22:33:44:55:66:77
--mac-address ''
-v /a:/b:/c:/d
-v /a:/b:ro:z
-v :/a
-v /a:
-v /a::ro
-v a:b
-v a:/b
-v :
-v ab
-v ''
-v data:/b:ro
-v ./a:/b
-v é:/b
--add-host a:zzz
--add-host a:
--add-host a
--add-host =1.2.3.4
--add-host a=b=c
--add-host a=1.2.3.4
--add-host 'a: 1.2.3.4'
--add-host 'a=[::1]'
--add-host 'a:[1.2.3.4]'
--add-host 'a=[]'
--add-host a:::1
--add-host a:b=1.2.3.4
--add-host a:1.2.3
--add-host a:host-gateway
--storage-opt zzz
--storage-opt size=1g --storage-opt a=b=c
--sysctl kernel.domainname=x
--sysctl net/ipv4/ip_forward=1
--cidfile /nosuch/file
--cidfile ''
--cidfile FILE
"""
FILES = {
    "marked": b"\xef\xbb\xbfA=1\n\xef\xbb\xbfB=2\n", "binary": b"A=1\nB=\xff\n", "spaces": b"A=1\nA B=1\n", "nameless": b" =1\n",
    "mixed": b"\tA=1 \r\n\r\n \nB=\x0b2\x0c3\n\x0bC=1\xc2\x85x\rD=\nE==\n#F=1\n  # G=1\nHOME\nNOSUCH",
}
# Docker's command line says what apus leaves to the daemon, to whom it is the same.
NOTHING = (None, "", 0, False, [], {})
USUAL = {"NetworkMode": "default", "ConsoleSize": [0, 0], "MemorySwappiness": -1}


class Recorder(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    """Says that it is a daemon, and makes every container."""

    daemon_threads = True

    def __init__(self, path):
        super().__init__(path, Handler)
        self.created, self.headers = [], {}
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def handle_error(self, *_):
        """A client may leave before it has its answer."""


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, status, document):
        text = b"" if self.command == "HEAD" else json.dumps(document).encode()
        self.send_response(status)
        for name, value in (("Api-Version", "1.50"), ("Content-Type", "application/json"), ("Content-Length", str(len(text)))):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(text)

    def handle_any(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        path = re.sub(r"^/v1\.\d+", "", self.path)
        if path.startswith("/containers/create"):
            self.server.created.append((path, json.loads(body)))
            self.server.headers = dict(self.headers)
            return self.answer(201, {"Id": "ab" * 32, "Warnings": []})
        return self.answer(200 if path == "/_ping" else 404, {"message": "not here"})

    do_GET = do_HEAD = do_POST = handle_any

    def log_message(self, *_):
        pass

    def address_string(self):
        return "client"


def said(document):
    """Without what says nothing."""
    if isinstance(document, dict):
        return {key: value for key, member in document.items() if (value := said(member)) not in NOTHING and value != USUAL.get(key)}
    if isinstance(document, list):
        return [said(element) for element in document]
    return document


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    if not NEWEST:
        pytest.skip("no docker command line of version 28 or newer is here")
    folder = tmp_path_factory.mktemp("recorded")
    (folder / "file").write_text("A=b\n# a remark\nC=d\n")
    for name, content in FILES.items():
        (folder / f"file.{name}").write_bytes(content)
    with Recorder(str(folder / "s")) as server:
        def record(name, line):
            client = Client(name, CLIENTS[name], f"unix://{folder}/s", str(folder))
            server.created.clear()
            result = client("create", *(word.replace("FILE", f"{folder}/file") for word in shlex.split(line)), "busybox", "true", cwd="/")
            refusal = re.sub(r"^(docker|apus): ", "", result.err.splitlines()[0]) if result.code else ""
            return result.code, refusal, [(path, said(body)) for path, body in server.created]
        yield record
        server.shutdown()


@pytest.mark.parametrize("line", LINES.strip().splitlines())
def test_a_command_line_asks_for_what_dockers_asks_for(recorded, line):
    assert recorded("apus", line) == recorded(NEWEST, line)


# What Go's decoder says of each, docker's command line passes on.
PROFILES = [
    b"", b" ", b"{", b"[", b'{"a"', b'{"a":', b"A=b", b"nosuch", b"tru", b"falsy", b"{} {}", b"1 ]", b'{"a": 1,}', b"[1,]", b"[,]", b'{"a" 1}',
    b'{"a":1 "b":2}', b"[1 2]", b"{1:2}", b'{"a":1}}', b'"a', b'"a\nb"', b'"\x01"', b'"\\x"', b'"\\u12g4"', b'"\\', b"-", b"-a", b"1.", b"1.a", b"1e",
    b"1ex", b"01", b"1e+", b"+1", b"'", b'\\', b"\x00", b"\x7f", b"\t\x0b", b"\xc3\xa9", b"[" * 10_001, b'{"a": [1, -2.5e-3,\n true],\t"b c": "\\u00e9 d"} \n',
    b"null", b" 0 ", b"[ [ ] , { } ]",
]


@pytest.mark.parametrize("profile", PROFILES, ids=[repr(profile[:20]) for profile in PROFILES])
def test_a_seccomp_profile_is_sent_or_refused_as_dockers_does(recorded, tmp_path, profile):
    (tmp_path / "profile").write_bytes(profile)
    line = f"--security-opt seccomp={tmp_path}/profile"
    assert recorded("apus", line) == recorded(NEWEST, line)
