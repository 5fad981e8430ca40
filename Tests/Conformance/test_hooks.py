"""config.md, "POSIX-platform Hooks", and their moments in runtime.md, "Lifecycle"."""

import json
import os

import pytest
from claims import spec
from processes import held_in_one_of_several_rounds, wait_until

KINDS = ("prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop")


def hook(bundle, kind, script="", name=""):
    """A hook that appends a line to a log: its kind, the status it read, and what `script` prints."""
    log = os.path.join(bundle.path, "hooks.log")
    text = (f"state=$(cat); status=$(echo \"$state\" | sed -n 's/.*\"status\": *\"\\([a-z]*\\)\".*/\\1/p'); "
            f"echo \"{kind}{name} $status $({script or 'true'})\" >> {{log}}")
    if kind == "startContainer":
        return {"path": "/bin/sh", "args": ["sh", "-c", text.format(log="/hooks.log")], "env": ["PATH=/bin"]}
    return {"path": "/bin/sh", "args": ["sh", "-c", text.format(log=log)], "env": [f"PATH={os.environ['PATH']}", f"WHERE={kind}"]}


def log_of(bundle):
    lines = []
    for path in (os.path.join(bundle.path, "hooks.log"), os.path.join(bundle.rootfs, "hooks.log")):
        if os.path.exists(path):
            with open(path, encoding="utf-8") as file:
                lines.append([line.split() for line in file])
    return lines


@spec("runtime.md#runtimeLifecycle",
      "The `prestart` hooks MUST",
      "The `createRuntime` hooks MUST",
      "The `createContainer` hooks MUST",
      "The `startContainer` hooks MUST",
      "The `poststart` hooks MUST",
      "The `poststop` hooks MUST")
@spec("config.md#configHooksPrestart", "MUST be called before the `createRuntime` hooks")
@spec("config.md#configHooksCreateContainer", "MUST be called after the `createRuntime` hooks")
@spec("config.md#configHooksPoststop", "MUST be called after the container is deleted")
def test_hooks_run_at_their_moments_in_order_with_the_state(runtime, bundle, container):
    bundle.write("sleep 600", hooks={kind: [hook(bundle, kind)] for kind in KINDS})
    runtime.detached("create", "-b", bundle.path, container).ok()
    created = [line[0] for line in log_of(bundle)[0]]
    assert created[:3] == ["prestart", "createRuntime", "createContainer"]
    assert not os.path.exists(os.path.join(bundle.rootfs, "hooks.log"))
    runtime("start", container).ok()
    wait_until(lambda: len(log_of(bundle)) == 2, "startContainer hook")
    runtime("kill", container, "KILL").ok()
    runtime.wait_for(container, "stopped")
    runtime("delete", container).ok()
    outside, inside = log_of(bundle)
    assert [line[0] for line in outside] == ["prestart", "createRuntime", "createContainer", "poststart", "poststop"]
    assert inside[0][0] == "startContainer"
    if runtime.kind == "apus":
        assert [line[1] for line in outside] == ["created", "creating", "creating", "running", "stopped"]
        assert inside[0][1] == "created"


@pytest.mark.parametrize("users", ["of the host", "own"])
def test_start_container_hooks_have_the_programs_limits(runtime, bundle, container, users):
    """Also where the runtime has raised its caller's for itself."""
    if users == "own":
        bundle.map_users()
    bundle.write("echo program $(ulimit -Sn) $(ulimit -Hn) >> /tmp/limits", process={"rlimits": [{"type": "RLIMIT_NOFILE", "soft": 100, "hard": 200}]},
                 hooks={"startContainer": [{"path": "/bin/sh", "args": ["sh", "-c", "echo hook $(ulimit -Sn) $(ulimit -Hn) >> /tmp/limits"]}]})
    with runtime.below("sh", "-c", 'ulimit -Sn 20; exec "$@"', "sh"):
        runtime("run", "-b", bundle.path, container).ok()
    with open(os.path.join(bundle.rootfs, "tmp/limits"), encoding="utf-8") as file:
        assert file.read().splitlines() == ["hook 100 200", "program 100 200"]


@spec("config.md#configHooksPoststart", "MUST be called after the user-specified process is executed")
def test_poststart_runs_after_start_and_not_before(runtime, bundle, container):
    bundle.write("sleep 600", hooks={"poststart": [hook(bundle, "poststart")]})
    runtime.detached("create", "-b", bundle.path, container).ok()
    assert log_of(bundle) == []
    runtime("start", container).ok()
    assert [line[0] for line in log_of(bundle)[0]] == ["poststart"]


@spec("config.md#configHooks", "Hooks MUST be called in the listed order.")
def test_hooks_of_one_kind_run_in_their_order(runtime, bundle, container):
    bundle.write(["true"], hooks={"createRuntime": [hook(bundle, "createRuntime", name=f"-{number}") for number in range(5)]})
    runtime("run", "-b", bundle.path, container).ok()
    assert [line[0] for line in log_of(bundle)[0]] == [f"createRuntime-{number}" for number in range(5)]


def test_runtime_hooks_are_in_the_hosts_namespaces_and_container_hooks_in_the_containers(runtime, bundle, container):
    where = "readlink /proc/self/ns/uts"
    bundle.write("sleep 600", hooks={kind: [hook(bundle, kind, where)] for kind in ("prestart", "createRuntime", "createContainer", "startContainer")})
    runtime.detached("run", "-d", "-b", bundle.path, container).ok()
    own, theirs = os.readlink("/proc/self/ns/uts"), os.readlink(f"/proc/{runtime.state(container)['pid']}/ns/uts")
    outside, inside = log_of(bundle)
    assert {line[0]: line[-1] for line in outside + inside} == {
        "prestart": own, "createRuntime": own, "createContainer": theirs, "startContainer": theirs}


@spec("config.md#configHooks", "MUST be passed to hooks over stdin")
def test_the_state_names_the_containers_process(runtime, bundle, container):
    script = os.path.join(bundle.path, "state.json")
    bundle.write("sleep 600", hooks={"createRuntime": [{"path": "/bin/sh", "args": ["sh", "-c", f"cat > {script}"]}]})
    runtime.detached("create", "-b", bundle.path, container).ok()
    with open(script, encoding="utf-8") as file:
        state = json.load(file)
    assert (state["id"], state["pid"], state["bundle"]) == (container, runtime.state(container)["pid"], os.path.realpath(bundle.path))


def test_a_poststop_hook_is_told_no_pid(runtime, bundle, container):
    """A number of 0 would be the hook's own process group to kill(1)."""
    told = os.path.join(bundle.path, "state.json")
    bundle.write(["true"], hooks={"poststop": [{"path": "/bin/sh", "args": ["sh", "-c", f"cat > {told}"]}]})
    runtime("run", "-b", bundle.path, container).ok()
    with open(told, encoding="utf-8") as file:
        state = json.load(file)
    assert state["status"] == "stopped" and "pid" not in state


def test_a_createContainer_hook_begins_in_the_containers_root(runtime, bundle, container):
    path = os.path.join(bundle.path, "log")
    bundle.write(["true"], hooks={kind: [{"path": "/bin/sh", "args": ["sh", "-c", f"stat -c '{kind} %d:%i' . >> {path}"]}]
                                  for kind in ("createRuntime", "createContainer", "poststart")})
    root, own = os.stat(os.path.join(bundle.path, "rootfs")), os.stat(bundle.path)
    runtime("run", "-b", bundle.path, container).ok()
    with open(path, encoding="utf-8") as file:
        found = dict(line.split() for line in file)
    assert found == {"createRuntime": f"{own.st_dev}:{own.st_ino}", "createContainer": f"{root.st_dev}:{root.st_ino}",
                     "poststart": f"{own.st_dev}:{own.st_ino}"}


def test_environment_and_arguments_are_the_hooks_own(runtime, bundle, container):
    log = os.path.join(bundle.path, "log")
    script = bundle.file("/../hook.sh", f"#!/bin/sh\necho $0 $1 $ONLY ${{PATH_OF_CALLER:-none}} > {log}\n", 0o755)
    bundle.write(["true"], hooks={"createRuntime": [{"path": script, "args": ["hook", "one"], "env": ["ONLY=this"]}]})
    runtime("run", "-b", bundle.path, container, env={**os.environ, "PATH_OF_CALLER": "x"}).ok()
    with open(log, encoding="utf-8") as file:
        assert file.read().split()[1:] == ["one", "this", "none"]


@spec("runtime.md#runtimeLifecycle", "If any `prestart` hook fails", "If any `createRuntime` hook fails", "If any `createContainer` hook fails")
@pytest.mark.parametrize("kind", ["prestart", "createRuntime", "createContainer"])
def test_a_failing_hook_of_create_undoes_the_container_and_names_itself(runtime, bundle, container, kind):
    failing = {"path": "/bin/sh", "args": ["sh", "-c", "echo the reason >&2; exit 9"], "env": ["PATH=/bin:/usr/bin"]}
    bundle.write(["true"], hooks={kind: [failing], "poststop": [hook(bundle, "poststop")]})
    result = runtime.detached("create", "-b", bundle.path, container).fails()
    if runtime.kind == "apus":
        assert kind in result.err and "exit status 9" in result.err and "the reason" in result.err
        assert [line[0] for line in log_of(bundle)[0]] == ["poststop"]
    runtime("state", container).fails("does not exist")


@spec("runtime.md#runtimeLifecycle", "If any `startContainer` hook fails")
@spec("config.md#configHooksStartContainer", "MUST be called before the user-specified process is executed")
def test_a_failing_start_container_hook_fails_start_and_ends_the_container(runtime, bundle, container):
    bundle.write("echo ran > /tmp/ran", hooks={"startContainer": [{"path": "/bin/false"}]})
    runtime.detached("create", "-b", bundle.path, container).ok()
    runtime("start", container).fails("startContainer" if runtime.kind == "apus" else "")
    assert not os.path.exists(os.path.join(bundle.rootfs, "tmp/ran"))
    runtime("state", container).fails("does not exist")


@pytest.mark.ours
def test_a_failing_poststart_hook_fails_start_and_deletes_the_container(runtime, bundle, container):
    bundle.write("sleep 600", ociVersion="1.3.0", hooks={"poststart": [{"path": "/bin/false"}], "poststop": [hook(bundle, "poststop")]})
    runtime.detached("create", "-b", bundle.path, container).ok()
    runtime("start", container).fails("poststart hook #0 /bin/false", "exit status 1")
    runtime("state", container).fails("does not exist")
    assert [line[0] for line in log_of(bundle)[0]] == ["poststop"]


@pytest.mark.ours
@pytest.mark.parametrize("version", ["1.0.2", "1.2.1"])
def test_a_failing_poststart_hook_is_a_warning_to_bundles_of_before_1_3(runtime, bundle, container, version):
    bundle.write("sleep 600", ociVersion=version, hooks={"poststart": [{"path": "/bin/false"}, hook(bundle, "poststart")]})
    runtime.detached("create", "-b", bundle.path, container).ok()
    assert "level=warning" in runtime("start", container).ok().err
    assert runtime.status(container) == "running"
    assert [line[0] for line in log_of(bundle)[0]] == ["poststart"]


def test_a_failing_poststop_hook_is_only_a_warning(runtime, bundle, container):
    bundle.write(["true"], hooks={"poststop": [{"path": "/bin/false"}, hook(bundle, "poststop", name="-second")]})
    runtime.detached("create", "-b", bundle.path, container).ok()
    result = runtime("delete", "-f", container).ok()
    if runtime.kind == "apus":
        assert "level=warning" in result.err
        assert [line[0] for line in log_of(bundle)[0]] == ["poststop-second"]


def test_a_hook_past_its_timeout_is_killed(runtime, bundle, container):
    bundle.write(["true"], hooks={"createRuntime": [{"path": "/bin/sleep", "args": ["sleep", "30"], "timeout": 1}]})
    results = []
    held_in_one_of_several_rounds(lambda: results.append(runtime.detached("create", "-b", bundle.path, container).fails()), 10, "it is killed")
    if runtime.kind == "apus":
        assert all("did not end within 1 s" in result.err for result in results)


@pytest.mark.ours
@pytest.mark.parametrize("seconds", [2147484, 9223372036, 9223372036854775, 9223372036854775807])
def test_a_hook_may_take_as_long_as_a_number_can_tell(runtime, bundle, container, seconds):
    bundle.write(["true"], hooks={"createRuntime": [{"path": "/bin/sleep", "args": ["sleep", "0.1"], "timeout": seconds}]})
    runtime("run", "-b", bundle.path, container).ok()


def test_a_hook_that_cannot_be_executed_is_an_error(runtime, bundle, container):
    bundle.write(["true"], hooks={"createRuntime": [{"path": "/nonexistent/hook"}]})
    runtime.detached("create", "-b", bundle.path, container).fails("/nonexistent/hook" if runtime.kind != "crun" else "")


def test_a_relative_hook_path_is_refused(runtime, bundle, container):
    bundle.write(["true"], hooks={"createRuntime": [{"path": "hook"}]})
    runtime.detached("create", "-b", bundle.path, container).fails("hooks.createRuntime[0].path")
