"""Pods: containerd's CRI plugin, spoken to as kubelet does, with our shim and our runtime below it."""
import os
import re
import signal
import time
from pathlib import Path

import grpc
import pytest
from containerds import CONFIGURATION, Containerd, containerd_of_a_module
from cri_client import CONTAINER, CRI, EXITED, POD, RUNNING, container_config, sandbox_config
from shim_client import alive, wait_until
from shim_fixtures import CHOSEN, RUNTIMES

PLUGIN = """
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{image}"
  restrict_oom_score_adj = true
  stream_server_address = "127.0.0.1"
  stream_server_port = "0"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "native"
    default_runtime_name = "apus"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.apus]
      runtime_type = "io.containerd.apus.v2"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{folder}/cni"
    conf_dir = "{folder}/cni"
"""
# As much of a network plugin as a pod needs that speaks to itself: its loopback, and an address on paper.
NETWORK_PLUGIN = """#!/bin/sh
cat > /dev/null
case $CNI_COMMAND in
ADD) nsenter --net="$CNI_NETNS" ip link set lo up
     echo '{"cniVersion":"0.3.1","interfaces":[{"name":"eth0","sandbox":"'"$CNI_NETNS"'"}],"ips":[{"version":"4","address":"10.99.0.2/16","interface":0}]}' ;;
VERSION) echo '{"cniVersion":"0.3.1","supportedVersions":["0.3.1"]}' ;;
esac
"""


class Kubernetes(Containerd):
    """A containerd with its CRI plugin, and pods that are gone at the end of the test."""
    base, namespace = "docker.io/test/box", "k8s.io"
    applets = ("sh", "sleep", "cat", "echo", "true", "nc", "hostname", "ps", "kill", "id", "readlink", "seq", "usleep")

    def __init__(self, folder, runtime):
        network = Path(folder) / "cni"
        network.mkdir()
        for name in ("loopback", "paper"):
            (network / name).write_text(NETWORK_PLUGIN)
            (network / name).chmod(0o755)
        (network / "10-paper.conf").write_text('{"cniVersion":"0.3.1","name":"paper","type":"paper"}')
        self.image = "docker.io/test/box:busybox"
        self.cri = CRI(Path(folder) / "containerd.sock")
        super().__init__(folder, runtime)

    def begin(self):
        super().begin()
        wait_until(self.serves_pods, "the CRI plugin")

    def serves_pods(self):
        """It answers before it knows the pods of before."""
        try:
            return self.cri.call("ListPodSandbox") is not None
        except grpc.RpcError:
            return False

    def configuration(self):
        return CONFIGURATION.format(folder=self.folder, disabled="") + PLUGIN.format(folder=self.folder, image=self.image)

    def import_image(self):
        super().import_image()
        # What a pod's first container runs: nothing of the image's own but a wait.
        assert self.image in self.ctr("images", "list", "-q").stdout.decode().split(), self.ctr("images", "list", "-q").stdout

    def sandbox(self, name, pid=CONTAINER):
        config = sandbox_config(name, self.folder / "logs" / name, pid)
        return Pod(self, self.cri.run_sandbox(config, "apus"), config, pid)

    def clear(self):
        for method, listing in (("RemoveContainer", "ListContainers"), ("RemovePodSandbox", "ListPodSandbox")):
            for one in self.cri.call(listing).get(-1, []):
                self.cri.call(method, f1=re.search(rb"[0-9a-f]{64}", one)[0].decode())


class Pod:
    def __init__(self, kubernetes, id, config, pid):
        self.cri, self.kubernetes, self.id, self.config, self.pid = kubernetes.cri, kubernetes, id, config, pid

    def run(self, name, *words):
        config = container_config(name, self.kubernetes.image, *words, pid=self.pid)
        id = self.cri.create(self.id, config, self.config)
        self.cri.start(id)
        return id

    def log(self, name):
        path = self.kubernetes.folder / "logs"
        return "".join(path.read_text() for path in path.rglob(f"{name}.log"))


@pytest.fixture(scope="module", params=CHOSEN)
def kubernetes(request):
    with containerd_of_a_module(Kubernetes, RUNTIMES[request.param]) as daemon:
        yield daemon
    daemon.cri.close()


@pytest.fixture
def pods(kubernetes):
    try:
        yield kubernetes
    finally:
        kubernetes.clear()
        wait_until(lambda: not kubernetes.shims(), "the shims to end")


def process_of(pods, id):
    return int(re.search(rf"{id}\s+(\d+)\s+RUNNING", pods.ctr("tasks", "list").stdout.decode())[1])


def namespace(pid, kind):
    return os.readlink(f"/proc/{pid}/ns/{kind}")


def shown(text):
    """Which of the tests' programs a list of processes has."""
    return set(re.findall(r"sleep \d+$", text, re.M))


def test_two_containers_of_a_pod_share_its_namespaces_and_one_shim(pods):
    pod = pods.sandbox("pair")
    assert pods.cri.sandbox_is_ready(pod.id)
    server = pod.run("server", "sh", "-c", "while :; do echo from the other | nc -l -p 7000; done")
    client = pod.run("client", "sleep", "600")
    assert len(pods.shims()) == 1
    pids = [process_of(pods, id) for id in (pod.id, server, client)]
    for kind, count in (("net", 1), ("ipc", 1), ("uts", 1), ("pid", 3), ("mnt", 3)):
        assert len({namespace(pid, kind) for pid in pids}) == count, kind
    assert namespace(pids[0], "net") != namespace(os.getpid(), "net")
    wait_until(lambda: pods.cri.exec(client, "nc", "127.0.0.1", "7000") == (b"from the other\n", b"", 0), "the other to answer")
    assert pods.cri.exec(client, "hostname")[0] == b"pair\n"
    assert pods.cri.exec(client, "sh", "-c", "echo wrong >&2; exit 9") == (b"", b"wrong\n", 9)


def test_a_pod_whose_processes_see_each_other_ends_each_containers_own_alone(pods):
    pod = pods.sandbox("seeing", pid=POD)
    first = pod.run("first", "sleep", "600")
    second = pod.run("second", "sh", "-c", "sleep 500 & sleep 501")
    pids = [process_of(pods, id) for id in (pod.id, first, second)]
    assert len({namespace(pid, "pid") for pid in pids}) == 1
    wait_until(lambda: {"sleep 600", "sleep 500"} <= shown(pods.cri.exec(first, "ps")[0].decode()), "all to be there")
    pods.cri.call("StopContainer", f1=second, f2=0)
    assert pods.cri.state(second) == (EXITED, 137)
    # What is left of it is killed with its first process, and takes as long as it takes.
    wait_until(lambda: not {"sleep 500", "sleep 501"} & shown(pods.cri.exec(first, "ps")[0].decode()), "what is left of it to end")
    assert "sleep 600" in shown(pods.cri.exec(first, "ps")[0].decode())
    assert len(pods.shims()) == 1


def test_a_container_of_a_pod_ends_and_another_takes_its_place(pods):
    pod = pods.sandbox("again")
    for code in (0, 3):
        id = pod.run(f"job{code}", "sh", "-c", f"echo line {code}; exit {code}")
        wait_until(lambda id=id: pods.cri.state(id)[0] == EXITED, "the end to be told")
        assert pods.cri.state(id) == (EXITED, code)
        # containerd's own work, beside the telling of the end.
        wait_until(lambda code=code: f"stdout F line {code}" in pod.log(f"job{code}"), "the line to be logged")
        pods.cri.call("RemoveContainer", f1=id)
        assert pods.cri.sandbox_is_ready(pod.id) and len(pods.shims()) == 1


def test_pods_outlive_a_killed_containerd_which_finds_them_again(pods):
    pod = pods.sandbox("outliving")
    steady = pod.run("steady", "sh", "-c", "while :; do usleep 10000; done")
    ending = pod.run("ending", "sh", "-c", "sleep 1.5; exit 5")
    before = {id: process_of(pods, id) for id in (pod.id, steady)}
    pods.end(signal.SIGKILL)
    time.sleep(2.5)
    assert all(alive(pid) for pid in before.values())
    pods.begin()
    wait_until(lambda: pods.cri.state(ending)[0] == EXITED, "the end meanwhile to be told")
    assert pods.cri.state(ending) == (EXITED, 5) and pods.cri.state(steady)[0] == RUNNING and pods.cri.sandbox_is_ready(pod.id)
    assert {id: process_of(pods, id) for id in before} == before
    assert pods.cri.exec(steady, "echo", "found") == (b"found\n", b"", 0)
    later = pod.run("later", "sleep", "600")
    assert len(pods.shims()) == 1 and pods.cri.state(later)[0] == RUNNING
    pods.cri.call("StopPodSandbox", f1=pod.id)
    assert pods.cri.state(steady)[0] == pods.cri.state(later)[0] == EXITED and not pods.cri.sandbox_is_ready(pod.id)


def test_the_containers_of_a_killed_shim_are_told_to_have_ended_and_the_pod_can_be_removed(pods):
    pod = pods.sandbox("orphaned")
    id = pod.run("one", "sleep", "600")
    pid = process_of(pods, id)
    shim = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    os.kill(shim, signal.SIGKILL)
    wait_until(lambda: not alive(pid), "the payload to be ended")
    wait_until(lambda: pods.cri.state(id)[0] == EXITED and not pods.cri.sandbox_is_ready(pod.id), "the ends to be told")
