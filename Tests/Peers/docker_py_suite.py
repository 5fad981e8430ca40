#!/usr/bin/python3
"""Runs docker-py's own integration tests against dockerd and against apusd at one version of the API, and compares.

    Tests/Peers/docker_py_suite.py [--suite FOLDER] [--without-dockerd] [FILE...]

FILE is a file of the suite without `_test.py`; without one, those of networks and volumes. The suite's source comes from PyPI, in the
version of Debian's python3-docker, unless FOLDER holds it. Needs root, dockerd and docker-registry; runs in a network namespace of its own.
Prints a line for each test that ends worse than with dockerd, and the sums."""

import argparse
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import xml.etree.ElementTree as ET

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "Tests", "Fixtures"))
import oci_images
import own_network
from processes import Registry, stop, wait_until

# Debian's, whose dockerd speaks 1.41.
SUITE_VERSION, API_VERSION = "5.0.3", "1.41"
NETWORKS_AND_VOLUMES = ["api_network", "models_networks", "api_volume", "models_volumes"]
CONTAINERS = ["api_container", "models_containers", "api_exec", "api_image", "api_client", "errors", "regression"]
IMAGES = ["alpine:3.10", "alpine:latest", "busybox:latest"]
BUILD = os.path.abspath(os.environ.get("APUS_BUILD", os.path.join(ROOT, ".build", "release")))
FILE_SECONDS = 400


class Missing(Exception):
    """Something that the comparison needs is not there."""


def fetch_suite(folder):
    """The suite's source, from PyPI."""
    pip = subprocess.run(
        [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--no-binary", ":all:", "-d", folder, f"docker=={SUITE_VERSION}"],
        capture_output=True, text=True, check=False, timeout=300)
    archive = os.path.join(folder, f"docker-{SUITE_VERSION}.tar.gz")
    if pip.returncode != 0 or not os.path.exists(archive):
        raise Missing(f"docker-py's source cannot be had from PyPI: {pip.stderr.strip()[-300:]}")
    with tarfile.open(archive) as tar:
        # Python 3.11.2 of Debian 12 has no filters yet.
        tar.extractall(folder, **({"filter": "data"} if hasattr(tarfile, "data_filter") else {}))
    return os.path.join(folder, f"docker-{SUITE_VERSION}")


def start(command, socket, log):
    with open(log, "ab") as file:
        process = subprocess.Popen(command, stdout=file, stderr=file, cwd="/")

    def answers():
        if process.poll() is not None:
            raise AssertionError(f"{command[0]} ended with {process.returncode}: {open(log, encoding='utf-8').read()[-2000:]}")
        return subprocess.run(["curl", "-sf", "-m", "5", "--unix-socket", socket, "http://d/_ping"], capture_output=True, check=False).stdout == b"OK"

    try:
        wait_until(answers, f"{command[0]} answers", seconds=60)
    except AssertionError:
        stop(process)
        raise
    return process


def prepare(host, registry):
    """The images that the suite looks for, by the names that it uses."""
    environment = {**os.environ, "DOCKER_HOST": host}
    for image in IMAGES:
        for words in (["pull", "-q", f"{registry.host}/busybox"], ["tag", f"{registry.host}/busybox", image]):
            subprocess.run(["/usr/bin/docker", *words], env=environment, check=True, capture_output=True)


def run(suite, name, host, folder):
    """Outcome and reason of each of one file's tests."""
    report = os.path.join(folder, "report.xml")
    stand_in = lambda module, text: open(os.path.join(folder, module), "w", encoding="utf-8").write(text)
    # Only its tests of ssh use it, which are none of these; those of detaching ask whether a socket is one of its channels.
    stand_in("paramiko.py", "class Channel:\n    pass\n")
    # The suite makes errors of warnings, and Python 3.11 warns of what docker-py itself imports.
    stand_in("sitecustomize.py", "import warnings\nwarnings.simplefilter = lambda *words, **more: None\n")
    subprocess.run(
        ["timeout", str(FILE_SECONDS), sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junitxml={report}",
         f"tests/integration/{name}_test.py"],
        cwd=suite, check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        env={**os.environ, "DOCKER_HOST": host, "DOCKER_TEST_API_VERSION": API_VERSION, "HOME": folder, "PYTHONPATH": folder})
    if not os.path.exists(report):
        return {f"{name}::": ("failed", f"the file was not done after {FILE_SECONDS} s")}
    outcomes = {}
    for case in ET.parse(report).getroot().iter("testcase"):
        kinds = {child.tag: child for child in case}
        bad = kinds.get("failure", kinds.get("error"))
        outcome = "skipped" if "skipped" in kinds else "failed" if bad is not None else "passed"
        reason = "" if bad is None else " ".join((bad.get("message") or "").split())[:200]
        outcomes[f"{name}::{(case.get('classname') or '').rsplit('.', 1)[-1]}::{case.get('name')}"] = (outcome, reason)
    os.remove(report)
    return outcomes


def measure(command, socket, suite, names, registry, folder):
    """Runs the files against one daemon, which is started and ended."""
    process = start(command, socket, os.path.join(folder, "log"))
    host = f"unix://{socket}"
    environment = {**os.environ, "DOCKER_HOST": host}
    outcomes = {}
    try:
        prepare(host, registry)
        for name in names: outcomes.update(run(suite, name, host, folder))
    finally:
        listed = subprocess.run(["/usr/bin/docker", "ps", "-aq"], env=environment, capture_output=True, text=True, check=False).stdout.split()
        if listed:
            subprocess.run(["/usr/bin/docker", "rm", "-f", "-v", *listed], env=environment, capture_output=True, check=False)
        stop(process)
    return outcomes


def compare(names, suite=None, with_dockerd=True):
    """Outcomes with dockerd (empty without it) and with apusd, by test."""
    for program in ("dockerd", "docker-registry") if with_dockerd else ("docker-registry",):
        if not shutil.which(program): raise Missing(f"{program} is not installed")
    with tempfile.TemporaryDirectory(prefix="dp-", dir="/tmp") as folder:
        os.chmod(folder, 0o711)
        suite = suite or fetch_suite(folder)
        # From here on without the machine's own network.
        own_network.enter()
        registry = Registry(os.path.join(folder, "registry"))
        try:
            oci_images.Pusher(registry.host).push("busybox", oci_images.busybox())
            theirs, ours = os.path.join(folder, "d.sock"), os.path.join(folder, "a.sock")
            results = [{}, {}]
            if with_dockerd:
                command = ["dockerd", "-H", f"unix://{theirs}", "--data-root", f"{folder}/dd", "--exec-root", f"{folder}/dr", "-p", f"{folder}/d.pid"]
                results[0] = measure(command, theirs, suite, names, registry, folder)
            command = [f"{BUILD}/apusd", "--host", f"unix://{ours}", "--data-root", f"{folder}/ad", "--exec-root", f"{folder}/ar"]
            results[1] = measure(command, ours, suite, names, registry, folder)
        finally:
            registry.stop()
            with open("/proc/self/mounts", encoding="utf-8") as table:
                mounts = [line.split()[1] for line in table]
            for mount in reversed([mount for mount in mounts if mount.startswith(folder + "/")]):
                subprocess.run(["umount", "-l", mount], check=False, capture_output=True)
    return results


def worse(theirs, ours):
    """Tests that pass with dockerd and not with apusd, with what became of them."""
    return {name: ours.get(name, ("missing", "")) for name, (outcome, _) in theirs.items()
            if outcome == "passed" and ours.get(name, ("missing", ""))[0] != "passed"}


def known(path=os.path.join(os.path.dirname(os.path.abspath(__file__)), "docker-py-failures.txt")):
    """Tests that are known to end worse, with the reason."""
    with open(path, encoding="utf-8") as file:
        lines = [line.strip() for line in file if line.strip() and not line.startswith("#")]
    return {name.strip(): reason.strip() for name, _, reason in (line.partition("#") for line in lines)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--suite")
    parser.add_argument("--without-dockerd", action="store_true")
    parser.add_argument("files", nargs="*", default=NETWORKS_AND_VOLUMES)
    options = parser.parse_args()
    try:
        theirs, ours = compare(options.files or NETWORKS_AND_VOLUMES, options.suite, not options.without_dockerd)
    except Missing as missing:
        sys.exit(str(missing))
    bad = worse(theirs, ours) if theirs else {name: found for name, found in ours.items() if found[0] == "failed"}
    for name, (outcome, reason) in sorted(bad.items()):
        print(f"{outcome:8}{name}  {reason}")
    for name, (outcome, _) in sorted(ours.items()):
        if outcome == "passed" and theirs.get(name, ("", ""))[0] == "failed": print(f"better  {name}  {theirs[name][1]}")
    for file in options.files or NETWORKS_AND_VOLUMES:
        count = lambda outcomes: sum(outcome == "passed" for name, (outcome, _) in outcomes.items() if name.startswith(file + "::"))
        print(f"{file}: dockerd passes {count(theirs)}, apusd {count(ours)}, of {sum(name.startswith(file + '::') for name in ours)}")
    return 0 if not set(bad) - set(known()) else 1


if __name__ == "__main__":
    sys.exit(main())
