"""Rows C01-C08, C13-C16, C21-C23, A14-A18, B20: running containers."""
# Rows: features

import contextlib
import os
import re
import signal
import socket
import subprocess
import threading
import time

import oci_images
import pexpect
import pytest
from conftest import CLIENTS, Client

from engine_http import Connection, api, stream
from processes import UNTIL_GO, go, kill, read_line, read_rest, wait_until


def containers(cli):
    return cli("ps", "-aq").ok().split()


def test_C01_run_returns_the_exit_code_and_keeps_the_streams_apart(cli, image):
    result = cli("run", image, "sh", "-c", "echo out; echo err >&2; exit 7")
    assert (result.out, result.err, result.code) == ("out\n", "err\n", 7)
    assert len(containers(cli)) == 1


def test_C02_what_follows_the_image_belongs_to_the_container(cli, image):
    assert cli("run", "--rm", image, "ls", "-a", "/home").ok().split() == [".", "..", "ann"]


def test_C03_detached_prints_the_whole_id_and_goes_on(cli, image):
    identifier = cli("run", "-d", image, "sleep", "60").line()
    assert re.fullmatch(r"[0-9a-f]{64}", identifier)
    assert cli.inspect(identifier, "{{.State.Running}}") == "true"


def test_C03_a_hang_up_of_the_clients_terminal_does_not_reach_the_container(cli, image):
    shell = pexpect.spawn("/bin/bash", ["--norc"], env={**cli.environment, "PS1": "host> "}, timeout=20)
    shell.expect("host> ")
    shell.sendline(f"{cli.path} run -d --name hung {image} sleep 60")
    shell.expect(r"[0-9a-f]{64}")
    # Docker's prints that while it has the container begin.
    shell.expect("host> ")
    shell.close(force=True)
    assert cli.inspect("hung", "{{.State.Running}}") == "true"


def test_C04_input_is_not_attached_unless_asked_for(cli, image):
    assert cli("run", "--rm", image, "cat", stdin="x\n").ok() == ""


def test_C05_attach_chooses_streams(cli, image):
    result = cli("run", "--rm", "-a", "stderr", image, "sh", "-c", "echo out; echo err >&2; exit 3")
    assert (result.out, result.err, result.code) == ("", "err\n", 3)
    result = cli("run", "--rm", "-i", "-a", "stdin", image, "sh", "-c", "read x; test $x = hi && exit 5", stdin="hi\n")
    # Docker 20.10's command line does not wait when it shows no output.
    assert result.code == (0 if cli.name.startswith("docker-20") else 5)
    assert "hi" not in result.out


def test_C06_interactive_input_ends_with_its_end(cli, image):
    assert cli("run", "--rm", "-i", image, "cat", stdin="hi\n").ok() == "hi\n"
    data = os.urandom(1 << 20)
    assert cli("run", "--rm", "-i", image, "cat", stdin=data).raw == data


def has_size(child, size):
    child.sendline("stty size")
    return child.expect([rf"\n{size}\r\n", r"\n\d+ \d+\r\n"]) == 0


def test_C07_a_terminal_is_a_pty_of_the_asked_size(cli, image):
    child = pexpect.spawn(cli.path, ["run", "--rm", "-it", image, "sh"], env=cli.environment, dimensions=(33, 121), timeout=20)
    child.expect("# ")
    child.sendline("tty")
    child.expect("/dev/pts/0\r\n")
    # A client may say it behind the start.
    wait_until(lambda: has_size(child, "33 121"), "the size arrives")
    child.setwinsize(41, 99)
    wait_until(lambda: has_size(child, "41 99"), "the new size arrives")
    child.sendline("exit 4")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 4


def test_C08_detach_keys_leave_the_container_running_and_the_terminal_as_it_was(cli, image):
    shell = pexpect.spawn("/bin/bash", ["--norc"], env={**cli.environment, "PS1": "host> "}, timeout=20)
    shell.expect("host> ")
    shell.sendline("stty -a | md5sum")
    shell.expect(r"([0-9a-f]{32})")
    before = shell.match.group(1)
    shell.sendline(f"{cli.path} run -it --name left {image} sh")
    shell.expect("# ")
    shell.send("\x10\x11")
    shell.expect("host> ")
    assert cli.inspect("left", "{{.State.Running}}") == "true"
    shell.sendline("stty -a | md5sum")
    shell.expect(r"([0-9a-f]{32})")
    assert shell.match.group(1) == before
    shell.close()


@pytest.mark.parametrize("name", [name for name in CLIENTS if name in ("apus", "docker-28.2")])
def test_C08_an_exec_that_is_left_by_keys_says_so(name, daemon, workspace, image):
    cli = Client(name, CLIENTS[name], daemon.host, workspace)
    cli("run", "-d", "--name", "stays", image, "sleep", "60").ok()
    shell = pexpect.spawn(cli.path, ["exec", "-it", "stays", "sh"], env=cli.environment, timeout=20)
    shell.expect("# ")
    shell.send("\x10\x11")
    shell.expect("read escape sequence")
    shell.expect(pexpect.EOF)
    shell.close()
    assert shell.exitstatus == 1 and cli.inspect("stays", "{{.State.Running}}") == "true"


def test_C08_keys_that_are_none_matter_only_where_somebody_stays(cli, image):
    assert cli("run", "-d", "-t", "--detach-keys", "foo", image, "true").code == 0
    assert cli("run", "--detach-keys", "foo", image, "true").code != 0


@pytest.mark.parametrize("name", [name for name in CLIENTS if name in ("apus", "docker-28.2")])
def test_one_daemon_is_named_at_most_and_a_copy_goes_to_a_terminal_too(name, daemon, workspace, image):
    cli = Client(name, CLIENTS[name], daemon.host, workspace)
    twice = cli("-H", daemon.host, "-H", daemon.host, "ps")
    assert (twice.code, twice.err.strip()) == (1, "Failed to initialize: unable to resolve docker endpoint: Specify only one -H")
    cli("create", "--name", "copied", image).ok()
    shell = pexpect.spawn(cli.path, ["cp", "copied:/etc/passwd", "-"], env=cli.environment, timeout=20)
    shell.expect("root:")
    shell.expect(pexpect.EOF)
    shell.close()
    assert shell.exitstatus == 0


@pytest.mark.parametrize("device, words", [
    ("foo", "foo is not an absolute path"), ("/dev/null:foo", "foo is not an absolute path"), ("/dev/null:/x:q", "bad mode specified: q"),
    ("a:b:c:d", "bad format for path: a:b:c:d"), ("", "bad format for path: "),
])
def test_a_device_that_is_no_path_is_refused_before_anything_is_asked_for(cli, image, device, words):
    refused = cli("run", "--device", device, image, "true")
    assert refused.code == 125 and words in refused.err and containers(cli) == [], refused


def test_C13_a_name_is_taken_once(cli, image):
    identifier = cli("create", "--name", "same", image).line()
    result = cli("create", "--name", "same", image)
    assert result.code == 1
    assert f'The container name "/same" is already in use by container "{identifier}"' in result.err
    assert cli("run", "--name", "same", image, "true").code == 125
    assert len(containers(cli)) == 1


def test_C14_a_name_is_found_and_any_unambiguous_prefix_serves(cli, image):
    identifier = cli("create", image).line()
    name = cli.inspect(identifier, "{{.Name}}")
    assert re.fullmatch(r"/[a-z]+_[a-z]+[0-9]?", name)
    assert cli.inspect(identifier[:6], "{{.Id}}") == identifier
    others = [cli("create", image).line() for _ in range(16)]
    shared = next(first for first in "0123456789abcdef" if sum(one.startswith(first) for one in [identifier, *others]) > 1)
    assert cli("rm", shared).code == 1, "a prefix of two ids is none"
    assert len(containers(cli)) == 17
    assert cli.inspect(name[1:], "{{.Id}}") == identifier


def test_C15_rm_removes_the_container_at_its_end_also_without_its_client(cli, image):
    assert cli("run", "--rm", image, "true").code == 0
    assert containers(cli) == []
    client = cli.start("run", "--rm", "--name", "brief", image, "sh", "-c", UNTIL_GO, stdout=subprocess.DEVNULL)
    wait_until(lambda: cli("ps", "-q").out.strip(), "the container runs")
    client.kill()
    client.wait()
    go(cli.inspect("brief", "{{.State.Pid}}"))
    wait_until(lambda: containers(cli) == [], "the container is gone")


def test_C16_variables_come_from_the_command_line_the_client_and_the_image(cli, image):
    out = cli("run", "--rm", "-e", "GIVEN=a b", "-e", "OWN", "-e", "UNSET", image, "env", env={"OWN": "mine"}).ok().splitlines()
    assert "GIVEN=a b" in out and "OWN=mine" in out
    assert not any(line.startswith("UNSET") for line in out)
    assert any(line.startswith("PATH=/usr/local/sbin:") for line in out)
    identifier = cli("create", "-e", "PATH=/bin", image, "env").line()
    assert "PATH=/bin" in cli.inspect(identifier, "{{json .Config.Env}}")


def test_C21_command_and_entrypoint_are_replaced(cli, image):
    assert cli("run", "--rm", image, "echo", "a").ok() == "a\n"
    assert cli("run", "--rm", "--entrypoint", "echo", image, "b", "c").ok() == "b c\n"
    assert cli("run", "--rm", "-i", image, stdin="echo from the image\n").ok() == "from the image\n"


def test_C22_containers_of_one_image_differ_in_what_they_are_told(cli, image):
    for name in ("one", "two"):
        cli("create", "--name", name, "-e", f"WHO={name}", "-h", name, image, "sh", "-c", "echo $WHO $(hostname)").ok()
        assert cli("start", "-a", name).ok() == f"{name} {name}\n"


def test_C22_containers_of_one_image_have_ports_and_volumes_of_their_own(cli, image):
    script = "echo $WHO > /pages/index.html; exec httpd -f -p 80 -h /pages"
    try:
        for name in ("one", "two"):
            cli("run", "-d", "--name", name, "-e", f"WHO={name}", "-p", "127.0.0.1::80", "-v", f"pages-{name}:/pages", image, "sh", "-c", script).ok()
        cli("run", "-d", "--name", "plain", image, "sleep", "3600").ok()
        places = {name: cli("port", name, "80").line() for name in ("one", "two")}
        assert len(set(places.values())) == 2
        for name, place in places.items():
            wait_until(lambda name=name, place=place: page(place) == f"{name}\n", f"{name} serves its own page")
            assert cli.inspect(name, "{{range .Mounts}}{{.Name}} {{.Destination}}{{end}}") == f"pages-{name} /pages"
            assert cli.inspect(name, "{{json .Config.Env}}").count(f'"WHO={name}"') == 1
        assert cli.inspect("plain", "{{len .Mounts}} {{len .NetworkSettings.Ports}}") == "0 0"
        assert cli("exec", "plain", "sh", "-c", "ls /pages; echo $WHO-").out == "-\n"
    finally:
        cli("rm", "-f", "one", "two", "plain")
        cli("volume", "rm", "pages-one", "pages-two")


def page(place):
    """What a server says, if one is there."""
    return subprocess.run(["curl", "-s", "--max-time", "20", f"http://{place}/"], capture_output=True, text=True, check=False).stdout


@pytest.mark.parametrize("words, code", [(["IMAGE", "nosuch"], 127), (["IMAGE", "/etc/passwd"], 126), (["-p", "127.0.0.1:18099:80", "IMAGE", "true"], 125)])
def test_a_container_that_does_not_start_in_the_background_is_told_all_the_same(cli, image, words, code):
    cli("run", "-d", "--name", "first", "-p", "127.0.0.1:18099:80", image, "sleep", "60").ok()
    result = cli("run", "-d", "--name", "vain", *(image if word == "IMAGE" else word for word in words))
    assert result.code == code and "Error response from daemon: " in result.err, result
    assert result.out == cli.inspect("vain", "{{.Id}}") + "\n"


def test_C23_create_makes_a_container_that_starts_later(cli, image):
    identifier = cli("create", image, "echo", "later").line()
    assert cli.inspect(identifier, "{{.State.Status}} {{.State.Pid}}") == "created 0"
    assert cli("start", "-a", identifier).ok() == "later\n"
    assert cli.inspect(identifier, "{{.State.Status}} {{.State.ExitCode}}") == "exited 0"


def test_C23_the_working_directory_is_made_with_the_container(cli, image, tmp_path):
    cli("create", "--name", "deep", "-w", "/new/../deep/below/", image, "sh", "-c", "pwd; cat file").ok()
    assert cli.inspect("deep", "{{.Config.WorkingDir}}") == "/deep/below"
    assert sorted(cli("diff", "deep").ok().splitlines()) == ["A /deep", "A /deep/below"]
    (tmp_path / "file").write_text("copied\n")
    cli("cp", str(tmp_path / "file"), "deep:/deep/below").ok()
    assert cli("start", "-a", "deep").ok() == "/deep/below\ncopied\n"
    cli("import", "-c", "WORKDIR /new/../deep/below/", "-", "unclean", stdin=oci_images.busybox_layer()).ok()
    cli("create", "--name", "as-the-image", "unclean", "true").ok()
    assert cli.inspect("as-the-image", "{{.Config.WorkingDir}}") == "/deep/below"
    cli("rm", "as-the-image").ok()
    cli("rmi", "unclean").ok()
    cli("create", "--name", "there", "-w", "/etc", image, "true").ok()
    cli("create", "--name", "shown", "-v", f"{tmp_path}:/shown", "-w", "/shown/below", image, "pwd").ok()
    assert cli("diff", "there").ok() == ""
    assert cli("start", "-a", "shown").ok() == "/shown/below\n"
    for path in ("/etc/passwd", "/etc/passwd/below"):
        refused = cli("create", "-w", path, image, "true")
        assert refused.code == 1 and f"Cannot mkdir: {path} is not a directory" in refused.err, refused


def test_A14_a_container_sees_itself_only(cli, image):
    out = cli("run", "--rm", "-h", "inside", image, "sh", "-c", "echo $$; hostname; ps | wc -l; cat /proc/net/dev | wc -l").ok().split()
    assert out[:2] == ["1", "inside"]
    assert int(out[2]) <= 4
    assert int(out[3]) == 4, "two heading lines, lo and eth0"
    cli("run", "-d", "--name", "first", image, "sleep", "60").ok()
    assert cli("run", "--rm", image, "sh", "-c", "kill -9 -1; kill -9 1").code in (0, 137)
    assert cli.inspect("first", "{{.State.Running}}") == "true"


def test_A14_one_container_over_its_memory_leaves_the_others_alone(cli, image):
    cli("run", "-d", "--name", "bystander", image, "sh", "-c", "echo data > /own; sleep 60").ok()
    flags = ["-m", "16m", "--memory-swap", "16m", "--shm-size", "200m"]
    assert cli("run", "--rm", *flags, image, "dd", "if=/dev/zero", "of=/dev/shm/fill", "bs=1M", "count=100").code == 137
    assert cli.inspect("bystander", "{{.State.Running}} {{.State.OOMKilled}}") == "true false"
    assert cli("run", "--rm", image, "cat", "/own").code == 1, "files of another container are not here"
    assert cli("exec", "bystander", "cat", "/own").ok() == "data\n"


def test_A15_the_kernel_is_the_hosts(cli, image):
    assert cli("run", "--rm", image, "uname", "-r").line() == os.uname().release


def test_A15_an_idle_container_costs_a_small_shim_and_starts_in_under_a_second(cli, image, own_daemon):
    before = set(own_daemon.shims())
    times = []
    for number in range(5):
        begin = time.monotonic()
        cli("run", "-d", "--name", f"idle{number}", image, "sleep", "60").ok()
        times.append(time.monotonic() - begin)
    assert min(times) < 1, times
    for shim in set(own_daemon.shims()) - before:
        with open(f"/proc/{shim}/smaps_rollup", encoding="utf-8") as file:
            share = int(re.search(r"^Pss:\s+(\d+) kB", file.read(), re.M).group(1))
        assert share < 4096, "PSS of one shim in kB"


def test_A17_A18_writes_stay_in_their_container_until_it_is_removed(cli, image):
    before = cli.inspect(image, "{{.Id}}")
    cli("run", "--name", "writer", image, "sh", "-c", "ls /mine; echo data > /mine").ok()
    assert cli("run", "--rm", image, "ls", "/mine").code == 1
    cli("start", "-a", "writer").ok()
    assert "/mine" in cli("logs", "writer").ok()
    cli("rm", "writer").ok()
    assert cli("run", "--rm", "--name", "writer", image, "ls", "/mine").code == 1
    assert cli.inspect(image, "{{.Id}}") == before


def test_A16_a_hundred_containers_of_one_image_cost_little_disk(image, own_daemon, workspace):
    """Each has a writable layer and a configuration of its own. Every command line makes some of them."""
    clients = [Client(name, path, own_daemon.host, workspace) for name, path in CLIENTS.items()]
    names = [f"many{number}" for number in range(100)]
    before = disk_use(own_daemon.data)
    for number, name in enumerate(names):
        clients[number % len(clients)]("create", "--name", name, "-e", f"WHO={name}", image, "sh", "-c", "cat /own; echo $WHO > /own").ok()
    assert (disk_use(own_daemon.data) - before) / len(names) < 100_000
    for name, client in zip(names, clients, strict=False):
        assert client("start", "-a", name).out == "", "nothing of another's layer"
    for name, client in zip(names, clients, strict=False):
        assert client("start", "-a", name).line() == name
    clients[0]("rm", *names).ok()


def disk_use(folder):
    # What goes away meanwhile it tells of, and counts the rest.
    return int(subprocess.run(["du", "-sB1", folder], capture_output=True, check=False).stdout.split()[0])


@pytest.mark.parametrize("flags, command, code, text", [
    ([], ["nosuch"], 127, 'exec: "nosuch": executable file not found in $PATH'),
    ([], ["/nosuch/file"], 127, "no such file or directory"),
    ([], ["/etc/passwd"], 126, "permission denied"),
    ([], ["/etc"], 126, None),
    (["--user", "nobody-here"], ["true"], 125, "nobody-here"),
    (["--memory", "1k"], ["true"], 125, "memory limit"),
    (["--security-opt", "nonsense=1"], ["true"], 125, "nonsense"),
    (["--cap-add", "CAP_NOSUCH"], ["true"], 125, "CAP_NOSUCH"),
])
def test_a_command_that_cannot_run_says_why(cli, image, flags, command, code, text):
    result = cli("run", "--rm", *flags, image, *command)
    assert result.code == code, result
    assert text is None or text.lower() in result.err.lower(), result
    wait_until(lambda: containers(cli) == [], "the container is gone")


def test_signals_reach_the_container_and_decide_the_exit_code(cli, image):
    script = "trap 'echo caught; exit 9' TERM; echo ready; while :; do sleep 0.1; done"
    client = cli.start("run", "--rm", image, "sh", "-c", script, stdout=subprocess.PIPE)
    assert read_line(client) == b"ready\n"
    client.send_signal(signal.SIGTERM)
    assert read_line(client) == b"caught\n"
    assert client.wait(20) == 9


def test_a_container_ended_by_a_signal_returns_128_and_its_number(cli, image):
    cli("run", "-d", "--name", "victim", image, "sleep", "60").ok()
    cli("kill", "-s", "KILL", "victim").ok()
    assert cli("wait", "victim").line() == "137"


def test_a_large_output_arrives_whole(cli, image):
    result = cli("run", "--rm", image, "seq", "1", "300000", timeout=120)
    assert result.ok().split() == [str(number) for number in range(1, 300_001)]


def test_a_tmpfs_a_bind_and_a_read_only_root(cli, image, tmp_path):
    (tmp_path / "given").write_text("from the host")
    script = "cat /data/given; echo; echo x > /data/made; touch /etc/x; df /scratch | tail -n 1; touch /scratch/ok && echo ok"
    out = cli("run", "--rm", "--read-only", "--tmpfs", "/scratch:size=1m", "-v", f"{tmp_path}:/data", image, "sh", "-c", script)
    lines = out.ok().splitlines()
    assert lines[0] == "from the host" and lines[-1] == "ok" and "1024" in lines[1]
    assert "Read-only file system" in out.err
    assert (tmp_path / "made").read_text() == "x\n"
    assert cli("run", "--rm", "-v", f"{tmp_path}:/data:ro", image, "touch", "/data/no").code == 1


def test_limits_stand_in_inspect_and_hold_inside(cli, image):
    cli("run", "-d", "--name", "limited", "-m", "64m", "--cpus", "0.5", "--pids-limit", "50", "--ulimit", "nofile=64:128",
        "--shm-size", "1m", "--sysctl", "net.ipv4.ip_unprivileged_port_start=80", "--group-add", "staff", image, "sleep", "60").ok()
    template = "{{.HostConfig.Memory}} {{.HostConfig.NanoCpus}} {{.HostConfig.PidsLimit}} {{.HostConfig.ShmSize}}"
    assert cli.inspect("limited", template) == "67108864 500000000 50 1048576"
    script = "ulimit -n; df /dev/shm | tail -n 1; cat /proc/sys/net/ipv4/ip_unprivileged_port_start; id -G"
    out = cli("exec", "limited", "sh", "-c", script).ok().splitlines()
    assert out[0] == "64" and " 1024 " in out[1] and out[2] == "80" and "50" in out[3].split()


def test_a_container_over_its_memory_is_killed_and_says_so(cli, image):
    flags = ["-m", "20m", "--memory-swap", "20m", "--shm-size", "200m"]
    result = cli("run", "--name", "hungry", *flags, image, "dd", "if=/dev/zero", "of=/dev/shm/fill", "bs=1M", "count=100")
    assert result.code == 137, result
    assert cli.inspect("hungry", "{{.State.OOMKilled}} {{.State.ExitCode}}") == "true 137"


def test_a_fork_over_the_pids_limit_is_refused(cli, image):
    result = cli("run", "--rm", "--pids-limit", "5", image, "sh", "-c", "for i in 1 2 3 4 5 6 7 8; do sleep 60 & done; wait")
    assert "can't fork" in result.err


def process_status(cli, image, *flags):
    script = "grep -E '^(Seccomp|NoNewPrivs|CapEff|CapInh):' /proc/self/status"
    return dict(line.split() for line in cli("run", "--rm", *flags, image, "sh", "-c", script).ok().splitlines())


def test_the_sandbox_is_dockers_default_and_gives_way_where_told(cli, image):
    assert process_status(cli, image) == {
        "Seccomp:": "2", "NoNewPrivs:": "0", "CapEff:": "00000000a80425fb", "CapInh:": "0000000000000000"}
    flags = ["--security-opt", "seccomp=unconfined", "--security-opt", "no-new-privileges", "--cap-drop", "ALL", "--cap-add", "CHOWN"]
    assert process_status(cli, image, *flags) == {
        "Seccomp:": "0", "NoNewPrivs:": "1", "CapEff:": "0000000000000001", "CapInh:": "0000000000000000"}


def test_seccomp_denies_what_the_profile_does_not_list(cli, image):
    """swapoff(2) of no swap file: a process with the capability hears EINVAL, unless the filter speaks first."""
    flags = ["--rm", "--cap-add", "SYS_ADMIN"]
    assert "Operation not permitted" in cli("run", *flags, image, "busybox", "swapoff", "/etc/passwd").err
    assert "Invalid argument" in cli("run", *flags, "--security-opt", "seccomp=unconfined", image, "busybox", "swapoff", "/etc/passwd").err


def test_init_is_process_one_and_reaps(cli, image):
    # What the shell leaves is there until it has ended, and then until it is reaped.
    script = "cat /proc/1/comm; (sleep 0.1 &) ; sleep 0.5; until ! ps -o comm,stat | grep -q '^sleep'; do usleep 50000; done; ps -o stat | grep -c Z"
    out = cli("run", "--rm", "--init", image, "sh", "-c", script).out.split()
    assert out[0] in ("docker-init", "apus-init") and out[1] == "0"


def test_users_are_resolved_in_the_image(cli, image):
    said = cli("run", "--rm", "-u", "ann", image, "id").line()
    assert said.startswith("uid=1000(ann) gid=1000(ann) ") and "50(staff)" in said
    assert cli("run", "--rm", "-u", "1000:50", image, "id", "-g").line() == "50"
    for user in ("4294967296", "2147483648", "-1", "0x0"):
        assert cli("run", "--rm", "-u", user, image, "id").code != 0, user


def test_B20_an_absent_image_is_pulled_first(cli, registry, daemon):
    name = f"{registry.host}/alpha"
    cli("rmi", "-f", name)
    result = cli("run", "--rm", name, "cat", "/alpha.txt")
    assert result.ok() == "alpha"
    assert result.err.startswith(f"Unable to find image '{name}:latest' locally\n")
    cli("rmi", name).ok()


def test_C01_a_program_that_is_not_there_is_told_once_and_is_no_output_of_the_container(cli, own_daemon, image):
    """Who waits for the next exit waits on: docker's client says what else it hears."""
    waiting = Connection(own_daemon.socket, timeout=20)
    for words in (("run", "--name", "absent", image, "nonesuch"), ("start", "-a", "absent")):
        result = cli(*words)
        assert result.code in (1, 125, 127) and result.out == "", result
        # Docker 20.10's command line says that it waits no more, whoever serves it.
        said = [line for line in result.err.splitlines() if "level=" in line and not (cli.name == "docker-20.10" and "context canceled" in line)]
        assert result.err.count("executable file not found") == 1 and not said, result
        log = cli("logs", "absent")
        assert (log.ok(), log.err) == ("", "")
    waiting.request("POST", "/containers/absent/wait?condition=next-exit")
    answer = waiting.getresponse()
    assert api(own_daemon, "POST", "/containers/absent/start")[0] >= 400
    waiting.sock.settimeout(2)
    with pytest.raises(TimeoutError):
        answer.read()
    waiting.close()
    cli("rm", "absent").ok()


def test_C01_a_program_without_a_name_is_one_that_is_not_there(cli, image):
    result = cli("run", "--name", "nameless", image, "")
    assert result.code == 127 and 'exec: "": executable file not found in $PATH' in result.err, result
    cli("rm", "nameless").ok()
    cli("run", "-d", "--name", "host", image, "sleep", "60").ok()
    result = cli("exec", "host", "")
    assert result.code in (126, 127) and 'exec: "": executable file not found in $PATH' in result.out + result.err, result
    cli("rm", "-f", "host").ok()


def test_A14_the_last_end_is_told_of_what_runs_again(cli, image):
    cli("run", "-d", "--name", "again", image, "sleep", "60").ok()
    assert cli.inspect("again", "{{.State.FinishedAt}}") == "0001-01-01T00:00:00Z"
    cli("stop", "-t", "0", "again").ok()
    ended = cli.inspect("again", "{{.State.FinishedAt}}")
    cli("start", "again").ok()
    assert cli.inspect("again", "{{.State.Status}} {{.State.FinishedAt}}") == f"running {ended}" > "running 2000"
    cli("restart", "-t", "0", "again").ok()
    assert cli.inspect("again", "{{.State.FinishedAt}}") > ended
    cli("rm", "-f", "again").ok()


@pytest.mark.parametrize("name", [name for name in CLIENTS if name in ("apus", "docker-28.2")])
def test_C08_an_attach_that_is_left_by_keys_says_so(name, daemon, workspace, image):
    cli = Client(name, CLIENTS[name], daemon.host, workspace)
    cli("run", "-dit", "--name", "stays", image, "sh").ok()
    shell = pexpect.spawn(cli.path, ["attach", "stays"], env=cli.environment, timeout=20)

    def is_heard():
        """What is typed before the client has the terminal may be lost."""
        shell.send("\r")
        return shell.expect(["# ", pexpect.TIMEOUT], timeout=1) == 0

    wait_until(is_heard, "it is attached", seconds=30)
    shell.send("\x10\x11")
    shell.expect("read escape sequence")
    shell.expect(pexpect.EOF)
    shell.close()
    assert shell.exitstatus == 1 and cli.inspect("stays", "{{.State.Running}}") == "true"
    cli("rm", "-f", "stays").ok()


@pytest.mark.parametrize("verb", [("run", "--rm", "-i", "IMAGE", "wc", "-c"), ("exec", "-i", "up", "wc", "-c"), ("import", "-", "nothing:1")])
def test_C06_input_that_does_not_wait_is_read_to_its_end(apus, image, verb):
    """Whoever shares the pipe may have said that reading is not to wait."""
    apus("run", "-d", "--name", "up", image, "sleep", "600").ok()
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    words = [word.replace("IMAGE", image) for word in verb]
    with apus.start(*words, stdin=reading, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        os.close(reading)
        half = b"\0" * 1024
        for _ in range(2):
            time.sleep(0.7)
            os.write(writing, half)
        os.close(writing)
        out, err = process.communicate(timeout=60)
    apus("rm", "-f", "up")
    assert process.returncode == 0, err
    assert verb[0] == "import" or out.strip() == b"2048", (out, err)


def test_C06_input_that_cannot_be_read_is_told_of(apus, image, tmp_path):
    folder = os.open(tmp_path, os.O_RDONLY)
    with apus.start("run", "--rm", "-i", image, "wc", "-c", stdin=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        out, err = process.communicate(timeout=60)
    os.close(folder)
    assert (out.strip(), err) == (b"0", b"read standard input: is a directory\n")


def is_pending(process, number):
    """Whether a process has not taken a signal yet. - Source: proc_pid_status(5), ShdPnd."""
    with open(f"/proc/{process.pid}/status", encoding="ascii") as file:
        return any(int(line.split()[1], 16) >> number - 1 & 1 for line in file if line.startswith(("SigPnd:", "ShdPnd:")))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("name", [name for name in CLIENTS if name in ("apus", "docker-28.2")])
def test_C08_the_third_signal_that_ends_programs_ends_the_client(name, daemon, workspace, image, number):
    """The container's first process takes none of them."""
    cli = Client(name, CLIENTS[name], daemon.host, workspace)
    process = cli.start("run", "--name", "deaf", image, "sleep", "60", stderr=subprocess.PIPE, start_new_session=True)
    wait_until(lambda: cli("inspect", "-f", "{{.State.Running}}", "deaf").out == "true\n", "it runs")
    time.sleep(0.5)
    for _ in range(2):
        process.send_signal(number)
        # Two that wait are one to the kernel.
        wait_until(lambda: not is_pending(process, number), "it has taken the signal", seconds=30)
        time.sleep(0.5)
    assert process.poll() is None
    process.send_signal(number)
    assert process.wait(10) == 1
    assert read_rest(process.stderr).endswith(b"\ngot 3 SIGTERM/SIGINTs, forcefully exiting\n")
    assert cli.inspect("deaf", "{{.State.Running}}") == "true"
    process.stderr.close()
    cli("rm", "-f", "deaf").ok()


class LateStart:
    """A daemon's socket as its clients see it: what it answers to a start comes when `answered` is set; where it is not to be `asked` before either, so
    does what asks for it."""

    def __init__(self, daemon, folder, asked=True):
        self.daemon, self.path, self.answered, self.asked = daemon, os.path.join(folder, "late.sock"), threading.Event(), asked
        self.is_asked, self.refusals = threading.Event(), 0
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.path)
        self.listener.listen()
        threading.Thread(daemon=True, target=self.serve).start()

    def serve(self):
        with contextlib.suppress(OSError):
            while True:
                asks_for_a_start, client, server = threading.Event(), self.listener.accept()[0], stream(self.daemon.socket, timeout=None)
                threading.Thread(daemon=True, target=self.forward, args=(client, server, asks_for_a_start)).start()
                threading.Thread(daemon=True, target=self.answer, args=(server, client, asks_for_a_start)).start()

    def forward(self, client, server, asks_for_a_start):
        with contextlib.suppress(OSError):
            while data := client.recv(65536):
                if b"/start HTTP/" in data:
                    asks_for_a_start.set()
                    self.is_asked.set()
                    if not self.asked:
                        self.answered.wait(120)
                server.sendall(data)
            server.shutdown(socket.SHUT_WR)

    def answer(self, server, client, asks_for_a_start):
        with contextlib.suppress(OSError):
            while data := server.recv(65536):
                if asks_for_a_start.is_set():
                    self.answered.wait(120)
                self.refusals += b"HTTP/1.1 409 " in data
                client.sendall(data)
            client.shutdown(socket.SHUT_WR)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.answered.set()
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        os.unlink(self.path)


@pytest.mark.parametrize("is_answered", [True, False], ids=["its start is answered", "its start is not answered yet"])
def test_C08_a_daemon_that_stands_still_holds_no_client(brittle, workspace, is_answered):
    with LateStart(brittle, brittle.folder) as late:
        if is_answered:
            late.answered.set()
        client = Client("apus", CLIENTS["apus"], f"unix://{late.path}", workspace)
        process = client.start("run", "--name", "deaf", brittle.image, "sh", "-c", "echo up; exec sleep 60", stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, start_new_session=True)
        try:
            wait_until(lambda: brittle.client("logs", "deaf").out == "up\n", "it runs")
            if is_answered:
                assert read_line(process) == b"up\n"
            brittle.process.send_signal(signal.SIGSTOP)
            process.send_signal(signal.SIGHUP)
            assert b"SIGHUP may not have reached the container" in read_line(process.stderr)

            def ended():
                # More than three, as those that the client is slow to take are one to the kernel.
                process.send_signal(signal.SIGTERM)
                return process.poll() is not None

            wait_until(ended, "it ends", every=0.2)
            assert process.returncode == 1
        finally:
            brittle.process.send_signal(signal.SIGCONT)
            kill(process)
            process.stdout.close()
            process.stderr.close()
    brittle.client("rm", "-f", "deaf").ok()


@pytest.mark.parametrize("name", [name for name in CLIENTS if name in ("apus", "docker-28.2")])
def test_C08_a_signal_reaches_a_container_whose_start_is_not_answered_yet(name, own_daemon, workspace, apus, image):
    with LateStart(own_daemon, workspace) as late:
        cli = Client(name, CLIENTS[name], f"unix://{late.path}", workspace)
        script = "trap 'echo caught; exit 9' TERM; echo ready; while :; do sleep 0.1; done"
        process = cli.start("run", "--name", "early", image, "sh", "-c", script, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        try:
            wait_until(lambda: apus("logs", "early").out == "ready\n", "it runs", seconds=30)
            process.send_signal(signal.SIGTERM)
            wait_until(lambda: apus.inspect("early", "{{.State.Status}} {{.State.ExitCode}}") == "exited 9", "it has got the signal", seconds=30)
            late.answered.set()
            assert process.communicate(timeout=30) == (b"ready\ncaught\n", b"") and process.returncode == 9
        finally:
            kill(process)


def test_C08_a_signal_that_comes_before_the_container_runs_reaches_it_when_it_does(own_daemon, workspace, apus, image):
    with LateStart(own_daemon, workspace, asked=False) as late:
        client = Client("apus", CLIENTS["apus"], f"unix://{late.path}", workspace)
        # Not the first of its PID namespace, whom no signal ends that it does not ask for.
        process = client.start("run", "--name", "early", "--pid", "host", image, "sleep", "60", stderr=subprocess.PIPE)
        try:
            assert late.is_asked.wait(30)
            process.send_signal(signal.SIGTERM)
            wait_until(lambda: late.refusals, "nothing runs that would take it", seconds=30)
            assert apus.inspect("early", "{{.State.Status}}") == "created"
            late.answered.set()
            assert process.communicate(timeout=30)[1] == b"" and process.returncode == 143
        finally:
            kill(process)


def test_an_id_that_cannot_be_written_down_makes_no_container(apus, image, tmp_path):
    before = apus("ps", "-aq").ok()
    lost, there, kept = (str(tmp_path / name) for name in ("no/file", "there", "kept"))
    for words, code in ((("create",), 1), (("run", "--rm"), 127)):
        refused = apus(*words, "--cidfile", lost, image, "true")
        assert refused.code == code
        assert f"failed to create the container ID file: open {lost}: no such file or directory\n" in refused.err, refused
    open(there, "w", encoding="utf-8").close()
    assert apus("create", "--cidfile", there, image, "true").err.startswith("container ID file found, ")
    assert apus("create", "--cidfile", kept, "--name", "-", image, "true").code != 0 and not os.path.exists(kept)
    assert apus("ps", "-aq").ok() == before
    made = apus("create", "--cidfile", kept, image, "true").line()
    with open(kept, encoding="utf-8") as file:
        assert file.read() == made
    apus("rm", made, apus("create", "--cidfile", "", image, "true").line()).ok()


@pytest.mark.parametrize("name", [name for name in CLIENTS if name in ("apus", "docker-28.2")])
def test_C16_files_of_variables_and_labels_may_be_pipes(name, daemon, workspace, image):
    cli = Client(name, CLIENTS[name], daemon.host, workspace)
    def script(words):
        done = subprocess.run(["bash", "-c", f"{cli.path} {words}"], env=cli.environment, capture_output=True, text=True, check=False, timeout=60)
        return done.stdout + done.stderr
    assert "A=b\n" in script(f"run --rm --env-file <(echo A=b) {image} env")
    assert "A=c\n" in script(f"run --rm -i --env-file /dev/stdin {image} env <<< A=c")
    assert "PATH=" in script(f"run --rm --env-file /dev/null {image} env")
    assert script(f"create --rm --label-file <(echo a=b) {image} true").strip()
    assert "read .: is a directory" in script(f"run --rm --env-file . {image} env")
    cli("rm", *cli("ps", "-aq", "--filter", "label=a=b").ok().split()).ok()


@pytest.mark.parametrize("closed", [">&-", "<&-", "2>&-", "<&- >&- 2>&-"])
def test_a_client_without_standard_streams_writes_into_nothing_else(apus, daemon, closed):
    done = subprocess.run(["bash", "-c", f"{apus.path} ps -a {closed}"], env=apus.environment, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0 and done.stderr == "" and (done.stdout == "") == (">&-" in closed.split()), done
