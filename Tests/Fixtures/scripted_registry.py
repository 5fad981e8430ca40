"""A registry that lives in the test: it serves images, takes pushes, and answers each kind of request as a script tells it.

Kinds: manifest, config, blob (layers), token, upload (POST, PATCH and PUT of blobs) and put (manifests).  A fault is called with the request's
handler and the number of the request of that kind, from 1; where it returns true, it has answered."""

import fcntl
import hashlib
import http.server
import json
import re
import socket
import ssl
import struct
import termios
import threading
import time

MANIFEST = "application/vnd.oci.image.manifest.v1+json"


def digest_of(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Head and body are two writes: the second one would wait for the client's delayed acknowledgement.
    disable_nagle_algorithm = True

    def setup(self):
        # Here, in a thread of the connection's own, and not for ever: who accepts serves all.
        if isinstance(self.request, ssl.SSLSocket):
            self.request.settimeout(60)
            self.request.do_handshake()
            self.request.settimeout(None)
        super().setup()

    def log_message(self, *arguments):
        pass

    @property
    def script(self):
        return self.server.script

    def kind(self):
        path = self.path.split("?")[0]
        if path == "/token":
            return "token"
        if "/uploads/" in path:
            return "upload"
        if "/manifests/" in path:
            return "put" if self.command == "PUT" else "manifest"
        if "/blobs/" in path:
            return "config" if path.rsplit("/", 1)[1] in self.script.configs else "blob"
        return "other"

    def serve(self):
        kind = self.kind()
        self.sent, self.length = 0, int(self.headers.get("Content-Length") or 0)
        entry = self.script.note(self, kind)
        self.entry = entry
        try:
            if kind != "token" and self.script.wants_token() and self.headers.get("Authorization") != f"Bearer {self.script.token}":
                self.drop_body()
                realm = f'Bearer realm="{self.script.realm}",service="scripted"'
                return self.answer(401, b'{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}', WWW_Authenticate=realm)
            fault = self.script.faults.get(kind)
            if fault and fault(self, self.script.count(kind)):
                return None
            return getattr(self, f"serve_{kind}")()
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True
            return None
        finally:
            entry["sent"] = self.sent

    do_GET = do_HEAD = do_POST = do_PATCH = do_PUT = serve

    def drop_body(self):
        self.rfile.read(self.length)
        self.length = 0

    # What faults are made of

    def answer(self, status, body=b"", **fields):
        self.head(status, len(body), **fields)
        if self.command != "HEAD":
            self.write(body)

    def head(self, status, length, **fields):
        self.entry["status"] = status
        self.send_response(status)
        for name, value in fields.items():
            self.send_header(name.replace("_", "-"), value)
        if length is not None:
            self.send_header("Content-Length", str(length))
        self.end_headers()

    def write(self, data):
        self.wfile.write(data)
        self.wfile.flush()
        self.sent += len(data)

    def reset(self):
        """The connection ends as a crashed server's does: by RST."""
        self.wfile.flush()
        # It overtakes what is still to be sent; what the other side has taken it can read all the same.
        deadline = time.monotonic() + 30
        while any(fcntl.ioctl(self.connection, termios.TIOCOUTQ, bytes(4))) and time.monotonic() < deadline:
            time.sleep(0.001)
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
        # The reader holds the socket, too.
        self.rfile.close()
        self.connection.close()
        return True

    def body(self):
        """What a GET of this kind is answered with: bytes, first byte, fields."""
        kind = self.kind()
        if kind == "token":
            return json.dumps({"token": self.script.token, "expires_in": 300}).encode(), 0, {}
        name = self.path.split("?")[0].rsplit("/", 1)[1]
        if kind == "manifest":
            data = self.script.manifests.get(name)
            return data, 0, {"Content_Type": MANIFEST, "Docker_Content_Digest": digest_of(data or b"")}
        data, start = self.script.blobs.get(name), 0
        match = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range") or "")
        if data is not None and match and self.script.knows_ranges:
            start, end = int(match[1]), int(match[2] or len(data) - 1)
            return data[start:end + 1], start, {"Content_Range": f"bytes {start}-{end}/{len(data)}"}
        return data, 0, {}

    def send_part(self, count, status=None, pause=0.0, step=None):
        """A response that announces all and sends `count` bytes."""
        data, _, fields = self.body()
        self.head(status or (206 if "Content_Range" in fields else 200), len(data), **fields)
        for start in range(0, count, step or max(1, count)):
            self.write(data[start:min(count, start + (step or count))])
            time.sleep(pause)

    # Without faults

    def serve_other(self):
        self.answer(200)

    def serve_token(self):
        self.answer(200, self.body()[0])

    def serve_manifest(self):
        data, _, fields = self.body()
        if data is None:
            return self.answer(404, b'{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}')
        return self.answer(200, data, **fields)

    def serve_blob(self):
        data, start, fields = self.body()
        if data is None:
            return self.answer(404, b'{"errors":[{"code":"BLOB_UNKNOWN","message":"blob unknown"}]}')
        if self.script.bytes_per_second and len(data) > 65536 and self.command == "GET":
            self.head(206 if "Content_Range" in fields else 200, len(data), **fields)
            step = 65536
            for offset in range(0, len(data), step):
                self.write(data[offset:offset + step])
                time.sleep(step / self.script.bytes_per_second)
            return None
        return self.answer(206 if "Content_Range" in fields else 200, data, **fields)

    serve_config = serve_blob

    def serve_upload(self):
        script = self.script
        number = self.path.split("?")[0].rsplit("/", 1)[1]
        if self.command == "POST":
            with script.lock:
                number = str(len(script.begun) + 1)
                script.begun.append(number)
                script.uploads[number] = b""
            return self.answer(202, Location=script.place(number))
        if number not in script.uploads:
            self.drop_body()
            return self.answer(404, b'{"errors":[{"code":"BLOB_UPLOAD_UNKNOWN","message":"blob upload unknown to registry"}]}')
        if self.command == "GET":
            return self.answer(204, Range=f"0-{max(0, len(script.uploads[number]) - 1)}", Location=script.place(number))
        if self.command == "PATCH":
            if int(self.headers["Content-Range"].split("-")[0]) != len(script.uploads[number]):
                self.drop_body()
                return self.answer(416, Range=f"0-{max(0, len(script.uploads[number]) - 1)}")
            self.take(number)
            return self.answer(202, Location=script.place(number), Range=f"0-{len(script.uploads[number]) - 1}")
        self.take(number)
        digest = re.search(r"digest=([^&]+)", self.path)[1].replace("%3A", ":")
        data = script.uploads.pop(number)
        if digest_of(data) != digest:
            return self.answer(400, b'{"errors":[{"code":"DIGEST_INVALID","message":"provided digest did not match uploaded content"}]}')
        script.blobs[digest] = data
        script.pushed.append(digest)
        return self.answer(201, Location=f"/v2/one/blobs/{digest}")

    def take(self, number, count=None):
        count = self.length if count is None else count
        data = self.rfile.read(count)
        self.length -= count
        self.script.uploads[number] += data
        self.script.received += len(data)

    def serve_put(self):
        data = self.rfile.read(self.length)
        self.script.manifests[self.path.rsplit("/", 1)[1]] = data
        self.script.manifests[digest_of(data)] = data
        subject = json.loads(data).get("subject") if self.script.keeps_subjects else None
        self.answer(201, Docker_Content_Digest=digest_of(data), **({"OCI_Subject": subject["digest"]} if subject else {}))


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def handle_error(self, request, client_address):
        pass


class ScriptedRegistry:
    """Serves `image` as `one:latest` on a free port of 127.0.0.1 until `stop`."""

    def __init__(self, image=None, token=False, tls=None, faults=None, subjects=False):
        self.lock = threading.Lock()
        self.requests, self.counts = [], {}
        self.faults = faults or {}
        self.blobs, self.manifests, self.configs = {}, {}, set()
        self.uploads, self.begun, self.pushed, self.received = {}, [], [], 0
        self.token, self.is_closed = "the-first-token", token
        self.keeps_subjects = subjects
        self.knows_ranges, self.bytes_per_second = True, 0
        self.server = Server(("127.0.0.1", 0), Handler)
        self.server.script = self
        self.port = self.server.server_address[1]
        self.scheme = "http"
        if tls:
            self.scheme, self.server.socket = "https", tls.wrap_socket(self.server.socket, server_side=True, do_handshake_on_connect=False)
        self.host = f"127.0.0.1:{self.port}"
        self.name = f"{self.host}/one"
        self.realm = f"{self.scheme}://{self.host}/token"
        if image:
            self.add(image)
        self.thread = threading.Thread(daemon=True, target=self.server.serve_forever, kwargs={"poll_interval": 0.05})
        self.thread.start()

    def add(self, image, tag="latest"):
        self.blobs.update(image.blobs)
        self.manifests.update({tag: image.manifest, digest_of(image.manifest): image.manifest})
        self.configs.add(image.id)

    def wants_token(self):
        return self.is_closed

    def place(self, number):
        return f"/v2/one/blobs/uploads/{number}?state={len(self.uploads.get(number, b''))}"

    def note(self, handler, kind):
        with self.lock:
            self.counts[kind] = self.counts.get(kind, 0) + 1
            entry = {"method": handler.command, "path": handler.path, "kind": kind, "at": time.monotonic(),
                     "headers": dict(handler.headers), "status": 0, "sent": 0}
            self.requests.append(entry)
            return entry

    def count(self, kind):
        with self.lock:
            return self.counts.get(kind, 0)

    def of(self, kind, method=None):
        with self.lock:
            return [entry for entry in self.requests if entry["kind"] == kind and method in (None, entry["method"])]

    def stop(self):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()
