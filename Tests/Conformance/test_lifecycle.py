"""runtime.md, "Lifecycle" and "Operations", and what engines expect of runc's command line."""

import json
import os
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path

import pytest
from claims import spec
from processes import PATIENCE, read_line, wait_until


@spec("runtime.md#runtimeScopeContainer", "MUST be able to use the operations")
@spec("runtime.md#runtimeLifecycle",
      "the user-specified program (from `process`) MUST NOT be run at this time",
      "The runtime MUST run the user-specified program")
@spec("runtime.md#runtimeOperations", "runtimes MUST support the following operations")
@spec("runtime.md#runtimeCreate", "This operation MUST create a new container.", "`process.args` MUST NOT be applied until")
@spec("runtime.md#runtimeStart", "This operation MUST run the user-specified program")
def test_create_waits_for_start_and_start_runs_the_program(runtime, bundle, container):
    bundle.write("echo started > /tmp/mark; sleep 600")
    mark = os.path.join(bundle.rootfs, "tmp/mark")
    runtime.detached("create", "-b", bundle.path, container).ok()
    assert runtime.status(container) == "created"
    time.sleep(0.1)
    assert not os.path.exists(mark)
    runtime("start", container).ok()
    wait_until(lambda: os.path.exists(mark), "the program ran")
    assert runtime.status(container) == "running"
    runtime("kill", container, "KILL").ok()
    runtime.wait_for(container, "stopped")
    runtime("delete", container).ok()
    runtime("state", container).fails("does not exist")


class OldGate:
    """In the place of a created container's gate one as former versions made it, at which init waits for connections: behind it the container's own."""

    def __init__(self, place, aside):
        os.rename(place, aside)
        self.aside, self.listener = aside, socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.listener.bind(place)
        self.listener.listen()
        self.listener.settimeout(10 * PATIENCE)
        self.thread = threading.Thread(target=self.serve)
        self.thread.start()

    def serve(self):
        own, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with self.listener, own, self.listener.accept()[0] as caller:
            own.send(caller.recv(64))
            with theirs, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as gate:
                gate.connect(self.aside)
                socket.send_fds(gate, [b"\0"], [theirs.fileno()])
            while said := own.recv(65536):
                caller.send(said)


@pytest.mark.ours
@pytest.mark.parametrize("program", ["good", "bad"])
def test_a_container_that_a_version_created_whose_init_waits_for_connections_is_started(runtime, bundle, container, program):
    bundle.file("/bin/good", "#!/bin/sh\nexec sleep 600\n", 0o755)
    bundle.file("/bin/bad", "garbage", 0o755)
    bundle.write([program])
    runtime.detached("create", "-b", bundle.path, container).ok()
    gate = OldGate(os.path.join(runtime.state_root, container, "start.sock"), os.path.join(bundle.path, "start.sock"))
    if program == "good":
        runtime("start", container).ok()
        assert runtime.status(container) == "running"
    else:
        runtime("start", container).fails("/bin/bad", "exec format error")
        runtime.wait_for(container, "stopped")
    gate.thread.join()


@spec("runtime.md#runtimeQueryState", "MUST return the state of a container")
def test_state_shows_what_the_specification_and_runc_show(runtime, bundle, container):
    bundle.write("sleep 600", annotations={"com.example.key": "value"})
    pid_file = os.path.join(bundle.path, "pid")
    runtime.detached("create", "--pid-file", pid_file, "-b", bundle.path, container).ok()
    state = runtime.state(container)
    with open(pid_file, encoding="utf-8") as file:
        assert state["pid"] == int(file.read())
    assert os.path.exists(f"/proc/{state['pid']}")
    assert (state["id"], state["status"], state["bundle"]) == (container, "created", os.path.realpath(bundle.path))
    assert runtime.kind == "crun" or state["rootfs"] == os.path.realpath(bundle.rootfs)
    assert state["annotations"]["com.example.key"] == "value"
    assert state["ociVersion"].startswith("1.")
    assert state["created"].startswith("20")


def test_run_returns_the_programs_exit_status(runtime, bundle, container):
    bundle.write("exit 7")
    assert runtime("run", "-b", bundle.path, container).code == 7
    runtime("state", container).fails("does not exist")


def test_run_tells_a_signal_as_a_shell_does(runtime, bundle, container):
    bundle.without_namespace("pid").write("kill -9 $$")
    assert runtime("run", "-b", bundle.path, container).code == 137


def test_run_passes_standard_streams_through(runtime, bundle, container):
    bundle.write("cat; echo error >&2")
    read, write = os.pipe()
    os.write(write, b"through\n")
    os.close(write)
    result = runtime("run", "-b", bundle.path, container, stdin=read)
    os.close(read)
    assert (result.code, result.out, result.err) == (0, "through\n", "error\n")


def test_run_forwards_signals_to_the_program(runtime, bundle, container):
    bundle.write("trap 'exit 42' TERM; echo ready; while :; do sleep 0.05; done")
    process = subprocess.Popen(runtime.command("run", "-b", bundle.path, container), stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)
    assert read_line(process) == b"ready\n"
    if runtime.prefix:
        wait_until(lambda: runtime.status(container) == "running", "it runs")
    process.send_signal(signal.SIGTERM)
    assert process.wait(20 * PATIENCE) == 42
    process.stdout.close()


def test_run_with_keep_leaves_a_stopped_container(runtime, bundle, container):
    bundle.write("true")
    runtime("run", "--keep", "-b", bundle.path, container).ok()
    assert runtime.status(container) == "stopped"
    runtime("delete", container).ok()


@spec("runtime.md#runtimeState", "This MUST be unique across all containers")
@spec("runtime.md#runtimeCreate", "If the ID provided is not unique")
def test_an_id_is_taken_once(runtime, bundle, running):
    runtime("create", "-b", bundle.path, running).fails("exist")
    assert runtime.status(running) == "running"


@spec("runtime.md#runtimeStart", "Attempting to `start` a container that is not `created`")
def test_a_started_container_cannot_be_started_again(runtime, running):
    runtime("start", running).fails("cannot start a" if runtime.kind != "crun" else "")
    assert runtime.status(running) == "running"


@spec("runtime.md#runtimeStart", "Attempting to `start` a container that is not `created`")
def test_a_stopped_container_cannot_be_started_or_entered(runtime, running):
    runtime("kill", running, "KILL").ok()
    runtime.wait_for(running, "stopped")
    runtime("start", running).fails()
    runtime("exec", running, "true").fails()
    assert runtime.status(running) == "stopped"


@spec("runtime.md#runtimeDelete", "Attempting to `delete` a container that is not `stopped`")
def test_a_running_container_is_deleted_only_by_force(runtime, running):
    runtime("delete", running).fails("running" if runtime.kind == "crun" else "that is not stopped: running")
    assert runtime.status(running) == "running"
    runtime("delete", "--force", running).ok()
    runtime("state", running).fails()


def test_force_deletes_nothing_without_complaint(runtime, container):
    runtime("delete", container).fails("does not exist")
    runtime("delete", "-f", container).ok()


@spec("runtime.md#runtimeQueryState", "Attempting to query a container that does not exist")
def test_verbs_on_no_container_say_that_it_does_not_exist(runtime, container):
    for words in (["state"], ["start"], ["kill"], ["delete"], ["exec", "--", container]):
        verb = [word for word in words if word not in ("--", container)]
        tail = ["true"] if verb == ["exec"] else []
        runtime(*verb, container, *tail).fails("does not exist")


@pytest.mark.parametrize("name", ["KILL", "SIGKILL", "9", "sigkill"])
def test_kill_takes_names_and_numbers(runtime, running, name):
    runtime("kill", running, name).ok()
    runtime.wait_for(running, "stopped")


def test_kill_refuses_what_is_no_signal(runtime, running):
    for name in ("FOO", "9x") if runtime.kind != "apus" else ("FOO", "9x", "-1", "65", ""):
        runtime("kill", running, name).fails()
    assert runtime.status(running) == "running"


@spec("runtime.md#runtimeKill", "neither `created` nor `running`")
def test_kill_of_a_stopped_container_says_that_it_is_not_running(runtime, running):
    runtime("kill", running, "KILL").ok()
    runtime.wait_for(running, "stopped")
    runtime("kill", running, "KILL").fails("not running" if runtime.kind != "crun" else "")


@spec("runtime.md#runtimeKill", "This operation MUST send the specified signal")
def test_kill_sends_the_signal_it_was_told(runtime, bundle, container):
    bundle.write("trap 'echo usr1 > /tmp/mark' USR1; touch /tmp/ready; while :; do sleep 0.05; done")
    runtime.detached("run", "-d", "-b", bundle.path, container).ok()
    wait_until(lambda: os.path.exists(os.path.join(bundle.rootfs, "tmp/ready")), "ready")
    runtime("kill", container, "USR1").ok()
    wait_until(lambda: os.path.exists(os.path.join(bundle.rootfs, "tmp/mark")), "the trap ran")


@spec("runtime.md#runtimeKill", "This operation MUST send the specified signal")
@pytest.mark.parametrize("signal", ["TERM", "INT", "HUP", "QUIT"])
def test_a_signal_that_asks_programs_to_end_ends_a_created_container(runtime, bundle, container, signal):
    """Its first process is that of a pid namespace, whom signals do not end by themselves; others leave it as it is."""
    bundle.write("sleep 600")
    runtime.detached("create", "-b", bundle.path, container).ok()
    for harmless in ("WINCH", "CHLD", "CONT", "USR1"):
        runtime("kill", container, harmless).ok()
    assert runtime("exec", container, "echo", "lives").ok().out == "lives\n" and runtime.status(container) == "created"
    runtime("kill", container, signal).ok()
    runtime.wait_for(container, "stopped")
    runtime("start", container).fails("cannot start a container that has stopped", code=1)
    runtime("delete", container).ok()


@spec("runtime.md#runtimeLifecycle", "Any updates to `config.json` after this step MUST NOT affect")
def test_changes_of_the_bundle_after_create_do_not_reach_the_container(runtime, bundle, container):
    bundle.write("echo first > /tmp/mark; sleep 600")
    runtime.detached("create", "-b", bundle.path, container).ok()
    bundle.write("echo second > /tmp/mark; sleep 600")
    runtime("start", container).ok()
    mark = os.path.join(bundle.rootfs, "tmp/mark")
    wait_until(lambda: os.path.exists(mark) and os.path.getsize(mark), "the program ran")
    with open(mark, encoding="utf-8") as file:
        assert file.read() == "first\n"


@pytest.mark.ours
def test_annotations_may_be_as_long_as_a_configuration_and_no_longer(runtime, bundle, container):
    bundle.write("sleep 600", annotations={"long": "x" * 1_500_000})
    runtime.detached("create", "-b", bundle.path, container).ok()
    runtime("start", container).ok()
    assert len(runtime.state(container)["annotations"]["long"]) == 1_500_000
    assert container in runtime("list", "-q").ok().lines
    runtime("exec", container, "true").ok()
    runtime("kill", container, "KILL").ok()
    runtime("delete", "-f", container).ok()
    runtime("state", container).fails("does not exist")
    bundle.write(annotations={"long": "x" * (17 << 20)})
    runtime.detached("create", "-b", bundle.path, container).fails("config.json")
    runtime("state", container).fails("does not exist")


def test_list_shows_containers_as_table_json_and_ids(runtime, bundle, running):
    table = runtime("list").ok().lines
    header = "NAME" if runtime.kind == "crun" else "ID"
    assert table[0].split()[:4] == [header, "PID", "STATUS", "BUNDLE" if runtime.kind != "crun" else "BUNDLE PATH".split()[0]]
    assert any(line.startswith(running) and "running" in line for line in table[1:])
    entry = next(entry for entry in json.loads(runtime("list", "-f", "json").ok().out) if entry["id"] == running)
    assert (entry["status"], entry["pid"], entry["owner"]) == ("running", runtime.state(running)["pid"], "root")
    assert running in runtime("list", "-q").ok().lines


def test_a_list_of_no_container_is_a_header_null_or_nothing(runtime, tmp_path):
    none = ["--root", str(tmp_path / "state")]
    assert runtime("list", options=none).ok().out.split() == ["ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"]
    assert runtime("list", "-f", "json", options=none).ok().out == "null\n"
    assert runtime("list", "-q", options=none).ok().out == ""


@spec("runtime.md#runtimeState", "they MUST be used to represent new runtime states")
def test_pause_and_resume_stop_and_continue_the_processes(runtime, bundle, container):
    bundle.write("i=0; while :; do i=$((i+1)); echo $i > /tmp/count; sleep 0.02; done")
    runtime.detached("run", "-d", "-b", bundle.path, container).ok()
    count = os.path.join(bundle.rootfs, "tmp/count")
    wait_until(lambda: os.path.exists(count), "it counts")

    def moves():
        before = open(count, encoding="utf-8").read()
        time.sleep(0.2)
        return open(count, encoding="utf-8").read() != before

    runtime("pause", container).ok()
    assert runtime.status(container) == "paused"
    assert not moves()
    runtime("exec", container, "true").fails("paused")
    runtime("resume", container).ok()
    assert runtime.status(container) == "running"
    wait_until(moves, "it counts again")


def test_a_paused_container_is_deleted_by_force(runtime, running):
    runtime("pause", running).ok()
    runtime("delete", "-f", running).ok()


def test_a_created_container_can_be_paused_and_starts_once_it_is_resumed(runtime, bundle, container):
    bundle.write("touch /tmp/ran; sleep 600")
    runtime.detached("create", "-b", bundle.path, container).ok()
    runtime("pause", container).ok()
    assert runtime.status(container) == "paused"
    runtime("start", container).fails("cannot start a container in the paused state")
    runtime("exec", container, "true").fails("paused")
    runtime("delete", container).fails("not stopped: paused")
    runtime("resume", container).ok()
    assert runtime.status(container) == "created"
    runtime("start", container).ok()
    wait_until(lambda: os.path.exists(os.path.join(bundle.rootfs, "tmp/ran")), "the program runs")
    assert runtime.status(container) == "running"


def test_ps_lists_the_processes_as_json(runtime, running):
    assert runtime.state(running)["pid"] in json.loads(runtime("ps", "-f", "json", running).ok().out)


# Messages and exit codes.

@pytest.mark.parametrize("words, code, text", [
    (["create"], 1, "requires exactly 1 argument(s)"), (["state"], 1, "requires exactly 1 argument(s)"),
    (["create", "--nosuch", "x"], 1, "flag provided but not defined: -nosuch"), (["nosuch"], 3, "No help topic for 'nosuch'"),
    (["create", "-b", "/nonexistent", "x"], 1, "chdir /nonexistent: no such file or directory"),
])
def test_usage_errors_are_runcs(runtime, words, code, text):
    runtime(*words).fails(text, code=code)


def test_the_log_file_has_runcs_forms(runtime, folder, container):
    text, document = os.path.join(folder, f"{container}.log"), os.path.join(folder, f"{container}.json")
    result = runtime("state", container, options=["--log", text]).fails(code=1)
    assert result.err == "container does not exist\n"
    with open(text, encoding="utf-8") as file:
        line = file.read()
    assert line.startswith('time="20') and line.endswith(' level=error msg="container does not exist"\n')
    runtime("state", container, options=["--log", document, "--log-format", "json"]).fails(code=1)
    with open(document, encoding="utf-8") as file:
        entry = json.loads(file.read())
    assert (entry["level"], entry["msg"]) == ("error", "container does not exist")
    assert entry["time"].startswith("20")


@pytest.mark.ours
def test_resctrl_is_refused_by_its_member_where_there_is_none(runtime, bundle, container):
    bundle.write(["true"], linux={"intelRdt": {"closID": "x"}})
    runtime("create", "-b", bundle.path, container).fails("linux.intelRdt", "no resctrl file system is mounted")


@pytest.mark.ours
@pytest.mark.skipif(os.path.exists("/sys/fs/selinux/enforce"), reason="this kernel has SELinux")
def test_a_label_of_mounts_is_left_out_with_a_warning_where_nobody_reads_it(runtime, bundle, container):
    bundle.write(["echo", "fine"], linux={"mountLabel": "system_u:object_r:svirt_sandbox_file_t:s0:c715,c811"})
    result = runtime("run", "-b", bundle.path, container).ok()
    assert result.out == "fine\n" and "level=warning" in result.err and "linux.mountLabel" in result.err


@pytest.mark.ours
def test_features_is_the_document_of_the_specification(runtime):
    features = json.loads(runtime("features").ok().out)
    assert (features["ociVersionMin"], features["ociVersionMax"]) == ("1.0.0", "1.3.0")
    assert features["hooks"] == ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"]
    assert set(features["linux"]["namespaces"]) == {"mount", "pid", "network", "uts", "ipc", "user", "cgroup", "time"}
    assert features["linux"]["cgroup"]["v1"] and features["linux"]["cgroup"]["v2"]
    assert features["linux"]["intelRdt"] == {"enabled": True, "schemata": True, "monitoring": True}
    assert features["potentiallyUnsafeConfigAnnotations"] == ["org.criu.config", "org.systemd.property."]


def test_the_written_spec_runs(runtime, bundle, container):
    runtime("spec", "-b", bundle.path).ok() if runtime.kind != "crun" else runtime("spec", cwd=bundle.path).ok()
    with open(os.path.join(bundle.path, "config.json"), encoding="utf-8") as file:
        bundle.config = json.load(file)
    bundle.write("echo from the template", process={"terminal": False})
    assert runtime("run", "-b", bundle.path, container).ok().out == "from the template\n"
    if runtime.kind != "crun":
        runtime("spec", "-b", bundle.path).fails("exists. Remove it first")


def test_version_and_help_are_there(runtime):
    assert "spec: 1." in runtime("--version").ok().out
    assert "create" in runtime("--help").ok().out
    assert "--pid-file" in runtime("create", "--help").ok().out
