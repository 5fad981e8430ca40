"""A caller who has less than the runtime needs for itself: it helps itself, and the payload has what the caller has."""

import os
import re
import resource

import pytest
from ordinary import everywhere
from processes import wait_until

pytestmark = pytest.mark.ours


def limited(runtime, *limits):
    return runtime.below("sh", "-c", f'{"; ".join(f"ulimit {limit}" for limit in limits)}; exec "$@"', "sh")


@pytest.mark.parametrize("stack", [32, 64])
def test_a_small_stack_is_the_payloads_and_not_the_runtimes(runtime, bundle, container, stack):
    """With arguments that would fill it."""
    bundle.write(["sh", "-c", "ulimit -s; ulimit -Hs; sleep 600"])
    runtime("features").ok()
    with limited(runtime, f"-s {stack}"):
        runtime("features").ok()
        runtime.detached("create", "-b", bundle.path, container).ok()
        assert runtime("exec", "--env", "LONG=" + "x" * 15000, container, "sh", "-c", "ulimit -s; ulimit -Hs").ok().lines == [str(stack)] * 2
        runtime("delete", "-f", container).ok()
        bundle.write(["sh", "-c", "ulimit -s; ulimit -Hs"])
        assert runtime("run", "-b", bundle.path, container).ok().lines == [str(stack)] * 2


def test_beyond_the_runtimes_own_stack_lies_no_memory(runtime, bundle, container):
    """Whoever goes too deep is ended before what lies below is overwritten."""
    bundle.write("true")
    with limited(runtime, "-s 64"):
        runtime.detached("create", "-b", bundle.path, container).ok()
    pid = runtime.state(container)["pid"]

    def words():
        with open(f"/proc/{pid}/syscall", encoding="utf-8") as file:
            return file.read().split()

    # While it runs, that is the one word; it may go on after a wait.
    top = int(wait_until(lambda: len(found := words()) > 2 and found, "it waits to be started")[-2], 16)
    with open(f"/proc/{pid}/maps", encoding="utf-8") as file:
        mapped = [(int(first, 16), int(end, 16), rights) for first, end, rights in re.findall(r"^(\w+)-(\w+) (\S+)", file.read(), re.M)]
    (stack,) = [first for first, end, _ in mapped if first <= top < end]
    assert [rights for _, end, rights in mapped if end == stack] == ["---p"]


@everywhere
def test_few_descriptors_are_the_payloads_and_not_the_runtimes(runtime, bundle, container, owner):
    bundle.write("ulimit -Sn; ulimit -Hn")
    with open("/proc/self/status", encoding="utf-8") as file:
        may_raise = int(file.read().split("CapEff:")[1].split()[0], 16) & 1 << 24 and owner.whose != "an ordinary user's"
    limits = ["-Hn 20"] if may_raise else []
    hard = 20 if may_raise else resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    with limited(runtime, "-Sn 20", *limits):
        assert runtime("run", "-b", bundle.path, container).ok().lines == ["20", str(hard)]


@everywhere
def test_few_descriptors_are_the_hooks_and_not_the_runtimes(runtime, bundle, container, owner):
    marks = os.path.join(owner.folder, "marks")
    with open(marks, "wb"):
        # Also for who is root in the container alone.
        os.chmod(marks, 0o666)
    places = {kind: marks for kind in ("prestart", "createRuntime", "createContainer", "poststart", "poststop")} | {"startContainer": "/tmp/marks"}
    bundle.write(["true"], hooks={kind: [{"path": "/bin/sh", "args": ["sh", "-c", f"echo {kind} $(ulimit -Sn) >> {place}"]}]
                                  for kind, place in places.items()})
    with limited(runtime, "-Sn 20"):
        runtime("run", "-b", bundle.path, container).ok()
        runtime.detached("create", "-b", bundle.path, container).ok()
        runtime("start", container).ok()
        runtime("delete", "-f", container).ok()
    said = []
    for path in marks, os.path.join(bundle.rootfs, "tmp/marks"):
        with open(path, encoding="utf-8") as file:
            said += file.read().splitlines()
    assert sorted(said) == sorted(2 * [f"{kind} 20" for kind in places])


def test_limits_of_the_configuration_are_not_given_back(runtime, bundle, container):
    bundle.write("ulimit -Sn; ulimit -Hn; ulimit -Ss", process={"rlimits": [
        {"type": "RLIMIT_NOFILE", "soft": 100, "hard": 200}]})
    with limited(runtime, "-Sn 20", "-s 64"):
        assert runtime("run", "-b", bundle.path, container).ok().lines == ["100", "200", "64"]


@pytest.mark.parametrize("words", [["list"], ["run", "nobody"]], ids=" ".join)
def test_a_missing_procfs_is_told(runtime, words):
    with runtime.below("unshare", "-m", "sh", "-c", 'mount -t tmpfs tmpfs /proc && exec "$@"', "sh"):
        result = runtime(*words)
    assert (result.code, result.err) == (1, "apus-runtime: /proc/self/exe cannot be read: mount procfs at /proc\n")
