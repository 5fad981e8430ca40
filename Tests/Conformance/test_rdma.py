"""config-linux.md, "RDMA": limits of a device, where the kernel has one. `rdma link add` makes one of software in the last boot of `make cgroup2`."""

import json
import os
import subprocess
import sys

import pytest
from test_cgroups import V1, cgroup_of

DEVICES = "/sys/class/infiniband"
DEVICE = next(iter(sorted(os.listdir(DEVICES))), None) if os.path.isdir(DEVICES) else None
HAS_CONTROLLER = os.path.isdir("/sys/fs/cgroup/rdma") if V1 else "rdma" in open("/sys/fs/cgroup/cgroup.controllers", encoding="utf-8").read().split()

pytestmark = pytest.mark.skipif(not DEVICE or not HAS_CONTROLLER, reason="no RDMA device, or no controller for it")

# Asks for as many contexts of the device as it was told, each of them a handle, in a cgroup that it joins when it has opened the device: uverbs'
# GET_CONTEXT. Prints what became of each.
USER = """
import os, struct, sys, ctypes
files = [os.open("/dev/infiniband/uverbs0", os.O_RDWR) for _ in range(int(sys.argv[2]))]
with open(sys.argv[1] + "/cgroup.procs", "w") as procs:
    procs.write(str(os.getpid()))
answer = ctypes.create_string_buffer(64)
for file in files:
    try:
        os.write(file, struct.pack("IHHQ", 0, 4, 2, ctypes.addressof(answer)))
        print("given")
    except OSError as error:
        print(os.strerror(error.errno))
"""


def limits(process):
    """By device: the words of its line."""
    with open(os.path.join(cgroup_of(process, "rdma"), "rdma.max"), encoding="utf-8") as file:
        return {line.split()[0]: line.split()[1:] for line in file}


def update(runtime, container, resources):
    return runtime("update", "-r", "-", container, stdin=None, input=json.dumps(resources).encode())


def start(runtime, bundle, container, limit):
    bundle.write("sleep 600", linux={"resources": {"rdma": {DEVICE: limit}}})
    runtime.detached("run", "-d", "-b", bundle.path, container).ok()
    return runtime.state(container)["pid"]


@pytest.mark.parametrize("limit, words", [
    ({"hcaHandles": 3, "hcaObjects": 10000}, ["hca_handle=3", "hca_object=10000"]), ({"hcaHandles": 5}, ["hca_handle=5", "hca_object=max"]),
    ({"hcaObjects": 0}, ["hca_handle=max", "hca_object=0"]),
])
def test_limits_of_an_rdma_device_are_in_the_containers_cgroup(runtime, bundle, container, limit, words):
    assert limits(start(runtime, bundle, container, limit))[DEVICE] == words


def test_the_limit_of_handles_is_heeded(runtime, bundle, container):
    pid = start(runtime, bundle, container, {"hcaHandles": 2})
    done = subprocess.run([sys.executable, "-c", USER, cgroup_of(pid, "rdma"), "3"], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["given", "given", os.strerror(11)], done.stderr


@pytest.mark.ours
def test_update_changes_limits_of_rdma_devices_or_none(runtime, bundle, container):
    pid = start(runtime, bundle, container, {"hcaHandles": 3})
    update(runtime, container, {"rdma": {DEVICE: {"hcaHandles": 4, "hcaObjects": 77}}}).ok()
    assert limits(pid)[DEVICE] == ["hca_handle=4", "hca_object=77"]
    update(runtime, container, {"rdma": {DEVICE: {"hcaObjects": 78}}}).ok()
    assert limits(pid)[DEVICE] == ["hca_handle=4", "hca_object=78"]
    update(runtime, container, {"rdma": {DEVICE: {"hcaHandles": 1}, "zz-none": {"hcaHandles": 1}}}).fails("linux.resources.rdma", "zz-none")
    assert limits(pid)[DEVICE] == ["hca_handle=4", "hca_object=78"]


@pytest.mark.ours
def test_an_rdma_device_that_there_is_not_is_refused_by_the_member(runtime, bundle, container):
    bundle.write(["true"], linux={"resources": {"rdma": {"zz-none": {"hcaHandles": 1}}}})
    runtime("run", "-b", bundle.path, container).fails("linux.resources.rdma", "zz-none", code=1)
    runtime("state", container).fails("does not exist")
