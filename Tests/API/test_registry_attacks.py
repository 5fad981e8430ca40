"""Registries and images of attackers: what they may not learn, steer or break."""
# Rows: attacks

import base64
import gzip
import http.server
import json
import os
import socket
import ssl
import subprocess
import threading
import time

import oci_images
import pytest
from conftest import CLIENTS, Client, Daemon, entries
from oci_images import Image, Pusher, busybox_layer, digest_of, entry, files, tar
from processes import Registry, wait_until

LAYER = "application/vnd.oci.image.layer.v1.tar"
SECRET = base64.b64encode(b"ann:canary").decode()


class Scripted:
    """A registry that serves one image, with a function in place of any answer: it takes the handler and gives True where it answered.

    asked: method, path and Authorization of each request."""

    def __init__(self, image=None, answer=None, tls=None):
        self.image, self.script, self.asked = image, answer, []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def reply(self, status, body=b"", headers=None):
                self.send_response(status)
                for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
                    self.send_header(name, value)
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)

            def do_GET(self):
                outer.asked.append((self.command, self.path, self.headers.get("Authorization")))
                try:
                    if not (outer.script and outer.script(self)):
                        outer.serve(self)
                except OSError:
                    self.close_connection = True

            do_HEAD = do_POST = do_PUT = do_PATCH = do_GET

        class Server(http.server.ThreadingHTTPServer):
            def handle_error(self, *_):
                pass

        self.server = Server(("127.0.0.1", 0), Handler)
        if tls:
            self.server.socket = tls.wrap_socket(self.server.socket, server_side=True)
        self.port = self.server.server_address[1]
        self.host = f"127.0.0.1:{self.port}"
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def serve(self, handler):
        kind, _, word = handler.path.rpartition("/")
        if handler.path == "/v2/":
            return handler.reply(200)
        if kind.endswith("/manifests") and self.image and word in ("latest", self.image.digest):
            return handler.reply(200, self.image.manifest, {
                "Content-Type": oci_images.MANIFEST, "Docker-Content-Digest": digest_of(self.image.manifest)})
        if kind.endswith("/blobs") and self.image and word in self.image.blobs:
            return handler.reply(200, self.image.blobs[word])
        return handler.reply(404)

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def serve(request):
    made = []

    def make(*arguments, **options):
        made.append(Scripted(*arguments, **options))
        return made[-1]

    yield make
    for server in made:
        server.stop()
    if "apus" in request.fixturenames:
        # What an interrupted pull has brought would wait for a day to be gone on with.
        request.getfixturevalue("apus")("image", "prune", "-f").ok()


@pytest.fixture
def known(tmp_path):
    """Variables of a client that knows a password for some registries."""
    def make(*hosts):
        (tmp_path / "config.json").write_text(json.dumps({"auths": {host: {"auth": SECRET} for host in hosts}}), encoding="utf-8")
        return {"DOCKER_CONFIG": str(tmp_path)}

    return make


@pytest.fixture
def alone(tmp_path_factory):
    daemon = Daemon(os.path.realpath(tmp_path_factory.mktemp("d")))
    yield daemon
    if daemon.process is not None and daemon.process.poll() is None:
        assert daemon.stop() == 0, daemon.log()


def remade(image, **changes):
    """The image with another manifest."""
    image.manifest = json.dumps({**json.loads(image.manifest), **changes}).encode()
    image.digest = digest_of(image.manifest)
    return image


def test_E01_a_layers_other_addresses_are_never_asked(apus, registry, serve, known):
    evil = serve(answer=lambda handler: handler.reply(401, headers={"WWW-Authenticate": 'Basic realm="x"'}) or True)
    image = Image([busybox_layer(), tar(files({"foreign": "foreign"}))])
    layers = [dict(layer) for layer in image.layers]
    layers[1]["urls"] = [f"http://{evil.host}/v2/x/blobs/{layers[1]['digest']}"]
    honest = serve(remade(image, layers=layers), lambda handler: handler.path.endswith(layers[1]["digest"]) and (handler.reply(404) or True))
    refused = apus("pull", f"{honest.host}/foreign", env=known(honest.host, evil.host))
    assert refused.code == 1 and evil.asked == [], (refused, evil.asked)


@pytest.mark.parametrize("service", ["elsewhere", "elsewhere-in-plain", "named"])
def test_E02_a_password_is_shown_to_no_token_service_but_the_registrys_own(alone, serve, tmp_path, known, service):
    """evil.test stands for a host of another domain; nobody resolves it, so a request to it would show as a failed lookup."""
    plain = serve(Image([busybox_layer()]))
    realm = f"{'http' if service == 'elsewhere-in-plain' else 'https'}://evil.test/token"

    def answer(handler):
        handler.reply(401, headers={"WWW-Authenticate": f'Bearer realm="{realm}",service="x"'})
        return True
    plain.script = answer
    flags = ["--registry-token-service", "evil.test"] if service == "named" else []
    alone.start(*flags)
    for kind in CLIENTS:
        cli = Client(kind, CLIENTS[kind], alone.host, str(tmp_path))
        refused = cli("pull", f"{plain.host}/one", env=known(plain.host))
        words = {"elsewhere": f"{realm}, which is not of its domain", "elsewhere-in-plain": "is reached without TLS", "named": "lookup evil.test"}[service]
        assert refused.code == 1 and words in refused.err, refused
        if service == "elsewhere":
            assert "lookup" not in refused.err and "--registry-token-service evil.test" in refused.err
            # Nobody's name is shown by asking for nobody.
            assert "lookup evil.test" in cli("pull", f"{plain.host}/one").err
    assert not any(field for _, _, field in plain.asked), "nor was it to the registry"
    assert "canary" not in alone.log() and SECRET not in alone.log()


def test_E03_a_redirect_to_another_host_carries_no_password_and_goes_nowhere_it_may_not(apus, serve, known):
    image = Image([busybox_layer(), tar(files({"far": "far"}))])
    elsewhere = serve(image)
    layer = image.layers[1]["digest"]

    def script(handler):
        if handler.headers.get("Authorization") != f"Basic {SECRET}":
            return handler.reply(401, headers={"WWW-Authenticate": 'Basic realm="x"'}) or True
        if handler.path.endswith(layer):
            return handler.reply(307, headers={"Location": target}) or True
        return False

    near = serve(image, script)
    target = f"http://{elsewhere.host}/v2/far/blobs/{layer}"
    apus("pull", f"{near.host}/far", env=known(near.host, elsewhere.host)).ok()
    assert elsewhere.asked and all(authorization is None for _, _, authorization in elsewhere.asked), elsewhere.asked
    apus("rmi", f"{near.host}/far").ok()
    apus("image", "prune", "-f").ok()
    for target in ("file:///etc/passwd", "http://169.254.169.254/latest/meta-data", "ftp://127.0.0.1/x", "http://[fe80::1]/x"):
        refused = apus("pull", f"{near.host}/far", env=known(near.host))
        assert refused.code == 1 and "root:" not in refused.err, (target, refused)
        assert apus("image", "inspect", f"{near.host}/far").code == 1


def test_E03_a_redirect_to_an_address_of_one_link_written_as_one_of_ip_6_connects_nowhere(apus, serve):
    """The service that it would lead to is there, and would answer."""
    image = Image([busybox_layer(), tar(files({"far": "far"}))])
    layer = image.layers[1]["digest"]
    near = serve(image, lambda handler: handler.path.endswith(layer) and (handler.reply(307, headers={"Location": target}) or True))
    subprocess.run(["ip", "addr", "add", "169.254.169.254/32", "dev", "lo"], check=True)
    listener = socket.create_server(("169.254.169.254", 0))
    listener.settimeout(0.1)
    try:
        for host in ("169.254.169.254", "[::ffff:169.254.169.254]", "[::ffff:a9fe:a9fe]", "[0:0:0:0:0:ffff:a9fe:a9fe]"):
            target = f"http://{host}:{listener.getsockname()[1]}/latest/meta-data"
            refused = apus("pull", f"{near.host}/far")
            assert refused.code == 1 and "connect" in refused.err, (target, refused)
            with pytest.raises(TimeoutError):
                listener.accept()
    finally:
        listener.close()
        subprocess.run(["ip", "addr", "del", "169.254.169.254/32", "dev", "lo"], check=True)


def test_E03_a_redirect_from_https_to_http_is_refused(alone, serve, tmp_path):
    image = Image([busybox_layer(), tar(files({"far": "far"}))])
    layer, plain = image.layers[1]["digest"], serve(image)
    crt, key = certificate(tmp_path, "IP:127.0.0.1", False)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(crt, key)
    target = f"http://{plain.host}/v2/far/blobs/{layer}"
    near = serve(image, lambda handler: handler.path.endswith(layer) and (handler.reply(307, headers={"Location": target}) or True), tls=context)
    certs = tmp_path / "certs.d" / near.host
    certs.mkdir(parents=True)
    (certs / "ca.crt").write_bytes(open(crt, "rb").read())
    alone.start("--registry-certs", str(tmp_path / "certs.d"), "--registries-conf", "")
    refused = Client("apus", CLIENTS["apus"], alone.host, str(tmp_path / "client"))("pull", f"{near.host}/far")
    assert refused.code == 1 and f"redirected from https to {target}" in refused.err, refused
    assert plain.asked == []


def test_E05_a_tag_that_moves_while_it_is_pulled_mixes_nothing(apus, serve):
    one, two = (Image([busybox_layer(), tar(files({"which": word}))]) for word in ("one", "two"))
    one.blobs.update(two.blobs)
    asked = []

    def script(handler):
        """HEAD says the first image; from then on the tag is the second."""
        if "/manifests/" in handler.path:
            asked.append((handler.command, handler.path.rsplit("/", 1)[1]))
            word = handler.path.rsplit("/", 1)[1]
            image = two if word == two.digest or (word == "latest" and handler.command == "GET") else one
            return handler.reply(200, image.manifest, {"Content-Type": oci_images.MANIFEST, "Docker-Content-Digest": image.digest}) or True
        return False

    moving = serve(one, script)
    name = f"{moving.host}/moving"
    out = apus("pull", name).ok()
    digest = next(line.split()[1] for line in out.splitlines() if line.startswith("Digest: "))
    inside = apus("run", "--rm", name, "cat", "/which").ok()
    assert (digest, inside) in ((one.digest, "one"), (two.digest, "two")), (digest, inside, asked)
    apus("rmi", name).ok()


def certificate(folder, names, is_expired):
    """A certificate that signs itself, of these names."""
    (folder / "settings").write_text(
        f"[ca]\ndefault_ca=d\n[d]\ndatabase={folder}/index\nnew_certs_dir={folder}\nrand_serial=yes\ndefault_md=sha256\npolicy=p\n"
        f"x509_extensions=e\n[p]\ncommonName=supplied\n[e]\nsubjectAltName={names}\nbasicConstraints=CA:true\n", encoding="utf-8")
    (folder / "index").write_text("", encoding="utf-8")

    def openssl(*words):
        subprocess.run(["openssl", *words], check=True, capture_output=True, cwd=folder)

    openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "server.key", "-out", "server.csr", "-subj", "/CN=server")
    end = "20200102000000Z" if is_expired else "20991231000000Z"
    openssl("ca", "-batch", "-selfsign", "-config", "settings", "-keyfile", "server.key", "-in", "server.csr", "-out", "server.crt", "-notext",
            "-startdate", "20200101000000Z", "-enddate", end)
    return str(folder / "server.crt"), str(folder / "server.key")


@pytest.mark.parametrize("flaw", ["expired", "wrong host", "self-signed", "TLS 1.0"])
def test_E08_a_registry_that_cannot_prove_itself_is_refused_and_never_asked_in_plain(alone, serve, tmp_path, known, flaw):
    crt, key = certificate(tmp_path, "DNS:other.test" if flaw == "wrong host" else "DNS:proven.test", flaw == "expired")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(crt, key)
    if flaw == "TLS 1.0":
        context.set_ciphers("ALL:@SECLEVEL=0")
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1
    server = serve(Image([busybox_layer()]), tls=context)
    host = f"proven.test:{server.port}"
    certs = tmp_path / "certs.d" / host
    certs.mkdir(parents=True)
    if flaw != "self-signed":
        (certs / "ca.crt").write_bytes(open(crt, "rb").read())
    hosts = tmp_path / "hosts"
    hosts.write_text("127.0.0.1 proven.test\n", encoding="utf-8")
    alone.start("--registry-certs", str(tmp_path / "certs.d"),
                under=["unshare", "-m", "sh", "-c", f'mount --bind {hosts} /etc/hosts && exec "$@"', "sh"])
    cli = Client("apus", CLIENTS["apus"], alone.host, str(tmp_path / "client"))
    refused = cli("pull", f"{host}/x", env=known(host))
    assert refused.code == 1 and ("tls" in refused.err.lower() or "ssl" in refused.err.lower() or "certificate" in refused.err), refused
    assert server.asked == [], "neither a request nor a password came through"


def test_E08_a_token_service_on_another_host_proves_itself_though_its_registry_need_not(alone, serve, tmp_path, known):
    """The registry may be spoken to in plain http; that is no leave for the host of the same domain that it sends to for tokens."""
    crt, key = certificate(tmp_path, "DNS:auth.proven.test", False)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(crt, key)
    service = serve(answer=lambda handler: handler.reply(200, b'{"token": "good"}') or True, tls=context)
    realm = f"https://auth.proven.test:{service.port}/token"

    def answer(handler):
        if handler.headers.get("Authorization") == "Bearer good":
            return False
        return handler.reply(401, headers={"WWW-Authenticate": f'Bearer realm="{realm}",service="x"'}) or True

    server = serve(Image([busybox_layer()]), answer)
    host = f"proven.test:{server.port}"
    hosts = tmp_path / "hosts"
    hosts.write_text("127.0.0.1 proven.test auth.proven.test\n", encoding="utf-8")
    certs = tmp_path / "certs.d" / f"auth.proven.test:{service.port}"
    for words in ("certificate", ""):
        alone.start("--registry-certs", str(tmp_path / "certs.d"), "--registries-conf", "", "--insecure-registry", host,
                    under=["unshare", "-m", "sh", "-c", f'mount --bind {hosts} /etc/hosts && exec "$@"', "sh"])
        cli = Client("apus", CLIENTS["apus"], alone.host, str(tmp_path / "client"))
        pulled = cli("pull", f"{host}/x", env=known(host))
        if words:
            assert pulled.code == 1 and words in pulled.err and service.asked == [], (pulled, service.asked)
            assert alone.stop() == 0, alone.log()
            # Whoever has its authority named may be asked.
            certs.mkdir(parents=True)
            (certs / "ca.crt").write_bytes(open(crt, "rb").read())
        else:
            pulled.ok()
            assert service.asked[0][2] == f"Basic {SECRET}"


def lying(image, layer, fault):
    """The script of a registry with a fault, for the image's layer."""
    blob, cut = image.blobs[layer], []

    def chunk(handler, data):
        handler.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))

    def endless(handler, headers):
        handler.send_response(200)
        for name, value in {"Transfer-Encoding": "chunked", "Content-Type": oci_images.MANIFEST, **headers}.items():
            handler.send_header(name, value)
        handler.end_headers()

    def script(handler):
        is_manifest = "/manifests/" in handler.path and handler.command == "GET"
        if fault == "endless manifest" and is_manifest:
            endless(handler, {})
            while True:
                chunk(handler, b" " * 65536)
        if fault == "gzip bomb" and is_manifest:
            endless(handler, {"Content-Encoding": "gzip"})
            packed = gzip.compress(b" " * (256 << 20))
            chunk(handler, packed)
            handler.wfile.write(b"0\r\n\r\n")
            return True
        if not handler.path.endswith(layer):
            return False
        if fault == "one byte at a time":
            endless(handler, {"Content-Type": "application/octet-stream"})
            for position in range(3000):
                chunk(handler, blob[position:position + 1])
            chunk(handler, blob[3000:])
            handler.wfile.write(b"0\r\n\r\n")
            return True
        first = not cut
        if first:
            cut.append(True)
            handler.send_response(200)
            handler.send_header("Content-Length", str(len(blob)))
            handler.end_headers()
            handler.wfile.write(blob[:100_000])
            handler.wfile.flush()
            handler.close_connection = True
            handler.connection.close()
            return True
        if fault == "no range":
            return handler.reply(200, blob) or True
        if fault == "wrong range":
            start = 0 if len(cut) == 1 else int((handler.headers.get("Range") or "bytes=0-").split("=")[1].split("-")[0])
            cut.append(True)
            return handler.reply(206, blob[start:], {"Content-Range": f"bytes {start}-{len(blob) - 1}/{len(blob)}"}) or True
        return handler.reply(200, blob[:-1], {"Content-Length": str(len(blob) - 1)}) or True

    return script


@pytest.mark.parametrize("seconds", ["9223372036854775807", "99999999999999999999", "Fri, 31 Dec 9999 23:59:59 GMT"])
def test_E10_a_registry_that_wants_to_be_left_alone_for_ever_is_told_of_and_ends_nothing(apus, own_daemon, serve, seconds):
    registry = serve(Image([busybox_layer()]), lambda handler: handler.reply(429, headers={"Retry-After": seconds}) or True)
    refused = apus("pull", f"{registry.host}/busy")
    assert refused.code == 1 and "try again in 31536000 s" in refused.err, refused
    assert own_daemon.process.poll() is None, "the daemon lives"


@pytest.mark.parametrize("fault", ["endless manifest", "gzip bomb", "one byte at a time", "no range", "wrong range", "short"])
def test_E10_a_registry_that_is_slow_endless_or_lies_about_its_bytes_ends_the_pull_or_is_put_up_with(apus, own_daemon, serve, fault):
    data = os.urandom(400_000)
    image = Image([busybox_layer(), tar(files({"big": data}))])
    layer = image.layers[1]["digest"]
    server = serve(image, lying(image, layer, fault))
    name = f"{server.host}/odd"
    begun = time.monotonic()
    result = apus("pull", name, timeout=120)
    with open(f"/proc/{own_daemon.process.pid}/status", encoding="utf-8") as file:
        peak = next(int(line.split()[1]) for line in file if line.startswith("VmHWM"))
    assert peak < 400_000, "kilobytes"
    assert apus("version").code == 0, "the daemon lives"
    if fault in ("one byte at a time", "no range", "wrong range"):
        assert result.code == 0 or fault == "wrong range", result
        if result.code == 0:
            assert apus("run", "--rm", name, "wc", "-c", "/big").ok().split()[0] == "400000"
            apus("rmi", name).ok()
        else:
            assert apus("image", "inspect", name).code == 1
    else:
        assert result.code == 1 and time.monotonic() - begun < 90, result
        assert apus("image", "inspect", name).code == 1


def test_E11_a_blob_is_mounted_from_repositories_of_the_same_image_only(apus, registry, tmp_path):
    """A private repository's layer is not offered to a push of another image."""
    other = Registry(str(tmp_path / "other"))
    try:
        Pusher(other.host).push("private", Image([busybox_layer(), tar(files({"private": "private"}))]))
        Pusher(other.host).push("public", Image([tar(files({"public": "public"}))]))
        for name in ("private", "public"):
            apus("pull", "-q", f"{other.host}/{name}").ok()
        apus("tag", f"{other.host}/public", f"{other.host}/attacker").ok()
        apus("push", f"{other.host}/attacker").ok()
        mounts = [line for line in other.requests("POST /v2/attacker/blobs/uploads/") if "mount=" in line]
        assert mounts and all("from=public" in line for line in mounts), mounts
        apus("rmi", "-f", *(f"{other.host}/{name}" for name in ("private", "public", "attacker"))).ok()
    finally:
        other.stop()


# MARK: images

def test_D05_links_that_change_places_between_layers_unpacked_side_by_side_lead_nowhere(apus, serve, tmp_path):
    """One layer makes a directory a link to the host, the other writes below it; they unpack at the same time, in either order."""
    canary = tmp_path / "canary"
    canary.mkdir()
    # The link is there while the other layer has not come to its way yet.
    bulk = [(entry(f"bulk/{number}"), os.urandom(3000)) for number in range(100)]
    more = [(entry(f"more/{number}"), os.urandom(3000)) for number in range(1000)]
    link = tar([*bulk, (entry("way", oci_images.tarfile.SYMTYPE, 0o777, str(canary)), None)])
    write = tar([*more, *[(entry(f"way/hit{number}"), b"x") for number in range(50)]])
    for number, layers in enumerate(([link, write], [write, link], [link, write, link, write])):
        server = serve(Image([busybox_layer(), *layers]))
        result = apus("run", "--rm", f"{server.host}/race{number}", "true", timeout=90)
        assert os.listdir(canary) == [], "a layer wrote to the host through another one's link"
        assert result.code in (0, 125), result
        apus("rmi", "-f", f"{server.host}/race{number}")


def test_D07_devices_and_attributes_of_an_image_give_no_more_than_a_container_has(apus, serve):
    """A device node of the host's disk is there and cannot be opened; overlay's own attributes are dropped."""
    layer = tar([
        (entry("disk", oci_images.tarfile.BLKTYPE, 0o666, device=(8, 0)), None), (entry("memory", oci_images.tarfile.CHRTYPE, 0o666, device=(1, 1)), None),
        (entry("d/", oci_images.tarfile.DIRTYPE, 0o755, headers={
            "SCHILY.xattr.trusted.overlay.redirect": "/etc", "SCHILY.xattr.user.overlay.redirect": "/etc"}), None),
        (entry("home/", oci_images.tarfile.DIRTYPE, 0o755, headers={"SCHILY.xattr.trusted.overlay.opaque": "y"}), None),
    ])
    server = serve(Image([busybox_layer(), layer]))
    name = f"{server.host}/nodes"
    script = "head -c1 /disk; echo disk $?; head -c1 /memory; echo memory $?; ls /home; ls /d | wc -l"
    out = apus("run", "--rm", name, "sh", "-c", script).ok()
    assert "disk 0" not in out and "memory 0" not in out and out.split()[-2:] == ["ann", "0"], out
    apus("rmi", name).ok()


BOMBS = ("gzip", "zstd", "window", "size", "entries", "depth")


def bomb(kind, zeros=300 << 20, behind=()):
    """An image of one layer, and the flags of a daemon that takes none such. behind: what is in it after that for which it is refused."""
    compress, members = {}, [(entry("zeros"), bytes(zeros)), *behind]
    if kind == "gzip":
        compress = {"compress": lambda data: gzip.compress(data, 9, mtime=0)}
    elif kind in ("zstd", "window"):
        flags = (["--long=31"] if kind == "window" else []) + (["-3"] if behind else ["--ultra", "-22"] if kind == "window" else ["-19"])
        pack = lambda data: subprocess.run(["zstd", "-q", "-c", *flags], input=data, capture_output=True, check=True).stdout
        compress = {"compress": pack, "media_type": f"{LAYER}+zstd"}
    elif kind == "size":
        members = [(entry("noise"), os.urandom(3 << 20)), *behind]
    elif kind == "entries":
        members = [*((entry(f"f{number}"), b"") for number in range(3000)), *behind]
    else:
        members = [(entry("/".join(["d"] * 40) + "/f"), b"x"), *behind]
    limits = ["size=2000000" if kind == "size" else "ratio=200", "entries=2000", "depth=30"]
    return Image([tar(members)], **compress), [word for limit in limits for word in ("--layer-limit", limit)]


@pytest.mark.parametrize("kind", BOMBS)
def test_D09_D10_bombs_are_stopped_by_limits_that_are_flags(alone, serve, tmp_path, kind):
    image, flags = bomb(kind)
    server = serve(image)
    alone.start(*flags)
    cli = Client("apus", CLIENTS["apus"], alone.host, str(tmp_path / "client"))
    begun = time.monotonic()
    refused = cli("pull", f"{server.host}/bomb", timeout=60)
    assert refused.code == 1 and "failed to register layer" in refused.err and time.monotonic() - begun < 30, refused
    assert cli("images", "-q").ok() == "" and entries(f"{alone.data}/snapshots/overlayfs/building") == []
    assert entries(f"{alone.data}/snapshots/overlayfs/layers") == entries(f"{alone.data}/content/blobs/sha256") == [], "nothing of it stays"
    assert cli("version").code == 0


def send_half(handler, data, comes=False):
    """The rest comes little by little, or never."""
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(data)))
    handler.end_headers()
    handler.wfile.write(data[:len(data) // 2])
    for start in range(len(data) // 2, len(data) if comes else 0, 16384):
        handler.wfile.write(data[start:start + 16384])
        time.sleep(0.01)
    handler.connection.settimeout(60)
    handler.connection.recv(1)
    handler.close_connection = True
    return True


@pytest.mark.parametrize("kind, comes, seconds", [*((kind, True, 1) for kind in BOMBS), ("gzip", False, 2)])
def test_D09_a_bomb_ends_its_pull_within_a_second_of_its_limit_whatever_comes_of_the_rest(alone, serve, tmp_path, kind, comes, seconds):
    """What else the machine does can only add to that time: the least of several tells how much of it is ours. A connection that brings nothing
    any more, and costs nothing, is looked at once a second."""
    image, flags = bomb(kind, zeros=64 << 20, behind=[(entry("behind"), os.urandom(8 << 20))])
    layer = image.layers[0]["digest"]
    begun = []

    def answer(handler):
        if handler.command != "GET" or not handler.path.endswith(f"/blobs/{layer}"):
            return False
        begun.append(time.monotonic())
        return send_half(handler, image.blobs[layer], comes)

    server = serve(image, answer)
    alone.start(*flags, "--layer-limit", "ratio-free=1000000")
    cli = Client("apus", CLIENTS["apus"], alone.host, str(tmp_path / "client"))
    times = []

    def is_quick():
        refused = cli("pull", f"{server.host}/bomb", timeout=60)
        times.append(time.monotonic() - begun[-1])
        assert refused.code == 1 and "failed to register layer" in refused.err and len(begun) == len(times), (refused, times)
        assert entries(f"{alone.data}/snapshots/overlayfs/building") == entries(f"{alone.data}/content/ingests") == [], "nothing of it stays"
        return times[-1] < seconds

    wait_until(is_quick, "a pull ends in time", 30)


def test_a_mirror_that_sends_a_bomb_in_place_of_a_layer_is_asked_no_more(alone, serve, tmp_path):
    """Whose bytes go beyond a limit is not heard to the end, so that nobody knows whether they are the digest's."""
    image, (other, flags) = Image([busybox_layer()]), bomb("gzip", zeros=64 << 20, behind=[(entry("behind"), os.urandom(8 << 20))])
    layer = image.layers[0]["digest"]

    def lie(handler):
        if not handler.path.partition("?")[0].endswith(f"/blobs/{layer}"):
            return False
        return send_half(handler, other.blobs[other.layers[0]["digest"]][:len(image.blobs[layer])])

    server, mirror = serve(image), serve(image, lie)
    os.makedirs(f"{alone.folder}/certs/{server.host}")
    with open(f"{alone.folder}/certs/{server.host}/hosts.toml", "w", encoding="utf-8") as file:
        file.write(f'server = "http://{server.host}"\n[host."http://{mirror.host}"]\ncapabilities = ["pull"]\n')
    alone.start(*flags, "--layer-limit", "ratio-free=1000000", "--registry-certs", f"{alone.folder}/certs")
    cli = Client("apus", CLIENTS["apus"], alone.host, str(tmp_path / "client"))
    cli("pull", f"{server.host}/box", timeout=60).ok()
    assert cli.inspect(f"{server.host}/box", "{{.Id}}") == image.id
    assert [len([path for _, path, _ in one.asked if f"/blobs/{layer}" in path]) for one in (mirror, server)] == [1, 1]


@pytest.mark.parametrize("limit, words", [("zstd-window=1024", "failed to register layer"), (f"free={1 << 60}", "free"),
                                          (f"free-inodes={1 << 60}", "inodes"), ("depth=9", "")])
def test_D09_the_window_and_what_stays_free_are_limits_of_the_settings(alone, serve, tmp_path, limit, words):
    """The last one is wide enough: the same image is then taken."""
    pack = lambda data: subprocess.run(["zstd", "-q", "-c", "-19"], input=data, capture_output=True, check=True).stdout
    server = serve(Image([tar([(entry("noise"), os.urandom(3 << 20))])], compress=pack, media_type=f"{LAYER}+zstd"))
    alone.start("--layer-limit", limit)
    pulled = Client("apus", CLIENTS["apus"], alone.host, str(tmp_path / "client"))("pull", f"{server.host}/box", timeout=60)
    assert (pulled.code, words in pulled.err) == (1 if words else 0, True), pulled


def test_D13_how_long_a_manifest_may_be_is_a_setting_from_registries_and_archives(alone, serve, tmp_path):
    image = Image([busybox_layer()])
    server = serve(remade(image, annotations={"long": "x" * (5 << 20)}))
    folder = tmp_path / "layout"
    image.write_layout(str(folder))
    archive = subprocess.run(["tar", "-c", "-C", str(folder), "."], capture_output=True, check=True).stdout
    cli, name = Client("apus", CLIENTS["apus"], alone.host, str(tmp_path / "client")), f"{server.host}/long"
    for limit, fits in ((None, False), (8 << 20, True), (4096, None)):
        alone.start(*(["--manifest-limit", str(limit)] if limit else []))
        if fits is None:
            assert cli.inspect(name, "{{.Id}}") == image.id, "what is here stays readable"
            assert cli("run", "--rm", "--network", "none", name, "echo", "runs").ok() == "runs\n"
            cli("rmi", name).ok()
        pulled, loaded = cli("pull", name), cli("load", stdin=archive)
        if fits:
            assert pulled.ok() and loaded.ok() == f"Loaded image ID: {image.id}\n"
        else:
            assert pulled.code == loaded.code == 1 and f"at most {limit or 4 << 20} are read" in loaded.err, (pulled, loaded)
            assert f"at most {limit or 4 << 20} are taken" in pulled.err and cli("images", "-q").ok() == "", pulled
        wait_until(lambda: not alone.supervisors(), "shims and keeper have ended")
        assert alone.stop() == 0, alone.log()
    alone.forget_network()


def test_D09_an_archive_of_images_is_held_to_the_limits_of_layers(alone, tmp_path):
    folder = tmp_path / "layout"
    Image([busybox_layer()]).write_layout(str(folder))
    archive = subprocess.run(["tar", "-c", "-C", str(folder), "."], capture_output=True, check=True).stdout
    cli = Client("apus", CLIENTS["apus"], alone.host, str(tmp_path / "client"))
    for limit, words in ((f"free={1 << 60}", "must stay free"), ("zstd-window=1024", "requires too much memory")):
        alone.start("--layer-limit", limit)
        data = archive if "free" in limit else subprocess.run(["zstd", "-q", "-c", "-19"], input=archive, capture_output=True, check=True).stdout
        refused = cli("load", stdin=data)
        assert refused.code == 1 and words in refused.err and entries(f"{alone.data}/content/blobs/sha256") == [], refused
        assert alone.stop() == 0, alone.log()


LIMITS_THAT_ARE_NONE = [
    ("--layer-limit", "size=0", "a number above 0"), ("--layer-limit", "size", "NAME=NUMBER"),
    ("--layer-limit", "files=3", "knows size, ratio, ratio-free, entries, depth, path"), ("--layer-limit", "ratio=x", "NUMBER"),
    ("--layer-limit", "zstd-window=1000", "a power of two from 1024"), ("--layer-limit", "zstd-window=4294967296", "a power of two"),
    ("--manifest-limit", "4095", "from 4096 to 67108864"), ("--manifest-limit", "67108865", "from 4096"), ("--manifest-limit", "x", "bytes"),
    ("--disk-reserve", "1", "from 1048576"), ("--disk-reserve", "-1", "or 0"), ("--disk-reserve", "16M", "takes bytes"),
]


def test_limits_that_are_none_are_refused_in_one_line(tmp_path):
    for flag, value, words in LIMITS_THAT_ARE_NONE:
        ended = subprocess.run([os.path.join(os.path.dirname(CLIENTS["apus"]), "apusd"), flag, value], capture_output=True, text=True,
                               timeout=20, check=False)
        assert ended.returncode != 0 and words in ended.stderr and len(ended.stderr.strip().splitlines()) <= 2, ended


def manifest_of(image, **changes):
    return json.dumps({**json.loads(image.manifest), **changes}).encode()


# What each is refused for, where that is not what any document is that cannot be read.
WHY = {"both kinds": "ambiguous document", "deep": "nested deeper than 16 levels", "digest upwards": "invalid checksum digest",
       "ten megabytes": "at most 4194304 are taken", "too many layers": "at most 4194304 are taken"}
HOSTILE_MANIFESTS = {
    "both kinds": lambda image: manifest_of(image, manifests=[{"mediaType": oci_images.MANIFEST, "digest": image.digest, "size": len(image.manifest)}]),
    "too many layers": lambda image: manifest_of(image, layers=image.layers * 100_000),
    "size of 2^63": lambda image: image.manifest.replace(b'"size": ', b'"size": 9223372036854775808', 1),
    "negative size": lambda image: image.manifest.replace(b'"size": ', b'"size": -', 1),
    "member twice": lambda image: image.manifest[:-1] + b', "layers": []}',
    "deep": lambda image: image.manifest[:-1] + b', "x": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "no number": lambda image: image.manifest[:-1] + b', "x": NaN}',
    "no text": lambda image: image.manifest[:-1] + b', "x": "\xff\xfe"}',
    "digest upwards": lambda image: image.manifest.replace(b"sha256:", b"sha256:../../", 1),
    "ten megabytes": lambda image: image.manifest[:-1] + b', "x": "' + b"y" * (10 << 20) + b'"}',
}


@pytest.mark.parametrize("kind", sorted(HOSTILE_MANIFESTS))
def test_D12_D13_E04_a_manifest_that_no_honest_tool_writes_is_refused_and_leaves_nothing(apus, own_daemon, serve, kind):
    image = Image([busybox_layer()])
    image.manifest = HOSTILE_MANIFESTS[kind](image)
    image.digest = digest_of(image.manifest)
    server = serve(image)
    before = [entries(f"{own_daemon.data}/{folder}") for folder in ("snapshots/overlayfs/layers", "content/blobs/sha256", "content/ingests")]
    refused = apus("pull", f"{server.host}/hostile")
    assert refused.code == 1 and WHY.get(kind, "invalid manifest") in refused.err and len(refused.err) < 2000, refused.err[:300]
    assert apus("image", "inspect", f"{server.host}/hostile").code == 1
    assert [entries(f"{own_daemon.data}/{folder}") for folder in ("snapshots/overlayfs/layers", "content/blobs/sha256", "content/ingests")] == before


def test_D13_an_index_that_contains_itself_ends(apus, registry, serve):
    """The digest of a document cannot stand in it, so a registry serves each level anew: ours looks four deep."""
    def level(number):
        document = {"schemaVersion": 2, "mediaType": oci_images.INDEX, "manifests": [
            {"mediaType": oci_images.INDEX, "digest": digest_of(levels[number + 1]), "size": len(levels[number + 1]),
             "platform": {"os": "linux", "architecture": oci_images.ARCHITECTURE}}]}
        return json.dumps(document).encode()

    levels = {12: b"{}"}
    for number in reversed(range(12)):
        levels[number] = level(number)
    by_digest = {digest_of(document): document for document in levels.values()}

    def script(handler):
        word = handler.path.rsplit("/", 1)[1]
        document = levels[0] if word == "latest" else by_digest.get(word)
        if "/manifests/" not in handler.path or document is None:
            return False
        return handler.reply(200, document, {"Content-Type": oci_images.INDEX, "Docker-Content-Digest": digest_of(document)}) or True

    server = serve(answer=script)
    refused = apus("pull", f"{server.host}/nested")
    assert refused.code == 1 and "no matching manifest" in refused.err, refused
    assert len([path for method, path, _ in server.asked if method == "GET" and "/manifests/" in path]) <= 6


def test_D16_an_images_labels_and_names_steer_nothing(apus, own_daemon, serve):
    labels = {"io.apus.restart": "always", "containerd.io/restart.status": "running", "com.docker.compose.project": "theirs",
              "com.docker.volume.anonymous": "", "apus.log": "/etc/passwd"}
    reserved = ("io.apus.", "containerd.io/", "com.docker.compose.")
    server = serve(Image([busybox_layer()], {"Labels": labels}))
    name = f"{server.host}/steers"
    apus("run", "--name", "steered", name, "true").ok()
    found = json.loads(apus("inspect", "steered").ok())[0]
    assert found["HostConfig"]["RestartPolicy"]["Name"] in ("no", "") and found["State"]["Status"] == "exited"
    assert found["HostConfig"]["LogConfig"]["Type"] == "json-file" and found["Config"]["Labels"] == {
        key: value for key, value in labels.items() if not key.startswith(reserved)}, "a container is not found by what its image claims"
    assert apus.inspect(name, "{{json .Config.Labels}}") == json.dumps(labels, separators=(",", ":"), sort_keys=True), "which is shown as it is"
    time.sleep(1)
    assert apus.inspect("steered", "{{.RestartCount}} {{.State.Running}}") == "0 false"
    apus("rm", "steered").ok()
    apus("rmi", name).ok()


def test_D17_an_images_variables_and_entrypoint_reach_the_payload_alone(apus, serve):
    """A preloaded library, a PATH of its own and a program that is the runtime itself: init, exec and health checks are not theirs."""
    config = {"Env": ["LD_PRELOAD=/evil.so", "PATH=/evil:/bin", "HTTP_PROXY=http://evil.invalid"], "Entrypoint": ["sleep", "100"], "Cmd": None}
    evil = tar(files({"evil.so": "no library", "evil/tini": "#!/bin/sh\necho evil\n", "evil/apus-runtime": "#!/bin/sh\necho evil\n"}))
    server = serve(Image([busybox_layer(), evil], config))
    name = f"{server.host}/variables"
    apus("run", "-d", "--init", "--name", "odd", "--health-cmd", "true", "--health-interval", "1s", name).ok()
    assert apus("exec", "odd", "echo", "in").out == "in\n"
    wait_until(lambda: apus.inspect("odd", "{{.State.Health.Status}}") == "healthy", "its health is looked after", seconds=20)
    assert apus.inspect("odd", "{{.State.Running}}") == "true"
    pulled = apus("pull", name)
    assert pulled.code == 0, "the daemon's registry traffic takes no proxy from an image"
    apus("rm", "-f", "odd").ok()
    # A program that is the runtime itself runs as the payload, and cannot write to what it is.
    runtime = os.path.join(os.path.dirname(CLIENTS["apus"]), "apus-runtime")
    before = digest_of(open(runtime, "rb").read())
    apus("run", "--rm", "--entrypoint", "/proc/self/exe", name, "--version")
    apus("run", "--rm", "--entrypoint", "sh", name, "-c", "echo evil > /proc/1/exe; for p in /proc/[0-9]*; do echo evil > $p/exe; done")
    assert digest_of(open(runtime, "rb").read()) == before
    apus("rmi", name).ok()


@pytest.mark.parametrize("kind", ["erofs", "ext4", "squashfs"])
def test_D18_a_layer_that_is_a_file_system_is_never_mounted(apus, own_daemon, serve, kind):
    superblock = bytearray(1 << 20)
    magic = {"erofs": (1024, b"\xe2\xe1\xf5\xe0"), "ext4": (1080, b"\x53\xef"), "squashfs": (0, b"hsqs")}[kind]
    superblock[magic[0]:magic[0] + len(magic[1])] = magic[1]
    for media_type in (f"application/vnd.{kind}.layer.v1", f"{LAYER}"):
        image = Image([bytes(superblock)], compress=lambda data: data, media_type=media_type)
        server = serve(image)
        before = open("/proc/self/mountinfo", encoding="utf-8").read()
        refused = apus("pull", f"{server.host}/native")
        # As a tar, a file system that begins with a kilobyte of zeros is an archive that ends there.
        is_empty_tar = media_type == LAYER and kind != "squashfs"
        assert refused.code == (0 if is_empty_tar else 1), refused
        assert is_empty_tar or "unsupported type" in refused.err or "failed to register layer" in refused.err, refused
        apus("rmi", "-f", f"{server.host}/native")
        assert open("/proc/self/mountinfo", encoding="utf-8").read() == before
