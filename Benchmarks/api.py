"""The Docker Engine API without a command line: one container's whole life, lists of many, and how soon a daemon with many is there."""

import http.client
import json
import os
import socket
import statistics
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

from engines import Engines, tell
from processes import stop
from runtimes import verdict

VERSION = "v1.41"
MANY, STOPPED = 200, 500


class Connection(http.client.HTTPConnection):
    """HTTP over a unix socket, kept for the next request."""

    def __init__(self, host):
        super().__init__("d", timeout=120)
        self.path = host.removeprefix("unix://")

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)

    def ask(self, method, path, body=None):
        self.request(method, f"/{VERSION}{path}", None if body is None else json.dumps(body), {"Content-Type": "application/json"} if body else {})
        answer = self.getresponse()
        text = answer.read()
        assert answer.status < 300, (method, path, answer.status, text)
        return text


def life(connection, image):
    """Creates, starts, waits for and removes one container, without a network; milliseconds."""
    begin = time.monotonic()
    made = json.loads(connection.ask("POST", "/containers/create", {"Image": image, "Cmd": ["true"], "HostConfig": {"NetworkMode": "none"}}))["Id"]
    connection.ask("POST", f"/containers/{made}/start")
    assert json.loads(connection.ask("POST", f"/containers/{made}/wait"))["StatusCode"] == 0
    connection.ask("DELETE", f"/containers/{made}")
    return (time.monotonic() - begin) * 1000


def bench_life(folder, rounds):
    engines = Engines(folder)
    try:
        connections = {name: Connection(host) for name, host in engines.hosts.items()}
        times = {name: [] for name in connections}
        for number in range(rounds + 3):
            for name, connection in connections.items():
                elapsed = life(connection, engines.image)
                if number >= 3:
                    times[name].append(elapsed)
        tell("create, start, wait and delete over the socket, --network none", times, 0.2)
    finally:
        engines.close()


def make_many(host, image, count):
    """Containers that never ran."""
    def make(number):
        Connection(host).ask("POST", f"/containers/create?name=many{number}", {
            "Image": image, "Cmd": ["sleep", "3000"], "Labels": {"number": str(number), "of": "benchmark"}, "HostConfig": {"NetworkMode": "none"}})

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(make, range(count)))


def bench_lists(folder, rounds):
    """`ps` and `inspect` through the same docker command line, and their requests alone, with 200 containers."""
    engines = Engines(folder)
    try:
        for host in engines.hosts.values():
            make_many(host, engines.image, MANY)
        connections = {name: Connection(host) for name, host in engines.hosts.items()}

        def asked(name, path):
            connections[name].ask("GET", path)

        for title, once in {
            f"docker ps -a with {MANY} containers": lambda name: engines.docker(name, "ps", "-a"),
            f"docker inspect of one of {MANY}": lambda name: engines.docker(name, "inspect", "many7"),
            f"GET /containers/json?all=1 with {MANY}": lambda name: asked(name, "/containers/json?all=1"),
            f"GET /containers/NAME/json, one of {MANY}": lambda name: asked(name, "/containers/many7/json"),
        }.items():
            times = {name: [] for name in connections}
            for number in range(rounds + 3):
                for name in connections:
                    begin = time.monotonic()
                    once(name)
                    if number >= 3:
                        times[name].append((time.monotonic() - begin) * 1000)
            tell(title, times, 1.0)
    finally:
        engines.close()


def bench_begin(folder, rounds):
    """From the start of the program to its first answer, with five hundred containers that have ended."""
    engines = Engines(folder, with_peer=False)
    try:
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda number: engines.docker("apusd", "run", "--name", f"old{number}", "--network", "none", engines.image, "true"), range(STOPPED)))
        daemon, times = engines.daemon, []
        words = open(f"/proc/{daemon.pid}/cmdline", "rb").read().decode().split("\0")[:-1]
        for _ in range(min(rounds, 10)):
            engines.processes.remove(daemon)
            stop(daemon)
            begin = time.monotonic()
            daemon = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            engines.processes.append(daemon)
            while not answers(engines.hosts["apusd"]):
                time.sleep(0.002)
            times.append(time.monotonic() - begin)
        print(f"\napusd with {STOPPED} stopped containers\n  ready after {statistics.median(times) * 1000:8.0f} ms, the median of {len(times)}")
        verdict(statistics.median(times) < 1, "in less than 1 s")
    finally:
        engines.close()


def answers(host):
    """Whether all containers are listed."""
    if not os.path.exists(host.removeprefix("unix://")):
        return False
    try:
        return len(json.loads(Connection(host).ask("GET", "/containers/json?all=1"))) == STOPPED
    except OSError:
        return False


COMPARISONS = {"life": bench_life, "lists": bench_lists, "begin": bench_begin}
