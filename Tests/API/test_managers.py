"""Row A07: `apus-runtime` in the place of runc, chosen by the configuration that each manager has for that.

Each manager is a private one with folders of its own, in a mount namespace of its own, where the runtime lies at the path that the
samples in packaging/ name."""
# Rows: features

import json
import os
import re
import shutil
import subprocess
import tomllib

import leaks
import pytest
from conftest import BUILD, CLIENTS, ROOT, Client, docker_command_lines
from processes import alive, stop, wait_until

RUNTIME = os.path.join(BUILD, "apus-runtime")
SAMPLES = os.path.join(ROOT, "packaging")
INSTALLED = "/usr/local/bin/apus-runtime"
CONTAINERD = """version = 2
root = "{folder}/cd/root"
state = "{folder}/cd/state"
disabled_plugins = ["io.containerd.internal.v1.opt", "io.containerd.snapshotter.v1.btrfs", "io.containerd.grpc.v1.cri",
  "io.containerd.snapshotter.v1.zfs", "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.devmapper",
  "io.containerd.tracing.processor.v1.otlp", "io.containerd.internal.v1.tracing"]
[grpc]
  address = "{folder}/cd/sock"
[ttrpc]
  address = "{folder}/cd/ttrpc"
"""


@pytest.fixture
def folder(workspace):
    path = os.path.join(workspace, "m")
    os.makedirs(path)
    before = leaks.parents_of_peers()
    yield path
    # A manager's shims leave once they have told of the end.
    wait_until(lambda: not leaks.processes(path), "the manager's processes are gone", seconds=20)
    leaks.remove_cgroups(leaks.parents_of_peers() - before)
    shutil.rmtree(path)


def installed(*words):
    """A command in a mount namespace where the runtime lies where `make install` puts it."""
    place = os.path.dirname(INSTALLED)
    script = (f'mount -t tmpfs tmpfs /mnt && mkdir /mnt/bin && cp {RUNTIME} /mnt/bin/ && '
              f'mount -t overlay overlay -o lowerdir=/mnt/bin:{place} {place} && exec "$@"')
    return ["unshare", "-m", "sh", "-c", script, "sh", *words]


def background(folder, name, *words):
    with open(os.path.join(folder, f"{name}.log"), "wb") as log:
        return subprocess.Popen(installed(*words), stdin=subprocess.DEVNULL, stdout=log, stderr=log)


def sample(*names):
    with open(os.path.join(SAMPLES, *names), "rb") as file:
        return json.load(file) if names[-1].endswith("json") else tomllib.load(file)


def memory_limit(pid):
    """What the kernel has for a process, on either kind of cgroups."""
    with open(f"/proc/{pid}/cgroup", encoding="utf-8") as file:
        paths = {line.split(":")[1]: line.rstrip("\n").split(":", 2)[2] for line in file}
    v1 = os.path.isdir("/sys/fs/cgroup/memory")
    path = f"/sys/fs/cgroup/memory{paths['memory']}/memory.limit_in_bytes" if v1 else f"/sys/fs/cgroup{paths['']}/memory.max"
    with open(path, encoding="utf-8") as file:
        return int(file.read())



def said(folder, name):
    with open(os.path.join(folder, f"{name}.log"), encoding="utf-8", errors="replace") as file:
        return file.read()[-3000:]


@pytest.fixture
def root(folder):
    """A root file system with busybox."""
    path = os.path.join(folder, "root")
    for name in ("bin", "dev", "etc", "proc", "run", "sys", "tmp"):
        os.makedirs(os.path.join(path, name))
    shutil.copy(shutil.which("busybox"), os.path.join(path, "bin", "busybox"))
    for applet in ("cat", "echo", "sh", "sleep"):
        os.symlink("busybox", os.path.join(path, "bin", applet))
    return path


def test_A07_containerd_runs_execs_limits_pauses_stops_and_removes_with_the_runtime(folder, root):
    os.makedirs(f"{folder}/cd")
    with open(f"{folder}/cd/config.toml", "w", encoding="utf-8") as file:
        file.write(CONTAINERD.format(folder=folder))
    process = background(folder, "containerd", "containerd", "--config", f"{folder}/cd/config.toml")

    def ctr(*words, **options):
        return subprocess.run(["ctr", "--address", f"{folder}/cd/sock", *words], capture_output=True, text=True, timeout=120, check=False, **options)

    def status(name):
        return next(line.split()[2] for line in ctr("tasks", "list").stdout.splitlines() if line.startswith(name))

    chosen = ["--runtime", "io.containerd.runc.v2", "--runc-binary", INSTALLED]
    try:
        wait_until(lambda: ctr("version").returncode == 0, "containerd answers", seconds=30)
        ran = ctr("run", "--rm", *chosen, "--rootfs", root, "first", "/bin/sh", "-c", "echo out; echo err >&2; exit 33")
        assert (ran.returncode, ran.stdout, ran.stderr) == (33, "out\n", "err\n"), said(folder, "containerd")
        begun = ctr("run", "-d", "--memory-limit", str(64 << 20), *chosen, "--rootfs", root, "second", "/bin/sh", "-c",
                    "trap 'exit 5' TERM; while :; do sleep 0.05; done")
        assert begun.returncode == 0, begun
        assert ctr("tasks", "exec", "--exec-id", "one", "second", "/bin/sh", "-c", "exit 21").returncode == 21
        assert status("second") == "RUNNING"
        pid = int(next(line.split()[1] for line in ctr("tasks", "list").stdout.splitlines() if line.startswith("second")))
        assert memory_limit(pid) == 64 << 20
        assert ctr("tasks", "pause", "second").returncode == 0
        assert status("second") == "PAUSED"
        assert ctr("tasks", "exec", "--exec-id", "two", "second", "/bin/true").returncode != 0
        assert ctr("tasks", "resume", "second").returncode == 0
        assert status("second") == "RUNNING"
        assert ctr("tasks", "kill", "--signal", "SIGTERM", "second").returncode == 0
        wait_until(lambda: status("second") == "STOPPED", "the task has ended")
        assert "exit code 5" in ctr("tasks", "delete", "second").stderr
        assert ctr("containers", "delete", "second").returncode == 0
        assert "second" not in ctr("containers", "list").stdout and not alive(pid)
        # The private daemon has no CRI, which would want a network plugin; what containerd makes of the sample it says itself.
        command = ["containerd", "--config", os.path.join(SAMPLES, "containerd", "config.toml"), "config", "dump"]
        dumped = subprocess.run(command, capture_output=True, text=True, check=True)
        runtimes = tomllib.loads(dumped.stdout)["plugins"]["io.containerd.grpc.v1.cri"]["containerd"]
        assert runtimes["default_runtime_name"] == "apus" and runtimes["runtimes"]["apus"]["options"]["BinaryName"] == INSTALLED
    finally:
        stop(process)


@pytest.fixture
def dockerd(folder, request):
    """The address of a dockerd whose default runtime is ours, by its flags or by the sample of its configuration."""
    by_flags = ["--add-runtime", f"apus={INSTALLED}", "--default-runtime", "apus"]
    chosen = by_flags if getattr(request, "param", "flags") == "flags" else ["--config-file", os.path.join(SAMPLES, "docker", "daemon.json")]
    host = f"unix://{folder}/docker.sock"
    process = background(
        folder, "dockerd", "dockerd", "--host", host, "--data-root", f"{folder}/dd", "--exec-root", f"{folder}/de", "--pidfile",
        f"{folder}/docker.pid", "--iptables=false", "--ip6tables=false", "--ip-forward=false", "--ip-masq=false", "--bridge=none", *chosen)
    client = Client("apus", CLIENTS["apus"], host, folder)
    wait_until(lambda: client("version").code == 0, "dockerd answers", seconds=60)
    yield host
    if names := client("ps", "-aq").ok().split():
        client("rm", "-f", *names)
    stop(process, seconds=30)


def test_A07_dockerd_runs_execs_limits_pauses_stops_and_removes_with_the_runtime(folder, registry, dockerd):
    name, path = sorted(docker_command_lines().items())[0]
    docker, image = Client(name, path, dockerd, folder), f"{registry.host}/busybox"
    docker("pull", image).ok()
    ran = docker("run", "--rm", "--network", "none", image, "sh", "-c", "echo out; echo err >&2; exit 9")
    assert (ran.out, ran.err, ran.code) == ("out\n", "err\n", 9), said(folder, "dockerd")
    script = "trap 'exit 5' TERM; while :; do sleep 0.05; done"
    docker("run", "-d", "--name", "stays", "--network", "none", "-m", "64m", image, "sh", "-c", script).ok()
    assert docker.inspect("stays", "{{.HostConfig.Runtime}}") == "apus"
    assert docker("exec", "stays", "sh", "-c", "exit 21").code == 21
    assert docker("exec", "-i", "stays", "cat", stdin="in\n").ok() == "in\n"
    assert docker("run", "--rm", "--network", "none", image, "nosuch").code == 127
    pid = int(docker.inspect("stays", "{{.State.Pid}}"))
    assert memory_limit(pid) == 64 << 20
    docker("update", "-m", "96m", "--memory-swap", "96m", "stays").ok()
    assert memory_limit(pid) == 96 << 20
    docker("pause", "stays").ok()
    assert docker.inspect("stays", "{{.State.Status}}") == "paused"
    docker("unpause", "stays").ok()
    assert docker.inspect("stays", "{{.State.Status}}") == "running"
    docker("stop", "-t", "20", "stays").ok()
    assert docker.inspect("stays", "{{.State.Status}} {{.State.ExitCode}}") == "exited 5"
    docker("start", "stays").ok()
    docker("kill", "stays").ok()
    assert docker("wait", "stays").line() == "137"
    docker("rm", "stays").ok()
    assert docker("ps", "-aq").ok() == "" and not alive(pid)


@pytest.mark.parametrize("dockerd", ["sample"], indirect=True)
def test_our_command_line_serves_dockerd_too(folder, registry, dockerd):
    """The verbs that change and look at a container, against a daemon that nobody here wrote."""
    apus, image = Client("apus", CLIENTS["apus"], dockerd, folder), f"{registry.host}/busybox"
    apus("pull", image).ok()
    apus("run", "-d", "--name", "web", "--network", "none", image, "sleep", "600").ok()
    apus("exec", "web", "sh", "-c", "echo x > /made; rm /etc/passwd").ok()
    assert sorted(apus("diff", "web").ok().splitlines()) == ["A /made", "C /etc", "D /etc/passwd"]
    heading, process = apus("top", "web", "-o", "pid,args").ok().splitlines()
    assert heading.split() == ["PID", "COMMAND"] and process.split()[1:] == ["sleep", "600"]
    assert apus("pause", "web").line() == "web"
    assert apus.inspect("web", "{{.State.Status}}") == "paused"
    assert apus("pause", "web").code == 1
    assert apus("unpause", "web").line() == "web"
    # Behind the name it prints dockerd's warnings, as docker does.
    assert apus("update", "-m", "64m", "--memory-swap", "64m", "web").ok().splitlines()[0] == "web"
    assert apus.inspect("web", "{{.HostConfig.Memory}}") == str(64 << 20)
    assert apus("rename", "web", "site").ok() == ""
    taken = apus("rename", "nosuch", "site")
    assert taken.code == 1 and taken.err.endswith("Error: failed to rename container named nosuch\n")
    assert apus("port", "site").ok() == "" and apus("port", "site", "80").code == 1
    identifier = apus.inspect("site", "{{.Id}}")
    told = apus("events", "--since", "10m", "--until", "0s", "--filter", f"container={identifier}", "--format", "{{.Action}}")
    happened = told.ok().split("\n")
    assert [one for one in happened if one in ("create", "pause", "unpause", "update", "rename")] == [
        "create", "pause", "unpause", "update", "rename"]
    apus("kill", "site").ok()
    apus("wait", "site").ok()
    assert apus("container", "prune", stdin="n\n").ok().endswith("[y/N] ")
    pruned = apus("container", "prune", "-f").ok()
    assert f"Deleted Containers:\n{identifier}\n\nTotal reclaimed space: " in pruned
    assert re.search(r"^deleted: sha256:[0-9a-f]{64}$", apus("image", "prune", "-af").ok(), re.M)


def test_A07_podman_runs_execs_limits_pauses_stops_and_removes_with_the_runtime(folder, root):
    def podman(*words, by_sample=True, stdin=""):
        environment = {**os.environ, "CONTAINERS_CONF": os.path.join(SAMPLES, "podman", "apus.conf")}
        chosen = [] if by_sample else ["--runtime", RUNTIME]
        command = ["podman", "--root", f"{folder}/pr", "--runroot", f"{folder}/prr", "--tmpdir", f"{folder}/pt", "--storage-driver", "vfs",
                   "--cgroup-manager", "cgroupfs", "--events-backend", "none", *chosen, *words]
        return subprocess.run(installed(*command), env=environment if by_sample else os.environ, input=stdin, capture_output=True, text=True,
                              timeout=120, check=False)

    def looked_at(form):
        return podman("inspect", "-f", form, "stays").stdout.strip()

    # Podman raises limits that this container's process may keep as they are.
    place = ["--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1024:1024", "--network", "none", "--rootfs", root]
    try:
        ran = podman("run", "--rm", *place, "/bin/sh", "-c", "echo out; echo err >&2; exit 9", by_sample=False)
        assert (ran.returncode, ran.stdout, ran.stderr) == (9, "out\n", "err\n"), ran
        refused = podman("run", "--rm", *place, "nope")
        # The words alone, as of every runtime whose errors podman reads as JSON.
        assert refused.returncode == 127 and "level=" not in refused.stderr and '"nope": executable file not found in $PATH' in refused.stderr, refused
        begun = podman("run", "-d", "--name", "stays", "-m", "64m", *place, "/bin/sh", "-c", "trap 'exit 5' TERM; while :; do sleep 0.05; done")
        assert begun.returncode == 0, begun
        assert podman("exec", "stays", "/bin/sh", "-c", "exit 21").returncode == 21
        runtime, status, pid = looked_at("{{.OCIRuntime}} {{.State.Status}} {{.State.Pid}}").split()
        assert (runtime, status) == ("apus", "running")
        assert memory_limit(pid) == 64 << 20
        assert podman("pause", "stays").returncode == 0
        assert looked_at("{{.State.Status}}") == "paused"
        assert podman("unpause", "stays").returncode == 0
        assert looked_at("{{.State.Status}}") == "running"
        assert podman("stop", "-t", "20", "stays").returncode == 0
        assert looked_at("{{.State.Status}} {{.State.ExitCode}}") == "exited 5"
        assert podman("rm", "stays").returncode == 0
        assert podman("ps", "-aq").stdout == "" and not alive(pid)
    finally:
        podman("rm", "-f", "-i", "stays")


def test_A07_every_sample_names_the_runtime_where_it_is_installed():
    """CRI-O is no package of Debian 12: its sample is held to the keys of crio.conf(5)."""
    assert sample("docker", "daemon.json")["runtimes"]["apus"]["path"] == INSTALLED
    assert sample("podman", "apus.conf")["engine"]["runtimes"]["apus"][0] == INSTALLED
    runtimes = sample("crio", "apus.conf")["crio"]["runtime"]
    assert runtimes["default_runtime"] == "apus"
    assert runtimes["runtimes"]["apus"] == {"runtime_path": INSTALLED, "runtime_type": "oci", "runtime_root": "/run/apus/runtime"}


def test_A07_A08_only_shim_and_payload_stay_once_a_container_runs(cli, image, own_daemon):
    cli("run", "-d", "--name", "alone", image, "sleep", "60").ok()
    assert leaks.processes(RUNTIME) == []
    assert len(own_daemon.shims()) == 1
    pid = int(cli.inspect("alone", "{{.State.Pid}}"))
    with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
        parent = int(file.read().rpartition(")")[2].split()[1])
    assert parent == own_daemon.shims()[0]
