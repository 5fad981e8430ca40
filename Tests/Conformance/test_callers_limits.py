"""A caller who has less than the runtime needs for itself: it helps itself, and the payload has what the caller has."""

import pytest
from ordinary import everywhere

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


@everywhere
def test_few_descriptors_are_the_payloads_and_not_the_runtimes(runtime, bundle, container, owner):
    bundle.write("ulimit -Sn; ulimit -Hn")
    with open("/proc/self/status", encoding="utf-8") as file:
        may_raise = int(file.read().split("CapEff:")[1].split()[0], 16) & 1 << 24 and owner.whose != "an ordinary user's"
    limits = ["-Hn 20"] if may_raise else []
    with limited(runtime, "-Sn 20", *limits):
        assert runtime("run", "-b", bundle.path, container).ok().lines[0] == "20"


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
