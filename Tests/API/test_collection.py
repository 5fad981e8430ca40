"""What is collected and what is not: pulls, runs and commits against prunes; and blobs that a record needs though their layer was here."""

import gzip
import json
import os
import socket
import subprocess
import threading
import time

import pytest
from conftest import entries
from oci_images import ARCHITECTURE, Image, Pusher, busybox_layer, digest_of, entry, files, tar
from processes import wait_until


@pytest.fixture
def tidy(apus, registry):
    yield apus
    if names := apus("images", "-q").ok().split():
        apus("rmi", "-f", *names)
    # The image that other tests run has gone with them.
    apus("pull", "-q", f"{registry.host}/busybox").ok()


def test_prunes_never_take_what_pulls_runs_and_commits_use_and_always_the_rest(tidy, registry, own_daemon):
    """For twenty seconds, and until it is enough, images come and go in two threads, containers are made and committed, and two threads prune."""
    common, ids = tar(files({"common": os.urandom(300_000)})), {}
    for number in range(4):
        image = Image([busybox_layer(), common, tar(files({f"own{number}": os.urandom(200_000)}))])
        ids[f"{registry.host}/gc{number}"] = image.id
        Pusher(registry.host).push(f"gc{number}", image)
    begin, complaints, done = time.monotonic(), [], {"run": 0, "commit": 0, "prune": 0}

    def goes_on():
        return not complaints and time.monotonic() < begin + (20 if done["run"] >= 3 and done["prune"] >= 5 else 300)

    # When each image without a container was told to be gone, and what found none: between its pull and the container a prune may take
    # an image that nobody uses yet, and Docker's client says the same then.
    taken, lacking = [], []

    def using(name, *words):
        """A command that pulls an image where there is none, and makes a container of it."""
        begun = time.monotonic()
        result = tidy(*words)
        # By its id where it was found by its name still.
        if result.code != 0 and any(f"No such image: {word}" in result.err for word in (f"{name}:latest", ids[name])):
            lacking.append((name, begun, time.monotonic(), result))
            return None
        return result

    def come_and_go(numbers):
        while goes_on():
            for number in numbers:
                name = f"{registry.host}/gc{number}"
                result = using(name, "run", "--rm", name, "sh", "-c", f"wc -c < /own{number}; wc -c < /common")
                if result and result.out.split() == ["200000", "300000"]:
                    done["run"] += 1
                elif result:
                    complaints.append(result)
                made = using(name, "create", name)
                if made is None:
                    continue
                if made.code != 0:
                    complaints.append(made)
                    continue
                # The container keeps its image.
                committed = tidy("commit", made.line(), f"made{number}")
                if committed.code == 0:
                    done["commit"] += 1
                else:
                    complaints.append(committed)
                tidy("rm", "-f", made.line()).ok()

    def prune():
        while goes_on():
            begun = time.monotonic()
            result = tidy("image", "prune", "-a", "-f")
            if result.code == 0:
                done["prune"] += 1
                taken.extend((line.split(": ", 1)[1], begun, time.monotonic()) for line in result.out.splitlines() if line.startswith("untagged: "))
            elif "a prune operation is already running" not in result.err:
                complaints.append(result)

    at_once(lambda: come_and_go((0, 1)), lambda: come_and_go((2, 3)), prune, prune)
    assert not complaints, complaints[:3]
    for name, begun, ended, result in lacking:
        assert any(each == f"{name}:latest" and first < ended and begun < last for each, first, last in taken), (result, "no prune took it")
    assert done["run"] >= 3 and done["prune"] >= 5, done
    check = tidy("system", "check", timeout=120)
    assert check.code == 0, check
    tidy("image", "prune", "-a", "-f").ok()
    assert entries(f"{own_daemon.data}/content/blobs/sha256") == entries(f"{own_daemon.data}/snapshots/overlayfs/layers") == []
    assert entries(f"{own_daemon.data}/content/ingests") == entries(f"{own_daemon.data}/snapshots/overlayfs/l") == []


def test_an_image_stays_while_a_container_is_made_of_it_and_so_does_what_there_is_of_the_container(tidy, registry, own_daemon):
    """Its volume takes a while to be filled: meanwhile images are pruned and removed, and the store is put right."""
    image = Image([busybox_layer(), tar(files({f"data/{number}": "x" for number in range(3000)}))], {"Volumes": {"/data": {}}})
    name = f"{registry.host}/filled"
    Pusher(registry.host).push("filled", image)
    tidy("pull", "-q", name, timeout=120).ok()
    known, made = entries(f"{own_daemon.data}/containers"), []
    creation = threading.Thread(daemon=True, target=lambda: made.append(tidy("create", name, "sh", "-c", "ls /data | wc -l", timeout=120)))
    creation.start()
    wait_until(lambda: made or entries(f"{own_daemon.data}/containers") != known, "the container is being made", 60)
    tidy("image", "prune", "-a", "-f").ok()
    refused = tidy("rmi", name)
    assert refused.code == 1 and "is using its referenced image" in refused.err, refused
    tidy("system", "check", "--repair", timeout=120)
    creation.join()
    container = made[0].ok().strip()
    try:
        assert tidy.inspect(name, "{{.Id}}") == image.id
        assert tidy("start", "-a", container).ok().strip() == "3000"
    finally:
        tidy("rm", "-f", "-v", container).ok()


@pytest.mark.parametrize("pack", ["gzip-9", "zstd", "plain"])
def test_a_layer_that_is_here_packed_otherwise_has_its_own_blob_to_be_saved_and_pushed(tidy, registry, own_daemon, tmp_path, pack):
    layers = [busybox_layer(), tar(files({"same": "same" * 5000}))]
    first = Image(layers)
    packers = {
        "gzip-9": (lambda data: gzip.compress(data, 9, mtime=0), "tar+gzip"), "plain": (lambda data: data, "tar"),
        "zstd": (lambda data: subprocess.run(["zstd", "-q", "-c"], input=data, capture_output=True, check=True).stdout, "tar+zstd"),
    }
    second = Image(layers, compress=packers[pack][0], media_type=f"application/vnd.oci.image.layer.v1.{packers[pack][1]}")
    pusher = Pusher(registry.host)
    pusher.push("packed-one", first)
    pusher.push("packed-two", second)
    assert first.id == second.id and first.digest != second.digest
    one, two = f"{registry.host}/packed-one", f"{registry.host}/packed-two"
    tidy("pull", "-q", one).ok()
    out = tidy("pull", two).ok()
    assert "Download complete" in out and "Already exists" not in out, out
    blobs = entries(f"{own_daemon.data}/content/blobs/sha256")
    assert {layer["digest"][7:] for layer in second.layers} <= set(blobs), "the record's blobs are here"
    assert len(entries(f"{own_daemon.data}/snapshots/overlayfs/layers")) == 2, "unpacked once"
    tidy("rmi", one).ok()
    tidy("image", "prune", "-f").ok()
    tidy("save", "-o", str(tmp_path / "two.tar"), two).ok()
    target = f"{registry.host}/packed-three-{pack}"
    tidy("tag", two, target).ok()
    tidy("push", target).ok()
    assert pusher.digest(f"packed-three-{pack}") == second.digest
    tidy("rmi", "-f", two, target).ok()
    assert "Loaded image" in tidy("load", "-i", str(tmp_path / "two.tar")).ok()
    assert tidy("run", "--rm", two, "wc", "-c", "/same").ok().split()[0] == "20000"


@pytest.mark.parametrize("is_here", [False, True])
def test_attack_D11_a_blob_that_is_not_what_is_unpacked_here_never_takes_the_layers_place(tidy, registry, own_daemon, is_here):
    """The layer of the chain is here; a stranger's image names it, with a blob of other contents."""
    layers = [busybox_layer(), tar(files({"good": "good"}))]
    good = Image(layers)
    pusher = Pusher(registry.host)
    pusher.push("honest", good)
    tidy("pull", "-q", f"{registry.host}/honest").ok()
    evil = Image(layers)
    changed = Image([tar(files({"good": "evil"}))], compress=lambda data: gzip.compress(data, mtime=0))
    other = changed.blobs[changed.layers[0]["digest"]]
    if is_here:
        # As what it is, of an image of its own.
        pusher.push("other", changed)
        tidy("pull", "-q", f"{registry.host}/other").ok()
    descriptor = evil.add("application/vnd.oci.image.layer.v1.tar+gzip", other)
    manifest = json.loads(evil.manifest)
    manifest["layers"][1] = descriptor
    evil.manifest = json.dumps(manifest).encode()
    pusher.push("evil", evil)
    refused = tidy("pull", f"{registry.host}/evil")
    assert refused.code == 1 and "failed to register layer" in refused.err, refused
    assert (digest_of(other)[7:] in entries(f"{own_daemon.data}/content/blobs/sha256")) == is_here
    if is_here:
        # The layer is still what its own blob unpacks to.
        assert "damaged" not in tidy("system", "check").out
    assert tidy("image", "inspect", f"{registry.host}/evil").code == 1


def at_once(*works):
    """What each of them gives, all begun at the same time."""
    results, barrier = [], threading.Barrier(len(works))

    def run(work):
        barrier.wait()
        results.append(work())

    threads = [threading.Thread(daemon=True, target=run, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def test_of_those_who_take_an_images_last_names_at_once_one_takes_the_image_and_no_other_says_so(tidy, registry, own_daemon):
    image = Image([busybox_layer(), tar(files({"named": "named"}))])
    Pusher(registry.host).push("named", image)
    source, names = f"{registry.host}/named", [f"taken{number}" for number in range(4)]
    for _ in range(5):
        tidy("pull", "-q", source).ok()
        for name in names:
            tidy("tag", source, name).ok()
        tidy("rmi", source).ok()
        results = at_once(*[lambda name=name: tidy("rmi", name) for name in names])
        assert [result.code for result in results] == [0] * 4, results
        assert sum(f"Deleted: {image.id}" in result.out for result in results) == 1, results
        assert tidy("image", "inspect", image.id).code == 1, "an image without a name is left"
        tidy("pull", "-q", source).ok()
        results = at_once(*[lambda: tidy("rmi", "-f", image.id)] * 3)
        told = sorted("deleted" if f"Deleted: {image.id}" in result.out else "absent" if "No such image" in result.err else str(result)
                      for result in results)
        assert told == ["absent", "absent", "deleted"], told


def test_layers_of_a_removed_image_go_with_its_last_container(tidy, registry, own_daemon):
    image = Image([busybox_layer(), tar(files({"last": os.urandom(1000)}))])
    Pusher(registry.host).push("last", image)
    name, layers = f"{registry.host}/last", f"{own_daemon.data}/snapshots/overlayfs/layers"
    tidy("image", "prune", "-a", "-f").ok()
    before = entries(layers)
    tidy("pull", "-q", name).ok()
    containers = [tidy("create", name, "true").line() for _ in range(2)]
    own = set(entries(layers)) - set(before)
    tidy("rmi", "-f", image.id).ok()
    tidy("rm", containers[0]).ok()
    assert own and own <= set(entries(layers)), "a container needs them"
    tidy("rm", containers[1]).ok()
    assert entries(layers) == before
    tidy("system", "check").ok()
    # A daemon that has started anew knows it, too.
    tidy("pull", "-q", name).ok()
    container = tidy("create", name, "true").line()
    tidy("rmi", "-f", image.id).ok()
    own_daemon.kill()
    own_daemon.start()
    assert own <= set(entries(layers))
    tidy("rm", container).ok()
    assert entries(layers) == before


def test_what_a_killed_daemon_took_in_of_an_archive_goes_at_the_next_start(tidy, own_daemon):
    """Nothing goes on with it, as a pull goes on with what is left of one."""
    blobs = f"{own_daemon.data}/content/blobs/sha256"
    tidy("image", "prune", "-a", "-f").ok()
    before, layer = entries(blobs), os.urandom(1 << 20)
    archive = tar([(entry(f"blobs/sha256/{digest_of(layer)[7:]}"), layer), (entry("blobs/sha256/rest"), bytes(1 << 20))])
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(own_daemon.socket)
        connection.sendall(f"POST /v1.51/images/load HTTP/1.1\r\nHost: apus\r\nContent-Length: {len(archive)}\r\n\r\n".encode() + archive[:3 << 19])
        wait_until(lambda: digest_of(layer)[7:] in entries(blobs), "the layer has been taken in")
        own_daemon.kill()
    own_daemon.start()
    assert entries(blobs) == before and entries(f"{own_daemon.data}/content/takings") == []
    tidy("system", "check").ok()


def test_a_pull_of_what_is_of_other_platforms_leaves_nothing(tidy, registry, own_daemon):
    image = Image([busybox_layer(), tar(files({"own": os.urandom(100)}))])
    Pusher(registry.host).push_index("platform", [({"os": "linux", "architecture": ARCHITECTURE}, image)])
    blobs = entries(f"{own_daemon.data}/content/blobs/sha256")
    refused = tidy("pull", "--platform", "linux/s390x", f"{registry.host}/platform")
    assert refused.code == 1 and "no matching manifest for linux/s390x in the manifest list entries" in refused.err, refused
    assert entries(f"{own_daemon.data}/content/blobs/sha256") == blobs


def test_changes_of_a_commit_are_of_what_the_container_was_made_with(tidy, registry, image):
    tidy("pull", "-q", image)
    container = tidy("create", "-e", "Z=1", "-w", "/w", "--entrypoint", "/bin/sh", image, "old").line()
    changes = ("ENV PATH=$PATH:/opt B=${Z} C=${NO:-def}", "LABEL a=$Z", "WORKDIR rel", "USER $Z")
    made = tidy("commit", *[word for change in changes for word in ("-c", change)], container).line()
    config = json.loads(tidy("inspect", made).ok())[0]["Config"]
    environment = dict(variable.split("=", 1) for variable in config["Env"])
    assert environment["PATH"].endswith(":/opt") and len(environment["PATH"]) > 5 and (environment["B"], environment["C"]) == ("1", "def"), config
    assert (config["Labels"]["a"], config["WorkingDir"], config["User"]) == ("1", "/w/rel", "1") and config["Cmd"] == ["old"], config
    # What a change leaves out or empties is the container's.
    tidy("create", "--name", "checked", "--health-cmd", "true", "--health-retries", "7", image, "old").ok()
    made = tidy("commit", "-c", "HEALTHCHECK --interval=5s CMD y", "-c", "CMD []", "checked").line()
    config = json.loads(tidy("inspect", made).ok())[0]["Config"]
    assert (config["Healthcheck"]["Test"], config["Healthcheck"]["Retries"], config["Cmd"]) == (["CMD-SHELL", "y"], 7, ["old"]), config
    tidy("rm", "checked").ok()
    bare = tidy("commit", "-c", "CMD []", container).line()
    assert json.loads(tidy("inspect", bare).ok())[0]["Config"].get("Cmd") in (None, [])
    both = tidy("commit", "-c", 'CMD ["a"]', "-c", 'ENTRYPOINT ["x"]', container).line()
    config = json.loads(tidy("inspect", both).ok())[0]["Config"]
    assert (config["Cmd"], config["Entrypoint"]) == (["a"], ["x"])
    tidy("rm", container).ok()
