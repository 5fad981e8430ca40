"""The description of the API that the daemon serves, and what a client without manners makes of it."""

import glob
import json
import os
import re
import subprocess
import sys

import pytest
from conftest import ROOT, Daemon
from engine_http import api
from processes import free_port, wait_until

SCHEMATHESIS = os.path.join(ROOT, ".build", "python", "schemathesis-4.32.5")
PROGRAM = os.path.join(ROOT, "Tests", "Fixtures", "schemathesis_run.py")
# Requests of each operation: 8 in CI, by the same dice each time; more, by other dice, in `make nightly`.
EXAMPLES = os.environ.get("APUS_EXAMPLES", "8")


def operations(described):
    return {(method.upper(), path): operation for path, methods in described["paths"].items() for method, operation in methods.items()}


def parameters(operation, place="query"):
    return {one["name"] for one in operation.get("parameters", []) if one["in"] == place}


@pytest.fixture
def named(workspace, registry):
    """A daemon for which every registry without a host is ours, on a port of this machine."""
    daemon = Daemon(os.path.join(workspace, f"s{len(os.listdir(workspace))}"))
    os.makedirs(daemon.folder)
    conf = os.path.join(daemon.folder, "registries.conf")
    with open(conf, "w", encoding="utf-8") as file:
        file.write(f'[[registry]]\nprefix = "docker.io"\nlocation = "{registry.host}"\ninsecure = true\n')
    port = free_port()
    daemon.url = f"http://127.0.0.1:{port}"
    daemon.start("--registries-conf", conf, "--host", f"tcp://127.0.0.1:{port}", "--insecure-tcp", "--registry-idle-timeout", "2")
    yield daemon
    for one in api(daemon, "GET", "/containers/json?all=1")[1]:
        api(daemon, "DELETE", f"/containers/{one['Id']}?force=1&v=1")
    api(daemon, "POST", "/networks/prune")
    wait_until(lambda: not daemon.supervisors(), "shims and keeper have ended", seconds=30)
    assert daemon.stop() == 0
    daemon.forget_network()


@pytest.mark.skipif(not os.path.exists(f"{SCHEMATHESIS}/complete"), reason="schemathesis comes from PyPI by make deps-test")
def test_whatever_schemathesis_makes_of_the_description_is_answered_and_no_fault_of_the_daemon(named, registry):
    said = subprocess.run([sys.executable, PROGRAM, named.url, f"{registry.host}/busybox", EXAMPLES], env={**os.environ, "PYTHONPATH": SCHEMATHESIS},
                          capture_output=True, text=True, check=False, timeout=300 if EXAMPLES == "8" else 3600)
    lines = [json.loads(line) for line in said.stdout.splitlines() if line.startswith("{")]
    assert said.returncode == 0, said.stderr[-3000:]
    assert lines[:-1] == [], json.dumps(lines[:-1], indent=1)
    assert lines[-1]["operations"] >= 70
    assert api(named, "GET", "/_ping") == (200, "OK")


def test_the_description_names_every_parameter_that_the_daemon_reads_and_no_other(own_daemon):
    """Routes and paths are compared where both are tables, in APIServerTests; parameters are read where they are used."""
    described = operations(api(own_daemon, "GET", "/openapi.json", expect=200)[1])
    read = set()
    for path in glob.glob(os.path.join(ROOT, "Sources", "Engine", "APIServer", "*Routes.swift")):
        with open(path, encoding="utf-8") as file:
            read.update(re.findall(r'query(?:\[|\.(?:all|flag|number|requiredNumber|moment)\()"(\w[\w-]*)"', text := file.read()))
            if "query.filters()" in text:
                read.add("filters")
    assert read == set().union(*(parameters(operation) for operation in described.values()))
    for (method, path), operation in described.items():
        assert {name for name in re.findall(r"{(\w+)}", path)} == parameters(operation, "path"), (method, path)
    assert len({operation["operationId"] for operation in described.values()}) == len(described)


# Parameters that Docker's description has and the daemon does not read, which means that it ignores them.
NOT_READ = {
    # What they ask for is always told, or is of no use but to swarms and builds; Docker's daemon does not read the keys of a start either.
    "GET /images/json": {"shared-size", "digests"}, "POST /containers/{}/start": {"detachKeys"}, "GET /networks/{}": {"verbose"},
    "POST /build/prune": {"all", "filters", "keep-storage", "max-used-space", "min-free-space", "reserved-space"},
}


def test_the_description_has_what_dockers_has_of_the_same_operations(own_daemon):
    ours = {re.sub(r"{\w+}", "{}", f"{method} {path}"): operation
            for (method, path), operation in operations(api(own_daemon, "GET", "/v1.51/openapi.json", expect=200)[1]).items()}
    with open(os.path.join(ROOT, "spec-fixtures", "engine-api", "operations.json"), encoding="utf-8") as file:
        dockers = json.load(file)
    missing = {}
    for name, operation in dockers.items():
        shape = re.sub(r"{\w+}", "{}", name)
        path = name.partition(" ")[2]
        if shape not in ours:
            assert path.split("/")[1] in ("build", "session", "plugins", "swarm", "nodes", "services", "tasks", "secrets", "configs") \
                or shape == "PUT /volumes/{}", shape
            continue
        if lost := set(operation["query"]) - parameters(ours[shape]):
            missing[shape] = lost
        assert set(operation["answers"]) & set(ours[shape]["responses"]), (shape, operation["answers"])
    assert missing == NOT_READ, str(missing)


def test_each_version_of_the_api_has_its_own_description(own_daemon):
    def of(version):
        return api(own_daemon, "GET", f"{version}/openapi.json", expect=200)[1]

    for version, stop, manifests in (("1.24", False, False), ("1.42", True, False), ("1.47", True, True), ("1.51", True, True)):
        described = operations(of(f"/v{version}"))
        assert of(f"/v{version}")["servers"] == [{"url": f"/v{version}"}]
        assert ("signal" in parameters(described["POST", "/containers/{id}/stop"])) == stop
        assert ("manifests" in parameters(described["GET", "/images/json"])) == manifests
    assert of("") == of("/v1.51")
