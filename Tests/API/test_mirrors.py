"""Mirrors: containerd's hosts.toml, podman's registries.conf, and what is left of a pull where one of them is down, slow or lies."""

import json
import os
import shutil
import ssl
import time

import pytest
from conftest import CLIENTS, Client, Daemon
from oci_images import Image, files, tar
from processes import wait_until
from scripted_registry import ScriptedRegistry
from test_registry_faults import IDLE_SECONDS, changed, flipped, refuses, stalls, times
from test_registries import certificates  # noqa: F401


@pytest.fixture
def image():
    return Image([tar(files({"data": os.urandom(300_000)}))], {"Labels": {"one": os.urandom(8).hex()}})


class Place:
    """A daemon whose settings of registries lie in a folder of the test's."""

    def __init__(self, folder, tmp_path, *flags):
        self.daemon, self.folder = Daemon(folder), tmp_path
        self.conf, self.certs = tmp_path / "registries.conf", tmp_path / "certs.d"
        self.certs.mkdir()
        self.daemon.start("--registries-conf", str(self.conf), "--registry-certs", str(self.certs), *flags)
        self.apus = Client("apus", CLIENTS["apus"], self.daemon.host, str(tmp_path))

    def hosts(self, domain, text):
        (self.certs / domain).mkdir(exist_ok=True)
        (self.certs / domain / "hosts.toml").write_text(text, encoding="utf-8")


@pytest.fixture
def place(tmp_path_factory, tmp_path, request):
    # Where nobody stalls on purpose a server that is slow to begin shall not be taken for one that does.
    flags = ["--registry-idle-timeout", str(IDLE_SECONDS)] if "stalls" in request.node.name else []
    place = Place(os.path.realpath(tmp_path_factory.mktemp("d")), tmp_path, *flags)
    yield place
    assert place.daemon.stop() == 0, place.daemon.log()


@pytest.fixture
def servers(image):
    """Makes registries that have the image, or as they are told; all end with the test."""
    made = []

    def make(*arguments, **words):
        made.append(ScriptedRegistry(*(arguments or (image,)), **words))
        return made[-1]
    yield make
    for server in made:
        server.stop()


def asked(server):
    return [request for request in server.requests if request["kind"] != "other"]


def test_hosts_toml_names_the_mirrors_of_a_registry_that_is_not_there(place, servers, image):
    first, second = servers(None), servers()
    place.hosts("far.test", f"""
server = "https://far.test"            # nobody answers there
[host."http://{first.host}"]
  capabilities = ["pull", "resolve"]
[host."http://{second.host}/below/it"]
  capabilities = ["pull", "resolve"]
  override_path = false
  [host."http://{second.host}/below/it".header]
    X-Who = ["me"]
    X-More = "one"
""")
    place.apus("pull", "far.test/one").ok()
    assert place.apus.inspect("far.test/one", "{{.Id}}") == image.id
    assert asked(first) and all("ns=far.test" in request["path"] for request in asked(first) + asked(second))
    for request in asked(second):
        assert request["path"].startswith("/below/it/v2/one/") and request["headers"]["X-Who"] == "me" and request["headers"]["X-More"] == "one"


def test_hosts_toml_takes_the_place_of_docker_hub_and_a_mirror_is_not_shown_the_password(place, servers, image):
    hub = servers()
    place.hosts("docker.io", f'[host."{hub.host}"]\n  capabilities = ["pull", "resolve"]\n')
    for tag, manifest in list(hub.manifests.items()):
        hub.manifests[tag] = manifest
    config = place.folder / "docker"
    config.mkdir()
    (config / "config.json").write_text('{"auths":{"https://index.docker.io/v1/":{"auth":"YW5uOnMzY3JldA=="}}}', encoding="utf-8")
    place.apus("pull", "busybox", env={"DOCKER_CONFIG": str(config)}).ok()
    assert all(request["path"].startswith("/v2/library/busybox/") for request in asked(hub))
    assert not any("Authorization" in request["headers"] for request in hub.requests)


@pytest.mark.parametrize("client", sorted(CLIENTS))
def test_feature_A21_A22_names_without_a_registry_are_docker_hubs(client, place, servers, image):
    hub, other = servers(), servers()
    place.hosts("docker.io", f'[host."http://{hub.host}"]\n  capabilities = ["pull", "resolve"]\n')
    cli = Client(client, CLIENTS[client], place.daemon.host, str(place.folder))
    for name, path, whole, short in (("official", "library/official", "docker.io/library/official:latest", "official:latest"),
                                     ("some/users:v1", "some/users", "docker.io/some/users:v1", "some/users:v1"),
                                     ("docker.io/named", "library/named", "docker.io/library/named:latest", "named:latest")):
        hub.manifests["v1"] = image.manifest
        count = len(hub.requests)
        assert cli("pull", name).ok().splitlines()[-1] == whole
        assert {request["path"].split("/manifests/")[0].split("/blobs/")[0] for request in hub.requests[count:]} == {f"/v2/{path}"}
        assert short in cli.inspect(name, "{{json .RepoTags}}")
    count = len(hub.requests)
    assert cli("pull", "-q", other.name).line() == f"{other.name}:latest" and asked(other) and len(hub.requests) == count
    cli("rmi", "-f", image.id).ok()


def test_hosts_toml_says_what_each_server_is_asked_for(place, servers, image):
    resolver, puller, registry = servers(), servers(), servers()
    place.hosts(registry.host.replace(":", "_") + "_", f"""
server = "http://{registry.host}"
[host."http://{resolver.host}"]
capabilities = ["resolve"]
[host."http://{puller.host}"]
capabilities = ["pull"]
""")
    place.apus("pull", registry.name).ok()
    assert {request["method"] for request in asked(resolver)} == {"HEAD"} and not asked(registry)
    assert {request["kind"] for request in asked(puller)} == {"manifest", "config", "blob"}
    # Nobody but the registry itself takes a push.
    place.apus("tag", registry.name, f"{registry.host}/other").ok()
    place.apus("push", f"{registry.host}/other").ok()
    assert registry.manifests["latest"] == image.manifest and asked(registry)


def test_hosts_toml_names_authorities_and_client_certificates(place, servers, certificates, image):  # noqa: F811
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates / "server.crt", certificates / "server.key")
    context.load_verify_locations(certificates / "ca.crt")
    context.verify_mode = ssl.CERT_REQUIRED
    mirror = servers(image, tls=context)
    folder = place.certs / "far.test"
    folder.mkdir()
    for name in ("ca.crt", "server.crt", "server.key"):
        (folder / name).write_bytes((certificates / name).read_bytes())
    text = f'[host."https://{mirror.host}"]\n'
    place.hosts("far.test", text)
    refused = place.apus("pull", "far.test/one")
    assert refused.code == 1 and f"mirror https://{mirror.host}" in refused.err and "certificate" in refused.err, refused
    place.hosts("far.test", text + 'ca = "ca.crt"\nclient = [["server.crt", "server.key"]]\n')
    place.apus("pull", "far.test/one").ok()
    place.apus("rmi", "far.test/one").ok()
    place.hosts("far.test", text + 'skip_verify = true\nclient = [["server.crt", "server.key"]]\n')
    place.apus("pull", "far.test/one").ok()


@pytest.mark.parametrize("kind", ["manifest", "config", "blob", "upload"])
def test_a_server_that_a_registry_sends_to_proves_itself_by_its_own_folder(kind, place, servers, certificates, image):  # noqa: F811
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates / "server.crt", certificates / "server.key")
    registry, store = servers(), servers(image, tls=context)

    def elsewhere(handler, number):
        handler.drop_body()
        handler.answer(307, Location=f"https://{store.host}{handler.path}")
        return True
    verb = "push" if kind == "upload" else "pull"
    if kind == "upload":
        place.apus("pull", registry.name).ok()
        registry.blobs.clear()
        store.uploads, store.blobs = registry.uploads, registry.blobs
    registry.faults = {kind: elsewhere}
    refused = place.apus(verb, registry.name)
    assert refused.code == 1 and "certificate" in refused.err and not store.requests, refused
    (place.certs / store.host).mkdir()
    (place.certs / store.host / "ca.crt").write_bytes((certificates / "ca.crt").read_bytes())
    place.apus(verb, registry.name).ok()
    assert store.of(kind)


def test_registries_conf_names_mirrors_and_other_places(place, servers, image):
    mirror, inner = servers(), servers()
    place.conf.write_text(f"""
unqualified-search-registries = ["docker.io"]   # names without a registry are Docker Hub's here
short-name-mode = "enforcing"

[[registry]]
prefix = "far.test/team"
location = "{inner.host}/moved"
insecure = true

[[registry.mirror]]
location = "{mirror.host}/cached/team"
insecure = true
pull-from-mirror = "digest-only"

[[registry]]
prefix = "*.wild.test"
location = "{inner.host}/wild"
""", encoding="utf-8")
    place.apus("pull", "far.test/team/one").ok()
    assert {request["path"].split("/manifests/")[0].split("/blobs/")[0] for request in asked(inner)} == {"/v2/moved/one"}
    assert {request["method"] for request in asked(inner)} == {"HEAD"}, "the tag is asked for at the registry, all else at the mirror"
    assert {request["path"].split("/manifests/")[0].split("/blobs/")[0] for request in asked(mirror)} == {"/v2/cached/team/one"}
    assert place.apus.inspect("far.test/team/one", "{{.Id}}") == image.id
    del inner.requests[:]
    place.apus("pull", "any.wild.test/one").ok()
    assert asked(inner)[0]["path"].startswith("/v2/wild/one/")
    other = place.apus("pull", "far.test/teamwork/one")
    assert other.code == 1 and "lookup far.test" in other.err, other


def test_registries_conf_blocks_and_its_folder_comes_later(place, servers):
    registry = servers()
    place.conf.write_text(f'[[registry]]\nlocation = "{registry.host}"\n', encoding="utf-8")
    place.apus("pull", registry.name).ok()
    (place.folder / "registries.conf.d").mkdir()
    late = place.folder / "registries.conf.d" / "50-block.conf"
    late.write_text(f'\n[[registry]]\nlocation = "{registry.host}"\nblocked = true\n', encoding="utf-8")
    count = len(registry.requests)
    for verb in (("pull", registry.name), ("push", registry.name)):
        refused = place.apus(*verb)
        assert refused.code == 1 and refused.err.strip().endswith(f"{registry.name} is blocked: {late}:2"), refused
    assert len(registry.requests) == count
    # What is there and cannot be read may block it.
    shutil.rmtree(late.parent)
    late.parent.write_text("", encoding="utf-8")
    refused = place.apus("pull", registry.name)
    assert refused.code == 1 and f"{late.parent}: " in refused.err and len(registry.requests) == count, refused


BAD = {
    "no end of a string": ('[[registry]]\nlocation = "a.test\n', 2, "a string has no end on its line"),
    "no value": ("[[registry]]\nlocation =\n", 2, "a value is missing"),
    "no header": ("[[registry]\n", 1, "a table's header ends with ]]"),
    "twice": ('[[registry]]\nlocation = "a.test"\nlocation = "b.test"\n', 3, "'location' is there twice"),
    "misspelt": ('[[registry]]\nlocation = "a.test"\nbloked = true\n', 3, "unknown setting 'bloked' in [[registry]]"),
    "another kind": ('[[registry]]\nlocation = "a.test"\n\nblocked = "yes"\n', 4, "'blocked' must be true or false, not a string"),
    "a scheme": ('[[registry]]\nprefix = "a.test"\nlocation = "https://a.test"\n', 3, "without a scheme, not 'https://a.test'"),
    "nothing": ("[[registry]]\nblocked = true\n", 1, "has neither 'prefix' nor 'location'"),
    "version 1": ("[registries.search]\nregistries = []\n", 1, "is version 1 of this format"),
    "a mirror without a place": ('[[registry]]\nlocation = "a.test"\n[[registry.mirror]]\ninsecure = true\n', 3, "has no 'location'"),
    "several lines": ('[[registry]]\nlocation = """a.test"""\n', 2, "write it on one line"),
    "something behind": ('[[registry]]\nlocation = "a.test" true\n', 2, "something follows the value"),
    "deep": ("x = " + "[" * 40 + "\n", 1, "more than 16 deep"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_registries_conf_is_one_line_with_file_and_line(name, place):
    text, line, words = BAD[name]
    place.conf.write_text(text, encoding="utf-8")
    refused = place.apus("pull", "a.test/one")
    assert refused.code == 1 and len(refused.err.strip().splitlines()) == 1, refused
    assert f"{place.conf}:{line}: " in refused.err and words in refused.err, refused


UNREADABLE = {
    "a folder": (lambda path: path.mkdir(), "EISDIR (21)"),
    "a circle of links": (lambda path: path.symlink_to(path), "ELOOP (40)"),
    "a link to nothing": (lambda path: path.symlink_to("nothing"), "ENOENT (2)"),
    "a pipe that nobody writes to": (os.mkfifo, "ETIMEDOUT (110)"),
}


@pytest.mark.parametrize("kind", UNREADABLE)
def test_settings_that_cannot_be_read_say_why(kind, place):
    make, cause = UNREADABLE[kind]
    place.conf.unlink(missing_ok=True)
    make(place.conf)
    refused = place.apus("pull", "a.test/one")
    assert refused.code == 1 and refused.err.strip().endswith(f"{place.conf}: it cannot be read: {cause}"), refused
    place.conf.rmdir() if place.conf.is_dir() and not place.conf.is_symlink() else place.conf.unlink()


BAD_HOSTS = {
    "capabilities": ('[host."http://m.test"]\ncapabilities = ["fly"]\n', 2, "unknown capability 'fly'"),
    "address": ('[host."ftp://m.test"]\n', 1, "'ftp://m.test' is no http or https address"),
    "authority": ('ca = "nowhere.crt"\n', 1, "nowhere.crt: it cannot be read: ENOENT (2)"),
    "header": ('[host."http://m.test".header]\nx = ["a\\nb"]\n', 2, "'x' is no header field"),
    "unknown": ('sever = "x"\n', 1, "unknown setting 'sever' in hosts.toml"),
    "timeout": ('[host."http://m.test"]\ndial_timeout = "soon"\n', 2, "must be a duration"),
}


@pytest.mark.parametrize("name", BAD_HOSTS)
def test_a_bad_hosts_toml_is_one_line_with_file_and_line(name, place):
    text, line, words = BAD_HOSTS[name]
    place.hosts("a.test", text)
    refused = place.apus("pull", "a.test/one")
    assert refused.code == 1 and len(refused.err.strip().splitlines()) == 1, refused
    assert f"{place.certs}/a.test/hosts.toml:{line}: " in refused.err and words in refused.err, refused


def with_mirror(place, mirror, registry):
    place.hosts(registry.host, f'server = "http://{registry.host}"\n[host."http://{mirror.host}"]\ncapabilities = ["pull", "resolve"]\n')


@pytest.mark.parametrize("kind", ["manifest", "config", "blob"])
@pytest.mark.parametrize("fault", ["lies", "ill", "stalls", "has-it-not", "breaks"])
def test_R07_what_a_mirror_fails_at_the_registry_gives(fault, kind, place, servers, image):
    faults = {"lies": changed(flipped), "ill": refuses(503), "stalls": stalls, "has-it-not": refuses(404), "breaks": lambda handler: handler.reset()}
    mirror, registry = servers(), servers()
    mirror.faults = {kind: times(None, faults[fault])}
    with_mirror(place, mirror, registry)
    place.apus("pull", registry.name).ok()
    assert place.apus.inspect(registry.name, "{{.Id}}") == image.id
    # libcurl itself asks again where a kept connection ends before the first byte.
    assert len(mirror.of(kind, "GET")) <= (2 if fault == "breaks" else 1), "a mirror that failed was asked again"
    if kind == "blob":
        sent = sum(server_request["sent"] for server in (mirror, registry) for server_request in server.of("blob", "GET"))
        size = image.layers[0]["size"]
        assert sent <= size * (2.1 if fault == "lies" else 1.05), "what the mirror had sent was sent again"


@pytest.mark.parametrize("fault", ["lies", "ill", "stalls", "has-it-not", "breaks"])
def test_R07_a_mirror_whose_token_service_fails_is_passed_over(fault, place, servers, image):
    faults = {"lies": changed(lambda _: b'{"token":"of-another"}'), "ill": refuses(503), "stalls": stalls, "has-it-not": refuses(404),
              "breaks": lambda handler: handler.reset()}
    mirror, registry = servers(image, token=True), servers()
    mirror.faults = {"token": times(None, faults[fault])}
    with_mirror(place, mirror, registry)
    place.apus("pull", registry.name).ok()
    assert place.apus.inspect(registry.name, "{{.Id}}") == image.id
    assert mirror.of("token") and not [request for request in asked(mirror) if request["status"] == 200 and request["kind"] != "token"]
    assert registry.of("blob", "GET")


def test_R07_a_mirror_that_stalls_in_the_parts_of_a_large_layer_is_left(place, servers):
    large = Image([tar(files({"data": os.urandom(20 << 20)}))])
    mirror, registry = servers(large), servers(large)
    mirror.bytes_per_second = 8_000_000
    with_mirror(place, mirror, registry)

    def stalls_later(handler, number):
        return number > 4 and stalls(handler)
    mirror.faults = {"blob": stalls_later}
    place.apus("pull", registry.name).ok()
    assert place.apus.inspect(registry.name, "{{.Id}}") == large.id
    ranges = [request["headers"].get("Range") for request in mirror.of("blob", "GET")]
    assert len(ranges) == len(set(ranges)) <= 9, "a mirror that stalled was asked again"
    assert registry.of("blob", "GET") and all(request["headers"].get("Range") for request in registry.of("blob", "GET"))


def test_attack_E09_a_mirror_gives_no_other_content_no_other_name_and_no_way_round_a_policy(tmp_path_factory, tmp_path, servers, image):
    other = Image([tar(files({"data": "other"}))])
    policy = tmp_path / "policy.json"
    policy.write_text('{"default": [{"type": "insecureAcceptAnything"}]}', encoding="utf-8")
    place = Place(os.path.realpath(tmp_path_factory.mktemp("d")), tmp_path, "--signature-policy", str(policy))
    try:
        registry, evil = servers(), servers(other)
        # It may be asked for content alone: the registry says what the tag is, and what the mirror has is something else.
        place.hosts(registry.host, f'server = "http://{registry.host}"\n[host."http://{evil.host}"]\ncapabilities = ["pull"]\n')
        evil.manifests[image.digest] = other.manifest
        evil.blobs.update({digest: b"other" for digest in image.blobs})
        place.apus("pull", registry.name).ok()
        assert asked(evil) and place.apus.inspect(registry.name, "{{.Id}}") == image.id
        place.apus("rmi", registry.name).ok()
        # With a digest in the name it cannot even say what is meant.
        with_mirror(place, evil, registry)
        pinned = f"{registry.name}@{image.digest}"
        place.apus("pull", pinned).ok()
        assert place.apus.inspect(pinned, "{{.Id}}") == image.id
        place.apus("rmi", pinned).ok()
        # It is a mirror of one registry and is asked for none else.
        second, count = servers(), len(evil.requests)
        place.apus("pull", second.name).ok()
        assert len(evil.requests) == count
        # A policy is held against the name that was typed: a mirror whose own name is accepted is no way round.
        scopes = {evil.host: [{"type": "insecureAcceptAnything"}], registry.host: [{"type": "reject"}]}
        policy.write_text(json.dumps({"default": [{"type": "reject"}], "transports": {"docker": scopes}}), encoding="utf-8")
        refused = place.apus("pull", registry.name)
        assert refused.code == 1 and "rejected by the signature policy" in refused.err and len(evil.requests) == count, refused
    finally:
        assert place.daemon.stop() == 0, place.daemon.log()


@pytest.mark.parametrize("fault, words", [
    (refuses(404), "manifest unknown"), (refuses(403), "denied"), (refuses(503, Retry_After="0"), "HTTP status: 503"),
    (changed(lambda data: data + b" "), "verification failed"),
], ids=["not-found", "denied", "ill", "lies"])
def test_R07_where_only_mirrors_may_be_asked_their_own_reasons_are_told(fault, words, place, servers):
    mirror = servers()
    place.hosts("far.test", f"""
server = "https://far.test"
capabilities = ["push"]
[host."http://{mirror.host}"]
  capabilities = ["pull", "resolve"]
""")
    mirror.faults = {"manifest": times(None, fault, ("GET",) if words.startswith("ver") else ("GET", "HEAD"))}
    refused = place.apus("pull", "far.test/one")
    assert refused.code == 1 and words in refused.err and "may be asked" not in refused.err, refused
    assert mirror.of("manifest")


def test_login_to_a_registry_that_another_server_serves_is_refused(place, servers):
    """Nobody would be shown the password: neither now nor by a pull."""
    server = servers()
    place.hosts("far.test", f'server = "http://{server.host}"\n')
    config = place.folder / "docker"
    config.mkdir()
    refused = place.apus("login", "-u", "ann", "--password-stdin", "far.test", stdin="s3cret", env={"DOCKER_CONFIG": str(config)})
    assert refused.code == 1 and f"far.test is served by http://{server.host}" in refused.err, refused
    assert not (config / "config.json").exists() and not server.requests


def test_R07_a_mirror_that_is_down_is_remembered(place, servers, image):
    registry, mirror = servers(), servers()
    with_mirror(place, mirror, registry)
    mirror.faults = {kind: times(None, refuses(503), ("HEAD", "GET")) for kind in ("manifest", "config", "blob")}
    place.apus("pull", registry.name).ok()
    assert len(asked(mirror)) == 1, "it was asked once and then left alone"
    place.apus("rmi", registry.name).ok()
    place.apus("pull", registry.name).ok()
    assert len(asked(mirror)) == 1


def test_R07_mirror_and_registry_that_both_fail_are_both_named(place, servers):
    registry, mirror = servers(), servers()
    with_mirror(place, mirror, registry)
    for server in (registry, mirror):
        server.faults = {"manifest": times(None, refuses(503, Retry_After="0"), ("HEAD", "GET"))}
    failed = place.apus("pull", registry.name)
    assert failed.code == 1 and f"http://{registry.host}/v2/one" in failed.err and f"mirror http://{mirror.host}" in failed.err, failed


def test_parts_of_a_large_layer_come_side_by_side_where_one_connection_is_slow(place, servers):
    large = Image([tar(files({"data": os.urandom(20 << 20)}))])
    slow = servers(large)
    slow.bytes_per_second = 2_000_000
    begun = time.monotonic()
    place.apus("pull", slow.name).ok()
    seconds = time.monotonic() - begun
    requests = slow.of("blob", "GET")
    parts = [request["headers"].get("Range") for request in requests]
    assert len(parts) >= 7 and None not in parts
    # The server counts what it has sent, which the pull may have before.
    wait_until(lambda: sum(request["sent"] for request in requests) >= large.layers[0]["size"], "the last part is counted")
    assert sum(request["sent"] for request in requests) == large.layers[0]["size"], "each byte came once"
    alone = large.layers[0]["size"] / slow.bytes_per_second
    assert seconds < 0.75 * alone, f"{seconds} s, one connection takes {alone} s"
    place.apus("rmi", slow.name).ok()

    # A registry that knows no ranges gives all of it at once.
    whole = servers(large)
    whole.knows_ranges = False
    place.apus("pull", whole.name).ok()
    assert len(whole.of("blob", "GET")) == 1
    assert place.apus.inspect(whole.name, "{{.Id}}") == large.id


def test_parts_that_break_are_fetched_again_from_where_they_broke(place, servers):
    large = Image([tar(files({"data": os.urandom(30 << 20)}))])
    slow = servers(large)
    slow.bytes_per_second = 8_000_000
    broken = []

    def breaks(handler, number):
        if number % 2 == 0 and len(broken) < 4:
            broken.append(number)
            handler.send_part(len(handler.body()[0]) // 3)
            return handler.reset()
        return False
    slow.faults = {"blob": breaks}
    place.apus("pull", slow.name).ok()
    assert len(broken) == 4 and place.apus.inspect(slow.name, "{{.Id}}") == large.id
    assert sum(request["sent"] for request in slow.of("blob", "GET")) <= 1.05 * large.layers[0]["size"]


def test_what_is_said_of_all_registries_unblocks_none(place, servers):
    """`_default/hosts.toml` is about registries of which nothing else is said."""
    server, mirror = servers(), servers()
    place.hosts("_default", f'[host."http://{mirror.host}"]\ncapabilities = ["pull", "resolve", "referrers"]\n')
    place.conf.write_text(f'[[registry]]\nlocation = "{server.host}/one"\nblocked = true\n', encoding="utf-8")
    refused = place.apus("pull", server.name)
    assert refused.code == 1 and "is blocked" in refused.err and not asked(server) and not asked(mirror), refused
    place.conf.unlink()
    place.apus("pull", server.name).ok()
    assert asked(mirror) and not asked(server)


@pytest.mark.parametrize("prefix", ["HOST/one:latest", "HOST/one@sha256:" + "0" * 64])
def test_a_prefix_with_a_tag_is_refused_in_one_line_and_not_passed_over(place, servers, prefix):
    server = servers()
    place.conf.write_text(f'[[registry]]\nprefix = "{prefix.replace("HOST", server.host)}"\nblocked = true\n', encoding="utf-8")
    refused = place.apus("pull", server.name)
    assert refused.code == 1 and "registries.conf:2: 'prefix' with a tag or a digest is not implemented" in refused.err, refused
    assert not asked(server)
