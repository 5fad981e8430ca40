"""Every way in which a registry can fail, at every kind of request: one table, against a registry that fails as it is told."""

import email.utils
import hashlib
import json
import os
import re
import socket
import subprocess
import threading
import time

import pytest
from conftest import CLIENTS, Client, Daemon, entries
from oci_images import Image, busybox_layer, digest_of, files, tar
from processes import wait_until
from proxy import Proxy
from scripted_registry import ScriptedRegistry

IDLE_SECONDS = 2
LAYER_BYTES = 600_000
KINDS = ("manifest", "config", "blob", "token", "upload")


@pytest.fixture(scope="module")
def daemon(tmp_path_factory):
    daemon = Daemon(os.path.realpath(tmp_path_factory.mktemp("d")))
    daemon.start("--registry-idle-timeout", str(IDLE_SECONDS), "--registries-conf", "")
    yield daemon
    assert daemon.stop() == 0, daemon.log()


@pytest.fixture
def apus(daemon, tmp_path):
    return Client("apus", CLIENTS["apus"], daemon.host, str(tmp_path))


def new_image(size=LAYER_BYTES):
    """An image that no other test has."""
    return Image([tar(files({"data": os.urandom(size)}))], {"Labels": {"one": os.urandom(8).hex()}})


# Faults: each answers one request, as a method of its handler.


def reset(fraction=0.5):
    def fault(handler):
        handler.send_part(int(len(handler.body()[0]) * fraction))
        return handler.reset()
    return fault


def changed(change):
    """The right head, as far as that can be, and other bytes."""
    def fault(handler):
        data, _, fields = handler.body()
        handler.answer(206 if "Content_Range" in fields else 200, change(data), **fields)
        return True
    return fault


def flipped(data):
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1:]


def ends_early(handler):
    handler.send_part(len(handler.body()[0]) // 3)
    handler.close_connection = True
    return True


def stalls(handler):
    data, _, fields = handler.body()
    handler.head(206 if "Content_Range" in fields else 200, len(data), **fields)
    handler.write(data[:len(data) // 2])
    time.sleep(IDLE_SECONDS * 2.5)
    return handler.reset()


def trickles(handler):
    handler.send_part(IDLE_SECONDS * 4, step=1, pause=1.0)
    return handler.reset()


def refuses(status, page=b'{"errors":[{"code":"TOOMANYREQUESTS","message":"slow down"}]}', **fields):
    def fault(handler):
        handler.drop_body()
        handler.answer(status, page, **fields)
        return True
    return fault


def after(seconds):
    def fault(handler):
        return refuses(429, Retry_After=email.utils.formatdate(time.time() + seconds, usegmt=True))(handler)
    return fault


def unknown_token(handler):
    handler.drop_body()
    handler.answer(401, WWW_Authenticate=f'Bearer realm="{handler.script.realm}",service="scripted"')
    return True


def cut_upload(handler):
    """Half of what comes is taken, and the connection breaks; what a client sends anew on its own is refused as out of step."""
    name = handler.path.split("?")[0].rsplit("/", 1)[1]
    if int(handler.headers["Content-Range"].split("-")[0]) != len(handler.script.uploads[name]):
        return False
    handler.take(name, handler.length // 2)
    return handler.reset()


def silent_upload(handler):
    handler.drop_body()
    time.sleep(IDLE_SECONDS * 2.5)
    return handler.reset()


def times(count, fault, methods=None):
    """The first `count` requests fail that bring or take content; None is all."""
    left = [count]

    def run(handler, number):
        wanted = methods or (("PATCH",) if handler.kind() == "upload" else ("GET",))
        if handler.command not in wanted or left[0] == 0:
            return False
        # Counted before it is over: the next request may come while this one stalls.
        if left[0] is not None:
            left[0] -= 1
        if fault(handler) is not False:
            return True
        if left[0] is not None:
            left[0] += 1
        return False
    return run


# What passes, after a while: the row, the fault and how long it must and may take.
PASSING = {
    "R01-reset": (lambda kind: times(2, reset() if kind != "upload" else cut_upload), 0, 20),
    "R01-reset-before-the-first-byte": (lambda kind: times(2, reset(0) if kind != "upload" else lambda handler: handler.reset()), 0, 20),
    "R03-429-after-seconds": (lambda kind: times(2, refuses(429, Retry_After="1")), 2, 25),
    "R03-429-after-a-date": (lambda kind: times(1, after(3)), 1.5, 25),
    "R03-429-without-a-word": (lambda kind: times(2, refuses(429)), 1.5, 25),
    "R03-503": (lambda kind: times(1, refuses(503)), 0.5, 25),
    "R03-500": (lambda kind: times(1, refuses(500)), 0.5, 25),
    "R03-502-burst": (lambda kind: times(3, refuses(502)), 3, 30),
    "R03-503-with-a-long-page": (lambda kind: times(1, refuses(503, page=b"<p>busy</p>" * 20_000, Retry_After="1")), 0.9, 25),
    "R05-stall": (lambda kind: times(1, stalls if kind != "upload" else silent_upload), IDLE_SECONDS, 25),
    "R05-one-byte-a-second": (lambda kind: times(1, trickles if kind != "upload" else silent_upload), IDLE_SECONDS, 25),
}
# A digest knows what is wrong; a token has none: of what is wrong with one, its registry refuses it.
WRONG_ONCE = {"R02-bit-flip": (changed(flipped), ("manifest", "config", "blob")), "R02-short": (ends_early, ("manifest", "config", "blob", "token")),
              "R02-long": (changed(lambda data: data + b" more"), ("manifest", "config", "blob", "token"))}


def pull_or_push(kind, fault, apus, image):
    """Makes the request of this kind meet the fault. Returns the registry, stopped, the client's result and the seconds that it took."""
    registry = ScriptedRegistry(None if kind == "upload" else image, token=kind == "token")
    try:
        if kind == "upload":
            source = ScriptedRegistry(image)
            try:
                apus("pull", "-q", source.name).ok()
                apus("tag", source.name, registry.name).ok()
                apus("rmi", source.name).ok()
            finally:
                source.stop()
        registry.faults = {kind: fault}
        begun = time.monotonic()
        result = apus("push" if kind == "upload" else "pull", registry.name, timeout=120)
        return registry, result, time.monotonic() - begun
    finally:
        registry.stop()


def stored(daemon):
    """The blobs of the daemon, each held against its name."""
    folder = f"{daemon.data}/content/blobs/sha256"
    for name in entries(folder):
        with open(f"{folder}/{name}", "rb") as file:
            assert hashlib.sha256(file.read()).hexdigest() == name
    return entries(folder)


def check_whole(kind, apus, registry, image):
    if kind == "upload":
        assert set(registry.blobs) == set(image.blobs) and registry.manifests["latest"] == image.manifest
        assert sorted(registry.pushed) == sorted(image.blobs), "a blob went up twice, or not at all"
    else:
        assert apus.inspect(registry.name, "{{.Id}}") == image.id
    apus("rmi", "-f", registry.name).ok()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", PASSING)
def test_what_passes_is_waited_for(name, kind, apus, daemon):
    fault, least, most = PASSING[name]
    image = new_image()
    registry, result, seconds = pull_or_push(kind, fault(kind), apus, image)
    result.ok()
    assert least <= seconds < most, seconds
    if kind == "blob":
        layer = image.layers[0]
        sent = sum(request["sent"] for request in registry.of("blob", "GET") if request["status"] in (200, 206))
        assert sent <= 1.05 * layer["size"], "bytes that had come were sent again"
    check_whole(kind, apus, registry, image)
    stored(daemon)


@pytest.mark.parametrize(("name", "kind"), [(name, kind) for name, (_, kinds) in WRONG_ONCE.items() for kind in kinds])
def test_R02_what_is_wrong_is_asked_for_once_more(name, kind, apus, daemon):
    image = new_image()
    registry, result, _ = pull_or_push(kind, times(1, WRONG_ONCE[name][0]), apus, image)
    result.ok()
    check_whole(kind, apus, registry, image)
    stored(daemon)


WRONG_WORDS = {"manifest": "manifest verification failed for digest {digest}: found sha256:",
               "config": "image config verification failed for digest {digest}: found sha256:",
               "blob": "filesystem layer verification failed for digest {digest}: found sha256:"}


@pytest.mark.parametrize("kind", ["manifest", "config", "blob"])
def test_R02_what_is_always_wrong_ends_with_both_digests_and_is_not_kept(kind, apus, daemon):
    image = new_image()
    digest = {"manifest": image.digest, "config": image.id, "blob": image.layers[0]["digest"]}[kind]
    registry, result, _ = pull_or_push(kind, times(None, changed(flipped)), apus, image)
    assert result.code == 1 and WRONG_WORDS[kind].format(digest=digest) in result.err, result
    assert len(registry.of(kind, "GET")) == 2
    assert digest[7:] not in stored(daemon) and f"sha256-{digest[7:]}" not in entries(f"{daemon.data}/content/ingests")
    assert apus("inspect", registry.name).code == 1


@pytest.mark.parametrize("kind", ["config", "blob"])
def test_R02_a_body_longer_than_its_manifest_says_is_refused(kind, apus, daemon):
    image = new_image()
    registry, result, _ = pull_or_push(kind, times(None, changed(lambda data: data + b"more")), apus, image)
    assert result.code == 1 and "announced" in result.err, result
    assert len(registry.of(kind, "GET")) == 2, "asked for once more"
    assert entries(f"{daemon.data}/content/ingests") == []
    stored(daemon)


def test_R02_a_token_service_that_answers_nonsense_is_named(apus):
    for nonsense in (b"", b"{", b'{"token":""}', b'{"token":"two\\nlines"}', b"[]"):
        registry, result, _ = pull_or_push("token", times(None, changed(lambda _, answer=nonsense: answer)), apus, new_image())
        assert result.code == 1 and f"{registry.host}/token" in result.err and "holds no token" in result.err, result


def corrupt(handler):
    """What comes is taken with a bit flipped."""
    name = handler.path.split("?")[0].rsplit("/", 1)[1]
    data = handler.rfile.read(handler.length)
    handler.script.uploads[name] += flipped(data)
    handler.answer(202, Location=handler.script.place(name), Range=f"0-{len(data) - 1}")
    return True


def test_R02_an_upload_whose_bytes_change_on_their_way_is_sent_once_more(apus):
    image = new_image()
    registry, result, _ = pull_or_push("upload", times(1, corrupt), apus, image)
    result.ok()
    assert len(registry.begun) == len(image.blobs) + 1
    check_whole("upload", apus, registry, image)


def test_R02_an_upload_whose_digest_the_registry_refuses_says_so(apus):
    registry, result, _ = pull_or_push("upload", times(None, corrupt), apus, new_image())
    assert result.code == 1 and "digest invalid: provided digest did not match" in result.err, result
    assert len(registry.of("upload", "PUT")) == 2, "sent once more, and no oftener"
    apus("rmi", registry.name).ok()


@pytest.mark.parametrize("kind", KINDS)
def test_R03_who_must_wait_longer_than_a_minute_is_told_so_and_the_registry_is_left_alone(kind, apus):
    fault = times(None, refuses(429, Retry_After="7200", RateLimit_Limit="100;w=21600", RateLimit_Remaining="0;w=21600"), ("GET", "HEAD", "PATCH"))
    registry, result, seconds = pull_or_push(kind, fault, apus, new_image())
    assert result.code == 1 and "limit 100;w=21600, 0;w=21600 remaining, try again in 7200 s" in result.err, result
    refused = [request for request in registry.of(kind) if request["status"] == 429]
    # Each layer and the configuration of a push are one upload.
    assert len(refused) <= 2 and seconds < 15, refused
    if kind == "upload":
        apus("rmi", registry.name).ok()


@pytest.mark.parametrize("kind", KINDS)
def test_R03_a_registry_that_stays_ill_is_given_up(kind, apus):
    registry, result, _ = pull_or_push(kind, times(None, refuses(503, Retry_After="0"), ("GET", "HEAD", "PATCH")), apus, new_image())
    assert result.code == 1 and ("slow down" in result.err or "HTTP status: 503" in result.err), result
    assert 2 <= len([request for request in registry.of(kind) if request["status"] == 503]) <= 8
    if kind == "upload":
        apus("rmi", registry.name).ok()


@pytest.mark.parametrize("kind", ["manifest", "config", "blob", "upload", "put"])
def test_R04_a_token_that_ends_in_the_middle_is_renewed(kind, apus, daemon):
    image = new_image()
    work = kind if kind != "put" else "upload"
    registry = ScriptedRegistry(None if work == "upload" else image, token=True)
    try:
        if work == "upload":
            source = ScriptedRegistry(image)
            apus("pull", "-q", source.name).ok()
            apus("tag", source.name, registry.name).ok()
            apus("rmi", source.name).ok()
            source.stop()

        def ends(handler, number):
            if handler.command == "HEAD" or registry.token == "the-second-token":
                return False
            registry.token = "the-second-token"
            return unknown_token(handler)
        registry.faults = {kind: ends}
        apus("push" if work == "upload" else "pull", registry.name).ok()
        assert len(registry.of("token")) == 2
        check_whole(work, apus, registry, image)
    finally:
        registry.stop()


@pytest.mark.parametrize("kind", KINDS)
def test_R04_a_registry_that_takes_no_token_is_not_asked_for_ever(kind, apus):
    registry, result, _ = pull_or_push(kind, times(None, unknown_token, ("GET", "HEAD", "PATCH")), apus, new_image())
    assert result.code == 1 and ("denied" in result.err or "unauthorized" in result.err), result
    assert len(registry.of("token")) <= 4 and len(registry.of(kind)) <= 8
    if kind == "upload":
        apus("rmi", registry.name).ok()


@pytest.mark.parametrize(("issued", "lasts"), [("2001-01-01T00:00:00Z", 300), ("2099-01-01T00:00:00Z", 300), (None, -1), (None, 1 << 62)])
def test_R04_a_token_is_as_old_as_it_is_here_whatever_its_service_thinks_the_time_is(issued, lasts, apus, daemon):
    image = new_image(10_000)
    told = {"expires_in": lasts} | ({"issued_at": issued} if issued else {})
    registry, result, _ = pull_or_push(
        "token", times(None, lambda handler: handler.answer(200, json.dumps({"token": handler.script.token, **told}).encode()) or True), apus, image)
    result.ok()
    assert len(registry.of("token")) == 1
    check_whole("token", apus, registry, image)


def test_R01_a_connection_that_breaks_at_every_percent_costs_nothing(apus, daemon):
    image = new_image(2_000_000)
    size = image.layers[0]["size"]

    def breaks(handler, number):
        data = handler.body()[0]
        if len(data) <= size // 100 + 1:
            return False
        handler.send_part(size // 100 + 1)
        return handler.reset()
    registry, result, _ = pull_or_push("blob", breaks, apus, image)
    result.ok()
    requests = registry.of("blob", "GET")
    assert len(requests) >= 95
    assert sum(request["sent"] for request in requests) <= 1.05 * size
    # One that delivered nothing is asked for again from where it stood.
    starts = [int(re.match(r"bytes=(\d+)-", request["headers"].get("Range", "bytes=0-"))[1]) for request in requests[1:]]
    assert starts == sorted(starts)
    check_whole("blob", apus, registry, image)


def test_R01_an_upload_that_breaks_again_and_again_is_sent_once(apus):
    image = new_image()
    twelfth = image.layers[0]["size"] // 12

    def breaks(handler, number):
        name = handler.path.split("?")[0].rsplit("/", 1)[1]
        if handler.command != "PATCH" or handler.length <= twelfth or handler.headers["Content-Range"].split("-")[0] != str(len(handler.script.uploads[name])):
            return False
        handler.take(name, twelfth)
        return handler.reset()
    registry, result, _ = pull_or_push("upload", breaks, apus, image)
    result.ok()
    assert len(registry.of("upload", "PATCH")) >= 12
    assert registry.received <= 1.05 * sum(len(blob) for blob in image.blobs.values())
    check_whole("upload", apus, registry, image)


def test_R01_finished_layers_are_not_fetched_again(apus, daemon):
    good, bad = (tar(files({name: os.urandom(300_000)})) for name in ("good", "bad"))
    image = Image([good, bad])
    registry = ScriptedRegistry(image)
    try:
        first, second = (layer["digest"] for layer in image.layers)

        def refused(handler, _number):
            if second not in handler.path:
                return False
            # A failure ends what else is under way: the other layer is finished before.
            wait_until(lambda: first[7:] in entries(f"{daemon.data}/content/blobs/sha256"), "the good layer is there")
            return refuses(404)(handler)

        registry.faults = {"blob": refused}
        assert apus("pull", registry.name).code == 1
        kept = stored(daemon)
        assert first[7:] in kept and not {image.digest[7:], image.id[7:]} & set(kept), "what the name stands for is asked anew"
        registry.faults = {}
        apus("pull", registry.name).ok()
        fetched = [request["path"] for request in registry.of("blob", "GET") if request["status"] == 200]
        assert sorted(path.rsplit("/", 1)[1] for path in fetched) == sorted(layer["digest"] for layer in image.layers)
        apus("rmi", registry.name).ok()
    finally:
        registry.stop()


@pytest.mark.parametrize("fault", [refuses(401), refuses(403), refuses(404), refuses(410), changed(flipped)], ids=["401", "403", "404", "410", "wrong"])
@pytest.mark.parametrize("kind", ["config", "blob"])
def test_R01_a_pull_that_is_refused_leaves_nothing(kind, fault, apus, daemon):
    def left():
        return stored(daemon), entries(f"{daemon.data}/content/ingests"), entries(f"{daemon.data}/snapshots/overlayfs/layers")

    before = left()
    _, result, _ = pull_or_push(kind, times(None, fault), apus, new_image())
    assert result.code == 1 and left() == before, result


def test_R05_registries_that_say_nothing_hold_up_their_own_pulls_and_nothing_else(tmp_path, tmp_path_factory):
    """More of them than there are threads for questions; containers, images and their removal go on beside them."""
    daemon = Daemon(os.path.realpath(tmp_path_factory.mktemp("d")))
    good, silent, released = ScriptedRegistry(Image([busybox_layer()])), ScriptedRegistry(new_image()), threading.Event()
    silent.faults = {"manifest": lambda handler, number: released.wait(120) and handler.reset()}
    pulls = []
    try:
        daemon.start("--registries-conf", "")
        apus = Client("apus", CLIENTS["apus"], daemon.host, str(tmp_path))
        apus("pull", "-q", good.name).ok()
        pulls = [apus.start("pull", f"{silent.name}:{number}", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) for number in range(20)]
        wait_until(lambda: silent.count("manifest") >= 4, "the pulls wait")
        begun = time.monotonic()
        assert apus("run", "--rm", "--network", "none", good.name, "echo", "goes on", timeout=30).ok() == "goes on\n"
        apus("create", "--name", "made", "--network", "none", good.name).ok()
        apus("commit", "made", "committed").ok()
        apus("rm", "made").ok()
        apus("rmi", "committed").ok()
        assert time.monotonic() - begun < 20 and all(pull.poll() is None for pull in pulls)
    finally:
        for pull in pulls:
            pull.terminate()
            pull.wait()
        released.set()
        if daemon.process:
            assert daemon.stop() == 0, daemon.log()
        good.stop()
        silent.stop()


@pytest.mark.parametrize("kind", ["registry", *KINDS])
def test_R06_a_name_that_is_not_found_is_named(kind, apus):
    if kind == "registry":
        result = apus("pull", "nowhere.invalid/one")
    elif kind in ("manifest", "config", "blob"):
        def elsewhere(handler, number):
            handler.answer(307, Location=f"http://nowhere.invalid{handler.path}")
            return True
        _, result, _ = pull_or_push(kind, elsewhere, apus, new_image())
    elif kind == "upload":
        registry = ScriptedRegistry(new_image())
        try:
            apus("pull", registry.name).ok()
        finally:
            registry.stop()
        apus("tag", registry.name, "nowhere.invalid/one").ok()
        result = apus("push", "nowhere.invalid/one")
        apus("rmi", registry.name, "nowhere.invalid/one").ok()
    else:
        registry = ScriptedRegistry(new_image(), token=True)
        registry.realm = "https://nowhere.invalid/token"
        try:
            result = apus("pull", registry.name)
        finally:
            registry.stop()
    assert result.code == 1 and "lookup nowhere.invalid: no such host" in result.err, result


def test_R06_a_server_that_is_not_there_is_named_at_once(apus):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    result = apus("pull", f"127.0.0.1:{port}/one")
    assert result.code == 1 and f"dial tcp 127.0.0.1:{port}: connect: connection refused" in result.err, result


def test_R06_a_registry_without_tls_is_told_as_such(tmp_path, tmp_path_factory):
    """In docker's words, by which everybody looks for what to do."""
    daemon = Daemon(os.path.realpath(tmp_path_factory.mktemp("d")))
    hosts = tmp_path / "hosts"
    hosts.write_text("127.0.0.1 plain.test localhost\n")
    registry = ScriptedRegistry(new_image(10_000))
    try:
        daemon.start("--registries-conf", "", under=["unshare", "-m", "sh", "-c", 'mount --bind "$0" /etc/hosts && exec "$@"', str(hosts)])
        client = Client("apus", CLIENTS["apus"], daemon.host, str(tmp_path))
        refused = client("pull", f"plain.test:{registry.port}/one")
        assert refused.code == 1 and refused.err.rstrip().endswith(": http: server gave HTTP response to HTTPS client"), refused
        assert not registry.requests
    finally:
        registry.stop()
        if daemon.process:
            assert daemon.stop() == 0


def test_R06_an_address_of_ip_6_that_swallows_all_does_not_hold_up_the_one_of_ip_4(tmp_path, tmp_path_factory):
    """The name has an address whose packets are dropped, and 127.0.0.1."""
    daemon = Daemon(os.path.realpath(tmp_path_factory.mktemp("d")))
    hosts = tmp_path / "hosts"
    hosts.write_text("fd00:dead::1 both.test\n127.0.0.1 both.test\n127.0.0.1 localhost\n")
    # A neighbour that never answers: a veil of a link, whose other end nobody serves.
    for words in (["link", "add", "black0", "type", "veth", "peer", "name", "black1"], ["addr", "add", "fd00:dead::2/64", "dev", "black0", "nodad"],
                  ["link", "set", "black0", "up"], ["link", "set", "black1", "up"],
                  ["neigh", "replace", "fd00:dead::1", "lladdr", "02:00:00:00:00:01", "dev", "black0", "nud", "permanent"]):
        subprocess.run(["ip", *words], check=True)
    image = new_image(10_000)
    registry = ScriptedRegistry(image)
    try:
        probe = subprocess.run(["curl", "-s", "-m", "1", f"http://[fd00:dead::1]:{registry.port}/v2/"], check=False)
        assert probe.returncode == 28, "the address of IPv6 must swallow all"
        name = f"both.test:{registry.port}"
        daemon.start("--insecure-registry", name, "--registries-conf", "",
                     under=["unshare", "-m", "sh", "-c", 'mount --bind "$0" /etc/hosts && exec "$@"', str(hosts)])
        begun = time.monotonic()
        client = Client("apus", CLIENTS["apus"], daemon.host, str(tmp_path))
        client("pull", f"{name}/one").ok()
        assert time.monotonic() - begun < 6
    finally:
        registry.stop()
        if daemon.process:
            assert daemon.stop() == 0
        subprocess.run(["ip", "link", "del", "black0"], check=True)


@pytest.mark.parametrize("kind", KINDS)
def test_R06_a_redirect_elsewhere_is_followed_without_token_or_password(kind, apus, daemon, tmp_path):
    image = new_image()
    registry, other = ScriptedRegistry(image, token=True), ScriptedRegistry(image)

    def elsewhere(handler):
        handler.drop_body()
        handler.answer(307, Location=f"http://127.0.0.1:{other.port}{handler.path}")
        return True
    try:
        (tmp_path / "config.json").write_text(json.dumps({"auths": {registry.host: {"auth": "YW5uOnMzY3JldA=="}}}), encoding="utf-8")
        work = lambda verb: apus(verb, registry.name, env={"DOCKER_CONFIG": str(tmp_path)}).ok()
        if kind == "upload":
            work("pull")
            registry.blobs.clear()
            # Both are one registry, by two addresses.
            other.uploads, other.blobs = registry.uploads, registry.blobs
        registry.faults = {kind: times(None, elsewhere)}
        work("push" if kind == "upload" else "pull")
        assert other.of(kind) and not any("Authorization" in request["headers"] for request in other.requests)
        assert any(request["headers"].get("Authorization") == "Basic YW5uOnMzY3JldA==" for request in registry.of("token"))
        check_whole(kind, apus, registry, image)
    finally:
        registry.stop()
        other.stop()


def test_R03_the_status_of_an_answer_with_a_page_without_end_is_what_counts(apus):
    registry, result, _ = pull_or_push("manifest", times(None, refuses(404, page=b"<p>" * 700_000)), apus, new_image())
    assert result.code == 1 and "manifest unknown" in result.err, result


@pytest.mark.parametrize("way", ["Basic", "Bearer"])
def test_attack_E03_whom_an_uploads_place_belongs_to_is_shown_no_password_though_it_asks(way, apus, daemon, tmp_path):
    """The registry has uploads go to another server, which wants a password, or one for its own token service."""
    image = new_image()
    registry, other = ScriptedRegistry(image, token=True), ScriptedRegistry(image)

    def elsewhere(handler, number):
        handler.drop_body()
        if handler.command == "POST":
            handler.answer(202, Location=f"http://{other.host}/v2/one/blobs/uploads/1")
            return True
        return False

    def asks(handler, number):
        handler.drop_body()
        realm = 'Basic realm="x"' if way == "Basic" else f'Bearer realm="{other.realm}",service="x"'
        handler.answer(401, WWW_Authenticate=realm)
        return True
    try:
        (tmp_path / "config.json").write_text(json.dumps({"auths": {registry.host: {"auth": "YW5uOnMzY3JldA=="}}}), encoding="utf-8")
        env = {"DOCKER_CONFIG": str(tmp_path)}
        apus("pull", registry.name, env=env).ok()
        registry.blobs.clear()
        registry.faults, other.faults = {"upload": elsewhere}, {"upload": asks}
        refused = apus("push", registry.name, env=env)
        assert refused.code == 1 and "unauthorized" in refused.err, refused
        assert other.of("upload") and not other.of("token"), other.requests
        assert not any("Authorization" in request["headers"] for request in other.requests)
        apus("rmi", registry.name).ok()
    finally:
        registry.stop()
        other.stop()


@pytest.mark.parametrize("password", ["right", "wrong"])
def test_R06_a_proxy_that_wants_a_password_gets_the_one_of_its_address(password, tmp_path, tmp_path_factory):
    daemon = Daemon(os.path.realpath(tmp_path_factory.mktemp("d")))
    image = new_image(10_000)
    registry, proxy = ScriptedRegistry(image), Proxy("ann", "right")
    try:
        name = f"plain.test:{registry.port}"
        address = proxy.url.replace("//", f"//ann:{password}@")
        daemon.start("--insecure-registry", name, "--registries-conf", "", env={"HTTP_PROXY": address})
        client = Client("apus", CLIENTS["apus"], daemon.host, str(tmp_path))
        result = client("pull", f"{name}/one")
        if password == "right":
            result.ok()
            assert proxy.asked
        else:
            assert result.code == 1 and "407" in result.err and "wrong" not in result.err, result
        assert "ann:" not in daemon.log()
    finally:
        proxy.stop()
        registry.stop()
        if daemon.process:
            assert daemon.stop() == 0


def test_R08_an_upload_that_the_registry_lost_begins_anew(apus):
    image = new_image(9_000_000)
    lost = []

    def loses(handler, number):
        name = handler.path.split("?")[0].rsplit("/", 1)[1]
        if handler.command == "PATCH" and not lost and handler.headers["Content-Range"].startswith("8388608-"):
            lost.append(name)
            handler.script.uploads.pop(name)
        return False
    registry, result, _ = pull_or_push("upload", loses, apus, image)
    result.ok()
    assert lost
    check_whole("upload", apus, registry, image)


def test_R08_a_registry_that_says_it_has_what_it_was_not_sent_is_told_of(apus):
    """201 to an upload that was only begun: nothing was asked to be mounted, nothing was sent, and it has nothing."""
    def lies(handler, number):
        if handler.command != "POST":
            return False
        handler.answer(201, Location="/v2/one/blobs/x")
        return True
    registry, result, _ = pull_or_push("upload", lies, apus, new_image(10_000))
    assert result.code == 1 and "has it not" in result.err and "Mounted" not in result.out, result
    assert not registry.blobs and not registry.manifests
    apus("rmi", registry.name).ok()


def test_R08_an_upload_out_of_step_goes_on_where_the_registry_stands(apus):
    image = new_image(9_000_000)
    done = []

    def swallows(handler, number):
        """The first chunk is taken and its answer says that it was not."""
        if handler.command == "PATCH" and not done and handler.length > 1 << 20:
            done.append(1)
            handler.take(handler.path.split("?")[0].rsplit("/", 1)[1])
            handler.answer(416)
            return True
        return False
    registry, result, _ = pull_or_push("upload", swallows, apus, image)
    result.ok()
    assert registry.received <= 1.05 * sum(len(blob) for blob in image.blobs.values())
    check_whole("upload", apus, registry, image)


@pytest.mark.parametrize("end", ["9223372036854775807", "99999999999999999999", "9999999", "x"])
def test_R08_a_registry_that_has_more_of_an_upload_than_was_sent_is_told_of(apus, daemon, end):
    def boasts(handler, number):
        if handler.command not in ("PATCH", "GET"):
            return False
        handler.drop_body()
        handler.answer(416 if handler.command == "PATCH" else 204, Range=f"0-{end}")
        return True
    _, result, _ = pull_or_push("upload", boasts, apus, new_image())
    assert result.code == 1 and f"the registry has 0-{end}" in result.err, result
    assert daemon.process.poll() is None, "the daemon lives"


def test_R08_a_registry_that_falls_back_each_time_is_given_up(apus):
    """It takes the first chunk, refuses the second, and then has nothing."""
    def forgets(handler, number):
        if handler.command == "PATCH" and handler.headers["Content-Range"].startswith("8388608-"):
            handler.drop_body()
            handler.script.uploads[handler.path.split("?")[0].rsplit("/", 1)[1]] = b""
            handler.answer(416)
            return True
        return False
    registry, result, _ = pull_or_push("upload", forgets, apus, new_image(9_000_000))
    assert result.code == 1 and "416" in result.err or "range" in result.err, result
    assert registry.received < 5 * 9_000_000


def test_R08_a_blob_that_another_brought_meanwhile_is_not_sent_again(apus):
    image = new_image()

    def races(handler, number):
        if handler.command == "PUT":
            digest = re.search(r"digest=([^&]+)", handler.path)[1].replace("%3A", ":")
            handler.drop_body()
            handler.script.uploads.clear()
            handler.script.blobs[digest] = image.blobs[digest]
            handler.script.pushed.append(digest)
            handler.answer(404, b'{"errors":[{"code":"BLOB_UPLOAD_UNKNOWN","message":"blob upload unknown to registry"}]}')
            return True
        return False
    registry, result, _ = pull_or_push("upload", races, apus, image)
    result.ok()
    assert registry.received == sum(len(blob) for blob in image.blobs.values())
    check_whole("upload", apus, registry, image)


def test_R08_the_place_of_an_upload_is_the_one_of_the_last_answer(apus):
    """The place changes with each answer, and the old one is not known any more."""
    image = new_image(9_000_000)
    stale = []

    def moves(handler, number):
        name = handler.path.split("?")[0].rsplit("/", 1)[1]
        state = re.search(r"state=(\d+)", handler.path)
        if handler.command in ("PATCH", "PUT") and int(state[1]) != len(handler.script.uploads.get(name, b"")):
            stale.append(handler.path)
        return False
    registry, result, _ = pull_or_push("upload", moves, apus, image)
    result.ok()
    assert not stale
    check_whole("upload", apus, registry, image)


@pytest.mark.parametrize("status", [500, 503])
def test_R08_a_manifest_that_a_registry_fails_to_take_is_put_again(status, apus):
    image = new_image()
    registry = ScriptedRegistry()
    source = ScriptedRegistry(image)
    try:
        apus("pull", "-q", source.name).ok()
        apus("tag", source.name, registry.name).ok()
        apus("rmi", source.name).ok()
        registry.faults = {"put": times(2, refuses(status), ("PUT",))}
        apus("push", registry.name).ok()
        assert [request["status"] for request in registry.of("put")] == [status, status, 201]
        check_whole("upload", apus, registry, image)
    finally:
        source.stop()
        registry.stop()


def test_R09_a_hundred_pulls_fetch_each_blob_once_and_unpack_it_once(apus, daemon):
    image = Image([tar(files({name: os.urandom(200_000)})) for name in "abc"])
    registry = ScriptedRegistry(image)
    layers = f"{daemon.data}/snapshots/overlayfs/layers"
    before = len(entries(layers))
    results = []

    def pull():
        results.append(subprocess.run(
            ["curl", "-s", "-m", "120", "--unix-socket", daemon.socket, "-X", "POST", f"http://d/v1.41/images/create?fromImage={registry.name}&tag=latest"],
            capture_output=True, text=True, check=False).stdout)
    try:
        threads = [threading.Thread(daemon=True, target=pull) for _ in range(100)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(120)
        assert len(results) == 100 and all("Status: " in result and "error" not in result for result in results), results[:3]
        fetched = [request["path"].rsplit("/", 1)[1] for request in registry.of("blob", "GET") + registry.of("config", "GET")]
        assert sorted(fetched) == sorted(image.blobs)
        assert len(entries(layers)) == before + 3
        apus("rmi", registry.name).ok()
    finally:
        registry.stop()


@pytest.mark.parametrize("kind", KINDS)
def test_R10_what_a_daemon_was_at_when_it_died_is_done_by_the_next_one(kind, tmp_path, tmp_path_factory):
    daemon = Daemon(os.path.realpath(tmp_path_factory.mktemp("d")))
    client = lambda: Client("apus", CLIENTS["apus"], daemon.host, str(tmp_path))
    image = Image([tar(files({name: os.urandom(100_000)})) for name in "ab"])
    registry = ScriptedRegistry(image, token=True)
    met, end = threading.Event(), threading.Event()

    def holds(handler, number):
        # A push's first blob is through before one is held.
        if met.is_set() or handler.command == "HEAD" or kind == "upload" and not registry.pushed:
            return False
        met.set()
        end.wait(60)
        return handler.reset()
    try:
        daemon.start("--registries-conf", "")
        verb = "pull"
        if kind == "upload":
            client()("pull", registry.name).ok()
            registry.blobs.clear()
            verb = "push"
        registry.faults = {kind: holds}
        working = client().start(verb, registry.name, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        assert met.wait(30)
        daemon.kill()
        assert working.wait(20) != 0
        done = list(registry.pushed)
        end.set()
        daemon.start("--registries-conf", "")
        client()(verb, registry.name).ok()
        assert all(registry.pushed.count(digest) == 1 for digest in done)
        if kind == "upload":
            assert set(registry.blobs) == set(image.blobs)
        assert client().inspect(registry.name, "{{.Id}}") == image.id
        stored(daemon)
        client()("rmi", registry.name).ok()
        assert entries(f"{daemon.data}/content/ingests") == []
    finally:
        end.set()
        registry.stop()
        if daemon.process and daemon.process.poll() is None:
            assert daemon.stop() == 0, daemon.log()


def test_R10_a_pull_whose_daemon_dies_again_and_again_makes_progress_each_time(tmp_path, tmp_path_factory):
    rounds = int(os.environ.get("APUS_PULL_KILLS", "6"))
    daemon = Daemon(os.path.realpath(tmp_path_factory.mktemp("d")))
    image = Image([busybox_layer(), tar(files({"large": os.urandom(2_000_000 + 400_000 * rounds)}))])
    large = max(image.layers, key=lambda layer: layer["size"])
    registry = ScriptedRegistry(image)
    registry.bytes_per_second = 2_000_000
    partial = f"{daemon.data}/content/ingests/sha256-{large['digest'][7:]}"
    try:
        stood = 0
        for _ in range(rounds):
            daemon.start("--registries-conf", "")
            client = Client("apus", CLIENTS["apus"], daemon.host, str(tmp_path))
            pulling = client.start("pull", registry.name, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            wait_until(lambda: os.path.exists(partial) and os.path.getsize(partial) > stood + 100_000, "more is there", seconds=30)
            daemon.kill()
            assert pulling.wait(20) != 0
            arrived = os.path.getsize(partial)
            assert arrived > stood
            stood = arrived
        registry.bytes_per_second = 0
        daemon.start("--registries-conf", "")
        client = Client("apus", CLIENTS["apus"], daemon.host, str(tmp_path))
        client("pull", registry.name).ok()
        assert client("run", "--rm", registry.name, "wc", "-c", "/large").ok().startswith(str(2_000_000 + 400_000 * rounds))
        # What was in a socket when a daemon died was sent for nothing; all that was on the disk counts.
        starts = [int(re.match(r"bytes=(\d+)-", request["headers"]["Range"])[1])
                  for request in registry.of("blob", "GET") if large["digest"] in request["path"] and "Range" in request["headers"]]
        assert len(starts) == rounds and starts == sorted(set(starts)) and starts[-1] == stood
        client("rmi", registry.name).ok()
        assert entries(f"{daemon.data}/content/ingests") == []
    finally:
        registry.stop()
        if daemon.process and daemon.process.poll() is None:
            assert daemon.stop() == 0, daemon.log()
