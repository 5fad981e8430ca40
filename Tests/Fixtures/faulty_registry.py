#!/usr/bin/env python3
"""A registry that serves one OCI layout and misbehaves as it is told.

usage: faulty_registry.py LAYOUT LOG FAULT

Prints its port, serves on 127.0.0.1 until its standard input ends, and writes one line a request to LOG:
METHOD PATH STATUS AUTHORIZATION RANGE. A fault concerns the largest blob, the layer, unless it says otherwise.
"""

import base64
import hashlib
import http.server
import json
import os
import sys
import threading
import time

LAYOUT, LOG, FAULT = sys.argv[1:4]
BLOBS = os.path.join(LAYOUT, "blobs", "sha256")
LAYER = max(os.listdir(BLOBS), key=lambda name: os.path.getsize(os.path.join(BLOBS, name)))
TOKEN = "a-token-of-this-service"
lock = threading.Lock()
counts = {}
may_go_on = threading.Event()
uploads = {}
pushed = {}


def blob(name):
    path = os.path.join(BLOBS, name)
    if not os.path.exists(path):
        return None
    with open(path, "rb") as file:
        return file.read()


def manifest():
    """What the tag stands for: the layout's manifest, perhaps within an index or with another diffID."""
    with open(os.path.join(LAYOUT, "index.json")) as file:
        entry = json.load(file)["manifests"][0]
    body = blob(entry["digest"].split(":")[1])
    if FAULT == "both-kinds":
        body = json.dumps({**json.loads(body), "manifests": []}).encode()
    if FAULT != "index":
        return body, entry["mediaType"]
    other = hashlib.sha256(b"nothing").hexdigest()
    machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(os.uname().machine, os.uname().machine)
    index = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": [
        {"mediaType": entry["mediaType"], "digest": "sha256:" + other, "size": 7, "platform": {"os": "linux", "architecture": "s390x"}},
        {"mediaType": entry["mediaType"], "digest": entry["digest"], "size": len(body), "platform": {"os": "linux", "architecture": machine}},
    ]}
    return json.dumps(index).encode(), index["mediaType"]


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Head and body are two writes: the second one would wait for the client's delayed acknowledgement.
    disable_nagle_algorithm = True

    def log_message(self, *arguments):
        pass

    def note(self, status):
        with lock, open(LOG, "a") as log:
            kind = (self.headers.get("Authorization") or "-").split(" ")[0]
            log.write(f"{self.command} {self.path} {status} {kind} {self.headers.get('Range') or '-'}\n")

    def answer(self, status, body=b"", **fields):
        self.note(status)
        self.send_response(status)
        for name, value in fields.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def nth(self, what):
        with lock:
            counts[what] = counts.get(what, 0) + 1
            return counts[what]

    def refused(self):
        """Whether this request was answered with a refusal."""
        given = self.headers.get("Authorization") or ""
        port = self.server.server_address[1]
        if FAULT == "bearer" and given != "Bearer " + TOKEN:
            challenge = f'Bearer realm="http://127.0.0.1:{port}/token",service="faulty"'
            self.answer(401, b'{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}', WWW_Authenticate=challenge)
            return True
        if FAULT == "evil-realm":
            self.answer(401, WWW_Authenticate='Bearer realm="http://evil.invalid/token",service="faulty"')
            return True
        if FAULT == "busy" and self.nth("busy") <= 2:
            self.answer(429, Retry_After="0")
            return True
        return False

    def do_HEAD(self):
        self.do_GET()

    # Uploads, for FAULT upload-breaks: the first large PATCH is cut off in its middle.

    def do_POST(self):
        number = self.nth("upload")
        uploads[number] = b""
        self.answer(202, Location=f"/uploads/{number}?state=x")

    def do_PATCH(self):
        number = int(self.path.split("/")[2].split("?")[0])
        length = int(self.headers["Content-Length"])
        start = int(self.headers["Content-Range"].split("-")[0])
        if start != len(uploads[number]):
            return self.answer(416)
        if length > 1 << 20 and self.nth("large") == 1:
            uploads[number] += self.rfile.read(length // 2)
            self.note(0)
            self.close_connection = True
            self.connection.close()
            return None
        uploads[number] += self.rfile.read(length)
        return self.answer(202, Location=f"/uploads/{number}?state=y", Range=f"0-{len(uploads[number]) - 1}")

    def do_PUT(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path.startswith("/uploads/"):
            number, digest = int(self.path.split("/")[2].split("?")[0]), self.path.split("digest=")[1].replace("%3A", ":")
            body = uploads.pop(number)
            if "sha256:" + hashlib.sha256(body).hexdigest() != digest:
                return self.answer(400, b'{"errors":[{"code":"DIGEST_INVALID","message":"provided digest did not match"}]}')
            pushed[digest] = body
            return self.answer(201, Location="/v2/one/blobs/" + digest)
        return self.answer(201, Docker_Content_Digest="sha256:" + hashlib.sha256(body).hexdigest())

    def show_upload(self):
        number = int(self.path.split("/")[2].split("?")[0])
        self.answer(204, Range=f"0-{max(0, len(uploads[number]) - 1)}", Location=f"/uploads/{number}?state=z")

    def do_GET(self):
        if self.path.startswith("/token"):
            wanted = "Basic " + base64.b64encode(b"ann:s3cret").decode()
            if self.headers.get("Authorization") not in (None, wanted):
                return self.answer(401)
            return self.answer(200, json.dumps({"token": TOKEN, "expires_in": 300}).encode())
        if self.path == "/go":
            may_go_on.set()
            return self.answer(200)
        if self.path == "/wait":
            may_go_on.clear()
            return self.answer(200)
        if self.path == "/v2/":
            return self.answer(200)
        if self.path.startswith("/uploads/"):
            return self.show_upload()
        if self.refused():
            return None
        kind, reference = self.path.rsplit("/", 2)[1:]
        if FAULT == "upload-breaks":
            return self.answer(200 if reference in pushed else 404)
        if kind == "manifests":
            return self.serve_manifest(reference)
        return self.serve_blob(reference.split(":")[1])

    def serve_manifest(self, reference):
        body, media_type = manifest()
        if reference.startswith("sha256:") and hashlib.sha256(body).hexdigest() != reference.split(":")[1]:
            body, media_type = blob(reference.split(":")[1]), "application/vnd.oci.image.manifest.v1+json"
            if body is None:
                return self.answer(404, b'{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}')
        digest = "sha256:" + hashlib.sha256(body).hexdigest()
        if FAULT == "wrong-manifest" and self.command == "GET":
            body = body.replace(b" ", b"  ", 1) + b"\n"
        if FAULT == "endless-manifest" and self.command == "GET":
            body = b" " * (5 << 20)
        return self.answer(200, body, Content_Type=media_type, Docker_Content_Digest=digest)

    def serve_blob(self, name):
        body = blob(name)
        if body is None:
            return self.answer(404)
        if FAULT == "together" and body[:2] == b"\x1f\x8b":
            return self.by_halves(body)
        if name != LAYER:
            return self.answer(200, body)
        if FAULT == "wrong-bytes":
            return self.answer(200, body[:-1] + bytes([body[-1] ^ 1]))
        if FAULT == "extra-bytes":
            return self.answer(200, body + b"more")
        if FAULT == "stream-more":
            return self.stream(body + b"more", len(body) + 4)
        if FAULT == "redirect-file":
            return self.answer(307, Location="file:///etc/passwd")
        if FAULT == "redirect-link-local":
            return self.answer(307, Location="http://169.254.169.254/latest/meta-data")
        if FAULT == "redirect-loop":
            return self.answer(307, Location=self.path)
        if FAULT == "slow-once" and self.nth("layer") == 1:
            return self.stream(body, len(body), pause=0.2)
        if FAULT.startswith(("truncate", "slow")):
            return self.truncated(body)
        return self.answer(200, body)

    def truncated(self, body):
        start = 0
        asked = self.headers.get("Range")
        if asked and FAULT != "truncate-no-range":
            start = int(asked.removeprefix("bytes=").removesuffix("-"))
        end = start + (len(body) - start) // 2 if self.nth("layer") == 1 else len(body)
        if FAULT == "truncate-always":
            end = min(len(body) // 2, len(body) - 1)
            start = min(start, end)
        self.note(206 if start else 200)
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        self.send_header("Content-Length", str(len(body) - start))
        self.end_headers()
        self.wfile.write(body[start:end])
        if end < len(body):
            self.close_connection = True

    def by_halves(self, body):
        """The second half of a layer once /go is asked for; if it never is, the connection breaks."""
        self.note(200)
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[:len(body) // 2])
        if may_go_on.wait(60):
            self.wfile.write(body[len(body) // 2:])
        self.close_connection = True

    def stream(self, body, length, pause=0.0):
        """A body in pieces, without a length where it is longer than announced."""
        self.note(200)
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        step = max(1, length // 50)
        try:
            for offset in range(0, length, step):
                piece = body[offset:offset + step]
                self.wfile.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
                time.sleep(pause)
            self.wfile.write(b"0\r\n\r\n")
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        pass


if __name__ == "__main__":
    server = Server(("127.0.0.1", 0), Handler)
    print(server.server_address[1], flush=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.stdin.read()
