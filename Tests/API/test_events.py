"""Row S11: events that nobody misses, however slow and whenever the daemon dies."""

import json
import os
import re
import socket
import time

import pytest

import engine_http
import oci_images
from conftest import Client, CLIENTS, Daemon
from processes import UNTIL_GO, alive, go, wait_until


def resident(daemon):
    with open(f"/proc/{daemon.process.pid}/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * 4096


def flood(daemon, count):
    """Tells as many events, each with a size of its own, over one connection."""
    connection = engine_http.Connection(daemon.socket)
    for number in range(count):
        connection.request("POST", f"/containers/flood/resize?h={number // 1000 + 1}&w={number % 1000 + 1}")
        answer = connection.getresponse()
        answer.read()
        assert answer.status == 200
    connection.close()


def journal_bytes(daemon):
    folder = os.path.join(daemon.data, "events")
    return sum(os.path.getsize(os.path.join(folder, name)) for name in os.listdir(folder))


def number(event):
    size = event["Actor"]["Attributes"]
    return (int(size["height"]) - 1) * 1000 + int(size["width"]) - 1


def read_events(daemon, path, count):
    """The first events of an answer."""
    connection = engine_http.Connection(daemon.socket, timeout=30)
    connection.request("GET", path)
    answer = connection.getresponse()
    events = [json.loads(answer.readline()) for _ in range(count)]
    connection.close()
    return events


@pytest.fixture
def flooded(brittle):
    brittle.client("run", "-dt", "--name", "flood", brittle.image, "sleep", "3600").ok()
    return brittle


def test_S11_a_reader_that_does_not_read_misses_nothing_and_costs_no_memory(flooded):
    count = int(os.environ.get("APUS_EVENTS", 4000))
    slow = engine_http.Connection(flooded.socket, timeout=30)
    slow.connect()
    slow.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    slow.request("GET", "/events?filters=%7B%22event%22%3A%5B%22resize%22%5D%7D")
    answer = slow.getresponse()
    flood(flooded, 500)
    before = resident(flooded)
    flood(flooded, count)
    assert resident(flooded) - before < 10 << 20
    assert journal_bytes(flooded) <= 65 * (4 << 20)
    for place in range(500 + count):
        event = json.loads(answer.readline())
        assert event["Action"] == "resize" and number(event) == (place if place < 500 else place - 500), (place, event)
    slow.close()


@pytest.fixture
def cramped(workspace, registry):
    """A daemon whose data root is a small file system of its own, and a file in it that can be made as large as it is."""
    daemon = Daemon(os.path.join(workspace, "cramped"))
    os.makedirs(daemon.data, exist_ok=True)
    mount = 'mount -t tmpfs -o size=256m,mode=711 tmpfs "$0" && exec "$@"'
    daemon.start(under=["unshare", "-m", "sh", "-c", mount, daemon.data])
    daemon.client = Client("apus", CLIENTS["apus"], daemon.host, workspace)
    daemon.image = f"{registry.host}/busybox"
    daemon.client("run", "-dt", "--name", "flood", daemon.image, "sleep", "3600").ok()
    daemon.filler = f"/proc/{daemon.process.pid}/root{daemon.data}/filler"
    yield daemon
    if daemon.process.poll() is None:
        daemon.client("rm", "-f", "flood").ok()
        assert daemon.stop() == 0
    wait_until(lambda: not daemon.supervisors(), "shims and keeper have ended")
    daemon.forget_network()


def fill(path):
    with open(path, "wb", buffering=0) as file, pytest.raises(OSError, match="No space left"):
        while True:
            file.write(bytes(65536))


def test_a_file_of_the_journal_and_its_name_are_on_the_device_before_an_event_is_in_it(workspace, tmp_path):
    daemon, calls = Daemon(os.path.join(workspace, "durable")), tmp_path / "calls"
    os.makedirs(daemon.folder)
    daemon.start(under=["strace", "-D", "-f", "-qq", "-y", "-o", calls, "-e", "trace=write,fsync,fdatasync"])
    assert daemon.stop() == 0
    daemon.forget_network()
    first = os.path.join(daemon.data, "events", "0" * 19 + "1")

    def at(call, path):
        lines = calls.read_text(errors="replace").splitlines()
        return [place for place, line in enumerate(lines) if re.search(rf"{call}\(\d+<{re.escape(path)}>", line)]

    wait_until(lambda: at("fsync", first), "the file is flushed")
    heading, events = at("write", first)[0], at("write", first)[1:]
    assert heading < at("f(?:data)?sync", first)[0] < at("fsync", os.path.dirname(first))[0] < min(events, default=1 << 62)


def test_events_of_a_full_disk_wait_and_are_written_when_there_is_room(cramped):
    flood(cramped, 100)
    fill(cramped.filler)
    said = len(cramped.log())
    flood(cramped, 500)
    wait_until(lambda: "events wait in memory" in cramped.log()[said:], "the log says that events wait")
    ticks = processor_ticks(cramped)
    time.sleep(2.5)
    assert processor_ticks(cramped) - ticks < 50
    assert cramped.log()[said:].count("events wait in memory") == 1
    os.remove(cramped.filler)
    events = read_events(cramped, "/events?cursor=0&filters=%7B%22event%22%3A%5B%22resize%22%5D%7D", 600)
    assert [number(event) for event in events] == [*range(100), *range(500)]
    assert "events are written again" in cramped.log()[said:]


def test_a_daemon_with_a_full_disk_ends_when_it_is_told_to(cramped, tmp_path):
    cramped.client("rm", "-f", "flood").ok()
    fill(cramped.filler)
    said = len(cramped.log())
    # More than what is free of the last page of the journal's file, by what needs no room itself and has none kept for it.
    for _ in range(50):
        cramped.client("save", "-o", str(tmp_path / "saved.tar"), cramped.image).ok()
    wait_until(lambda: "events wait in memory" in cramped.log()[said:], "the log says that an event waits")
    assert cramped.stop() == 0
    assert "events are lost" in cramped.log()[said:]


def processor_ticks(daemon):
    with open(f"/proc/{daemon.process.pid}/stat", encoding="ascii") as file:
        return sum(int(word) for word in file.read().rsplit(")", 1)[1].split()[11:13])


def test_S11_a_reader_goes_on_where_it_was_after_the_daemons_death(flooded):
    flood(flooded, 300)
    # All of them are written then: what is told in the moment of the death may be lost.
    first = read_events(flooded, "/events?cursor=0&filters=%7B%22event%22%3A%5B%22resize%22%5D%7D", 300)[:100]
    assert [number(event) for event in first] == list(range(100))
    flooded.kill()
    flooded.start()
    flood(flooded, 50)
    cursor = first[-1]["cursor"] + 1
    rest = read_events(flooded, f"/events?cursor={cursor}&filters=%7B%22event%22%3A%5B%22resize%22%5D%7D", 250)
    assert [number(event) for event in rest] == [*range(100, 300), *range(50)]
    cursors = [event["cursor"] for event in first + rest]
    assert cursors == sorted(set(cursors))
    # By time, as every client can.
    since = rest[-1]["timeNano"]
    again = read_events(flooded, f"/events?since={since // 10**9}.{since % 10**9:09d}", 1)
    assert "cursor" not in again[0] and again[0]["timeNano"] == since
    shown = flooded.client("events", "--cursor", str(cursor), "--until", "0s", "--filter", "event=resize").ok().splitlines()
    assert len(shown) == 250 and shown[0].endswith(f"#{cursor}") and "container resize" in shown[0]
    refused = flooded.client("events", "--cursor", "x")
    assert refused.code == 1 and 'invalid value for "cursor"' in refused.err


@pytest.mark.parametrize("name", sorted(CLIENTS))
def test_events_since_reach_back_over_the_daemons_death(brittle, workspace, name):
    client = Client(name, CLIENTS[name], brittle.host, workspace)
    begin = f"{time.time():.9f}"
    identifier = client("run", "-d", "--name", "told", brittle.image, "sleep", "3600").line()
    brittle.kill()
    brittle.start()
    client("rm", "-f", "told").ok()
    shown = client("events", "--since", begin, "--until", f"{time.time():.9f}", "--filter", f"container={identifier}", "--format", "{{.Action}}")
    assert shown.ok().split() == ["create", "start", "kill", "die", "destroy"]


def test_events_come_in_every_form_that_clients_ask_for(own_daemon, apus, image):
    begin = f"{time.time():.9f}"
    apus("create", "--name", "formed", image, "true").ok()
    path = f"/events?since={begin}&until={time.time():.9f}"
    for accept, kind in (("*/*", "application/json"), ("application/x-ndjson", "application/x-ndjson"), ("application/json-seq", "application/json-seq")):
        connection = engine_http.Connection(own_daemon.socket)
        connection.request("GET", path, headers={"Accept": accept})
        answer = connection.getresponse()
        assert answer.getheader("content-type") == kind
        lines = answer.read().splitlines()
        connection.close()
        assert [line.startswith(b"\x1e") for line in lines] == [kind.endswith("seq")] * len(lines)
        assert [json.loads(line.lstrip(b"\x1e"))["Action"] for line in lines] == ["create"]


def test_info_counts_who_listens_to_events(own_daemon):
    def listening():
        return engine_http.api(own_daemon, "GET", "/info", expect=200)[1]["NEventsListener"]

    before, readers = listening(), []
    for _ in range(3):
        readers.append(engine_http.stream(own_daemon.socket))
        readers[-1].sendall(b"GET /events HTTP/1.1\r\nHost: d\r\n\r\n")
    wait_until(lambda: listening() == before + 3, "the three are counted")
    for reader in readers: reader.close()
    wait_until(lambda: listening() == before, "none of them is counted any more")


def test_events_tell_of_images_with_their_labels_as_dockers_do(own_daemon, apus, image, tmp_path):
    """Each line is what dockerd tells of the same steps."""
    begin = f"{time.time():.9f}"
    apus("create", "--name", "labelled", "-l", "a=b", image, "true").ok()
    first = apus("commit", "-c", "LABEL x=y", "labelled", "named:v1").line()
    apus("tag", "named:v1", "other:v2").ok()
    apus("rmi", "other:v2").ok()
    apus("save", "-o", str(tmp_path / "saved.tar"), "named:v1").ok()
    apus("load", "-q", "-i", str(tmp_path / "saved.tar")).ok()
    apus("rm", "labelled").ok()
    apus("image", "prune", "-af", "--filter", "label=x=y").ok()
    second = apus("import", "-c", "LABEL i=j", "-", "brought:v1", stdin=oci_images.busybox_layer()).line()
    apus("rmi", "brought:v1").ok()

    def told():
        shown = apus("events", "--since", begin, "--until", f"{time.time():.9f}", "--filter", "type=image", "--format", "{{.Action}} {{json .Actor}}")
        return [(line.split(" ")[0], json.loads(line.partition(" ")[2])) for line in shown.ok().splitlines()]

    wait_until(lambda: [action for action, _ in told()].count("delete") == 2, "the last event is told")
    labels, ids = {"a": "b", "x": "y"}, (first, second)
    assert [(action, ids.index(actor["ID"]), actor["Attributes"]) for action, actor in told() if action != "prune"] == [
        ("tag", 0, {**labels, "name": "named:v1"}), ("tag", 0, {**labels, "name": "other:v2"}), ("untag", 0, {**labels, "name": first}),
        ("save", 0, {**labels, "name": first}), ("load", 0, {**labels, "name": first}), ("untag", 0, {**labels, "name": first}),
        ("delete", 0, {"name": first}), ("tag", 1, {"i": "j", "name": "brought:v1"}), ("import", 1, {"i": "j", "name": second}),
        ("untag", 1, {"i": "j", "name": second}), ("delete", 1, {"name": second}),
    ]


def test_events_tell_of_images_without_tags_with_their_labels_too_and_of_tags_that_nobody_said(own_daemon, apus, image, registry):
    apus("create", "--name", "labelled", image, "true").ok()
    pushed = f"{registry.host}/by-digest"
    known = apus("commit", "-c", "LABEL x=y", "labelled", pushed).line()
    apus("push", "-q", pushed).ok()
    apus("rm", "labelled").ok()
    apus("rmi", pushed).ok()
    begin = f"{time.time():.9f}"
    apus("pull", "-q", f"{pushed}@{oci_images.Pusher(registry.host).digest('by-digest')}").ok()
    engine_http.api(own_daemon, "POST", f"/images/{known}/tag?repo=bare", expect=201)
    apus("rmi", "bare").ok()
    apus("image", "prune", "-af", "--filter", "label=x=y").ok()

    def told():
        shown = apus("events", "--since", begin, "--until", f"{time.time():.9f}", "--filter", "type=image", "--format", "{{.Action}} {{json .Actor}}")
        return [(line.split(" ")[0], json.loads(line.partition(" ")[2])["Attributes"]) for line in shown.ok().splitlines()]

    wait_until(lambda: "prune" in [action for action, _ in told()], "the last event is told")
    assert [(action, attributes) for action, attributes in told() if action not in ("pull", "prune")] == [
        ("tag", {"x": "y", "name": "bare:latest"}), ("untag", {"x": "y", "name": known}), ("untag", {"x": "y", "name": known}),
        ("delete", {"name": known}),
    ]


def test_events_tell_of_pushing_saving_and_pruning_images(own_daemon, apus, image, registry, tmp_path):
    begin = f"{time.time():.9f}"
    apus("tag", image, f"{registry.host}/told:v1").ok()
    apus("push", f"{registry.host}/told:v1").ok()
    apus("save", "-o", str(tmp_path / "told.tar"), f"{registry.host}/told:v1").ok()
    apus("rmi", f"{registry.host}/told:v1").ok()
    apus("image", "prune", "-f").ok()

    def actions():
        shown = apus("events", "--since", begin, "--until", f"{time.time():.9f}", "--filter", "type=image", "--format", "{{.Action}}")
        return shown.ok().split()

    wait_until(lambda: "prune" in actions(), "the last event is told")
    # One name by its tag, one by its digest.
    assert actions() == ["tag", "push", "save", "untag", "untag", "prune"]


def hog(times):
    """Fills the memory as often, in a child of the first process, each time when the file `go` comes."""
    return f"for n in $(seq {times}); do while ! rm go 2>/dev/null; do usleep 20000; done; tail /dev/zero; echo killed; done; sleep 3600"


def kernel_kills(pid):
    """Processes of a container's cgroup that the kernel says it has killed for want of memory."""
    with open(f"/proc/{pid}/cgroup", encoding="ascii") as file:
        lines = [line.strip().split(":", 2) for line in file]
    legacy = [path for _, names, path in lines if "memory" in names.split(",")]
    file = f"/sys/fs/cgroup/memory{legacy[0]}/memory.oom_control" if legacy else f"/sys/fs/cgroup{lines[-1][2]}/memory.events"
    with open(file, encoding="ascii") as counts:
        return next(int(line.split()[1]) for line in counts if line.startswith("oom_kill "))


def test_S08_each_kill_for_want_of_memory_is_one_event_with_the_daemon_or_without(brittle):
    client, begin = brittle.client, f"{time.time():.9f}"
    client("run", "-d", "--name", "hog", "-m", "24m", "--memory-swap", "24m", brittle.image, "sh", "-c", hog(3)).ok()

    def killed(count):
        wait_until(lambda: client("logs", "hog").ok().count("killed") == count, f"{count} processes were killed")

    def told():
        shown = client("events", "--since", begin, "--until", f"{time.time():.9f}", "--filter", "event=oom", "--format", "{{.Actor.Attributes.name}}")
        return shown.ok().split()

    for count in (1, 2):
        client("exec", "hog", "touch", "go").ok()
        killed(count)
        wait_until(lambda: len(told()) == count, f"{count} events are told")
    pid = client.inspect("hog", "{{.State.Pid}}")
    brittle.kill()
    go(pid)
    wait_until(lambda: kernel_kills(pid) == 3, "a third process was killed")
    time.sleep(3)
    back = time.time()
    brittle.start()
    killed(3)
    wait_until(lambda: len(told()) == 3, "the third event is told")
    time.sleep(0.3)
    assert told() == ["hog"] * 3
    # Of any of its processes since it was started. - Source: docker's API, "OOMKilled".
    assert client.inspect("hog", "{{.State.Running}} {{.State.OOMKilled}}") == "true true"
    last = json.loads(client("events", "--since", begin, "--until", f"{time.time():.9f}", "--filter", "event=oom", "--format", "json").ok().splitlines()[-1])
    assert last["timeNano"] < (back - 0.5) * 1e9


def test_S08_a_container_that_is_killed_for_want_of_memory_is_started_again_and_no_watch_of_it_is_left(brittle):
    client, begin = brittle.client, f"{time.time():.9f}"
    hog_once = "while ! rm go 2>/dev/null; do usleep 20000; done; exec tail /dev/zero"
    client("run", "-d", "--name", "hog", "-m", "16m", "--memory-swap", "16m", "--restart", "on-failure:4", brittle.image, "sh", "-c", hog_once).ok()
    (shim,) = brittle.shims()
    opened = []
    for count in range(4):
        wait_until(lambda count=count: client.inspect("hog", "{{.RestartCount}} {{.State.Status}}") == f"{count} running", f"restart {count}", seconds=30)
        # What a start needs is closed again shortly after it.
        wait_until(lambda: not opened or len(os.listdir(f"/proc/{shim}/fd")) <= opened[0], "no more descriptors than at first")
        opened.append(len(os.listdir(f"/proc/{shim}/fd")))
        # By no exec, which the container's end might take along.
        go(client.inspect("hog", "{{.State.Pid}}"))
    wait_until(lambda: client.inspect("hog", "{{.RestartCount}} {{.State.Status}}") == "4 running", "the last restart", seconds=30)
    assert client.inspect("hog", "{{.State.OOMKilled}}") == "false"
    go(client.inspect("hog", "{{.State.Pid}}"))
    assert client("wait", "hog").line() == "137"
    assert client.inspect("hog", "{{.State.OOMKilled}}") == "true"
    shown = client("events", "--since", begin, "--until", f"{time.time():.9f}", "--filter", "container=hog", "--format", "json").ok().splitlines()
    told = [(event["Action"], event["Actor"]["Attributes"].get("exitCode")) for event in map(json.loads, shown) if event["Action"] in ("oom", "die", "start")]
    assert told == [("start", None), ("oom", None), ("die", "137")] * 5


def test_an_end_without_a_daemon_is_told_with_its_own_time(brittle):
    client, begin = brittle.client, f"{time.time():.9f}"
    client("run", "-d", "--name", "brief", brittle.image, "sh", "-c", f"{UNTIL_GO}; exit 7").ok()
    pid = client.inspect("brief", "{{.State.Pid}}")
    brittle.kill()
    go(pid)
    wait_until(lambda: not alive(pid), "it ends")
    time.sleep(3)
    back = time.time()
    brittle.start()
    shown = client("events", "--since", begin, "--until", f"{time.time():.9f}", "--filter", "event=die", "--format", "json").ok().splitlines()
    assert len(shown) == 1
    event = json.loads(shown[0])
    assert event["Actor"]["Attributes"]["exitCode"] == "7" and event["timeNano"] < (back - 1) * 1e9


@pytest.mark.parametrize("name", ["none", "host"])
def test_events_tell_of_networks_for_which_there_is_nothing_to_make(own_daemon, apus, image, name):
    begin = f"{time.time():.9f}"
    made = apus("run", "-d", "--network", name, image, "true").line()
    apus("wait", made).ok()
    apus("rm", made).ok()
    told = apus("events", "--since", begin, "--until", f"{time.time():.9f}", "--filter", "type=network", "--format", "{{json .}}").ok()
    events = [json.loads(line) for line in told.splitlines()]
    driver = {"none": "null", "host": "host"}[name]
    assert [(one["Action"], one["Actor"]["Attributes"]) for one in events] == [
        (action, {"container": made, "name": name, "type": driver}) for action in ("connect", "disconnect")]
