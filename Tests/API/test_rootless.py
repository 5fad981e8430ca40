"""The daemon of an ordinary user: root of a user namespace alone."""
# Rows: features

import contextlib
import glob
import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import tempfile

import pytest
from conftest import BUILD, CLIENTS, Client
from processes import PATIENCE, alive, wait_until

USER, FIRST_SUBID = 4242, 700000
PROGRAMS = ["apusd", "apus", "apus-shim", "apus-runtime", "apus-net", "apus-init"]


class RootlessDaemon:
    """`apusd --rootless` of a user who is in the databases of a mount namespace of their own."""

    def __init__(self, folder):
        self.folder, self.home, self.runtime = folder, os.path.join(folder, "home"), os.path.join(folder, "run")
        self.programs = os.path.join(folder, "bin")
        for path in [self.home, self.runtime, self.programs]:
            os.mkdir(path, 0o755)
        for path in [self.home, self.runtime]:
            os.chown(path, USER, USER)
        for name in PROGRAMS:
            shutil.copy(os.path.join(BUILD, name), self.programs)
        for name, line in [("passwd", f"root:x:0:0::/root:/bin/sh\nordinary:x:{USER}:{USER}::{self.home}:/bin/sh"),
                           ("group", f"ordinary:x:{USER}:"), ("subuid", f"ordinary:{FIRST_SUBID}:65536"),
                           ("subgid", f"{USER}:{FIRST_SUBID}:65536")]:
            with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
                file.write(f"{line}\n")
        self.environment = {"PATH": os.environ["PATH"], "HOME": self.home, "XDG_RUNTIME_DIR": self.runtime}
        self.socket = os.path.join(self.runtime, "apus/apus.sock")
        self.process = None

    def words(self, *words):
        """A command line as the user."""
        binds = "; ".join(f"mount --bind {self.folder}/{name} /etc/{name}" for name in ("passwd", "group", "subuid", "subgid"))
        return ["unshare", "-m", "sh", "-ec", f'{binds}; exec setpriv --reuid {USER} --regid {USER} --clear-groups "$@"', "sh", *words]

    def run(self, *words, env=None):
        environment = {name: value for name, value in {**self.environment, **(env or {})}.items() if value is not None}
        return subprocess.run(self.words(*words), env=environment, capture_output=True, text=True, timeout=60 * PATIENCE, check=False,
                              cwd="/")

    def start(self, env=None):
        with open(os.path.join(self.folder, "log"), "ab") as log:
            self.process = subprocess.Popen(self.words(f"{self.programs}/apusd", "--rootless"), stdout=log, stderr=log, cwd="/",
                                            env={**self.environment, **(env or {})})
        wait_until(self.answers, "apusd answers /_ping", seconds=20)
        return self

    def answers(self):
        assert self.process.poll() is None, self.log()
        return subprocess.run(["curl", "-sf", "-m", "5", "--unix-socket", self.socket, "http://d/_ping"],
                              capture_output=True, check=False).stdout == b"OK"

    def log(self):
        with open(os.path.join(self.folder, "log"), encoding="utf-8") as file:
            return file.read()

    def client(self, name):
        return Client(name, CLIENTS[name], f"unix://{self.socket}", os.path.join(self.folder, f"client-{name}"))

    def stop(self):
        self.process.terminate()
        assert self.process.wait(20 * PATIENCE) == 0, self.log()

    def processes(self):
        """Of the user and of the user's ids, in this pid namespace."""
        found = []
        for path in glob.glob("/proc/[0-9]*"):
            with contextlib.suppress(OSError):
                if os.stat(path).st_uid in [USER, *range(FIRST_SUBID, FIRST_SUBID + 65536)]:
                    found.append(os.path.basename(path))
        return found


@pytest.fixture
def folder():
    made = tempfile.mkdtemp(prefix="rl-")
    os.chmod(made, 0o755)
    yield made
    shutil.rmtree(made)


@pytest.fixture
def rootless(folder):
    daemon = RootlessDaemon(folder).start()
    yield daemon
    if daemon.process.poll() is None:
        client = daemon.client("apus")
        if running := client("ps", "-aq").out.split():
            client("rm", "-f", *running)
        daemon.stop()
    wait_until(lambda: not daemon.processes(), f"nothing of the user's is left: {daemon.processes()}", seconds=20)


@pytest.fixture(params=sorted(CLIENTS))
def cli(request, rootless, registry):
    client = rootless.client(request.param)
    client.image = f"{registry.host}/busybox"
    return client


def test_an_ordinary_user_pulls_runs_and_removes_by_every_client(rootless, cli):
    cli("pull", cli.image).ok()
    assert cli("run", "--rm", cli.image, "id", "-u").line() == "0"
    assert cli("run", "--rm", "--user", "7:8", cli.image, "sh", "-c", "id -u; id -g").ok().split() == ["7", "8"]
    cli("run", "-d", "--name", "one", "--user", "1000", cli.image, "sh", "-c", "echo hello; touch /tmp/made; exec sleep 600").ok()
    assert cli("exec", "one", "id", "-u").line() == "1000"
    wait_until(lambda: cli("logs", "one").ok() == "hello\n", "the log")
    assert "sleep 600" in cli("top", "one").ok()
    # Outside, the file is the subordinate id's.
    made = wait_until(lambda: glob.glob(f"{rootless.home}/.local/share/apus/snapshots/overlayfs/**/tmp/made", recursive=True), "the file")
    assert [os.stat(path).st_uid for path in made] == [FIRST_SUBID + 999]
    cli("stop", "-t", "0", "one").ok()
    assert cli.inspect("one", "{{.State.ExitCode}}") == "137"
    cli("start", "one").ok()
    cli("rm", "-f", "one").ok()
    assert cli("ps", "-aq").ok() == ""


def test_volumes_copies_and_commits_of_an_ordinary_user(rootless, cli):
    source = os.path.join(rootless.folder, "file")
    with open(source, "w", encoding="utf-8") as file:
        file.write("copied\n")
    cli("run", "-d", "--name", "one", "-v", "data:/data", "--network", "none", cli.image, "sh", "-c",
        "rm /bin/vi; rm -r /root; mkdir /root; echo kept > /data/f; exec sleep 600").ok()
    wait_until(lambda: cli("exec", "one", "cat", "/data/f").out == "kept\n", "it has written")
    cli("cp", source, "one:/copied").ok()
    assert cli("exec", "one", "cat", "/copied", "/data/f").ok() == "copied\nkept\n"
    wait_until(lambda: "A /copied" in cli("diff", "one").ok().splitlines(), "the change")
    # Nothing can hold the container still.
    refused = cli("commit", "one", "changed")
    assert refused.code == 1 and "the container has no cgroup of its own" in refused.err, refused
    cli("commit", "--pause=false", "one", "changed").ok()
    cli("rm", "-f", "one").ok()
    # Whiteouts and opaque directories come out of the image as they went in.
    assert cli("run", "--rm", "-v", "data:/data", "changed", "sh", "-c", "cat /copied /data/f; ls /bin/vi; ls -A /root").out == "copied\nkept\n"
    cli("volume", "rm", "data").ok()
    assert cli("rmi", "changed", cli.image).code == 0


def test_containers_of_an_ordinary_user_reach_each_other_by_name(cli):
    cli("network", "create", "n").ok()
    cli("run", "-d", "--name", "served", "--network", "n", cli.image, "sh", "-c", "echo hi > /index.html; exec httpd -f -p 80 -h /").ok()
    wait_until(lambda: cli("run", "--rm", "--network", "n", cli.image, "wget", "-qO-", "http://served/").out == "hi\n", "the answer")
    cli("rm", "-f", "served").ok()
    cli("network", "rm", "n").ok()


def test_what_an_ordinary_user_has_not_is_told_and_refused_by_name(cli, rootless):
    info = json.loads(cli("info", "-f", "{{json .}}").ok())
    assert "name=rootless" in info["SecurityOptions"] and info["CgroupDriver"] == "none" and info["Driver"] == "overlayfs"
    assert any("rootless" in warning for warning in info["Warnings"])
    refused = cli("create", "-p", "8080:80", cli.image)
    assert refused.code != 0 and "HostConfig.PortBindings" in refused.err and "--network host" in refused.err
    refused = cli("network", "create", "-d", "macvlan", "-o", "parent=eth0", "m")
    assert refused.code != 0 and "macvlan is not supported in rootless mode" in refused.err
    created = cli("create", "-m", "64m", "--pids-limit", "9", cli.image, "true")
    assert "Limitation discarded" in created.err and "PIDs limit discarded" in created.err, created
    # The host's own network, where low ports are not an ordinary user's.
    bound = cli("run", "--rm", "--network", "host", cli.image, "nc", "-l", "-p", "80")
    assert bound.code != 0 and "ermission" in bound.err


def test_a_strict_container_of_an_ordinary_user_shares_the_daemons_users_and_is_strict_otherwise(cli):
    look = "cat /proc/self/uid_map; grep NoNewPrivs /proc/self/status; cat /proc/zoneinfo | wc -c; chroot / true && echo another root"
    strict, usual = (cli("run", "--rm", *flags, cli.image, "sh", "-c", look).out.splitlines() for flags in (["--security-opt", "profile=strict"], []))
    assert strict[:-2] == usual[:-3] and len(usual) > 3 and usual[-1] == "another root" and int(usual[-2]) > 0
    assert strict[-2:] == ["NoNewPrivs:\t1", "0"] and usual[-3] == "NoNewPrivs:\t0"
    # There are no users of its own that the host's namespaces would not go with.
    assert cli("run", "--rm", "--security-opt", "profile=strict", "--network", "host", cli.image, "true").code == 0


def test_B03_a_container_outlives_the_daemon_of_an_ordinary_user(rootless, cli):
    cli("run", "-d", "--name", "one", cli.image, "sh", "-c", "while :; do echo x; sleep 0.1; done").ok()
    process = cli.inspect("one", "{{.State.Pid}}")
    rootless.process.send_signal(signal.SIGKILL)
    rootless.process.wait()
    assert alive(process)
    rootless.start()
    assert cli.inspect("one", "{{.State.Running}} {{.State.Pid}}") == f"true {process}"
    # The root is mounted where the new daemon looks.
    cli("exec", "one", "sh", "-c", "echo inside > /made").ok()
    assert cli("cp", "one:/made", "-").code == 0
    before = len(cli("logs", "one").ok())
    wait_until(lambda: len(cli("logs", "one").ok()) > before, "more of the log")
    cli("rm", "-f", "one").ok()


def test_the_users_own_service_manager_hears_of_its_main_process_that_it_is_ready(folder):
    """Of another process, `Type=notify` does not believe it."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.settimeout(20 * PATIENCE)
        manager.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        manager.bind(f"{folder}/notify")
        os.chmod(f"{folder}/notify", 0o666)
        daemon = RootlessDaemon(folder).start({"NOTIFY_SOCKET": f"{folder}/notify"})

        def told():
            said, credentials, _, _ = manager.recvmsg(100, socket.CMSG_SPACE(12))
            return said, struct.unpack("3i", credentials[0][2])[0]

        try:
            assert told() == (b"READY=1", daemon.process.pid)
            assert daemon.answers()
        finally:
            daemon.stop()
        assert told() == (b"STOPPING=1", daemon.process.pid)
    wait_until(lambda: not daemon.processes(), "nothing of the user's is left", seconds=20)


def test_the_users_own_client_finds_the_users_own_daemon(rootless):
    said = rootless.run(f"{rootless.programs}/apus", "info", "-f", "{{.DockerRootDir}}")
    assert said.stdout.strip() == f"{rootless.home}/.local/share/apus", said.stderr


def test_one_id_is_warned_of_where_there_is_no_newuidmap(folder):
    daemon = RootlessDaemon(folder)
    daemon.environment["PATH"] = "/nowhere"
    words = daemon.words
    daemon.words = lambda *more: [shutil.which(words()[0]), *words(*more)[1:2], "/bin/sh", *words(*more)[3:4], words(*more)[4].replace(
        "mount", "/usr/bin/mount").replace("setpriv", "/usr/bin/setpriv"), *words(*more)[5:]]
    daemon.start()
    try:
        warnings = json.loads(daemon.client("apus")("info", "-f", "{{json .Warnings}}").ok())
        assert any("newuidmap is not on PATH" in warning for warning in warnings), warnings
    finally:
        daemon.stop()


@pytest.mark.parametrize("environment, words", [
    ({"XDG_RUNTIME_DIR": None}, ["XDG_RUNTIME_DIR", "loginctl enable-linger"]),
    ({"XDG_RUNTIME_DIR": "relative"}, ["XDG_RUNTIME_DIR=relative", "no absolute path"]),
    ({"HOME": None}, ["HOME", "XDG_DATA_HOME"]), ({"XDG_RUNTIME_DIR": "/nowhere"}, ["/nowhere", "XDG_RUNTIME_DIR"]),
])
def test_a_place_that_is_missing_is_named_with_the_way_out(folder, environment, words):
    daemon = RootlessDaemon(folder)
    said = daemon.run(f"{daemon.programs}/apusd", "--rootless", env=environment)
    assert said.returncode == 1 and all(word in said.stderr for word in words), said.stderr
    assert daemon.processes() == []


def test_root_is_refused():
    said = subprocess.run([f"{BUILD}/apusd", "--rootless"], capture_output=True, text=True, timeout=20, check=False,
                          env={"HOME": "/root", "XDG_RUNTIME_DIR": "/run", "PATH": os.environ["PATH"]})
    assert said.returncode == 1 and "root starts apusd without it" in said.stderr
