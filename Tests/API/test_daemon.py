"""Rows A01, A03-A05, A07, A08: what holds between the client, the daemon and the shims."""
# Rows: features

import ctypes
import os
import re
import select
import signal
import subprocess
import threading
import time
import types

import pexpect
import pytest
from conftest import BUILD, CLIENTS, LASTING, Client, Daemon, Held, lasting_threads
from engine_http import api, stream
from processes import PATIENCE, is_ready, wait_until

import leaks


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


@pytest.mark.parametrize("name", CLIENTS)
def test_A03_the_daemon_serves_on_after_its_starters_session(workspace, registry, name):
    """A shell starts it in the background, and its session ends with a hang-up."""
    daemon = Daemon(os.path.join(workspace, f"bg-{name}"))
    os.makedirs(daemon.folder)
    words = f"{BUILD}/apusd --host {daemon.host} --data-root {daemon.data} --exec-root {daemon.run} --pidfile {daemon.folder}/pid"
    shell = pexpect.spawn("/bin/bash", ["--norc", "-c", f"{words} >{daemon.log_path} 2>&1 & sleep 60"])
    wait_until(lambda: os.path.exists(f"{daemon.folder}/pid") and os.path.exists(daemon.socket), "the daemon listens", seconds=20)
    shell.close(force=True)
    with open(f"{daemon.folder}/pid", encoding="utf-8") as file:
        process = int(file.read())
    client = Client(name, CLIENTS[name], daemon.host, workspace)
    try:
        client("pull", f"{registry.host}/busybox").ok()
        client("create", "--name", "kept", f"{registry.host}/busybox").ok()
        assert [found["Names"] for found in api(daemon, "GET", "/containers/json?all=1", expect=200)[1]] == [["/kept"]]
        assert [found["RepoTags"] for found in api(daemon, "GET", "/images/json", expect=200)[1]] == [[f"{registry.host}/busybox:latest"]]
        client("volume", "create", "stays").ok()
        # The four kinds of objects; three networks are there from the first start.
        assert client("ps", "-a", "--format", "{{.Names}}").line() == "kept"
        assert client("images", "--format", "{{.Repository}}:{{.Tag}}").line() == f"{registry.host}/busybox:latest"
        assert set(client("network", "ls", "--format", "{{.Name}}").ok().split()) == {"bridge", "host", "none"}
        assert client("volume", "ls", "-q").line() == "stays"
        client("rm", "kept").ok()
        client("volume", "rm", "stays").ok()
    finally:
        os.kill(process, signal.SIGTERM)
        wait_until(lambda: not os.path.exists(f"/proc/{process}/exe"), "the daemon has ended")
        daemon.forget_network()


def test_A05_all_parts_that_take_flags_tell_their_version(cli, own_daemon):
    """All that is installed is of one version, but for `apus-init`, whose words are those of a container's program."""
    versions = {program: re.search(r"\d+\.\d+\.\d+", subprocess.run(
        [f"{BUILD}/{program}", "--version"], capture_output=True, text=True, check=True).stdout).group()
        for program in ("apus", "apusd", "apus-shim", "apus-runtime", "apus-net")}
    assert len(set(versions.values())) == 1, versions
    client, server = re.fullmatch(r"(Client:.*\n)\n?(Server:.*)", cli("version").ok(), re.S).groups()
    for block in (client, server):
        assert re.search(r"^ +Version: +\d+\.\d+", block, re.M) and re.search(r"^ +API version: +1\.\d+", block, re.M), block
    assert re.search(rf"^ +Version: +{re.escape(versions['apusd'])}$", server, re.M), server
    template = "{{.Client.Version}} {{.Server.Version}} {{.Server.APIVersion}} {{.Server.MinAPIVersion}} {{.Server.Os}}"
    ours, theirs, newest, oldest, system = cli("version", "-f", template).line().split()
    assert theirs == versions["apusd"] and (newest, oldest, system) == ("1.51", "1.24", "linux")
    assert ours == versions["apus"] or cli.name != "apus"


def test_A05_info_counts_what_there_is_and_tells_how_the_engine_is_set_up(cli, own_daemon, image):
    counts = "{{.Containers}} {{.ContainersRunning}} {{.ContainersPaused}} {{.ContainersStopped}}"
    images = int(cli("info", "-f", "{{.Images}}").line())
    assert cli("info", "-f", counts).line() == "0 0 0 0"
    for name in ("runs", "runs-too", "waits", "ended"):
        cli("run", "-d", "--name", name, image, "sleep", "3600").ok()
    cli("create", "--name", "fresh", image).ok()
    cli("pause", "waits").ok()
    cli("kill", "ended").ok()
    assert cli("wait", "ended").line() == "137" and cli("info", "-f", counts).line() == "5 2 1 2"
    page = dict(line.strip().split(": ", 1) for line in cli("info").ok().splitlines() if ": " in line.strip())
    assert [page[key] for key in ("Containers", "Running", "Paused", "Stopped", "Images")] == ["5", "2", "1", "2", str(images)]
    assert page["Docker Root Dir"] == own_daemon.data and page["Kernel Version"] == os.uname().release
    assert int(page["CPUs"]) in (os.cpu_count(), len(os.sched_getaffinity(0))) and page["OSType"] == "linux" and page["Name"] == os.uname().nodename
    assert page["Storage Driver"] in ("overlay2", "overlayfs", "vfs") and page["Logging Driver"] == "json-file"
    assert page["Cgroup Driver"] in ("cgroupfs", "systemd") and page["Cgroup Version"] in ("1", "2") and page["Default Runtime"] in page["Runtimes"].split()
    made = [f"counted:{number}" for number in range(2)]
    try:
        for number, name in enumerate(made):
            cli("commit", "-m", f"{number}", "fresh", name).ok()
        assert int(cli("info", "-f", "{{.Images}}").line()) == images + 2
    finally:
        cli("rmi", *made)


def test_the_host_network_is_the_hosts(apus, own_daemon, image):
    assert "lo" in apus("run", "--rm", "--network", "host", image, "ls", "/sys/class/net").ok().split()


def test_a_second_daemon_on_the_same_folders_is_refused(own_daemon):
    second = subprocess.run(
        [f"{BUILD}/apusd", "--host", own_daemon.host, "--data-root", own_daemon.data, "--exec-root", own_daemon.run],
        capture_output=True, text=True, timeout=20, check=False)
    assert second.returncode == 1 and second.stderr.count("\n") <= 2, second
    assert api(own_daemon, "GET", "/_ping")[0] == 200


def test_a_client_that_never_reads_the_log_it_follows_costs_no_memory(own_daemon, apus, image):
    apus("run", "-d", "--name", "loud", image, "sh", "-c", "seq 1 5000000; sleep 60").ok()
    before = resident(own_daemon.process.pid)
    readers = []
    for request in ["GET /containers/loud/logs?stdout=1&follow=1"] * 4 + ["POST /containers/loud/attach?stdout=1&stream=1&logs=1"]:
        readers.append(stream(own_daemon.socket))
        readers[-1].sendall(f"{request} HTTP/1.1\r\nHost: d\r\n\r\n".encode())
    wait_until(lambda: os.path.getsize(f"{own_daemon.data}/containers/{apus.inspect('loud', '{{.Id}}')}/log") > 1 << 20, "it is loud")
    time.sleep(1)
    assert resident(own_daemon.process.pid) - before < 10_000
    for reader in readers:
        reader.close()
    assert apus("logs", "--tail", "1", "loud").code == 0


def test_a_wait_too_long_for_any_clock_is_served(own_daemon, apus, image):
    apus("run", "-d", "--name", "patient", image, "sh", "-c", "trap 'exit 0' TERM; echo up; while :; do sleep 0.05; done").ok()
    wait_until(lambda: "up" in apus("logs", "patient").out, "it will heed the signal")
    assert api(own_daemon, "POST", "/containers/patient/stop?t=9223372036854775807")[0] == 204
    assert apus.inspect("patient", "{{.State.ExitCode}}") == "0"


def test_a_size_for_a_process_without_a_terminal_changes_nothing(own_daemon, apus, image):
    apus("run", "-d", "--name", "plain", image, "sleep", "60").ok()
    assert api(own_daemon, "POST", "/containers/plain/resize?h=10&w=10")[0] == 200
    assert api(own_daemon, "POST", "/containers/plain/resize?h=a&w=10")[0] == 400


def test_a_flood_of_output_to_a_stalled_reader_costs_no_memory(own_daemon, apus, image):
    """A client that stops reading holds its container up; nothing is piled up on the way."""
    before = resident(own_daemon.process.pid)
    client = apus.start("run", "--rm", "--name", "flood", image, "head", "-c", "1000000000", "/dev/zero",
                        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    # Its first bytes, and no more: then the rest waits, wherever there is room.
    assert is_ready(client.stdout, select.POLLIN, time.monotonic() + 60 * PATIENCE)
    time.sleep(3)
    [shim] = own_daemon.shims()
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
    ("GET", "/networks/nosuch", None, 404, "network nosuch not found"), ("POST", "/build", None, 501, "build"),
    ("POST", "/exec/nosuch/start", {}, 404, "No such exec instance: nosuch"),
])
def test_a_bad_request_is_answered_with_dockers_status_and_reason(own_daemon, method, path, body, status, text):
    code, answer = api(own_daemon, method, path, body)
    assert code == status, answer
    assert text.lower() in (answer["message"] if isinstance(answer, dict) else answer).lower()
    assert api(own_daemon, "GET", "/_ping") == (200, "OK")


def test_sockets_and_folders_are_closed_to_others(own_daemon, apus, image):
    # The shims' folder is there from the first container on.
    apus("run", "--rm", image, "true").ok()
    assert os.stat(own_daemon.socket).st_mode & 0o777 == 0o660
    for folder in (own_daemon.data, own_daemon.run, f"{own_daemon.run}/shims"):
        assert os.stat(folder).st_mode & 0o007 in (0, 1) and not os.stat(folder).st_mode & 0o006, folder


def test_the_daemons_threads_are_called_by_what_they_are_for_and_those_of_pools_rest_when_they_have_nothing_to_do(own_daemon, image):
    def kinds():
        return leaks.thread_kinds(own_daemon.process.pid)

    assert lasting_threads(own_daemon) == LASTING

    def only_rest():
        api(own_daemon, "GET", f"/images/{image}/json", expect=200)
        found = kinds()
        return found["resting"] and not any(name.startswith(("engine.", "images.", "registry.")) for name in found)

    wait_until(only_rest, "no pool has anything to do", seconds=30)


def test_the_leak_check_notices_one_descriptor_and_one_thread_more(request):
    """Of any process: this one plays the daemon. Threads that rest are let through."""
    itself = types.SimpleNamespace(process=types.SimpleNamespace(pid=os.getpid()))
    libc, done = ctypes.CDLL(None, use_errno=True), threading.Event()
    request.addfinalizer(done.set)

    def named(name):
        ready = threading.Event()

        def body():
            assert libc.prctl(15, name.encode(), 0, 0, 0) == 0
            ready.set()
            done.wait()

        threading.Thread(target=body, daemon=True).start()
        ready.wait()

    before = Held(itself)
    assert Held(itself).since(before) == {}
    with open(__file__, encoding="utf-8") as file:
        assert Held(itself).since(before) == {os.readlink(f"/proc/self/fd/{file.fileno()}"): 1}
    # Those that rest end by themselves, and so does the one that waits for the end of the server of names.
    for name in ("resting", "resting", "-qos.overcommit", "names"):
        named(name)
    assert Held(itself).since(before) == {}
    # A pool's thread that works has the pool's name, and one that lives on has its own: the first one too many is seen.
    for name in ("images.unpack", "networks", "names"):
        named(name)
    assert Held(itself).since(before) == {"thread images.unpack": 1, "thread networks": 1, "thread names": 1}


@pytest.mark.parametrize("path, length", [("/_ping", 2), ("/events?until=1", None)])
def test_a_client_of_http_1_0_knows_where_an_answer_ends(own_daemon, path, length):
    """By its length, where the connection stays only if both sides want it to, or by the connection's end."""
    def answer(*headers):
        with stream(own_daemon.socket, 30) as asked:
            request = "".join(f"{line}\r\n" for line in (f"GET {path} HTTP/1.0", *headers, "")).encode()
            asked.sendall(request)
            if not headers or length is None:
                said = b"".join(iter(lambda: asked.recv(4096), b""))
            else:
                said = b""
                while not re.search(rb"\r\n\r\n.{%d}$" % length, said, re.S):
                    part = asked.recv(4096)
                    assert part, said
                    said += part
                asked.sendall(request)
                assert asked.recv(4096).startswith(b"HTTP/1.0 200 ")
        head, body = said.decode().split("\r\n\r\n")
        assert head.startswith("HTTP/1.0 200 ") and "chunked" not in head and len(body) == (length or 0)
        return dict(line.split(": ", 1) for line in head.split("\r\n")[1:])

    assert answer()["Connection"] == "close"
    assert answer("Connection: keep-alive")["Connection"] == ("keep-alive" if length else "close")
