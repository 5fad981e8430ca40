"""Rows B12-B14 with programs that keep credentials, and what a client asks registries besides images."""

import base64
import hashlib
import http.server
import json
import os
import signal
import subprocess
import threading

import pytest
from conftest import CLIENTS, Client, Daemon
from oci_images import Image, Pusher, busybox, busybox_layer, files, tar
from processes import Registry, password_line, wait_until
from scripted_registry import ScriptedRegistry

HELPER = """#!/usr/bin/env python3
\"\"\"docker-credential-NAME: keeps credentials in a folder of its own, and notes how it was called.\"\"\"
import json, os, sys
folder = os.environ["HELPER_FOLDER"]
name = os.path.basename(sys.argv[0]).removeprefix("docker-credential-")
data = sys.stdin.read()
with open(f"{folder}/calls", "a") as file:
    file.write(json.dumps([name, sys.argv[1:], data if sys.argv[1] != "store" else json.loads(data)["ServerURL"]]) + "\\n")
def path(server):
    return f"{folder}/{name}-" + server.replace("/", "_")
if sys.argv[1] == "store":
    with open(path(json.loads(data)["ServerURL"]), "w") as file:
        file.write(data)
elif sys.argv[1] == "get":
    server = data.strip()
    if not os.path.exists(path(server)):
        sys.exit(print("credentials not found in native keychain") or 1)
    print(open(path(server)).read())
elif sys.argv[1] == "erase":
    os.path.exists(path(data.strip())) and os.remove(path(data.strip()))
elif sys.argv[1] == "list":
    print("{}")
"""


class Keeper:
    """Helper programs on a PATH of their own, and config.json that names them."""

    def __init__(self, folder):
        self.folder = folder / "helper"
        self.programs, self.config = folder / "bin", folder / "config"
        for path in (self.folder, self.programs, self.config):
            path.mkdir()
        for name in ("one", "two", "broken"):
            program = self.programs / f"docker-credential-{name}"
            program.write_text("#!/bin/sh\necho it burns; exit 3\n" if name == "broken" else HELPER, encoding="utf-8")
            program.chmod(0o755)
        self.environment = {
            "PATH": f"{self.programs}:{os.environ['PATH']}", "DOCKER_CONFIG": str(self.config), "HELPER_FOLDER": str(self.folder)}

    def write(self, **document):
        (self.config / "config.json").write_text(json.dumps(document), encoding="utf-8")

    def read(self):
        return json.loads((self.config / "config.json").read_text(encoding="utf-8"))

    def calls(self):
        path = self.folder / "calls"
        found = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []
        return [(name, words[0]) for name, words, _ in found]


@pytest.fixture
def keeper(tmp_path):
    return Keeper(tmp_path)


@pytest.fixture
def private(tmp_path):
    registry = Registry(str(tmp_path / "private"), htpasswd=password_line("ann", "s3cret-canary"))
    Pusher(registry.host, "Basic " + base64.b64encode(b"ann:s3cret-canary").decode()).push("closed", busybox())
    yield registry
    registry.stop()


def login(cli, host, keeper, password="s3cret-canary"):
    return cli("login", "-u", "ann", "--password-stdin", host, stdin=password, env=keeper.environment)


@pytest.mark.parametrize("how", ["store", "helper"])
def test_feature_B13_a_credential_helper_keeps_what_login_took_and_logout_erases(cli, keeper, private, how):
    keeper.write(**({"credsStore": "one"} if how == "store" else {"credsStore": "two", "credHelpers": {private.host: "one"}}))
    assert "Login Succeeded" in login(cli, private.host, keeper).ok()
    assert keeper.read()["auths"] == {private.host: {}}, "the file tells that there are some, and no more"
    assert "s3cret-canary" not in (keeper.config / "config.json").read_text(encoding="utf-8")
    assert ("one", "store") in keeper.calls() and ("two", "store") not in keeper.calls()
    kept = json.loads((keeper.folder / f"one-{private.host}").read_text(encoding="utf-8"))
    assert kept == {"ServerURL": private.host, "Username": "ann", "Secret": "s3cret-canary"}
    name = f"{private.host}/closed"
    cli("pull", "-q", name, env=keeper.environment).ok()
    assert ("one", "get") in keeper.calls()
    cli("rmi", name).ok()
    out = cli("logout", private.host, env=keeper.environment)
    assert out.code == 0 and f"Removing login credentials for {private.host}" in out.out
    assert keeper.read().get("auths", {}) == {} and not (keeper.folder / f"one-{private.host}").exists()
    assert cli("pull", "-q", name, env=keeper.environment).code == 1


def test_feature_B13_a_wrong_password_is_kept_nowhere(cli, keeper, private):
    keeper.write(credsStore="one")
    refused = login(cli, private.host, keeper, "wrong")
    assert refused.code == 1 and ("unauthorized" in refused.err or "401" in refused.err), refused
    assert keeper.read().get("auths", {}) == {} and ("one", "store") not in keeper.calls()


def test_feature_B13_a_token_in_a_helper_is_an_identity_token(apus, keeper, private):
    keeper.write(credsStore="one")
    (keeper.folder / f"one-{private.host}").write_text(
        json.dumps({"ServerURL": private.host, "Username": "<token>", "Secret": "tok"}), encoding="utf-8")
    refused = apus("pull", f"{private.host}/closed", env=keeper.environment)
    assert refused.code == 1 and "no basic auth" in refused.err, "a token is no password"


def test_feature_B13_a_helper_that_fails_is_told_and_what_is_public_is_pulled(apus, keeper, registry):
    keeper.write(credsStore="broken")
    pulled = apus("pull", f"{registry.host}/alpha", env=keeper.environment)
    assert pulled.code == 0 and "docker-credential-broken get: exit status 3, out: `it burns`" in pulled.err, pulled
    apus("rmi", f"{registry.host}/alpha").ok()
    refused = apus("login", "-u", "ann", "--password-stdin", registry.host, stdin="x", env=keeper.environment)
    assert refused.code == 1 and "error saving credentials" in refused.err, refused


@pytest.mark.parametrize("name", ["../../x; touch /tmp/apus-e07", "x y", "/bin/sh", ".hidden", "-flag", "a" * 200])
def test_attack_E07_a_helpers_name_is_a_programs_and_no_shell_sees_it(apus, keeper, registry, name):
    keeper.write(credHelpers={registry.host: name})
    result = apus("pull", "-q", f"{registry.host}/alpha", env=keeper.environment)
    assert result.code == 0 and "is no program's name" in result.err, result
    assert not os.path.exists("/tmp/apus-e07") and keeper.calls() == []
    apus("rmi", f"{registry.host}/alpha").ok()


def test_attack_E06_a_password_shows_nowhere(apus, own_daemon, keeper, private):
    """In no log, record, event, answer or command line of a helper."""
    keeper.write(credsStore="one")
    login(apus, private.host, keeper).ok()
    name = f"{private.host}/closed"
    apus("pull", name, env=keeper.environment).ok()
    apus("tag", name, f"{private.host}/copy").ok()
    apus("push", f"{private.host}/copy", env=keeper.environment).ok()
    said = [apus("inspect", name).out, apus("history", "--no-trunc", name).out, apus("info", "--format", "json").out,
            apus("events", "--since", "1m", "--until", "0s").out, own_daemon.log()]
    encoded = base64.b64encode(b"ann:s3cret-canary").decode()
    assert not [text for text in said if "s3cret-canary" in text or encoded in text]
    assert "s3cret-canary" not in (keeper.folder / "calls").read_text(encoding="utf-8")
    found = subprocess.run(["grep", "-rlE", f"s3cret-canary|{encoded}", own_daemon.data, own_daemon.run], capture_output=True, check=False)
    assert found.stdout == b"", found
    with open(f"/proc/{own_daemon.process.pid}/cmdline", "rb") as file:
        assert b"s3cret" not in file.read()
    apus("rmi", name, f"{private.host}/copy").ok()


def signalled(process):
    """Ends it by a signal whose default is a core file. Returns whether there is one."""
    process.send_signal(signal.SIGSYS)
    code = os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT).si_code
    process.wait()
    assert code in (os.CLD_KILLED, os.CLD_DUMPED)
    return code == os.CLD_DUMPED


def test_attack_E06_who_holds_a_password_leaves_no_core_file(tmp_path_factory, tmp_path):
    """A process that holds none does, which shows that it could be."""
    with open("/proc/sys/kernel/core_pattern", encoding="utf-8") as file:
        is_program = file.read().startswith("|")
    under = ["sh", "-c", f'cd {tmp_path} && ulimit -c unlimited && exec "$@"', "sh"]
    with subprocess.Popen([*under, "sleep", "1000"]) as other:
        wait_until(lambda: open(f"/proc/{other.pid}/comm", encoding="utf-8").read() == "sleep\n", "it has become what it is")
        assert signalled(other) or is_program
    for path in tmp_path.glob("core*"):
        path.unlink()
    daemon = Daemon(os.path.realpath(tmp_path_factory.mktemp("d")))
    daemon.start("--registries-conf", "", under=under)
    asked, end = threading.Event(), threading.Event()

    def holds(handler, number):
        if (handler.headers.get("Authorization") or "").startswith("Basic "):
            asked.set()
            end.wait(60)
        return False

    registry = ScriptedRegistry(Image([busybox_layer()]), token=True, faults={"token": holds})
    try:
        client = Client("apus", CLIENTS["apus"], daemon.host, str(tmp_path / "client"))
        with open(tmp_path / "client" / "config" / "config.json", "w", encoding="utf-8") as file:
            json.dump({"auths": {registry.host: {"auth": base64.b64encode(b"ann:s3cret-canary").decode()}}}, file)
        pulling = subprocess.Popen([*under, client.path, "pull", registry.name], env=client.environment, stderr=subprocess.DEVNULL)
        assert asked.wait(60)
        assert not signalled(pulling) and not signalled(daemon.process)
        assert not list(tmp_path.glob("core*"))
    finally:
        end.set()
        registry.stop()


# MARK: what registries are asked besides

class Index(http.server.BaseHTTPRequestHandler):
    """A registry of old, that knows a search."""

    def do_GET(self):
        path, _, query = self.path.partition("?")
        self.server.asked.append(self.path)
        results = [{"name": f"found{number}", "description": "words " * 20, "star_count": 10 - number, "is_official": number == 0,
                    "is_automated": False} for number in range(3)]
        body = json.dumps({"num_results": 3, "query": query, "results": results}).encode() if path == "/v1/search" else b"{}"
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def index():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Index)
    server.asked = []
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def test_search_shows_what_the_registry_finds(cli, index):
    term = f"127.0.0.1:{index.server_address[1]}/some thing"
    lines = cli("search", term).ok().splitlines()
    assert lines[0].split() == ["NAME", "DESCRIPTION", "STARS", "OFFICIAL"] + (["AUTOMATED"] if cli.name.startswith("docker-20") else [])
    assert [line.split()[0] for line in lines[1:]] == ["found0", "found1", "found2"] and "[OK]" in lines[1]
    assert any(path.startswith("/v1/search?") and ("q=some%20thing" in path or "q=some+thing" in path) for path in index.asked), index.asked
    official = cli("search", "--filter", "is-official=true", "--no-trunc", "--format", "{{.Name}} {{.StarCount}}", term).ok()
    assert official == "found0 10\n"
    assert cli("search", "--filter", "stars=9", "--limit", "2", "--format", "{{.Name}}", term).ok().split() == ["found0", "found1"]
    refused = cli("search", "--limit", "101", term)
    assert refused.code == 1 and "limit 101 is outside the range of [1, 100]" in refused.err, refused


def test_a_registry_without_a_search_says_so_as_dockers_does(cli, registry):
    refused = cli("search", f"{registry.host}/anything")
    assert refused.code == 1 and refused.err.strip().endswith("Unexpected status code 404"), refused


@pytest.fixture
def lists(registry):
    one, two = Image([tar(files({"one": "1"}))]), Image([tar(files({"two": "2"}))])
    pusher = Pusher(registry.host)
    pusher.push("m-one", one)
    pusher.push("m-two", two)
    pusher.push_index("m-many", [({"os": "linux", "architecture": "amd64"}, one), ({"os": "linux", "architecture": "arm64"}, two)])
    return one, two


def test_distribution_tells_descriptor_and_platforms(own_daemon, registry, lists):
    import docker

    client = docker.APIClient(base_url=own_daemon.host, version="1.41")
    found = client.inspect_distribution(f"{registry.host}/m-one")
    assert found["Descriptor"]["digest"] == lists[0].digest and found["Descriptor"]["size"] == len(lists[0].manifest)
    assert [platform["architecture"] for platform in found["Platforms"]] == [json.loads(lists[0].config)["architecture"]]
    many = client.inspect_distribution(f"{registry.host}/m-many")
    assert {platform["architecture"] for platform in many["Platforms"]} == {"amd64", "arm64"}
    with pytest.raises(docker.errors.NotFound):
        client.inspect_distribution(f"{registry.host}/nosuch")
    client.close()


def newest_docker(daemon, folder):
    name = max((name for name in CLIENTS if name.startswith("docker")), key=lambda name: [int(part) for part in name[7:].split(".")])
    return Client(name, CLIENTS[name], daemon.host, str(folder))


def test_manifest_verbs_print_and_push_what_dockers_do(apus, daemon, registry, lists, tmp_path):
    docker = newest_docker(daemon, tmp_path)
    if docker.name.startswith("docker-20"):
        pytest.skip("the docker command line knows no OCI index")
    host = registry.host
    digests = {}
    for cli in (docker, apus):
        own = {"DOCKER_CONFIG": str(tmp_path / cli.name)}
        target, other = f"{host}/m-list-{cli.name.replace('.', '-')}", "127.0.0.1:1/elsewhere"
        said = []

        def run(*words):
            result = cli("manifest", *words, env=own)
            said.append((result.code, result.out.replace(target, "T"), result.err.strip().replace(target, "T").removeprefix("Error: ")))
            return result

        for words in (("inspect", "--insecure", f"{host}/m-one"), ("inspect", "-v", "--insecure", f"{host}/m-one"),
                      ("inspect", "--insecure", f"{host}/m-many"), ("inspect", "--insecure", "-v", f"{host}/m-many"),
                      ("inspect", "--insecure", f"{host}/nosuch"), ("create", "--insecure", target, f"{host}/m-one", f"{host}/m-two"),
                      ("create", "--insecure", target, f"{host}/m-one"),
                      ("annotate", target, f"{host}/m-two", "--arch", "arm64", "--variant", "v8", "--os-version", "1", "--os-features", "x,y"),
                      ("annotate", target, f"{host}/m-two", "--arch", "nosuch"), ("inspect", target), ("inspect", "-v", target, f"{host}/m-two"),
                      ("rm", f"{host}/nolist"), ("push", f"{host}/nolist")):
            run(*words)
        pushed = run("push", "--insecure", "--purge", target).ok().splitlines()
        digests[cli.name] = (said, pushed[-1])
        assert Pusher(host).digest(target.split("/")[1]) == pushed[-1]
        assert run("push", "--insecure", target).code == 1, "it is purged"
    (ours, digest), (theirs, expected) = digests["apus"], digests[docker.name]
    for mine, yours in zip(ours, theirs):
        assert mine == yours
    assert digest == expected
    index = json.loads(Pusher(host).manifest("m-list-apus"))
    assert [entry["platform"].get("variant") for entry in index["manifests"]] == [None, "v8"]
    assert hashlib.sha256(Pusher(host).manifest("m-list-apus", lists[1].digest)).hexdigest() == lists[1].digest[7:]


def test_lists_that_docker_made_are_annotated_and_pushed_by_apus(apus, daemon, registry, lists, tmp_path):
    docker, own = newest_docker(daemon, tmp_path), {"DOCKER_CONFIG": str(tmp_path / "shared")}
    if docker.name.startswith("docker-20"):
        pytest.skip("the docker command line knows no OCI index")
    target = f"{registry.host}/m-shared"
    docker("manifest", "create", "--insecure", target, f"{registry.host}/m-one", env=own).ok()
    apus("manifest", "annotate", target, f"{registry.host}/m-one", "--arch", "s390x", env=own).ok()
    assert json.loads(docker("manifest", "inspect", target, env=own).ok())["manifests"][0]["platform"]["architecture"] == "s390x"
    apus("manifest", "push", target, env=own).ok()
    apus("manifest", "rm", target, env=own).ok()
    assert json.loads(apus("manifest", "inspect", target, env=own).ok())["manifests"][0]["digest"] == lists[0].digest
