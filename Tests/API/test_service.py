"""The daemon as a service: settings in a file and by SIGHUP, sockets of the service manager, docker's socket, numbers for Prometheus."""
# Rows: features

import http.server
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

import pytest
from conftest import BUILD, CLIENTS, ROOT, Client, Daemon
from engine_http import Connection, api
from processes import free_port, wait_until


@pytest.fixture
def folder(workspace):
    path = os.path.join(workspace, f"v{len(os.listdir(workspace))}")
    os.makedirs(path)
    return path


@pytest.fixture
def started(folder):
    """Starts daemons with settings of their own; ended with the test."""
    made = []

    def start(*flags, **options):
        made.append(Daemon(folder).start("--bridge", "none", *flags, **options))
        return made[-1]

    yield start
    for daemon in made:
        assert daemon.stop() == 0
    if made:
        made[0].forget_firewall()


def settings(folder, text, name="config.toml"):
    path = os.path.join(folder, name)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    return path


def validate(path):
    said = subprocess.run([f"{BUILD}/apusd", "--config", path, "--validate"], capture_output=True, text=True, timeout=20, check=False)
    return said.returncode, said.stdout + said.stderr


TOML = """
hosts = ["unix:///run/x.sock"]
data-root = "/srv/apus"
log-level = "warn"
log-driver = "local"
default-runtime = "other"
insecure-registries = ["127.0.0.1:5000", "10.0.0.0/8"]
registry-idle-timeout = 30
live-restore = true

[log-opts]
max-size = "5m"

[runtimes.other]
path = "/usr/bin/runc"

[proxies]
http-proxy = "http://127.0.0.1:3128"
no-proxy = "localhost"
"""
WRONG = {
    "log-lvl = 'info'": "unknown setting 'log-lvl': known are bip, bip6, bridge, cdi-spec-dirs",
    "log-level = 'loud'": "'log-level': --log-level takes trace",
    "hosts = 'unix:///x'": "'hosts' must be a list of strings",
    "hosts = ['http://x']": "--host takes unix://, tcp:// or fd://, not 'http://x'",
    "hosts = ['tcp://0.0.0.0:2375']": "tcp://0.0.0.0:2375 is not served without TLS",
    "live-restore = false": "'live-restore' must be true: containers outlive the daemon always",
    "runtimes = 3": "'runtimes' must be a table",
    "[runtimes.x]\npath = 'relative'": "--runtime takes NAME=PATH with an absolute path",
    "[runtimes.x]\nargs = 'a'": "'runtimes' must be a table of runtimes, each with a path and nothing else",
    "data-root = 'here'": "--data-root takes an absolute path, not 'here'",
    "debug = 'perhaps'": "--debug takes true or false, not 'perhaps'",
    "debug =": "config.toml:1: ",
    "debug = true\ndebug = false": "config.toml:2: ",
}


def test_a_file_of_settings_is_read_whole_or_refused_by_its_line(folder):
    assert validate(settings(folder, TOML)) == (0, "configuration OK\n")
    for text, reason in WRONG.items():
        code, said = validate(settings(folder, text))
        assert code == 1 and reason in said and f"{folder}/config.toml" in said, said
    assert validate(f"{folder}/none")[0] == 1 and validate("")[0] == 0
    code, said = validate(settings(folder, "a = " + "[" * 1000))
    assert code == 1 and "config.toml:1: " in said


def test_dockers_own_daemon_json_is_understood(folder):
    document = {"hosts": ["unix:///run/x.sock"], "debug": True, "log-driver": "json-file", "log-opts": {"max-size": "1m"}, "live-restore": True,
                "runtimes": {"runc2": {"path": "/usr/bin/runc"}}, "default-runtime": "runc2", "insecure-registries": ["10.0.0.0/8"],
                "proxies": {"http-proxy": "http://127.0.0.1:1"}}
    assert validate(settings(folder, json.dumps(document), "daemon.json")) == (0, "configuration OK\n")
    for text, reason in {"{": "it is not JSON", "[]": "it is no object", '{"hosts": "x"}': "'hosts' must be a list",
                         '{"storage-driver": "zfs"}': "'storage-driver' must be overlay2 or overlayfs: files are kept with overlayfs",
                         '{"hosts": [1]}': "daemon.json"}.items():
        code, said = validate(settings(folder, text, "daemon.json"))
        assert code == 1 and reason in said, said


def test_a_setting_both_in_the_file_and_on_the_command_line_is_refused(folder):
    path = settings(folder, "log-level = 'debug'\n")
    said = subprocess.run([f"{BUILD}/apusd", "--config", path, "-l", "info", "--validate"], capture_output=True, text=True, timeout=20, check=False)
    assert said.returncode == 1 and "'log-level' is specified both there and by the flag --log-level" in said.stderr


def test_the_daemon_runs_as_its_file_says_and_reads_it_again_on_sighup(folder, started):
    path = settings(folder, "log-level = 'warn'\nlog-driver = 'local'\n")
    daemon = started("--config", path)
    assert api(daemon, "GET", "/info")[1]["LoggingDriver"] == "local"

    def reload(text, told):
        settings(folder, text)
        daemon.process.send_signal(signal.SIGHUP)
        wait_until(lambda: told in daemon.log(), told, seconds=20)

    assert "served" not in daemon.log()
    reload("log-level = 'debug'\nlog-driver = 'local'\n", "settings read again log.level=debug")
    api(daemon, "GET", "/_ping")
    wait_until(lambda: "http.path=/_ping" in daemon.log(), "requests are told")
    reload("log-level = 'loud'\n", "settings not read again")
    assert api(daemon, "GET", "/info")[1]["LoggingDriver"] == "local"
    reload("log-level = 'warn'\n", "some wait for the daemon's next start log.level=warning settings=log-driver")


def test_what_dockerd_reloads_changes_on_sighup_and_is_told_as_dockers_event(folder, started, registry):
    path = settings(folder, "insecure-registries = ['127.0.0.0/8']\n")
    daemon = started("--config", path)
    runtime = f"{BUILD}/apus-runtime"

    def reload(text, told):
        seen = daemon.log().count(told)
        settings(folder, text)
        daemon.process.send_signal(signal.SIGHUP)
        wait_until(lambda: daemon.log().count(told) > seen, told, seconds=20)

    assert "second" not in api(daemon, "GET", "/info")[1]["Runtimes"]
    reload(f"debug = true\ninsecure-registries = ['10.0.0.0/8', 'plain:5000']\ndefault-runtime = 'second'\n[runtimes.second]\npath = '{runtime}'\n",
           "settings read again log.level=debug")
    info = api(daemon, "GET", "/info")[1]
    assert info["Debug"] is True and info["DefaultRuntime"] == "second" and info["Runtimes"]["second"]["path"] == runtime
    assert "plain:5000" in info["RegistryConfig"]["IndexConfigs"] and "10.0.0.0/8" in info["RegistryConfig"]["InsecureRegistryCIDRs"]
    # It is no word alone: the container gets the runtime.
    api(daemon, "POST", f"/images/create?fromImage={registry.host}/busybox&tag=latest", expect=200)
    made = api(daemon, "POST", "/containers/create", {"Image": f"{registry.host}/busybox", "Cmd": ["true"]}, expect=201)[1]["Id"]
    assert api(daemon, "GET", f"/containers/{made}/json")[1]["HostConfig"]["Runtime"] == "second"
    api(daemon, "POST", f"/containers/{made}/start", expect=204)
    assert api(daemon, "POST", f"/containers/{made}/wait")[1]["StatusCode"] == 0
    # Nothing of a file that is wrong is taken.
    reload("debug = false\ndefault-runtime = 'nosuch'\n", "settings not read again")
    info = api(daemon, "GET", "/info")[1]
    assert info["Debug"] is True and info["DefaultRuntime"] == "second"
    reload("debug = false\n", "settings read again log.level=info")
    info = api(daemon, "GET", "/info")[1]
    assert info["Debug"] is False and info["DefaultRuntime"] == "apus" and "second" not in info["Runtimes"]
    status, answer = api(daemon, "POST", f"/containers/{made}/start")
    assert status == 400 and "unknown or invalid runtime name: second" in answer["message"]
    api(daemon, "DELETE", f"/containers/{made}", expect=204)
    connection = Connection(daemon.socket)
    connection.request("GET", f"/events?since=1&until={time.time():.6f}&filters=" + urllib.parse.quote('{"event":["reload"]}'))
    told = [json.loads(line) for line in connection.getresponse().read().splitlines()]
    connection.close()
    assert [(one["Type"], one["Action"], one["Actor"]["ID"]) for one in told] == [("daemon", "reload", info["ID"])] * 2
    first = told[0]["Actor"]["Attributes"]
    assert first["debug"] == "true" and first["default-runtime"] == "second" and f"second:{runtime}" in first["runtimes"].split(" ")
    assert first["insecure-registries"] == '["10.0.0.0/8","plain:5000"]' and first["name"] == socket.gethostname() and first["live-restore"] == "true"
    assert {"labels", "registry-mirrors", "default-shm-size", "default-ipc-mode"} <= set(first)


class Refuses(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.asked.append(self.path)
        self.send_error(404)

    def log_message(self, *_):
        pass


def test_a_registry_is_spoken_to_in_plain_http_as_soon_as_sighup_says_so(folder, started):
    path = settings(folder, "")
    daemon = started("--config", path)
    subprocess.run(["ip", "address", "add", "10.255.99.1/32", "dev", "lo"], check=True)
    try:
        with http.server.ThreadingHTTPServer(("10.255.99.1", 0), Refuses) as server:
            server.asked = []
            threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
            pull = f"/images/create?fromImage=10.255.99.1:{server.server_address[1]}/x"
            for text, speaks in ((None, False), ("insecure-registries = ['10.255.0.0/16']", True), ("", False)):
                if text is not None:
                    seen = daemon.log().count("settings read again")
                    settings(folder, text)
                    daemon.process.send_signal(signal.SIGHUP)
                    wait_until(lambda: daemon.log().count("settings read again") > seen, "the settings are read again", seconds=20)
                server.asked.clear()
                assert api(daemon, "POST", pull)[0] >= 400 and bool(server.asked) == speaks, (text, server.asked)
            server.shutdown()
    finally:
        subprocess.run(["ip", "address", "del", "10.255.99.1/32", "dev", "lo"], check=True)


def test_the_log_is_json_where_it_is_asked_for(started):
    daemon = started("--log-format", "json", "--log-level", "debug")
    api(daemon, "GET", "/_ping?x=%0Aforged")
    wait_until(lambda: "_ping" in daemon.log(), "the request is told")
    lines = [json.loads(line) for line in daemon.log().splitlines()]
    assert all(line["time"].endswith("Z") and line["level"] and line["msg"] for line in lines)
    assert next(line for line in lines if line["msg"] == "served")["http.status"] == "200"


@pytest.mark.parametrize("flag", [["--host", "fd://"], []])
def test_sockets_of_the_service_manager_are_served(folder, flag):
    """As systemd hands them over: bound and listening from descriptor 3 on, before the daemon is there."""
    daemon = Daemon(folder)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(daemon.socket)
    listener.listen()
    # A client that comes first waits.
    early = socket.socket(socket.AF_UNIX)
    early.connect(daemon.socket)
    early.sendall(b"GET /_ping HTTP/1.1\r\nHost: d\r\nConnection: close\r\n\r\n")
    takes = ("import os, sys; os.dup2(int(sys.argv[1]), 3); os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS='1'); "
             "os.execv(sys.argv[2], sys.argv[2:])")
    with open(daemon.log_path, "ab") as log:
        daemon.process = subprocess.Popen(
            [sys.executable, "-c", takes, str(listener.fileno()), f"{BUILD}/apusd", "--data-root", daemon.data, "--exec-root", daemon.run,
             "--bridge", "none", "--config", "", *flag],
            stdout=log, stderr=log, pass_fds=[listener.fileno()])
    early.settimeout(30)
    assert b"200 OK" in early.recv(4096)
    assert api(daemon, "GET", "/_ping") == (200, "OK") and not os.path.exists(f"{daemon.run}/apus.sock")
    assert daemon.stop() == 0
    # The manager's socket is the manager's.
    assert os.path.exists(daemon.socket)
    early.close()
    listener.close()


def test_a_socket_of_the_service_manager_that_is_not_there_is_said(folder):
    said = subprocess.run([f"{BUILD}/apusd", "--host", "fd://", "--data-root", f"{folder}/d", "--exec-root", f"{folder}/r", "--config", ""],
                          capture_output=True, text=True, timeout=20, check=False)
    assert said.returncode == 1 and "--host fd://: the service manager has handed over no socket" in said.stderr


def test_docker_s_socket_is_a_link_unless_an_engine_answers_there(folder, started, own_daemon):
    path = os.path.join(folder, "docker.sock")
    # One that nobody answers on any more.
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(path)
    daemon = started(f"--docker-socket={path}")
    assert os.readlink(path) == daemon.socket
    docker = Client("docker", next(CLIENTS[name] for name in CLIENTS if name != "apus"), f"unix://{path}", folder)
    assert docker("version", "-f", "{{.Server.Version}}").line()
    daemon.stop()
    assert not os.path.lexists(path)
    os.symlink(own_daemon.socket, path)
    said = subprocess.run([f"{BUILD}/apusd", "--host", daemon.host, "--data-root", daemon.data, "--exec-root", daemon.run, "--config", "",
                           f"--docker-socket={path}"], capture_output=True, text=True, timeout=20, check=False)
    assert said.returncode == 1 and f"another engine answers on {path}" in said.stderr and os.readlink(path) == own_daemon.socket
    os.remove(path)
    settings(folder, "mine", "docker.sock")
    said = subprocess.run([f"{BUILD}/apusd", "--host", daemon.host, "--data-root", daemon.data, "--exec-root", daemon.run, "--config", "",
                           f"--docker-socket={path}"], capture_output=True, text=True, timeout=20, check=False)
    assert said.returncode == 1 and "is there and is neither a socket nor a link" in said.stderr


LINE = re.compile(r'^([a-z_]+)(?:\{((?:[a-z]+="(?:[^"\\]|\\.)*",?)+)\})? (-?[0-9.e+-]+)$')


def metrics(text):
    """Samples by name; every line is checked to be one that Prometheus reads."""
    samples = {}
    for line in text.splitlines():
        if not line.startswith("#"):
            match = LINE.match(line)
            assert match, line
            labels = dict(re.findall(r'([a-z]+)="((?:[^"\\]|\\.)*)"', match.group(2) or ""))
            samples.setdefault(match.group(1), []).append((labels, float(match.group(3))))
    return samples


def test_prometheus_reads_what_engine_and_containers_do(own_daemon, apus, image):
    apus("run", "-d", "--name", "busy", "-m", "64m", image, "sh", "-c", "while :; do :; done").ok()
    apus("create", "--name", "idle", image).ok()

    def read():
        status, text = api(own_daemon, "GET", "/metrics")
        assert status == 200
        return metrics(text)

    wait_until(lambda: read()["container_cpu_usage_seconds_total"][0][1] > 0.05, "time was used", seconds=30)
    found = read()
    states = {labels["state"]: value for labels, value in found["engine_daemon_container_states_containers"]}
    assert states["running"] == 1 and states["created"] == 1 and states["exited"] == 0
    assert found["engine_daemon_engine_info"][0][1] == 1
    labels, value = found["container_memory_limit_bytes"][0]
    assert labels["name"] == "busy" and labels["image"] == image and len(labels["id"]) == 64 and value == 64 << 20
    assert {labels["interface"] for labels, _ in found["container_network_receive_bytes_total"]} == {"eth0"}
    if os.path.exists("/sys/fs/cgroup/cgroup.controllers") and os.path.exists("/proc/pressure/cpu"):
        assert "container_pressure_cpu_waiting_seconds_total" in found
    assert [labels["name"] for labels, _ in found["container_processes"]] == ["busy"]


def test_metrics_have_an_address_of_their_own_that_serves_nothing_else(started):
    port = free_port()
    daemon = started("--metrics-addr", f"127.0.0.1:{port}")
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=20) as answer:
        assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
        assert metrics(answer.read().decode())["engine_daemon_images"] == [({}, 0)]
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(f"http://127.0.0.1:{port}/containers/json", timeout=20)
    assert refused.value.code == 404
    taken = subprocess.run([f"{BUILD}/apusd", "--host", f"unix://{daemon.folder}/other.sock", "--data-root", f"{daemon.folder}/d2", "--exec-root",
                            f"{daemon.folder}/r2", "--bridge", "none", "--config", "", "--metrics-addr", f"127.0.0.1:{port}"],
                           capture_output=True, text=True, timeout=60, check=False)
    assert taken.returncode == 1 and f"cannot serve tcp://127.0.0.1:{port}" in taken.stderr


def test_the_units_name_what_is_installed():
    units = {name: open(os.path.join(ROOT, "packaging", "systemd", name), encoding="utf-8").read()
             for name in ("apusd.service", "apusd.socket", "apus-shutdown.service")}
    for text in ("Type=notify", "--host fd://", "ExecReload=/bin/kill -HUP $MAINPID"):
        assert text in units["apusd.service"]
    for text in ("ListenStream=/run/apus/apus.sock", "SocketGroup=apus", "SocketMode=0660"):
        assert text in units["apusd.socket"]
    with open(os.path.join(ROOT, "packaging", "systemd", "apus.sysusers"), encoding="utf-8") as file:
        assert "g apus -" in file.read()
