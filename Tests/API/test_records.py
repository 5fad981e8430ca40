"""What one version wrote down, another reads; and whose record it cannot read, it leaves alone."""

import json
import os
import shutil
import signal
import sqlite3
import subprocess
from contextlib import closing

import pytest

from processes import alive, wait_until

# Members of a container's record that its first version did not have.
YOUNGER = ("volumes", "inheritedBinds", "readsOnlyTop", "removesVolumes", "restartCount", "isManuallyStopped", "lifeRevision", "untold", "portRuns",
           "userNamespace", "health")


def change_records(daemon, change):
    """Hands each container's document through `change`, by name, while no daemon has the records."""
    with closing(sqlite3.connect(f"{daemon.data}/engine.sqlite")) as records, records:
        for name, document in records.execute("SELECT name, document FROM container").fetchall():
            changed = json.dumps(change(name, json.loads(document))).encode()
            records.execute("UPDATE container SET document = ? WHERE name = ?", (changed, name))


def version_changed(by, *names):
    def change(name, document):
        return {**document, "version": document["version"] + by} if name in names else document
    return change


def test_fault_P07_a_record_of_the_first_version_is_read(brittle):
    client = brittle.client
    client("run", "-d", "--name", "runs", brittle.image, "sleep", "600").ok()
    client("create", "--name", "waits", brittle.image, "true").ok()
    pid = client.inspect("runs", "{{.State.Pid}}")
    brittle.kill()
    change_records(brittle, lambda _, document: {key: value for key, value in document.items() if key not in YOUNGER})
    brittle.start()
    assert sorted(client("ps", "-a", "--format", "{{.Names}} {{.State}}").ok().splitlines()) == ["runs running", "waits created"]
    assert client.inspect("runs", "{{.State.Pid}}") == pid
    client("exec", "runs", "true").ok()
    client("start", "-a", "waits").ok()


def test_fault_P07_a_container_whose_record_cannot_be_read_loses_nothing(brittle):
    client = brittle.client
    client("network", "create", "--subnet", "10.213.7.0/29", "mine").ok()
    client("run", "-d", "--name", "far", "--network", "mine", "-v", "kept:/kept", "-v", "/anonymous", brittle.image, "sh", "-c",
           "echo precious > /data; exec sleep 600").ok()
    client("create", "--name", "near", brittle.image, "true").ok()
    wait_until(lambda: client("exec", "far", "cat", "/data").out == "precious\n", "it has written")
    far, pid, address = client.inspect("far", "{{.Id}} {{.State.Pid}} {{.NetworkSettings.Networks.mine.IPAddress}}").split()
    volumes = set(client("volume", "ls", "-q").ok().split())
    brittle.kill()
    change_records(brittle, version_changed(90, "far"))
    brittle.start()

    # It is seen, and its name is its own.
    assert client("ps", "-a", "--no-trunc", "--format", "{{.ID}} {{.Names}} {{.State}} {{.Status}}").ok().splitlines()[1:] == [
        f"{far} far dead Dead (its record cannot be read)"]
    assert client("ps", "--format", "{{.Names}}").ok() == ""
    taken = client("create", "--name", "far", brittle.image)
    assert taken.code == 1 and "is already in use by container" in taken.err and far in taken.err, taken
    for words in (("inspect", "far"), ("start", far[:12]), ("exec", "far", "true"), ("stop", "far"), ("logs", "far")):
        answer = client(*words)
        assert answer.code == 1 and "version 9" in answer.err and "rm -f" in answer.err, answer
    held = client("rm", "far")
    assert held.code == 1 and "version 9" in held.err and "force remove" in held.err, held

    # Nothing of what is its own is given to others, or taken away.
    client("rm", "near").ok()
    for words in (("rmi", brittle.image), ("volume", "rm", "kept")):
        assert client(*words).code == 1, words
    client("system", "prune", "-a", "-f", "--volumes").ok()
    assert set(client("volume", "ls", "-q").ok().split()) == volumes
    client("run", "--rm", "--network", "mine", brittle.image, "true").ok()
    for number in range(4):
        client("run", "-d", "--name", f"other{number}", "--network", "mine", brittle.image, "sleep", "600").ok()
    others = {client.inspect(f"other{number}", "{{.NetworkSettings.Networks.mine.IPAddress}}") for number in range(4)}
    assert len(others) == 4 and address not in others, "its address is its own"
    client("rm", "-f", *(f"other{number}" for number in range(4))).ok()
    check = client("system", "check", "--repair", "--format", "json", timeout=120)
    findings = [json.loads(line) for line in check.out.splitlines()]
    assert check.code == 1 and [(found["Kind"], found["Object"], found["ID"], found["State"]) for found in findings] == [
        ("unreadable", "record", far, "found")], findings
    assert "version 9" in findings[0]["Detail"] and "rm -f far" in findings[0]["Remark"]
    os.kill(int(pid), 0)

    # Who can read it goes on with it.
    brittle.kill()
    change_records(brittle, version_changed(-90, "far"))
    brittle.start()
    assert client.inspect("far", "{{.State.Pid}} {{.State.Status}}") == f"{pid} running"
    assert client("exec", "far", "cat", "/data").ok() == "precious\n"


def test_fault_P07_a_container_whose_record_cannot_be_read_is_removed_by_force(brittle):
    client = brittle.client
    for name in ("ran", "made", "garbled"):
        client("create", "--name", name, "-v", "/anonymous", brittle.image, "sleep", "600").ok()
    client("start", "ran", "garbled").ok()
    pids = [int(client.inspect(name, "{{.State.Pid}}")) for name in ("ran", "garbled")]
    ran = client.inspect("ran", "{{.Id}}")
    brittle.kill()
    change_records(brittle, version_changed(90, "ran", "made"))
    with closing(sqlite3.connect(f"{brittle.data}/engine.sqlite")) as records, records:
        records.execute("UPDATE container SET document = x'7b' WHERE name = 'garbled'")
    brittle.start()
    # It may have any volume that no container is known to have.
    refused = client("volume", "prune", "-f")
    assert refused.code == 1 and "those of container garbled" in refused.err, refused
    for word in (ran[:12], "made", "garbled"):
        assert client("rm", "-f", "-v", word).line() == word
    assert client("ps", "-a", "-q").ok() == "" and not any(alive(pid) for pid in pids)
    # Of the garbled one nobody knows which volumes were its own.
    assert len(client("volume", "ls", "-q").ok().split()) == 1
    client("volume", "prune", "-f").ok()
    told = client("events", "--since", "1h", "--until", "0s", "--filter", "event=destroy", "--filter", "type=container", "--format",
                  "{{.Actor.Attributes.name}}")
    assert told.ok().split() == ["ran", "made", "garbled"]
    assert "whose record could not be read" in brittle.log()
    check = client("system", "check", timeout=120)
    assert check.code == 0 and " 0 findings" in check.out, check
    for name in ("ran", "made"):
        client("create", "--name", name, brittle.image).ok()
    # And a daemon after this one knows of none of them.
    brittle.kill()
    brittle.start()
    assert sorted(client("ps", "-a", "--format", "{{.Names}}").ok().split()) == ["made", "ran"]


def test_fault_P07_volumes_without_a_name_go_with_containers_of_an_older_version(brittle):
    """Whose record does not say which they are: the volumes do, by their mark."""
    client = brittle.client
    for name in ("near", "far"):
        client("create", "--name", name, "-v", "/anonymous", "-v", f"kept-{name}:/kept", brittle.image, "true").ok()
    brittle.kill()

    def older(_, document):
        return {**document, "volumes": [{key: value for key, value in volume.items() if key != "isUnnamed"} for volume in document["volumes"]]}

    change_records(brittle, older)
    change_records(brittle, version_changed(90, "far"))
    brittle.start()
    assert len(client("volume", "ls", "-q").ok().split()) == 4
    client("rm", "-v", "near").ok()
    assert len(client("volume", "ls", "-q").ok().split()) == 3
    client("rm", "-f", "-v", "far").ok()
    assert sorted(client("volume", "ls", "-q").ok().split()) == ["kept-far", "kept-near"]
    client("volume", "rm", "kept-far", "kept-near").ok()


def test_fault_P01_a_restart_policy_that_is_on_record_is_the_shims_too(brittle):
    client = brittle.client
    client("run", "-d", "--name", "changed", brittle.image, "sleep", "600").ok()
    pid = int(client.inspect("changed", "{{.State.Pid}}"))
    brittle.kill()
    # As by a daemon that was killed before it could tell the shim.
    change_records(brittle, lambda _, document: {**document, "hostConfig": {**document["hostConfig"], "RestartPolicy": {
        "Name": "always", "MaximumRetryCount": 0}}})
    brittle.start()
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: client.inspect("changed", "{{.RestartCount}} {{.State.Running}}") == "1 true", "it is started again")
    client("rm", "-f", "changed").ok()


def records_of(daemon):
    return [f"{daemon.data}/engine.sqlite{suffix}" for suffix in ("", "-wal", "-shm")]


def test_fault_D03_an_older_copy_of_the_records_costs_no_container_that_has_run_since(brittle, tmp_path):
    client = brittle.client
    before = brittle.state()
    brittle.stop()
    assert not os.path.exists(records_of(brittle)[1]) or os.path.getsize(records_of(brittle)[1]) == 0, "the file alone is whole"
    shutil.copy(records_of(brittle)[0], tmp_path)
    brittle.start()
    bridge = "br-" + client("network", "create", "made-since").line()[:12]
    client("run", "-d", "--name", "since", "--network", "made-since", brittle.image, "sh", "-c", "echo kept >/file; echo said; exec sleep 600").ok()
    id, pid = client.inspect("since", "{{.Id}} {{.State.Pid}}").split()
    client("run", "--name", "ended", brittle.image, "true").ok()
    ended = client.inspect("ended", "{{.Id}}")
    brittle.kill()
    newer = tmp_path / "newer"
    newer.mkdir()
    for path in records_of(brittle):
        if os.path.exists(path):
            shutil.move(path, newer)
    shutil.copy(tmp_path / "engine.sqlite", records_of(brittle)[0])
    brittle.start()
    assert alive(int(pid))
    assert set(client("ps", "-aq", "--no-trunc").ok().split()) == {id, ended}
    assert "there is no record of it" in client("start", id).err
    cables = subprocess.run(["ip", "-o", "link", "show", "type", "veth"], capture_output=True, text=True, check=True).stdout
    assert f" master {bridge} " in cables, "its network is there"
    # Nothing was taken away: with the newer records it is all there.
    brittle.stop()
    for path in records_of(brittle):
        if os.path.exists(path):
            os.remove(path)
    for path in newer.iterdir():
        shutil.move(path, brittle.data)
    brittle.start()
    assert client.inspect("since", "{{.State.Pid}}") == pid and client("exec", "since", "cat", "/file").out == "kept\n"
    assert client("logs", "since").out == "said\n"
    # And it goes when somebody says so.
    brittle.kill()
    for path in records_of(brittle):
        if os.path.exists(path):
            os.remove(path)
    shutil.copy(tmp_path / "engine.sqlite", records_of(brittle)[0])
    brittle.start()
    client("rm", "-f", id, ended).ok()
    wait_until(lambda: not alive(int(pid)), "the process ends")
    # Its network is nobody's now, which the next daemon sees.
    brittle.stop()
    brittle.start()
    wait_until(lambda: brittle.state() == before, "nothing is left of it")


def test_fault_D01_what_a_power_cut_leaves_of_a_removed_container_goes(brittle):
    """The record's removal is on the disk, and that of the files is not."""
    client = brittle.client
    client("run", "--name", "removed", brittle.image, "true").ok()
    id = client.inspect("removed", "{{.Id}}")
    place = f"{brittle.data}/containers/{id}"
    shutil.copytree(place, f"{place}.copy")
    client("rm", "removed").ok()
    brittle.kill()
    os.rename(f"{place}.copy", place)
    brittle.start()
    assert client("ps", "-aq").out == "" and not os.path.exists(place)


@pytest.mark.parametrize("damage", ["missing", "empty", "without tables"])
def test_an_engine_without_its_records_does_not_begin(brittle, tmp_path, damage):
    client = brittle.client
    client("run", "-d", "--name", "lives", brittle.image, "sleep", "600").ok()
    pid = client.inspect("lives", "{{.State.Pid}}")
    brittle.stop()
    for path in records_of(brittle):
        if os.path.exists(path):
            shutil.move(path, tmp_path)
    if damage == "empty":
        open(records_of(brittle)[0], "xb").close()
    elif damage == "without tables":
        # As a copy that was made of the file alone while its log was beside it.
        with closing(sqlite3.connect(records_of(brittle)[0])) as records, records:
            records.execute("PRAGMA journal_mode = WAL")
            records.execute("CREATE TABLE other (id)")
            records.execute("DROP TABLE other")
    with pytest.raises(AssertionError, match="engine.sqlite: there are no records, and there were; put it back from a copy; to begin without"):
        brittle.start()
    assert alive(int(pid))
    for path in records_of(brittle):
        if os.path.exists(path):
            os.remove(path)
    for path in tmp_path.glob("engine.sqlite*"):
        shutil.copy(path, brittle.data)
    brittle.start()
    assert client.inspect("lives", "{{.State.Pid}}") == pid
    client("rm", "-f", "lives").ok()
