"""What images, containers and volumes take on the disk: system df, and the prunes, which give it back."""

import json
import os
import re
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from conftest import CLIENTS, Client
from engine_http import api
from oci_images import Image, Pusher, busybox_layer, files, tar

MEGABYTE = 1 << 20


@pytest.fixture
def two(apus, registry):
    """Two images that share their lower layer, a container that has written 5 MB, and a volume with 2."""
    common = busybox_layer()
    names = []
    for name in ("left", "right"):
        Pusher(registry.host).push(f"df-{name}", Image([common, tar(files({f"{name}.bin": os.urandom(3 * MEGABYTE)}))]))
        names.append(f"{registry.host}/df-{name}")
        apus("pull", "-q", names[-1]).ok()
    fill = "dd if=/dev/urandom of=/file bs=1M count=5 2>/dev/null; dd if=/dev/urandom of=/v/file bs=1M count=2 2>/dev/null; "
    # A file with a hole takes less than its size.
    fill += "dd if=/dev/zero of=/hole bs=1 count=1 seek=200M 2>/dev/null"
    apus("run", "--name", "filler", "-v", "kept:/v", names[0], "sh", "-c", fill).ok()
    yield names
    apus("rm", "-f", "filler")
    apus("volume", "rm", "-f", "kept").ok()
    apus("rmi", "-f", *names)
    # A prune of all images takes the one that other tests run, too.
    apus("pull", "-q", f"{registry.host}/busybox").ok()


def du(*folders):
    lines = subprocess.run(["du", "-s", "-B1", *folders], capture_output=True, check=True, text=True).stdout.splitlines()
    return sum(int(line.split()[0]) for line in lines)


def agree(told, measured):
    assert abs(told - measured) <= measured / 100, (told, measured)


def test_system_df_is_what_du_says_within_one_percent(own_daemon, two):
    _, usage = api(own_daemon, "GET", "/v1.51/system/df", expect=200)
    data = own_daemon.data
    agree(usage["LayersSize"], du(f"{data}/snapshots/overlayfs/layers", f"{data}/content"))
    agree(sum(line["SizeRw"] for line in usage["Containers"]), du(f"{data}/snapshots/overlayfs/active"))
    volumes = {line["Name"]: line["UsageData"] for line in usage["Volumes"]}
    agree(volumes["kept"]["Size"], du(f"{data}/volumes/kept"))
    assert volumes["kept"]["RefCount"] == 1
    images = {line["RepoTags"][0]: line for line in usage["Images"]}
    left, right = (images[f"{name}:latest"] for name in two)
    assert left["SharedSize"] == right["SharedSize"] > MEGABYTE and left["Size"] - left["SharedSize"] >= 3 * MEGABYTE
    assert (left["Containers"], right["Containers"]) == (1, 0)


def test_what_system_df_does_not_list_is_the_reserve_which_info_names_and_what_is_written_down(own_daemon, apus, two):
    """With what the documentation says of it beside, the sums are the whole data root's."""
    apus("run", "--name", "chatty", two[0], "sh", "-c", "head -c 3000000 /dev/urandom | od -x").ok()
    data = own_daemon.data
    try:
        _, usage = api(own_daemon, "GET", "/v1.51/system/df", expect=200)
        listed = usage["LayersSize"] + sum(line["SizeRw"] for line in usage["Containers"]) + sum(line["UsageData"]["Size"] for line in usage["Volumes"])
        told = dict(api(own_daemon, "GET", "/info", expect=200)[1]["DriverStatus"])
        assert told == {"Disk Reserve": "16.78MB"} and du(f"{data}/reserve") == 16 * MEGABYTE
        assert " Disk Reserve: 16.78MB\n" in apus("info").ok()
        written = du(*(f"{data}/{name}" for name in os.listdir(data) if name not in ("content", "reserve", "snapshots", "volumes")))
        agree(listed + 16 * MEGABYTE + written, du(data))
    finally:
        apus("rm", "-f", "chatty").ok()


def test_an_empty_volume_takes_nothing(cli, own_daemon, apus):
    """As dockerd tells it: its own directory is not what lies in it."""
    apus("volume", "create", "bare").ok()
    try:
        assert re.search(r"^bare +0 +0B$", cli("system", "df", "-v").ok(), re.M)
        [told] = api(own_daemon, "GET", "/system/df?type=volume", expect=200)[1]["Volumes"]
        assert told["UsageData"] == {"RefCount": 0, "Size": 0}
        with open(f"{told['Mountpoint']}/file", "wb") as file:
            file.write(b"x" * 5000)
        os.mkdir(f"{told['Mountpoint']}/folder")
        [told] = api(own_daemon, "GET", "/system/df?type=volume", expect=200)[1]["Volumes"]
        assert told["UsageData"]["Size"] == du(f"{told['Mountpoint']}/file", f"{told['Mountpoint']}/folder")
    finally:
        apus("volume", "rm", "bare").ok()
    apus("volume", "create", "bare").ok()
    assert cli("volume", "prune", "-f", *([] if cli.name.startswith("docker-20") else ["-a"])).ok().endswith("Total reclaimed space: 0B\n")


def test_system_df_has_the_shape_of_each_version(own_daemon, two):
    _, old = api(own_daemon, "GET", "/v1.41/system/df", expect=200)
    _, new = api(own_daemon, "GET", "/v1.51/system/df", expect=200)
    assert old["BuilderSize"] == 0 and "BuilderSize" not in new
    assert all("VirtualSize" in line for line in old["Images"]) and not any("VirtualSize" in line for line in new["Images"])
    assert new["BuildCache"] == []
    _, some = api(own_daemon, "GET", "/v1.51/system/df?type=container&type=volume", expect=200)
    assert some["Images"] is None and len(some["Containers"]) == 1 and [line["Name"] for line in some["Volumes"]] == ["kept"]
    _, wrong = api(own_daemon, "GET", "/v1.51/system/df?type=nosuch", expect=400)
    assert wrong["message"] == "unknown object type: nosuch"


def test_system_df_prints_dockers_tables(cli, two):
    lines = cli("system", "df").ok().splitlines()
    assert re.fullmatch(r"TYPE +TOTAL +ACTIVE +SIZE +RECLAIMABLE", lines[0])
    assert re.fullmatch(r"Images +\d+ +1 +[\d.]+[MG]B +[\d.]+[MG]B \(\d+%\)", lines[1])
    assert re.fullmatch(r"Containers +1 +0 +5\.\d+MB +5\.\d+MB \(100%\)", lines[2]), lines[2]
    assert re.fullmatch(r"Local Volumes +1 +1 +2\.\d+MB +0B \(0%\)", lines[3]), lines[3]
    assert re.fullmatch(r"Build Cache +0 +0 +0B +0B", lines[4])
    verbose = cli("system", "df", "-v").ok()
    assert re.search(rf"^{two[0]} +latest +[0-9a-f]{{12}} +.* ago +[\d.]+MB +[\d.]+MB +[\d.]+MB +1$", verbose, re.M), verbose
    assert re.search(r'^[0-9a-f]{12} +.* +"sh -c .* 1 +5\.\d+MB +.* filler$', verbose, re.M), verbose
    assert re.search(r"^kept +1 +2\.\d+MB$", verbose, re.M), verbose


def test_system_df_of_apus_is_dockers_byte_for_byte(apus, daemon, workspace, two):
    newest = max((name for name in CLIENTS if name.startswith("docker")), key=lambda name: [int(part) for part in name[7:].split(".")])
    docker = Client(newest, CLIENTS[newest], daemon.host, workspace)
    if newest.startswith("docker-20"):
        pytest.skip("the docker command line knows no --format json")
    for words in ((), ("-v",), ("--format", "json"), ("-v", "--format", "json"), ("--format", "{{.Type}} {{.Size}}"),
                  ("-v", "--format", "{{json .Volumes}}"), ("--format", "table {{.Type}}\t{{.Reclaimable}}")):
        # Ages count on: what docker says is held against what apus says before and after, where that is one.
        for _ in range(60):
            ours, theirs = apus("system", "df", *words).ok(), docker("system", "df", *words).ok()
            if ours == theirs or ours == apus("system", "df", *words).ok():
                break
        assert ours == theirs, words


def test_system_prune_takes_what_nothing_uses(cli, apus, two):
    apus("network", "create", "--label", "of=prune", "idle").ok()
    asked = cli("system", "prune", stdin="n\n")
    assert "all dangling images" in asked.out and "all stopped containers" in asked.out and apus("ps", "-aq").ok().strip(), asked
    # Nothing has that label, so all stays but the network.
    out = cli("system", "prune", "-f", "--filter", "label=of=prune").ok()
    assert "Deleted Networks:\nidle\n" in out and "Deleted Containers:" not in out and apus("ps", "-aq").ok().strip(), out
    out = cli("system", "prune", "-f").ok()
    assert "Deleted Containers:" in out and re.search(r"Total reclaimed space: [\d.]+MB", out), out
    assert not apus("ps", "-aq").ok().strip()
    assert apus("image", "inspect", *two).code == 0, "a tagged image stays"
    assert apus("volume", "ls", "-q").ok().split() == ["kept"], "a named volume stays"
    refused = cli("system", "prune", "-f", "--volumes", "--filter", "until=1h")
    assert refused.code == 1 and 'The "until" filter is not supported with "--volumes"' in refused.err, refused


def test_system_prune_with_all_and_volumes_leaves_what_containers_have(cli, apus, two):
    apus("run", "--name", "other", "-v", "/anonymous", two[1], "true").ok()
    apus("run", "-d", "--name", "runs", "-v", "/anonymous", two[0], "sleep", "100").ok()
    ids = {name: apus.inspect(name, "{{.Id}}") for name in two}
    out = cli("system", "prune", "-a", "-f", "--volumes").ok()
    assert "Deleted Volumes:" in out and f"deleted: {ids[two[1]]}" in out.lower() and ids[two[0]] not in out, out
    assert apus("ps", "-aq", "--no-trunc").ok().split() == [apus.inspect("runs", "{{.Id}}")]
    assert apus("image", "inspect", two[1]).code == 1
    left = apus("volume", "ls", "-q").ok().split()
    # Before 1.42 of the API what a user had named went, too.
    assert ("kept" in left) is (not cli.name.startswith("docker-20")) and len(left) == (2 if "kept" in left else 1), left
    apus("rm", "-f", "-v", "runs").ok()


def test_a_prune_of_what_is_younger_takes_nothing(cli, apus, two):
    apus("rm", "-f", "filler").ok()
    out = cli("image", "prune", "-a", "-f", "--filter", "until=876000h").ok()
    assert "Deleted" not in out, out
    refused = cli("image", "prune", "-f", "--filter", "until=soon")
    assert refused.code == 1 and "soon" in refused.err, refused
    assert apus("images", "-q", "--filter", "until=876000h").ok() == ""
    # The epoch, and no span of time that ends now.
    assert apus("images", "-q", "--filter", "until=0").ok() == ""
    assert len(apus("images", "-q", "--filter", "until=1s").ok().split()) >= 2


def test_nothing_is_kept_of_builds(own_daemon):
    _, report = api(own_daemon, "POST", "/v1.51/build/prune", expect=200)
    assert report == {"CachesDeleted": None, "SpaceReclaimed": 0}


def test_one_prune_of_images_at_a_time(own_daemon, apus, two):
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: api(own_daemon, "POST", "/v1.51/images/prune"), range(40)))
    assert {status for status, _ in answers} <= {200, 409}
    assert all(body["message"] == "a prune operation is already running" for status, body in answers if status == 409)
    assert json.loads(apus("image", "inspect", two[0]).ok())[0]["RepoTags"] == [f"{two[0]}:latest"]


def test_sizes_of_all_are_told_while_containers_go(own_daemon, apus, image):
    apus("run", "--name", "stays", image, "sh", "-c", "echo some >/file").ok()
    over, failed = threading.Event(), []

    def churn():
        count = 0
        while not over.is_set():
            made = api(own_daemon, "POST", "/containers/create", {"Image": image, "Cmd": ["true"]}, expect=201)[1]["Id"]
            api(own_daemon, "DELETE", f"/containers/{made}", expect=204)
            count += 1
        return count

    def look(path, lines):
        status, answer = api(own_daemon, "GET", path)
        if status != 200 or "/stays" not in [line["Names"][0] for line in lines(answer)] or any(line.get("SizeRw") == -1 for line in lines(answer)):
            failed.append((status, answer))

    with ThreadPoolExecutor(3) as pool:
        churners = [pool.submit(churn) for _ in range(3)]
        try:
            for _ in range(100):
                look("/containers/json?all=1&size=1", lambda answer: answer)
                look("/system/df?type=container", lambda answer: answer["Containers"])
        finally:
            over.set()
    assert not failed, failed[0]
    assert all(churner.result() for churner in churners)


def test_a_container_that_cannot_be_measured_hides_no_other(own_daemon, apus, image):
    for name in ("broken", "whole"):
        apus("run", "--name", name, image, "sh", "-c", "echo some >/file").ok()
    place = f"{own_daemon.data}/snapshots/overlayfs/active"
    broken = next(f"{place}/{folder}" for folder in os.listdir(place) if apus.inspect("broken", "{{.Id}}") in folder)
    os.rename(f"{broken}/fs", f"{broken}/elsewhere")
    try:
        listed = api(own_daemon, "GET", "/containers/json?all=1&size=1", expect=200)[1]
        for lines in (listed, api(own_daemon, "GET", "/system/df", expect=200)[1]["Containers"]):
            sizes = {line["Names"][0]: line["SizeRw"] for line in lines}
            assert sizes["/broken"] == -1 and sizes["/whole"] > 0
        # Those that are known alone.
        assert f"Containers {sizes['/whole'] / 1000:.4g}kB\n" in apus("system", "df", "--format", "{{.Type}} {{.Size}}").ok()
    finally:
        os.rename(f"{broken}/elsewhere", f"{broken}/fs")


def test_a_container_whose_image_was_removed_by_force_is_told_and_pruned(own_daemon, apus, image):
    apus("create", "--name", "source", image, "true").ok()
    apus("commit", "source", "short-lived").ok()
    apus("run", "--name", "left", "short-lived", "sh", "-c", "echo some >/file").ok()
    apus("rmi", "-f", "short-lived").ok()
    assert apus("image", "inspect", apus.inspect("left", "{{.Image}}")).code == 1, "the image is gone"
    listed = api(own_daemon, "GET", "/containers/json?all=1&size=1", expect=200)[1]
    used = api(own_daemon, "GET", "/system/df?type=container", expect=200)[1]["Containers"]
    assert [{line["Names"][0]: line["SizeRw"] for line in lines}["/left"] > 0 for lines in (listed, used)] == [True, True]
    inspected = api(own_daemon, "GET", "/containers/left/json?size=1", expect=200)[1]
    assert inspected["SizeRw"] == inspected["SizeRootFs"] == len("some\n")
    assert inspected["Id"] in apus("container", "prune", "-f").ok()
    assert apus("ps", "-aq").ok() == ""
