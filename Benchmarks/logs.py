"""A container's log beside dockerd's json-file: what parts of a gigabyte take, and how fast output is logged."""

import datetime
import os
import statistics
import subprocess
import time

from engines import Engines
from runtimes import verdict

# Of output in each container; `APUS_LOG_BYTES=100000000` for a tenth.
BYTE_COUNT = int(os.environ.get("APUS_LOG_BYTES", "1000000000"))
LINE_BYTES = 100
LIMIT_MILLISECONDS = 100


def seconds(host, query):
    """How long a request takes until its last byte, without a client of docker's in between, and how many bytes came."""
    path = host.removeprefix("unix://")
    said = subprocess.run(["curl", "-sf", "-o", "/dev/null", "-w", "%{time_total} %{size_download}", "--unix-socket", path,
                           f"http://d/v1.41/containers/big/logs?stdout=1&{query}"], capture_output=True, text=True, check=True).stdout.split()
    return float(said[0]), int(said[1])


def fill(engines, name):
    """A container that wrote so much in lines, and twenty lines three seconds later. Returns the seconds that the former took, start included."""
    script = f"yes {'x' * (LINE_BYTES - 1)} | head -c {BYTE_COUNT}; sleep 3; seq 1 20"
    begin = time.monotonic()
    engines.docker(name, "run", "-d", "--name", "big", "--network", "none", "--log-opt", "max-size=4g", engines.image, "sh", "-c", script)
    engines.docker(name, "wait", "big")
    return time.monotonic() - begin - 3


def moment(engines, name, member):
    text = engines.docker(name, "inspect", "-f", f"{{{{.State.{member}}}}}", "big").strip()
    return datetime.datetime.fromisoformat(text[:19] + "+00:00").timestamp()


def bench_logs(folder, rounds):
    """Parts of a log that takes dockerd seconds or minutes: it is asked for them once."""
    engines = Engines(folder)
    try:
        rates = {name: BYTE_COUNT / fill(engines, name) / 1e6 for name in engines.hosts}
        print(f"\nlogs of {BYTE_COUNT / 1e6:.0f} MB of output, asked for over the socket")
        print("".join(f"  {name:14} logged {rate:6.1f} MB/s\n" for name, rate in rates.items()), end="")
        questions = {"--tail 20": lambda name: "tail=20", "--since 2 s before the end": lambda name: f"since={moment(engines, name, 'FinishedAt') - 2:.0f}",
                     "--until its beginning": lambda name: f"until={moment(engines, name, 'StartedAt') - 1:.0f}"}
        for question, query in questions.items():
            medians = {}
            for name, host in engines.hosts.items():
                count = rounds if name == "apusd" or question == "--tail 20" else 1
                asked = query(name)
                medians[name] = statistics.median(seconds(host, asked)[0] for _ in range(count)) * 1000
            print(f"  {question:28} apusd {medians['apusd']:8.1f} ms, dockerd {medians['dockerd']:9.1f} ms")
            verdict(medians["apusd"] <= LIMIT_MILLISECONDS, f"at most {LIMIT_MILLISECONDS} ms")
    finally:
        engines.close()


COMPARISONS = {"logs": bench_logs}
