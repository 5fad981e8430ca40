"""Rows A01, A03-A05, A07, A08 and the daemon's death: what holds between the client, the daemon and the shims."""

import json
import os
import re
import subprocess
import time

import pytest
from conftest import BUILD, CLIENTS, Client, Daemon
from processes import wait_until

import leaks


def api(daemon, method, path, body=None, expect=None):
    """One request with curl: the status, and the answer's document (its text where it is none)."""
    command = ["curl", "-s", "-o", "-", "-w", "\n%{http_code}", "-X", method, "--unix-socket", daemon.socket, f"http://d{path}"]
    if body is not None:
        command += ["-H", "Content-Type: application/json", "-d", body if isinstance(body, str) else json.dumps(body)]
    text, _, status = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True).stdout.rpartition("\n")
    assert expect is None or int(status) == expect, (status, text)
    try:
        return int(status), json.loads(text)
    except ValueError:
        return int(status), text


def test_A01_a_run_is_made_of_requests_and_the_client_opens_nothing_of_the_daemons(cli, image, own_daemon, tmp_path):
    trace = tmp_path / "trace"
    completed = subprocess.run(
        ["strace", "-f", "-qq", "-s", "200", "-e", "trace=openat,open,sendto,write,writev,sendmsg", "-o", trace, cli.path, "run", "--rm",
         image, "true"], env=cli.environment, capture_output=True, timeout=60, check=False)
    assert completed.returncode == 0, completed.stderr
    said = trace.read_text(errors="replace")
    found = re.findall(r'"(POST|GET|DELETE) (?:/v[\d.]+)?/containers/(?:[0-9a-f]{64}/)?(create|attach|start|wait)', said)
    steps = [step for _, step in found]
    assert steps.index("create") < steps.index("attach") < steps.index("wait") < steps.index("start")
    assert own_daemon.data not in said and own_daemon.run not in said


def test_A03_the_daemon_serves_on_after_its_starters_session(own_daemon, image):
    status, listed = api(own_daemon, "GET", "/containers/json", expect=200)
    assert status == 200 and listed == []
    assert any(f"{image}:latest" in found["RepoTags"] for found in api(own_daemon, "GET", "/images/json", expect=200)[1])


@pytest.mark.parametrize("verb", [["ps"], ["images"], ["run", "x"], ["stop", "x"], ["info"]])
def test_A04_without_a_daemon_one_line_names_the_socket(workspace, verb):
    apus = Client("apus", CLIENTS["apus"], "unix:///tmp/apus-nobody.sock", workspace)
    begin = time.monotonic()
    result = apus(*verb)
    assert time.monotonic() - begin < 5
    assert result.code == (125 if verb[0] == "run" else 1)
    lines = [line for line in result.err.splitlines() if line and not line.startswith("Run '")]
    assert len(lines) == 1
    assert "Cannot connect to the apus daemon at unix:///tmp/apus-nobody.sock. Is the apus daemon running?" in lines[0]


def test_A05_all_parts_tell_their_version(cli, own_daemon):
    said = cli("version").ok()
    assert "Client:" in said and "Server:" in said
    assert cli("info").out.count("Containers:") == 1
    for program in ("apus", "apusd", "apus-shim", "apus-runtime"):
        out = subprocess.run([f"{BUILD}/{program}", "--version"], capture_output=True, text=True, check=True).stdout
        assert re.search(r"\d+\.\d+\.\d+", out), program


def test_A07_A08_only_shim_and_payload_stay_once_a_container_runs(apus, image, own_daemon):
    apus("run", "-d", "--name", "alone", image, "sleep", "60").ok()
    assert leaks.processes(f"{BUILD}/apus-runtime") == []
    assert len(own_daemon.shims()) == 1
    pid = int(apus.inspect("alone", "{{.State.Pid}}"))
    with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
        parent = int(file.read().rpartition(")")[2].split()[1])
    assert parent == own_daemon.shims()[0]


def test_the_default_network_is_private_and_info_says_so(apus, own_daemon, image):
    assert "network" in apus("info").err
    assert apus("run", "--rm", image, "ls", "/sys/class/net").ok().split() == ["lo"]
    assert "lo" in apus("run", "--rm", "--network", "host", image, "ls", "/sys/class/net").ok().split()


@pytest.fixture
def brittle(workspace, registry, request):
    """A daemon of the test's own, to kill."""
    daemon = Daemon(os.path.join(workspace, f"b{len(os.listdir(workspace))}"))
    os.makedirs(daemon.folder)
    daemon.start()
    client = Client("apus", CLIENTS["apus"], daemon.host, workspace)
    client("pull", f"{registry.host}/busybox").ok()
    daemon.image, daemon.client = f"{registry.host}/busybox", client
    yield daemon
    if daemon.process.poll() is not None:
        daemon.start()
    if names := client("ps", "-aq").ok().split():
        client("rm", "-f", *names).ok()
    wait_until(lambda: not daemon.shims(), "the shims are gone")
    assert daemon.stop() == 0
    assert not leaks.mounts(daemon.folder)



def test_A10_a_killed_daemon_takes_nothing_along(brittle):
    """SIGKILL while a container writes thousands of lines a second: same process, no gap, no duplicate, all verbs afterwards."""
    client = brittle.client
    client("run", "-d", "--name", "count", brittle.image, "sh", "-c", "i=0; while [ $i -lt 40000 ]; do i=$((i+1)); echo $i; done; sleep 60").ok()
    client("run", "-d", "--name", "brief", brittle.image, "sh", "-c", "sleep 1; exit 6").ok()
    client("run", "-d", "--rm", "--name", "vanish", brittle.image, "sleep", "1").ok()
    client("run", "-di", "--name", "held", brittle.image, "cat").ok()
    before = client.inspect("count", "{{.State.Pid}} {{.State.StartedAt}}")
    brittle.kill()
    time.sleep(2.5)
    assert os.path.exists(f"/proc/{before.split()[0]}")
    brittle.start()
    assert client.inspect("count", "{{.State.Pid}} {{.State.StartedAt}}") == before
    assert client.inspect("brief", "{{.State.Status}} {{.State.ExitCode}}") == "exited 6"
    assert client("wait", "brief").line() == "6"
    wait_until(lambda: "vanish" not in client("ps", "-a", "--format", "{{.Names}}").out, "--rm is honoured")
    assert client("exec", "count", "echo", "in").line() == "in"
    wait_until(lambda: client("logs", "--tail", "1", "count").line() == "40000", "all lines are written", seconds=30)
    assert client("logs", "count").ok().split() == [str(number) for number in range(1, 40_001)]
    attached = client.start("attach", "held", stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    attached.stdin.write(b"still\n")
    attached.stdin.flush()
    assert attached.stdout.readline() == b"still\n"
    client("kill", "held").ok()
    attached.stdin.close()
    assert attached.wait(20) == 137
    client("stop", "-t", "1", "count").ok()
    assert client.inspect("count", "{{.State.ExitCode}}") == "137"


def test_A10_a_daemon_asked_to_end_leaves_its_containers_running(brittle):
    client = brittle.client
    client("run", "-d", "--name", "stays", brittle.image, "sleep", "60").ok()
    pid = client.inspect("stays", "{{.State.Pid}}")
    assert brittle.stop() == 0
    assert os.path.exists(f"/proc/{pid}")
    assert not os.path.exists(brittle.socket)
    brittle.start()
    assert client.inspect("stays", "{{.State.Pid}} {{.State.Running}}") == f"{pid} true"


def test_a_daemon_killed_while_containers_start_leaves_them_whole_or_not_at_all(brittle):
    client = brittle.client
    starting = [client.start("run", "-d", "--name", f"many{number}", brittle.image, "sleep", "60",
                             stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) for number in range(6)]
    time.sleep(0.15)
    brittle.kill()
    for process in starting:
        process.wait(30)
    brittle.start()
    for line in client("ps", "-a", "--format", "{{.Names}} {{.State}}").ok().splitlines():
        name, state = line.split()
        assert state in ("created", "running", "exited"), line
        if state == "running":
            assert client("exec", name, "true").code == 0
        assert client("rm", "-f", name).line() == name
    wait_until(lambda: not brittle.shims(), "no shim is left")
    assert not leaks.mounts(f"{brittle.data}/containers") and leaks.cgroups("/apus/") == []
    for number in range(6):
        assert client("run", "--rm", "--name", f"many{number}", brittle.image, "true").code == 0


def test_a_second_daemon_on_the_same_folders_is_refused(own_daemon):
    second = subprocess.run(
        [f"{BUILD}/apusd", "--host", own_daemon.host, "--data-root", own_daemon.data, "--exec-root", own_daemon.run],
        capture_output=True, text=True, timeout=20, check=False)
    assert second.returncode == 1 and second.stderr.count("\n") <= 2, second
    assert api(own_daemon, "GET", "/_ping")[0] == 200


def test_a_flood_of_output_to_a_stalled_reader_costs_no_memory(own_daemon, apus, image):
    """A client that stops reading holds its container up; nothing is piled up on the way."""
    before = resident(own_daemon.process.pid)
    client = apus.start("run", "--rm", "--name", "flood", image, "head", "-c", "1000000000", "/dev/zero",
                        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    time.sleep(3)
    shim = own_daemon.shims()[0]
    assert resident(own_daemon.process.pid) - before < 10_000
    assert resident(shim) < 10_000
    client.kill()
    client.wait()
    client.stdout.close()
    apus("rm", "-f", "flood")


def resident(process):
    with open(f"/proc/{process}/status", encoding="utf-8") as file:
        return int(re.search(r"VmRSS:\s+(\d+)", file.read()).group(1))


@pytest.mark.parametrize("method, path, body, status, text", [
    ("GET", "/v1.99/info", None, 400, "too new"), ("GET", "/v1.1/info", None, 400, "too old"),
    ("GET", "/nosuch", None, 404, "page not found"), ("POST", "/containers/create", "{", 400, ""),
    ("POST", "/containers/create", "[" * 100_000, 400, ""), ("POST", "/containers/create", {"Image": 5}, 400, ""),
    ("POST", "/containers/create", {"Image": "nosuch:image"}, 404, "No such image: nosuch:image"),
    ("POST", "/containers/nosuch/start", None, 404, "No such container: nosuch"),
    ("GET", "/containers/json?filters=x", None, 400, ""), ("POST", "/containers/../../etc/start", None, 404, ""),
    ("GET", "/networks", None, 501, "networks"), ("POST", "/build", None, 501, "build"),
    ("POST", "/exec/nosuch/start", {}, 404, "No such exec instance: nosuch"),
])
def test_a_bad_request_is_answered_with_dockers_status_and_reason(own_daemon, method, path, body, status, text):
    code, answer = api(own_daemon, method, path, body)
    assert code == status, answer
    assert text.lower() in (answer["message"] if isinstance(answer, dict) else answer).lower()
    assert api(own_daemon, "GET", "/_ping") == (200, "OK")


def test_two_shapes_of_the_api_hold_what_their_descriptions_require(own_daemon, apus, image):
    """Every property that v1.41 and v1.50 name for these answers, and nothing of the wrong kind."""
    yaml = pytest.importorskip("yaml")
    apus("run", "-d", "--name", "shape", image, "sleep", "60").ok()
    folder = os.path.join(os.path.dirname(__file__), "../../../shared/data/engine-api")
    if not os.path.isdir(folder):
        pytest.skip("the descriptions of the Engine API are not beside the checkout")
    for version in ("1.41", "1.50"):
        with open(f"{folder}/v{version}.yaml", encoding="utf-8") as file:
            definitions = yaml.safe_load(file)["definitions"]
        for path, name in [(f"/v{version}/info", "SystemInfo"), (f"/v{version}/version", "SystemVersion"),
                           (f"/v{version}/images/{image}/json", "ImageInspect" if version != "1.41" else "Image")]:
            answer = api(own_daemon, "GET", path, expect=200)[1]
            mistakes = list(disagreements(answer, definitions.get(name, {}), definitions, name))
            assert not mistakes, (version, mistakes)
    kinds = {version: api(own_daemon, "GET", f"/v{version}/images/{image}/json")[1] for version in ("1.41", "1.50")}
    assert "VirtualSize" in kinds["1.41"] and "VirtualSize" not in kinds["1.50"]


def disagreements(value, schema, definitions, where):
    """Where a value is of another kind than its description says."""
    while "$ref" in schema:
        schema = definitions[schema["$ref"].rpartition("/")[2]]
    for part in schema.get("allOf", []):
        yield from disagreements(value, part, definitions, where)
    kinds = {"object": dict, "array": list, "string": str, "integer": int, "boolean": bool, "number": (int, float)}
    wanted = kinds.get(schema.get("type"))
    if value is None or wanted is None:
        return
    if not isinstance(value, wanted):
        yield f"{where} is {type(value).__name__}, not {schema['type']}"
        return
    if isinstance(value, dict):
        for key, part in schema.get("properties", {}).items():
            if key in value:
                yield from disagreements(value[key], part, definitions, f"{where}.{key}")
    if isinstance(value, list):
        for element in value:
            yield from disagreements(element, schema.get("items", {}), definitions, f"{where}[]")


def test_sockets_and_folders_are_closed_to_others(own_daemon):
    assert os.stat(own_daemon.socket).st_mode & 0o777 == 0o660
    for folder in (own_daemon.data, own_daemon.run, f"{own_daemon.run}/shims"):
        assert os.stat(folder).st_mode & 0o007 in (0, 1) and not os.stat(folder).st_mode & 0o006, folder
