"""Checkpoints that containerd takes and starts from, through ctr: with our shim, and with its own shim and our runtime.

criu works where `criu check` passes; in `make cgroup2` it does."""

import criu
import pytest
from containerds import Containerd, containerd_of_a_module
from shim_client import wait_until
from shim_fixtures import RUNTIMES
from test_shim_containerd import name  # noqa: F401

pytestmark = criu.needed
COUNTING = "echo begun >> /begun; i=0; while :; do i=$((i+1)); echo $i 1<> /count; usleep 50000; done"
SHIMS = {"ours": ["--runtime", "io.containerd.apus.v2"],
         "containerd's": ["--runtime", "io.containerd.runc.v2", "--runc-binary", str(RUNTIMES["apus-runtime"])]}


@pytest.fixture(scope="module")
def containerd():
    with containerd_of_a_module(Containerd, RUNTIMES["apus-runtime"]) as daemon:
        yield daemon


@pytest.mark.parametrize("shim", SHIMS)
def test_a_container_goes_on_in_another_one_that_is_made_of_its_checkpoint(containerd, name, shim):
    def read(container, path):
        number[0] += 1
        return containerd.ctr("tasks", "exec", "--exec-id", f"look-{number[0]}", container, "cat", path, check=False).stdout

    def count(container):
        return int(read(container, "/count") or 0)

    def goes_on(container, before):
        wait_until(lambda: count(container) > before, "the count goes on", seconds=300)

    def end(container):
        containerd.ctr("tasks", "kill", "--signal", "SIGKILL", container)
        wait_until(lambda: b"STOPPED" in containerd.ctr("tasks", "list").stdout, "the end to be told", seconds=120)
        containerd.ctr("tasks", "delete", container, check=False)
        containerd.ctr("containers", "delete", container)

    number, name, images = [0], f"{name[:30]}-{len(shim)}", f"test/checkpoint-{len(shim)}:once"
    containerd.ctr("run", "--snapshotter", "native", *SHIMS[shim], "--null-io", "--detach", containerd.image, name, "sh", "-c", COUNTING)
    goes_on(name, 3)
    containerd.ctr("containers", "checkpoint", "--rw", "--image", "--task", name, images, timeout=600)
    taken_at = count(name)
    goes_on(name, taken_at)
    end(name)
    containerd.ctr("containers", "restore", "--rw", "--live", f"{name}-2", images, timeout=600)
    goes_on(f"{name}-2", max(taken_at, count(f"{name}-2")))
    # Its shell did not begin once more.
    assert read(f"{name}-2", "/begun") == b"begun\n"
    end(f"{name}-2")
    containerd.ctr("images", "delete", images)
