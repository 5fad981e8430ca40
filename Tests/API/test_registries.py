"""Ways to a registry (TLS with an authority of one's own, passwords, proxies), and pulls that are cut off."""
# Rows: features

import base64
import gzip
import json
import os
import re
import subprocess

import oci_images
import pytest
from conftest import CLIENTS, Client, Daemon, entries
from oci_images import Image, Pusher, busybox_layer, files, tar
from processes import FaultyRegistry, Registry, password_line, wait_until
from proxy import Proxy
from scripted_registry import ScriptedRegistry


@pytest.fixture
def alone(tmp_path_factory, tmp_path):
    """A daemon that a test starts as it likes, and ends; with the folder of its clients."""
    # Short, so that sockets below it fit the 107 bytes of sun_path.
    daemon = Daemon(os.path.realpath(tmp_path_factory.mktemp("d")))
    yield daemon
    if daemon.process is not None and daemon.process.poll() is None:
        assert daemon.stop() == 0, daemon.log()


def client(daemon, folder, name="apus"):
    return Client(name, CLIENTS[name], daemon.host, str(folder))


def openssl(folder, *words):
    subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True)


@pytest.fixture
def certificates(tmp_path):
    """An authority (ca.crt), a certificate of it for 127.0.0.1 and tls.test (server.crt, server.key), and a stranger (other.crt)."""
    for name in ("ca", "other"):
        openssl(tmp_path, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", f"{name}.key", "-out",
                f"{name}.crt", "-days", "2", "-subj", f"/CN={name} of a test")
    openssl(tmp_path, "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "server.key", "-out", "server.csr",
            "-subj", "/CN=server")
    (tmp_path / "names").write_text("subjectAltName=IP:127.0.0.1,DNS:tls.test\n", encoding="utf-8")
    openssl(tmp_path, "x509", "-req", "-in", "server.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-extfile",
            "names", "-out", "server.crt")
    return tmp_path


def certs_d(folder, host, authority):
    target = folder / "certs.d" / host
    target.mkdir(parents=True, exist_ok=True)
    (target / "ca.crt").write_bytes((folder / authority).read_bytes())
    return str(folder / "certs.d")


def test_a_registry_proves_itself_by_an_authority_of_certs_d_and_wants_a_password(alone, certificates):
    secret = base64.b64encode(b"ann:s3cret").decode()
    private = Registry(str(certificates / "registry"), password_line("ann", "s3cret"), (certificates / "server.crt", certificates / "server.key"))
    try:
        Pusher(private.host, f"Basic {secret}", "https").push("closed", oci_images.busybox())
        name = f"{private.host}/closed"
        folder = certs_d(certificates, private.host, "other.crt")
        config = certificates / "docker"
        config.mkdir()
        (config / "config.json").write_text(json.dumps({"auths": {private.host: {"auth": secret}}}), encoding="utf-8")
        known = {"DOCKER_CONFIG": str(config)}
        alone.start("--registry-certs", folder)
        for kind in CLIENTS:
            cli = client(alone, certificates, kind)
            refused = cli("pull", name, env=known)
            assert refused.code == 1 and "tls:" in refused.err and "certificate" in refused.err, refused
            certs_d(certificates, private.host, "ca.crt")
            unnamed = cli("pull", name)
            assert unnamed.code == 1 and "no basic auth credentials" in unnamed.err, unnamed
            cli("pull", name, env=known).ok()
            cli("rmi", name).ok()
            certs_d(certificates, private.host, "other.crt")
        # And back: a push needs both, too.
        apus = client(alone, certificates)
        certs_d(certificates, private.host, "ca.crt")
        apus("pull", name, env=known).ok()
        for kind in CLIENTS:
            cli, copy = client(alone, certificates, kind), f"{private.host}/{kind.replace('.', '-')}"
            apus("tag", name, copy).ok()
            certs_d(certificates, private.host, "other.crt")
            refused = cli("push", copy, env=known)
            assert refused.code == 1 and "tls:" in refused.err and "certificate" in refused.err, refused
            certs_d(certificates, private.host, "ca.crt")
            unnamed = cli("push", copy)
            assert unnamed.code == 1 and "no basic auth credentials" in unnamed.err, unnamed
            assert f"latest: digest: {oci_images.busybox().digest}" in cli("push", copy, env=known).ok()
            assert Pusher(private.host, f"Basic {secret}", "https").digest(copy.split("/")[1]) == oci_images.busybox().digest
        assert "s3cret" not in alone.log() and secret not in alone.log()
    finally:
        private.stop()


def test_proxies_come_from_the_environment_and_spare_what_no_proxy_names(alone, certificates):
    plain = Registry(str(certificates / "plain"))
    secure = Registry(str(certificates / "secure"), tls=(certificates / "server.crt", certificates / "server.key"))
    proxy = Proxy()
    try:
        Pusher(plain.host).push("a", oci_images.busybox())
        Pusher(secure.host, scheme="https").push("b", oci_images.busybox())
        names = [f"plain.test:{plain.port}", f"tls.test:{secure.port}", f"direct.test:{plain.port}"]
        alone.start(
            "--insecure-registry", names[0], "--insecure-registry", names[2],
            "--registry-certs", certs_d(certificates, names[1], "ca.crt"),
            env={"HTTP_PROXY": proxy.url, "https_proxy": proxy.url, "NO_PROXY": "elsewhere.test,direct.test"})
        apus = client(alone, certificates)
        apus("pull", f"{names[0]}/a").ok()
        assert any(line.startswith(f"GET http://{names[0]}/v2/a/blobs/sha256:") for line in proxy.asked), proxy.asked
        apus("pull", f"{names[1]}/b").ok()
        assert f"CONNECT {names[1]}" in proxy.asked
        assert not any(line.startswith(f"GET http://{names[1]}") for line in proxy.asked)
        direct = apus("pull", f"{names[2]}/a")
        assert direct.code == 1 and "lookup direct.test" in direct.err, direct
        assert not any("direct.test" in line for line in proxy.asked)
        info = json.loads(apus("info", "--format", "{{json .}}").ok())
        assert info["HttpProxy"] == info["HttpsProxy"] == proxy.url and info["NoProxy"] == "elsewhere.test,direct.test"
    finally:
        proxy.stop()
        plain.stop()
        secure.stop()


def test_a_pull_whose_daemon_is_killed_goes_on_where_it_stood(alone, tmp_path):
    image = Image([busybox_layer(), tar(files({"large": os.urandom(3_000_000)}))])
    image.write_layout(str(tmp_path / "layout"))
    large = max(image.layers, key=lambda layer: layer["size"])["digest"].removeprefix("sha256:")
    registry = FaultyRegistry(str(tmp_path / "layout"), "slow-once")
    content, snapshots = f"{alone.data}/content", f"{alone.data}/snapshots/overlayfs"
    partial = f"{content}/ingests/sha256-{large}"
    try:
        alone.start()
        pulling = client(alone, tmp_path).start("pull", registry.name, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_until(lambda: os.path.exists(partial) and os.path.getsize(partial) > 500_000, "half a megabyte is there", seconds=30)
        alone.kill()
        assert pulling.wait(20) != 0
        arrived = os.path.getsize(partial)
        assert not os.path.exists(f"{content}/blobs/sha256/{large}")

        alone.start()
        apus = client(alone, tmp_path)
        assert apus("images", "-q").ok() == ""
        assert apus("inspect", registry.name).code == 1
        assert [entries(f"{snapshots}/{folder}") for folder in ("building", "trash", "layers", "l")] == [[]] * 4
        before = len(registry.requests())
        apus("pull", registry.name).ok()
        again = [line for line in registry.requests()[before:] if "/blobs/" in line[1]]
        assert [line[4] for line in again if large in line[1]] == [f"bytes={arrived}-"], again
        assert apus("run", "--rm", registry.name, "wc", "-c", "/large").ok().split()[0] == "3000000"
        assert entries(f"{content}/ingests") == []
        assert entries(f"{content}/blobs/sha256") == sorted(digest[7:] for digest in [*image.blobs, image.digest])
        assert len(entries(f"{snapshots}/layers")) == 2
        apus("rmi", registry.name).ok()
        assert entries(f"{content}/blobs/sha256") == entries(f"{snapshots}/layers") == entries(f"{snapshots}/l") == []
    finally:
        registry.stop()


def calls(path):
    """What strace saw: (name, arguments, line at which it began, line at which it was done)."""
    found, waiting = [], {}
    with open(path, encoding="utf-8", errors="replace") as file:
        for number, line in enumerate(file):
            process, _, rest = line.strip().partition(" ")
            rest = rest.strip()
            if match := re.match(r"(\w+)\((.*) <unfinished \.\.\.>$", rest):
                waiting[process] = (match[1], match[2], number)
            elif match := re.match(r"<\.\.\. (\w+) resumed>", rest):
                name, arguments, begun = waiting.pop(process)
                found.append((name, arguments, begun, number))
            elif match := re.match(r"(\w+)\((.*)\)\s+= ", rest):
                found.append((match[1], match[2], number, number))
    return found


def test_what_is_pulled_reaches_the_disk_before_its_name_and_its_name_before_its_record(alone, registry, tmp_path):
    trace = tmp_path / "trace"
    names = "fsync,fdatasync,syncfs,rename,renameat,renameat2,pwrite64"
    alone.start(under=["strace", "-D", "-f", "-qq", "-y", "-s", "400", "-e", "signal=none", "-e", f"trace={names}", "-o", str(trace)])
    apus = client(alone, tmp_path)
    apus("pull", f"{registry.host}/alpha").ok()
    assert alone.stop() == 0
    seen = calls(trace)

    def every(kind, *words, after=0):
        return [call for call in seen if re.fullmatch(kind, call[0]) and all(word in call[1] for word in words) and call[2] >= after]

    def first(kind, *words, after=0):
        matches = every(kind, *words, after=after)
        assert matches, f"no {kind} of {words} after line {after}"
        return matches[0]

    manifest = json.loads(Pusher(registry.host).manifest("alpha"))
    ends = []
    for layer in manifest["layers"]:
        hexadecimal = layer["digest"][7:]
        written = first("fsync", f"/content/ingests/sha256-{hexadecimal}>")
        moved = first("rename.*", f"/content/ingests/sha256-{hexadecimal}", f"/content/blobs/sha256/{hexadecimal}")
        shown = first("fsync", "/content/blobs/sha256>", after=moved[3])
        assert written[3] < moved[2]
        ends.append(shown[3])
    for moved in every("rename.*", "/overlayfs/building/layer-", "/overlayfs/layers/sha256-"):
        building = re.search(r"/overlayfs/building/layer-[\w-]+", moved[1])[0]
        assert first("syncfs", f"{building}>")[3] < moved[2]
        ends.append(first("fsync", "/overlayfs/layers>", after=moved[3])[3])
    assert len(ends) == 6, "three blobs and three layers"
    for digest in (manifest["config"]["digest"], Pusher(registry.host).digest("alpha")):
        moved = first("rename.*", f"/content/blobs/sha256>, \"{digest[7:]}\"")
        temporary = re.search(r'"(\.[0-9a-f]{64}\.[\d.]+tmp)"', moved[1])[1]
        assert first("fsync", f"/content/blobs/sha256/{temporary}>")[3] < moved[2]
        ends.append(first("fsync", "/content/blobs/sha256>", after=moved[3])[3])
    recorded = first("pwrite64", "/engine.sqlite-wal>", after=min(ends))
    assert recorded[2] > max(ends), "the record comes last"
    assert every("f(data)?sync", "/engine.sqlite-wal>", after=recorded[3])


def test_no_connection_to_a_registry_outlives_its_use(own_daemon, apus, registry, image):
    def connections():
        words = ("ss", "-Htnp", "dst", f"127.0.0.1:{registry.port}")
        lines = subprocess.run(words, capture_output=True, check=True, text=True).stdout.splitlines()
        return [line for line in lines if f"pid={own_daemon.process.pid}," in line]

    apus("pull", "-q", image).ok()
    assert connections()
    wait_until(lambda: not connections(), "the connections are closed", seconds=30, every=0.2)


def test_B12_push_sends_what_the_registry_lacks_and_the_digest_stays(cli, registry, daemon, tmp_path):
    name, other = f"{registry.host}/alpha", Registry(str(tmp_path / "other"))
    try:
        cli("pull", "-q", name).ok()
        digest = Pusher(registry.host).digest("alpha")
        target = f"{other.host}/team/copy"
        cli("tag", name, f"{target}:v1").ok()
        cli("tag", name, f"{target}:v2").ok()
        lines = cli("push", f"{target}:v1").ok().splitlines()
        assert lines[0] == f"The push refers to repository [{target}]"
        assert len([line for line in lines if re.fullmatch(r"[0-9a-f]{12}: Pushed", line)]) == 3, lines
        assert re.fullmatch(rf"v1: digest: {digest} size: \d+", lines[-1]), lines
        assert Pusher(other.host).digest("team/copy", "v1") == digest
        assert any(f"{target}@{digest}" in line for line in cli.inspect(name, "{{json .RepoDigests}}").splitlines())
        # HEAD first: nothing is sent twice.
        sent = len(other.requests("PATCH /v2/team/copy/blobs/uploads/"))
        assert sent >= 4
        again = cli("push", "--all-tags", target).ok()
        assert again.count("Layer already exists") == 6 and "v1: digest:" in again and "v2: digest:" in again
        assert len(other.requests("PATCH /v2/team/copy/blobs/uploads/")) == sent
        # What the registry has elsewhere, it lends.
        copied = f"{registry.host}/copied-{cli.name.replace('.', '-')}"
        cli("tag", name, copied).ok()
        assert cli("push", copied).ok().count(": Mounted from alpha") == 3
        assert Pusher(registry.host).digest(copied.split("/")[1]) == digest
        assert not registry.requests(f"PATCH /v2/{copied.split('/')[1]}/")
        missing = cli("push", f"{other.host}/nosuch:v1")
        assert missing.code == 1 and "nosuch:v1" in missing.err, missing
        cli("rmi", "-f", f"{target}:v1", f"{target}:v2", copied, name).ok()
    finally:
        other.stop()


def test_a_push_wants_credentials_that_may_write(cli, registry, daemon, tmp_path):
    private = Registry(str(tmp_path / "private"), password_line("ann", "s3cret"))
    config = tmp_path / "config"
    config.mkdir()
    (config / "config.json").write_text(json.dumps({"auths": {private.host: {"auth": base64.b64encode(b"ann:s3cret").decode()}}}))
    name = f"{private.host}/mine"
    try:
        cli("pull", "-q", f"{registry.host}/alpha").ok()
        cli("tag", f"{registry.host}/alpha", name).ok()
        refused = cli("push", name)
        assert refused.code == 1 and refused.err == "no basic auth credentials\n", refused
        assert "latest: digest: sha256:" in cli("push", name, env={"DOCKER_CONFIG": str(config)}).ok()
        cli("rmi", name, f"{registry.host}/alpha").ok()
    finally:
        private.stop()


def test_a_broken_upload_goes_on_where_the_registry_has_it(alone, registry, tmp_path):
    Pusher(registry.host).push("big", Image([busybox_layer(), tar(files({"big": os.urandom(10_000_000)}))]))
    Image([busybox_layer()]).write_layout(str(tmp_path / "layout"))
    faulty = FaultyRegistry(str(tmp_path / "layout"), "upload-breaks")
    try:
        alone.start()
        apus = client(alone, tmp_path)
        apus("pull", "-q", f"{registry.host}/big").ok()
        apus("tag", f"{registry.host}/big", faulty.name).ok()
        assert "latest: digest: sha256:" in apus("push", faulty.name).ok()
        requests = faulty.requests()
        assert [line for line in requests if line[0] == "PATCH" and line[2] == "0"], "no upload was cut off"
        assert [line for line in requests if line[0] == "GET" and line[1].startswith("/uploads/")]
        assert not [line for line in requests if line[2] == "400"]
    finally:
        faulty.stop()


def test_a_pull_takes_as_much_memory_whatever_the_size_of_the_image(alone):
    def image(megabytes):
        return Image([tar(files({"data": os.urandom(megabytes << 20)})) for _ in range(2)], compress=lambda data: gzip.compress(data, 0))

    def peak(megabytes):
        """In kilobytes, of pulls after the first one."""
        made = ScriptedRegistry(image(megabytes))
        try:
            with open(f"/proc/{alone.process.pid}/clear_refs", "w", encoding="ascii") as file:
                file.write("5")
            apus("pull", "-q", made.name, timeout=180).ok()
            with open(f"/proc/{alone.process.pid}/status", encoding="ascii") as file:
                return next(int(line.split()[1]) for line in file if line.startswith("VmHWM"))
        finally:
            made.stop()

    alone.start("--registries-conf", "")
    apus = client(alone, alone.folder)
    small, large = peak(1), 0
    small = max(small, peak(8))
    large = peak(70)
    assert large < small + 16_000, f"{small} kB for 16 MB, {large} kB for 140 MB"
