"""testcontainers-python, from PyPI with what it needs: containers that are waited for by what they say, serve and answer."""

import os
import subprocess
import sys
import tempfile

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "Tests", "Fixtures"))
import oci_images
import own_network
from docker_py_suite import BUILD, start
from processes import Registry, stop

VERSION = "4.15.0"
# Before any test has left the machine's own network.
PACKAGES = tempfile.TemporaryDirectory(prefix="tc-", dir="/tmp")
FETCHED = subprocess.run([sys.executable, "-m", "pip", "install", "-q", "--target", PACKAGES.name, f"testcontainers=={VERSION}"],
                         capture_output=True, text=True, check=False, timeout=300)
PROGRAM = r"""
import sys, urllib.request
from testcontainers.core.container import DockerContainer
from testcontainers.core.wait_strategies import ContainerStatusWaitStrategy, ExecWaitStrategy, HttpWaitStrategy, LogMessageWaitStrategy, PortWaitStrategy
image = sys.argv[1]
serving = ["sh", "-c", "echo starting; sleep 1; echo ready to serve; exec busybox httpd -f -p 8000 -h /etc"]
for strategy in (LogMessageWaitStrategy("ready to serve"), HttpWaitStrategy(8000, "/passwd").for_status_code(200), PortWaitStrategy(8000),
                 ExecWaitStrategy(["busybox", "pidof", "busybox"])):
    container = DockerContainer(image).with_command(serving).with_exposed_ports(8000).with_env("WHO", "me").waiting_for(strategy)
    with container as running:
        host, port = running.get_container_host_ip(), running.get_exposed_port(8000)
        print(type(strategy).__name__, running.exec(["sh", "-c", "echo $WHO"]).output.decode().strip(),
              b"starting" in running.get_logs()[0], host, int(port) > 0)
with DockerContainer(image).with_command(["true"]).waiting_for(ContainerStatusWaitStrategy()) as running:
    print("status", running.get_wrapped_container().status)
"""


@pytest.mark.skipif(FETCHED.returncode != 0, reason="testcontainers cannot be had from PyPI")
def test_testcontainers_python_waits_for_containers_by_each_of_its_strategies():
    own_network.enter()
    with tempfile.TemporaryDirectory(prefix="tc-", dir="/tmp") as folder:
        registry = Registry(os.path.join(folder, "registry"))
        socket = os.path.join(folder, "a.sock")
        process = start([f"{BUILD}/apusd", "--host", f"unix://{socket}", "--data-root", f"{folder}/d", "--exec-root", f"{folder}/r"],
                        socket, os.path.join(folder, "log"))
        environment = {**os.environ, "DOCKER_HOST": f"unix://{socket}", "PYTHONPATH": PACKAGES.name, "TESTCONTAINERS_RYUK_DISABLED": "true", "HOME": folder}
        try:
            oci_images.Pusher(registry.host).push("busybox", oci_images.busybox())
            image = f"{registry.host}/busybox"
            subprocess.run([f"{BUILD}/apus", "pull", "-q", image], env=environment, check=True, capture_output=True)
            said = subprocess.run([sys.executable, "-c", PROGRAM, image], env=environment, capture_output=True, text=True, check=False, timeout=200)
            assert said.returncode == 0, said.stderr[-3000:]
            lines = said.stdout.splitlines()
            assert [line.split()[0] for line in lines] == ["LogMessageWaitStrategy", "HttpWaitStrategy", "PortWaitStrategy", "ExecWaitStrategy", "status"]
            assert all(" me True " in line and line.endswith(" True") for line in lines[:4])
            assert subprocess.run([f"{BUILD}/apus", "ps", "-aq"], env=environment, capture_output=True, text=True, check=True).stdout == ""
        finally:
            stop(process)
            registry.stop()
