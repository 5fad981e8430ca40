"""`apus system check --repair` beside everything else: it takes nothing that is being made, misses no damage, and finds none where there is none."""

import ctypes
import hashlib
import json
import os
import select
import struct
import threading
import time

import pytest
from conftest import entries
from oci_images import Image, Pusher, busybox_layer, files, tar


class Store:
    """An image whose upper layer can be damaged."""

    def __init__(self, daemon, apus, registry):
        self.daemon, self.apus = daemon, apus
        self.image = Image([busybox_layer(), tar(files({"text": "text" * 1000, **{f"many/{number}": "x" for number in range(300)}}))])
        self.name = f"{registry.host}/beside"
        Pusher(registry.host).push("beside", self.image)
        apus("pull", "-q", self.name).ok()

    @property
    def text(self):
        layers = f"{self.daemon.data}/snapshots/overlayfs/layers"
        return next(path for name in entries(layers) if os.path.exists(path := f"{layers}/{name}/fs/text"))

    def damage(self):
        with open(self.text, "r+b") as file:
            file.write(b"TEXT")

    def repair(self):
        """The findings."""
        result = self.apus("system", "check", "--repair", "--format", "json", timeout=120)
        return result, [json.loads(line) for line in result.out.splitlines()]


@pytest.fixture
def store(own_daemon, apus, registry):
    apus("system", "check", "--repair", timeout=120)
    yield Store(own_daemon, apus, registry)
    names = apus("images", "-q").ok().split()
    apus("rmi", "-f", *names)
    apus("image", "prune", "-f").ok()
    apus("pull", "-q", f"{registry.host}/busybox").ok()


def side_by_side(seconds, *works):
    """Runs each until the time is over, at least twice; what they return is put together."""
    until, results, rounds = time.monotonic() + seconds, [], [0] * len(works)

    def run(number, work):
        while time.monotonic() < until or rounds[number] < 2:
            results.extend(work() or [])
            rounds[number] += 1

    threads = [threading.Thread(daemon=True, target=run, args=each) for each in enumerate(works)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def test_a_layer_under_containers_that_start_is_mended_between_them_and_never_taken_from_one(store):
    """Each container reads what the layer holds; a start in the moment of a repair waits for it, and a repair leaves alone what a start has begun with."""
    def start():
        # Every file is there, in whichever of the two layers the container has.
        result = store.apus("run", "--rm", "--network", "none", store.name, "sh", "-c", "ls /many | wc -l; wc -c < /text")
        return [] if result.out.split() == ["300", "4000"] else [result]

    findings = []

    def mend():
        store.damage()
        result, found = store.repair()
        findings.extend(found)
        if result.code not in (0, 1):
            return [result]
        return [each for each in found if each["Kind"] != "damaged" or each["Object"] != "file"]

    assert side_by_side(12, start, start, mend) == []
    assert findings
    store.damage()
    result, found = store.repair()
    assert result.code == 0 and [each["State"] for each in found] == ["repaired"], found
    assert store.apus("run", "--rm", store.name, "head", "-c4", "/text").ok() == "text"


def test_a_container_that_is_read_while_it_does_not_run_keeps_its_layers(store, tmp_path):
    store.apus("create", "--name", "read", store.name, "true").ok()
    try:
        def read():
            problems = []
            for words in (("cp", "read:/many/.", str(tmp_path / "many")), ("export", "-o", str(tmp_path / "all.tar"), "read"), ("diff", "read")):
                result = store.apus(*words)
                if result.code != 0:
                    problems.append(result)
            return problems

        def mend():
            store.damage()
            return [each for each in store.repair()[1] if each["Kind"] != "damaged"]

        assert side_by_side(8, read, mend) == []
        assert len(os.listdir(tmp_path / "many")) == 300
    finally:
        store.apus("rm", "-f", "read").ok()


def test_what_is_paused_or_restarts_has_its_layers_mounted(store):
    store.apus("run", "-d", "--name", "held", "--network", "none", store.name, "sleep", "300").ok()
    store.apus("pause", "held").ok()
    store.apus("run", "-d", "--name", "again", "--restart", "always", "--network", "none", f"{store.name}", "false").ok()
    try:
        store.damage()
        for names in (["held", "again"], ["again"]):
            result, found = store.repair()
            assert result.code == 1 and found[0]["Remark"] == "a running container has the layer mounted", (names, found)
            store.apus("rm", "-f", names[0]).ok()
        assert "No such container" in store.apus("container", "inspect", "again").err
        result, found = store.repair()
        assert result.code == 0 and found[0]["State"] == "repaired", found
    finally:
        store.apus("rm", "-f", "held", "again")


class ListingWatch:
    """Calls `then` when somebody has listed a folder. - Source: inotify(7), IN_ACCESS of a directory."""

    def __init__(self, folder, then):
        libc = ctypes.CDLL(None, use_errno=True)
        self.file, self.then, self.calls = libc.inotify_init1(os.O_CLOEXEC), then, 0
        self.ended, self.end = os.pipe()
        assert self.file >= 0 and libc.inotify_add_watch(self.file, folder.encode(), 1) > 0, os.strerror(ctypes.get_errno())
        self.thread = threading.Thread(daemon=True, target=self.run)
        self.thread.start()

    def run(self):
        while self.ended not in select.select([self.file, self.ended], [], [])[0]:
            events, at = os.read(self.file, 65536), 0
            while at < len(events):
                _, mask, _, length = struct.unpack_from("iIII", events, at)
                at += 16 + length
                # Files that are read tell their names.
                if mask & 1 and not length:
                    self.calls += 1
                    self.then()

    def stop(self):
        os.close(self.end)
        self.thread.join()
        os.close(self.ended)
        os.close(self.file)


def test_what_is_taken_away_while_a_check_looks_is_no_finding_and_what_stays_is(store, own_daemon):
    """A removal takes the record away first and the blobs after it: what a check sees between the two has gone a moment later."""
    blob = f"{own_daemon.data}/content/blobs/sha256/{hashlib.sha256(b'going').hexdigest()}"

    def check(then):
        with open(blob, "wb") as file:
            file.write(b"going")
        watch = ListingWatch(os.path.dirname(blob), then)
        try:
            result = store.apus("system", "check", "--format", "json", timeout=120)
        finally:
            watch.stop()
        assert watch.calls, "the check has listed the blobs"
        return [json.loads(line)["ID"] for line in result.out.splitlines()]

    def take():
        if os.path.exists(blob):
            os.remove(blob)

    assert check(lambda: None) == [f"sha256:{os.path.basename(blob)}"]
    # On a machine that is busy with other things the second look may come before this thread.
    assert any(check(take) == [] for _ in range(5))


def test_pulls_and_removals_of_other_images_are_no_finding_and_lose_nothing(store, registry, own_daemon):
    """Their blobs and layers come and go while they are looked at: none is missing, none extra, and none of a finished pull is taken."""
    names = []
    for number in range(3):
        Pusher(registry.host).push(f"passing{number}", Image([busybox_layer(), tar(files({f"own{number}": os.urandom(200_000)}))]))
        names.append(f"{registry.host}/passing{number}")

    def come_and_go(name):
        pulled = store.apus("pull", "-q", name)
        seen = store.apus("run", "--rm", "--network", "none", name, "true")
        gone = store.apus("rmi", name)
        return [each for each in (pulled, seen, gone) if each.code != 0]

    def look():
        # "extra" would be what a pull has just brought, "missing" what a removal has just taken.
        return store.repair()[1]

    assert side_by_side(12, *[lambda name=name: come_and_go(name) for name in names], look) == []
    used = {digest[7:] for digest in [*store.image.blobs, store.image.digest]}
    store.apus("rmi", *[line for line in store.apus("images", "--format", "{{.Repository}}").ok().split() if not line.endswith("/beside")])
    assert set(entries(f"{own_daemon.data}/content/blobs/sha256")) == used, "what was removed beside a check is gone"
