"""What a container sees and may by default, from its inside: Docker's defaults, B01-B13 of the attacks; A01 and A15 through the engine; and whose
words reach a terminal."""
# Rows: attacks

import os
import re
import socket
import subprocess

import pytest
from conftest import BUILD
from engine_http import api
from oci_images import Image, Pusher, busybox_layer, files, tar
from processes import wait_until

DOCKERS_CAPABILITIES = 0xA80425FB
MASKED_FILES = "acpi asound interrupts kcore keys latency_stats sched_debug scsi timer_list timer_stats".split()
READ_ONLY = "bus fs irq sys sysrq-trigger".split()


@pytest.fixture(scope="module")
def inside(daemon, workspace, image):
    """Runs a shell's words in one container with nothing asked for."""
    from conftest import CLIENTS, Client, sweep
    client = Client("apus", CLIENTS["apus"], daemon.host, workspace)

    def run(*words, flags=()):
        return client("run", "--rm", *flags, image, "sh", "-c", " ".join(words)).out

    yield run
    sweep(daemon)


def test_B01_the_capabilities_of_a_process_are_dockers(inside):
    said = inside("grep Cap /proc/self/status")
    sets = {name: int(value, 16) for name, value in re.findall(r"Cap(\w+):\s+([0-9a-f]+)", said)}
    assert sets["Eff"] == sets["Prm"] == sets["Bnd"] == DOCKERS_CAPABILITIES and sets["Inh"] == sets["Amb"] == 0
    of_a_user = inside("grep CapEff /proc/self/status", flags=["-u", "1000"])
    assert int(of_a_user.split()[1], 16) == 0


def test_B02_what_tells_of_the_host_is_empty_and_what_changes_it_cannot_be_written(inside):
    said = inside("for f in", *(f"/proc/{name}" for name in MASKED_FILES), "/sys/firmware /sys/devices/virtual/powercap; do",
                  "[ -e $f ] || continue; if [ -d $f ]; then ls -A $f; else head -c 1 $f | wc -c; fi; done")
    assert set(said.split()) <= {"0"}
    for name in READ_ONLY:
        if os.path.exists(f"/proc/{name}"):
            assert "ro" in inside(f"grep ' /proc/{name} ' /proc/self/mounts").split()[3].split(","), name
    assert inside("echo 7 2>/dev/null > /proc/sys/kernel/panic; echo $?").strip() != "0"


def test_B04_calls_that_reach_beyond_the_container_are_refused(inside):
    said = inside("mount -t tmpfs x /mnt 2>&1; unshare -m true 2>&1; chroot / true && echo chroot works; reboot -f 2>&1; swapoff /x 2>&1;",
                  "date -s 2000-01-01 2>&1")
    assert said.count("ermitted") >= 4 or said.count("denied") >= 1, said
    assert "chroot works" in said


def test_B05_no_new_privileges_is_a_choice_as_with_docker_and_holds(inside):
    assert inside("grep NoNewPrivs /proc/self/status").split()[1] == "0"
    assert inside("grep NoNewPrivs /proc/self/status", flags=["--security-opt", "no-new-privileges"]).split()[1] == "1"


def test_B07_namespaces_are_the_containers_own(inside):
    ours = {name: os.readlink(f"/proc/self/ns/{name}") for name in ("pid", "net", "ipc", "uts", "mnt", "user")}
    theirs = dict(re.findall(r"(\w+) (\w+:\[\d+\])", inside("for n in pid net ipc uts mnt user; do echo $n $(readlink /proc/self/ns/$n); done")))
    assert {name for name in ours if ours[name] == theirs[name]} == {"user"}


def test_B08_two_containers_of_one_image_do_not_reach_each_other(apus, image):
    for name in ("one", "two"):
        apus("run", "-d", "--name", name, "-e", f"SECRET={name}", image, "sleep", "600").ok()
    pid = apus("inspect", "-f", "{{.State.Pid}}", "two").line()
    said = apus("exec", "one", "sh", "-c", f"kill -0 {pid} 2>&1; cat /proc/{pid}/environ 2>&1; ps").out
    assert "SECRET=two" not in said and re.search("No such process|can't kill", said) and len(re.findall("sleep 600", said)) == 1


def test_B09_no_socket_of_ours_is_abstract(own_daemon, apus, image):
    apus("run", "-d", "--name", "hosted", "--network", "host", image, "sleep", "600").ok()
    names = [line.split()[7] for line in apus("exec", "hosted", "cat", "/proc/net/unix").ok().splitlines()[1:] if len(line.split()) > 7]
    assert not [name for name in names if name.startswith("@") and re.search("apus|shim|containerd", name)]
    shims = f"{own_daemon.run}/shims"
    for folder in os.listdir(shims):
        assert os.stat(f"{shims}/{folder}").st_mode & 0o077 == 0, folder


def test_B10_nobody_else_reaches_what_layers_and_records_hold(own_daemon):
    """A program of the first user's own, with the rights of another one of this machine."""
    for path in (own_daemon.data, f"{own_daemon.data}/snapshots", f"{own_daemon.data}/content", f"{own_daemon.data}/containers"):
        said = subprocess.run(["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "ls", path], capture_output=True, text=True, check=False)
        assert said.returncode != 0 and "Permission denied" in said.stderr


def test_B11_all_capabilities_unmask_nothing_and_privileged_does(inside):
    with_all = inside("grep CapEff /proc/self/status; grep -c ' /proc/sys ' /proc/self/mounts; head -c 1 /proc/kcore | wc -c", flags=["--cap-add", "ALL"])
    effective, mounts, kcore = with_all.split()[1:]
    assert int(effective, 16) > DOCKERS_CAPABILITIES and mounts == "1" and kcore == "0"
    assert inside("grep -c ' /proc/sys ' /proc/self/mounts; ls /dev | wc -l", flags=["--privileged"]).split()[0] == "0"


def test_B12_devices_are_those_that_every_program_needs(inside):
    said = inside("cd /dev; for f in *; do echo $f $(stat -c '%a %F' $f); done; ls -l /dev/fd /dev/stdin")
    found = {line.split()[0]: line.split()[1] for line in said.splitlines() if len(line.split()) > 2}
    assert {"null", "zero", "full", "random", "urandom", "tty"} <= set(found)
    assert not {"kmsg", "mem", "port", "sda", "vda", "kvm", "fuse", "loop0"} & set(found)
    assert all(found[name] == "666" for name in ("null", "zero", "full", "random", "urandom", "tty"))
    assert "/proc/self/fd" in said


def test_B13_the_daemons_socket_and_others_secrets_are_not_inside(inside, own_daemon, apus, image):
    apus("run", "-d", "--name", "keeper", "-e", "TOKEN=of-another", image, "sleep", "600").ok()
    said = inside("env; cat /proc/*/environ | tr '\\0' '\\n'; cat /proc/self/mounts; ls /run /var/run 2>/dev/null", flags=["--network", "host"])
    assert "of-another" not in said and "apus.sock" not in said and own_daemon.socket not in said


def test_C09_a_ps_of_the_containers_is_not_run(apus, image):
    apus("run", "-d", "--name", "trap", image, "sh", "-c", "rm /bin/ps; printf '#!/bin/sh\\ntouch /ran\\n' > /bin/ps; chmod 755 /bin/ps; sleep 600").ok()
    wait_until(lambda: apus("exec", "trap", "test", "-x", "/bin/ps").code == 0, "the trap is set")
    assert "sleep 600" in apus("top", "trap").ok() and "sleep 600" in apus("top", "trap", "-o", "pid,args").ok()
    assert apus("exec", "trap", "test", "-e", "/ran").code == 1


def test_C10_what_a_container_says_of_itself_moves_no_cursor(apus, image):
    """Labels and commands of an image come from anybody. Logs are the container's own words and stay as they are."""
    evil = "a\x1b]52;c;aGk=\x07\x1b[2Jb\rc"
    apus("run", "-d", "--name", "evil", "--label", f"l={evil}", image, "sh", "-c", f"true '{evil}'; sleep 600").ok()
    for words in (["ps", "--no-trunc"], ["ps", "--format", "{{.Labels}} {{.Command}}"], ["inspect", "evil"], ["top", "evil"], ["ps", "--format", "json"]):
        said = apus(*words).ok()
        assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f]", said), (words, said)


BAD_TEXTS = {
    "a name with a path": ("/containers/create?name=../x", {}), "a name with a line": ("/containers/create?name=a%0ab", {}),
    "a name with NUL": ("/containers/create?name=a%00b", {}), "a name of a megabyte": ("/containers/create?name=" + "a" * 60_000, {}),
    "a host with a line": ("/containers/create", {"Hostname": "a\nb"}), "a variable with NUL": ("/containers/create", {"Env": ["A=\0"]}),
    "a word with NUL": ("/containers/create", {"Cmd": ["a\0b"]}), "a folder with NUL": ("/containers/create", {"WorkingDir": "/a\0"}),
    "a user with a line": ("/containers/create", {"User": "root\nx"}),
}


@pytest.mark.parametrize("what", BAD_TEXTS)
def test_F08_texts_that_break_out_are_refused(own_daemon, apus, image, what):
    path, body = BAD_TEXTS[what]
    status, said = api(own_daemon, "POST", path, {"Image": image, "Cmd": ["true"], **body})
    if status == 201:
        # What is odd, but a text, is kept as a text: it must not start as another.
        assert api(own_daemon, "POST", f"/containers/{said['Id']}/start")[0] in (400, 404, 500)
        return
    assert status in (400, 414, 431), (status, said)
    assert api(own_daemon, "GET", "/containers/json?all=1") == (200, [])


def test_F08_odd_texts_that_are_allowed_are_kept_as_they_are(own_daemon, apus, image):
    value = "line\nline\x1b[31m\u202e" + "x" * 100_000
    made = api(own_daemon, "POST", "/containers/create", {"Image": image, "Cmd": ["env"], "Env": [f"A={value}"], "Labels": {"l": value}}, 201)[1]["Id"]
    assert api(own_daemon, "GET", f"/containers/{made}/json")[1]["Config"]["Labels"]["l"] == value
    assert f"A={value}" in api(own_daemon, "GET", f"/containers/{made}/json")[1]["Config"]["Env"]
    api(own_daemon, "POST", f"/containers/{made}/start", expect=204)


def test_F05_whoever_connects_is_known_to_the_log(brittle):
    brittle.stop()
    brittle.start("--log-level", "debug")
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(brittle.socket)
        client.sendall(b"GET /_ping HTTP/1.1\r\nHost: d\r\n\r\n")
        assert b"200 OK" in client.recv(1000)
        wait_until(lambda: f"peer.pid={os.getpid()} peer.uid={os.getuid()}" in brittle.log(), "who it was is in the log")


# As --user and as an image's User: what is past the largest id must be nobody, and never root by being cut down to 32 bits.
TOO_LARGE = ["2147483648", "4294967295", "4294967296", "4294967296:1", "1:4294967296", "1000:2147483648", "18446744073709551616", "-1", "1000:-1"]
NAMED = {"big": "big:x:4294967296:1000::/:/bin/sh", "wide": "wide:x:1000:4294967296::/:/bin/sh", "last": "last:x:4294967295:1000::/:/bin/sh"}


@pytest.fixture(scope="module")
def users(registry):
    """A repository with an image for each user, who is its tag's number; its accounts have users that are too large."""
    layers = [busybox_layer(), tar(files({"etc/passwd": "root:x:0:0:root:/root:/bin/sh\n" + "\n".join(NAMED.values()) + "\n"})[1:])]
    words = [*TOO_LARGE, *NAMED, "1000:50"]
    for number, user in enumerate(words):
        Pusher(registry.host).push("users", Image(layers, {"User": user}), f"v{number}")
    return {user: f"{registry.host}/users:v{number}" for number, user in enumerate(words)}


def test_A15_a_user_of_the_image_past_the_largest_is_refused(cli, users):
    try:
        for user, name in users.items():
            cli("pull", "-q", name).ok()
            result = cli("run", "--rm", name, "sh", "-c", "id -u; id -g")
            if user == "1000:50":
                assert result.ok().split() == ["1000", "50"]
                continue
            assert (result.code != 0, result.out) == (True, ""), (user, result)
            wait_until(lambda: cli("ps", "-aq").ok() == "", "what could not start is gone")
        cli("run", "-d", "--name", "plain", users["1000:50"], "sleep", "3600").ok()
        for user in (*TOO_LARGE, *NAMED):
            for words in (["run", "--rm", "--user", user, users["1000:50"]], ["exec", "--user", user, "plain"]):
                result = cli(*words, "sh", "-c", "id -u; id -g")
                assert (result.code != 0, "0" in result.out.split()) == (True, False), (words, result)
        assert cli("exec", "plain", "id", "-u").ok() == "1000\n"
        cli("rm", "-f", "plain").ok()
    finally:
        cli("rmi", "-f", *users.values())


# Keeps another container's init open, ends it, and writes once nobody runs from that file any more. What init has cloned is called as it is
# until it runs its program: the file that is open decides.
OVERWRITE_INIT = """
attack() {
    kill -9 $1
    i=0; while [ $i -lt 600 ] && (echo overwritten >> /proc/self/fd/3) 2>&1 | grep -q busy; do i=$((i+1)); usleep 50000; done
    (echo overwritten >> /proc/self/fd/3) && echo written
    exit
}
while :; do for p in /proc/[0-9]*; do
    grep -qs docker-init $p/comm || continue
    { case $(readlink /proc/self/fd/3) in */docker-init) attack ${p#/proc/};; esac; } 3< $p/exe
done; usleep 20000; done
"""


def test_A01_the_init_of_the_host_cannot_be_overwritten_by_containers_that_have_it(cli, image, own_daemon):
    """While it runs "text file busy" protects it: a container that shares the process ids ends it first."""
    path = f"{BUILD}/apus-init"
    with open(path, "rb") as file:
        before = file.read()
    try:
        said = cli("run", "--rm", "--init", image, "sh", "-c", "for f in /sbin/docker-init /proc/1/exe; do (echo x >> $f); done; rm /sbin/docker-init").err
        assert said.count("can't create") == 2 and "can't remove" in said, said
        cli("run", "-d", "--name", "attacker", image, "sh", "-c", OVERWRITE_INIT).ok()
        cli("run", "-d", "--init", "--name", "victim", "--pid", "container:attacker", image, "sleep", "3600").ok()
        cli("wait", "attacker", "victim").ok()
        result = cli("logs", "attacker")
        assert (result.out, "Read-only file system" in result.err) == ("", True), result
    finally:
        with open(path, "rb") as file:
            after = file.read()
        if after != before:
            with open(path, "wb") as file:
                file.write(before)
    assert after == before
