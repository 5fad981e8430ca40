"""Callers that go away in the middle of a transfer, callers that want the same at once, and names that come and go."""

import json
import os
import re
import signal
import ssl
import struct
import subprocess
import threading

import pytest
from conftest import CLIENTS, Client, Daemon, entries
from dns import A, NXDOMAIN, SERVFAIL, Upstream, read_name
from engine_http import Connection, stream
from oci_images import Image, files, tar
from processes import wait_until
from scripted_registry import ScriptedRegistry
from test_registry_attacks import certificate
from test_registry_faults import apus, daemon  # noqa: F401 (fixtures)

SIZE = 3_000_000


class Held:
    """A fault of blobs: of the first one that is asked for and larger than half of SIZE, half is sent; then nothing until the other side goes."""

    def __init__(self):
        self.met, self.gone = threading.Event(), threading.Event()

    def __call__(self, handler, number):
        data = handler.body()[0]
        if handler.command != "GET" or self.met.is_set() or len(data) < SIZE // 2:
            return False
        self.met.set()
        handler.send_part(len(data) // 2)
        handler.connection.settimeout(60)
        if handler.connection.recv(1) == b"":
            self.gone.set()
        handler.close_connection = True
        return True


def pulled(daemon, registry):  # noqa: F811
    """A pull over the API, to its end: what it said."""
    connection = Connection(daemon.socket)
    connection.request("POST", f"/v1.41/images/create?fromImage={registry.name}&tag=latest")
    said = [json.loads(line) for line in connection.getresponse().read().splitlines()]
    connection.close()
    return said


@pytest.mark.parametrize("how", ["closes its connection", "is interrupted", "closes one of two"])
def test_R01_a_pull_whose_caller_goes_away_ends_and_the_next_one_goes_on_where_it_stood(how, apus, daemon):  # noqa: F811
    image = Image([tar(files({"small": os.urandom(20_000)})), tar(files({"large": os.urandom(SIZE)}))])
    small, large = image.layers
    held, other = Held(), []
    registry = ScriptedRegistry(image, faults={"blob": held})
    partial = f"{daemon.data}/content/ingests/sha256-{large['digest'][7:]}"
    try:
        if how == "is interrupted":
            caller = apus.start("pull", registry.name, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        else:
            caller = stream(daemon.socket)
            caller.sendall(f"POST /v1.41/images/create?fromImage={registry.name}&tag=latest HTTP/1.1\r\nHost: d\r\nContent-Length: 0\r\n\r\n".encode())
        assert held.met.wait(30)
        wait_until(lambda: small["digest"][7:] in entries(f"{daemon.data}/content/blobs/sha256"), "the small layer is there")
        wait_until(lambda: os.path.exists(partial) and os.path.getsize(partial) == large["size"] // 2, "and all that was sent of the large one")
        if how == "closes one of two":
            waiting = threading.Thread(daemon=True, target=lambda: other.extend(pulled(daemon, registry)))
            waiting.start()
            wait_until(lambda: len(registry.of("manifest")) > 2, "the other one has begun")
        if how == "is interrupted":
            caller.send_signal(signal.SIGINT)
            assert caller.wait(30) != 0
        else:
            caller.close()
        assert held.gone.wait(30), "nobody waits for it any more"
        if other or how == "closes one of two":
            waiting.join(60)
            assert "Status: " in other[-1]["status"], other
        else:
            stood = os.path.getsize(partial)
            assert stood > 0 and apus("inspect", registry.name).code == 1
            assert "Status: " in pulled(daemon, registry)[-1]["status"]
        requests = registry.of("blob", "GET")
        assert [request["path"].rsplit("/", 1)[1] for request in requests].count(small["digest"]) == 1
        first, second = [request for request in requests if request["path"].endswith(large["digest"])]
        start = int(re.match(r"bytes=(\d+)-", second["headers"]["Range"])[1])
        # Whoever sent the last of it notes that behind it.
        wait_until(lambda: second["sent"], "the registry knows what it sent")
        assert first["sent"] + second["sent"] == large["size"] and start == first["sent"], "nothing twice, nothing left out"
        assert apus.inspect(registry.name, "{{.Id}}") == image.id
        apus("rmi", registry.name).ok()
        assert entries(f"{daemon.data}/content/ingests") == []
    finally:
        registry.stop()


def test_R08_two_pushes_that_have_a_layer_in_common_send_it_once(apus, daemon):  # noqa: F811
    shared = tar(files({"large": os.urandom(SIZE)}))
    images = [Image([shared, tar(files({"own": os.urandom(20_000)}))]) for _ in range(2)]
    large = images[0].layers[0]["digest"]
    source, met, go = ScriptedRegistry(), threading.Event(), threading.Event()

    def holds(handler, number):
        """The first one that sends the common layer gets no further until the test lets it."""
        if handler.command == "PATCH" and handler.length > SIZE // 2 and not met.is_set():
            met.set()
            go.wait(60)
        return False
    target = ScriptedRegistry(faults={"upload": holds})
    pushing = []
    try:
        for number, image in enumerate(images):
            source.add(image, f"v{number}")
            apus("pull", "-q", f"{source.name}:v{number}").ok()
            apus("tag", f"{source.name}:v{number}", f"{target.name}:v{number}").ok()
        for number in range(2):
            pushing.append(apus.start("push", f"{target.name}:v{number}", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        assert met.wait(60)
        wait_until(lambda: {image.layers[1]["digest"] for image in images} <= set(target.pushed), "both are at it", seconds=60)
        go.set()
        assert [process.wait(60) for process in pushing] == [0, 0]
        blobs = {**images[0].blobs, **images[1].blobs}
        assert sorted(target.pushed) == sorted(blobs) and target.pushed.count(large) == 1
        assert len(target.begun) == len(blobs) and target.received == sum(len(data) for data in blobs.values())
        assert all(target.manifests[f"v{number}"] == image.manifest for number, image in enumerate(images))
    finally:
        go.set()
        try:
            for process in pushing:
                process.wait(60)
            apus("rmi", "-f", *[f"{registry.name}:v{number}" for registry in (source, target) for number in range(2)])
        finally:
            source.stop()
            target.stop()


def test_feature_B12_layers_are_pushed_side_by_side(apus, daemon):  # noqa: F811
    image = Image([tar(files({"layer": os.urandom(20_000)})) for _ in range(3)])
    source, both, lock, at_it = ScriptedRegistry(image), threading.Event(), threading.Lock(), []

    def holds(handler, number):
        """Nothing is taken until two are at it."""
        if handler.command == "PATCH":
            with lock:
                at_it.append(number)
            if len(at_it) > 1:
                both.set()
            assert both.wait(60)
        return False
    target = ScriptedRegistry(faults={"upload": holds})
    try:
        apus("pull", "-q", source.name).ok()
        apus("tag", source.name, target.name).ok()
        apus("push", target.name, timeout=50).ok()
        assert both.is_set() and sorted(target.pushed) == sorted(image.blobs)
        apus("rmi", "-f", source.name, target.name).ok()
    finally:
        both.set()
        source.stop()
        target.stop()


class FlappingNames(Upstream):
    """A server of names that knows none for as many lookups as `left` says."""

    failure, left, lookups = NXDOMAIN, 0, 0

    def answer(self, message, stream):
        _, end = read_name(message, 12)
        if message[end:end + 2] == struct.pack("!H", A):
            self.lookups += 1
            self.code = self.failure if self.left > 0 else None
            self.left = max(0, self.left - 1)
        return super().answer(message, stream)


@pytest.mark.parametrize("failure", [NXDOMAIN, SERVFAIL])
def test_R06_a_name_that_is_found_now_and_then_is_looked_up_again(failure, tmp_path, tmp_path_factory):
    """It is lost before the first request, and in the middle of a layer."""
    crt, key = certificate(tmp_path, "DNS:flapping.test", False)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(crt, key)
    image, names = Image([tar(files({"large": os.urandom(SIZE)}))]), FlappingNames("127.0.0.66", marker="127.0.0.1")
    names.failure, names.left = failure, 2

    def breaks(handler, number):
        if number > 1:
            return False
        names.left = 1
        handler.send_part(SIZE // 2)
        return handler.reset()
    registry = ScriptedRegistry(image, tls=context, faults={"blob": breaks})
    own = Daemon(os.path.realpath(tmp_path_factory.mktemp("d")))
    try:
        host = f"flapping.test:{registry.port}"
        certs, resolver = tmp_path / "certs.d", tmp_path / "resolver"
        (certs / host).mkdir(parents=True)
        (certs / host / "ca.crt").write_bytes(open(crt, "rb").read())
        resolver.write_text("nameserver 127.0.0.66\noptions attempts:1 timeout:5\n", encoding="utf-8")
        own.start("--registry-certs", str(certs), "--registries-conf", "",
                  under=["unshare", "-m", "sh", "-c", 'mount --bind "$0" "$(readlink -f /etc/resolv.conf)" && exec "$@"', str(resolver)])
        cli = Client("apus", CLIENTS["apus"], own.host, str(tmp_path / "client"))
        cli("pull", f"{host}/one").ok()
        assert names.lookups >= 3 and cli.inspect(f"{host}/one", "{{.Id}}") == image.id
        assert sum(request["sent"] for request in registry.of("blob", "GET")) <= 1.05 * image.layers[0]["size"]
        cli("rmi", f"{host}/one").ok()
        # One that is never found is named, after a while.
        names.left = 1_000_000
        refused = cli("pull", f"other.test:{registry.port}/one")
        assert refused.code == 1 and "lookup other.test: no such host" in refused.err, refused
    finally:
        registry.stop()
        names.stop()
        if own.process and own.process.poll() is None:
            assert own.stop() == 0, own.log()
