"""Many images at once, and how long a daemon takes to list them."""

import io
import json
import os
import subprocess
import tarfile

import oci_images
from engines import Engines
from runtimes import compare, verdict

IMAGES = 500
LISTING = "http://d/v1.41/images/json"


def archive(count):
    """What `docker save` wrote: images that share a layer, each with labels and a name of its own."""
    layer = oci_images.tar(oci_images.files({"file": "x" * 1000}))
    members, items = {"layer.tar": layer}, []
    for number in range(count):
        config = json.dumps({
            "architecture": oci_images.ARCHITECTURE, "os": "linux", "created": f"2026-01-02T03:{number // 60 % 60:02}:{number % 60:02}Z",
            "config": {"Cmd": ["true"], "Labels": {"number": str(number), "of": "benchmark"}},
            "rootfs": {"type": "layers", "diff_ids": [oci_images.digest_of(layer)]},
            "history": [{"created_by": "made"}]}).encode()
        name = f"{oci_images.digest_of(config)[7:]}.json"
        members[name] = config
        items.append({"Config": name, "RepoTags": [f"bench/image{number}:v{number}"], "Layers": ["layer.tar"]})
    members["manifest.json"] = json.dumps(items).encode()
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, data in members.items():
            add(tar, name, data)
    return buffer.getvalue()


def add(tar, name, data):
    member = oci_images.entry(name)
    member.size = len(data)
    tar.addfile(member, io.BytesIO(data))


def load(host, count):
    """Gives a daemon so many images more."""
    client = {**os.environ, "DOCKER_HOST": host}
    subprocess.run(["docker", "load", "-q"], input=archive(count), env=client, check=True, capture_output=True)
    listed = subprocess.run(["docker", "images", "-q", "--no-trunc", "bench/*"], env=client, check=True, capture_output=True).stdout
    assert len(listed.split()) == count
    answer = subprocess.run(["curl", "-sf", "--unix-socket", host.removeprefix("unix://"), LISTING], capture_output=True, check=True).stdout
    assert sum(name.startswith("bench/") for image in json.loads(answer) for name in image["RepoTags"] or []) == count


def milliseconds(host, count):
    """How long the API takes to list them, until its last byte."""
    words = ["curl", "-sf", "-o", "/dev/null", "-w", "%{time_total} %{size_download}", "--unix-socket", host.removeprefix("unix://"),
             LISTING]
    taken, size = subprocess.run(words, capture_output=True, text=True, check=True).stdout.split()
    assert int(size) > count * 100, f"{size} bytes for {count} images"
    return float(taken) * 1000


def bench_images(folder, rounds):
    engines = Engines(folder)
    try:
        for host in engines.hosts.values():
            load(host, IMAGES)
        medians = compare(f"GET /images/json with {IMAGES} images", {
            name: lambda number, host=host: milliseconds(host, IMAGES) for name, host in engines.hosts.items()}, rounds)
        verdict(medians["apusd"] <= 0.5 * medians["dockerd"], "at most 0.50 of dockerd's median")
    finally:
        engines.close()


COMPARISONS = {"images": bench_images}
