"""Images shown inside containers: `--mount type=image`."""
# Rows: features

import json
import os
import signal
import tarfile

import pytest

import leaks
from conftest import CLIENTS, Client
from oci_images import Image, Pusher, entry, files, tar
from processes import wait_until


@pytest.fixture(scope="module")
def tools(daemon, registry, workspace):
    """An image of two layers, the upper of which takes away a file of the lower, and one of a single layer."""
    members = files({"text": "lower\n", "gone": "x", "deep/er/file": "inside\n", "bin/tool": "#!/bin/sh\necho from $0\n"})
    for member, _ in members:
        if member.name == "bin/tool":
            member.mode = 0o755
    members.append((entry("out", tarfile.SYMTYPE, 0o777, "/etc"), None))
    upper = files({"text": "upper\n", ".wh.gone": ""})
    Pusher(registry.host).push("tools", Image([tar(members), tar(upper)]))
    Pusher(registry.host).push("one", Image([tar(files({"single": "layer\n"}))]))
    apus = Client("apus", CLIENTS["apus"], daemon.host, workspace)
    names = [f"{registry.host}/{name}" for name in ("tools", "one")]
    for name in names:
        apus("pull", "-q", name).ok()
    yield names
    apus("rmi", "-f", *names)


def shown(name, place="/tools", subpath=""):
    return f"type=image,source={name},target={place}" + (f",image-subpath={subpath}" if subpath else "")


def test_an_image_is_shown_read_only_with_its_layers_as_one(cli, image, tools):
    script = "cat /tools/text /tools/deep/er/file /one/single; ls /tools; /tools/bin/tool; touch /tools/new; rm /one/single"
    result = cli("run", "--rm", "--mount", shown(tools[0]), "--mount", shown(tools[1], "/one"), image, "sh", "-c", script)
    assert result.out == "upper\ninside\nlayer\nbin\ndeep\nout\ntext\nfrom /tools/bin/tool\n"
    assert result.err.count("Read-only file system") == 2 and result.code == 1


def test_a_path_of_an_image_is_shown_whose_links_stay_inside(apus, image, tools):
    run = lambda subpath, *words: apus("run", "--rm", "--mount", shown(tools[0], subpath=subpath), image, *words)
    assert run("deep/er", "ls", "/tools").line() == "file"
    assert run("text", "cat", "/tools").line() == "upper"
    # /etc of the image, which has none: never the host's.
    assert (result := run("out", "ls", "/tools")).code == 125 and "out" in result.err, result
    assert "No such file" in (result := run("missing", "true")).err or "ENOENT" in result.err, result
    assert result.code == 125
    refused = run("../up", "true")
    assert refused.code == 125 and "subpath must be a relative path within the image" in refused.err


def test_what_is_no_image_is_refused_by_its_name(cli, image):
    result = cli("run", "--mount", "type=image,source=nowhere/none:7,target=/x", image, "true")
    assert result.code == 125 and "No such image: nowhere/none:7" in result.err
    assert cli("ps", "-aq").ok() == ""


def test_the_mount_outlives_its_image_and_every_start_and_goes_with_the_container(own_daemon, apus, image, tools):
    before = leaks.mounts(own_daemon.folder)
    apus("run", "-d", "--name", "held", "--restart", "always", "--mount", shown(tools[0]), image, "sh", "-c", "cat /tools/text; sleep 1000").ok()
    point, = json.loads(apus("inspect", "-f", "{{json .Mounts}}", "held").ok())
    assert (point["Type"], point["Source"], point["Destination"], point["RW"]) == ("image", tools[0], "/tools", False)
    apus("rmi", "-f", tools[0]).ok()
    seen = lambda count: wait_until(lambda: apus("logs", "held").ok().count("upper") == count, f"start {count} sees the image", seconds=30)
    seen(1)
    process = apus.inspect("held", "{{.State.Pid}}")
    os.kill(int(process), signal.SIGKILL)
    wait_until(lambda: apus.inspect("held", "{{.State.Pid}}") not in ("0", process), "the shim starts it anew")
    seen(2)
    own_daemon.kill()
    own_daemon.start()
    apus("restart", "-t", "0", "held").ok()
    seen(3)
    assert apus("exec", "held", "cat", "/tools/deep/er/file").line() == "inside"
    apus("rm", "-f", "held").ok()
    wait_until(lambda: leaks.mounts(own_daemon.folder) == before, "nothing stays mounted")
    apus("pull", "-q", tools[0]).ok()


def test_layers_go_with_the_last_container_that_shows_them(own_daemon, apus, image, registry):
    Pusher(registry.host).push("brief", Image([tar(files({"brief": os.urandom(1 << 20).hex()}))]))
    name = f"{registry.host}/brief"
    apus("pull", "-q", name).ok()
    apus("create", "--name", "holder", "--mount", shown(name), image, "cat", "/tools/brief").ok()
    apus("rmi", name).ok()
    assert apus("start", "-a", "holder").ok()
    # The check finds nothing too much while it is needed, and nothing when it is not.
    assert apus("system", "check", "--format", "json").ok() == ""
    apus("rm", "holder").ok()
    apus("image", "prune", "-f").ok()
    assert apus("system", "check", "--format", "json").ok() == ""
