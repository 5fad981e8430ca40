"""A real database, Debian's redis-server put into an image, with its data in a named volume."""
# Rows: features

import shutil

import pytest

import oci_images
from processes import wait_until
from test_volumes import no_volume_stays  # noqa: F401 (fixture)


@pytest.fixture(scope="module")
def database(daemon, registry):
    """An image of Redis as its makers' are: a user of its own, and a declared volume."""
    programs = [shutil.which(name) for name in ("redis-server", "redis-cli")]
    accounts = oci_images.tar(oci_images.files({"etc/passwd": "root:x:0:0::/:/bin/sh\nredis:x:999:999::/data:/bin/sh\n"}) + [
        (oci_images.entry("data/", oci_images.tarfile.DIRTYPE, 0o750, uid=999, gid=999), None)])
    config = {"User": "redis", "WorkingDir": "/data", "Volumes": {"/data": {}}, "ExposedPorts": {"6379/tcp": {}},
              "Env": ["PATH=/usr/bin:/bin", "LD_LIBRARY_PATH=/lib64"],
              "Cmd": ["redis-server", "--protected-mode", "no", "--appendonly", "yes", "--appendfsync", "always"]}
    oci_images.Pusher(registry.host).push("redis", oci_images.busybox(config, [oci_images.with_libraries(*programs), accounts]))
    return f"{registry.host}/redis"


def test_F07_G07_a_database_is_found_by_name_and_keeps_its_data_in_a_volume_across_containers(cli, net, database):
    cli("pull", "-q", database).ok()
    net("app")
    ask = lambda *words: cli("run", "--rm", "--network", "app", database, "redis-cli", "-h", "db", *words)
    begin = lambda: cli("run", "-d", "--name", "db", "--network", "app", "-v", "dbdata:/data", database).ok()
    begin()
    wait_until(lambda: ask("ping").out.strip() == "PONG", "the database answers", seconds=30)
    assert ask("set", "kept", "across").line() == "OK" and ask("incr", "count").line() == "1"
    cli("kill", "db").ok()
    cli("rm", "db").ok()
    begin()
    wait_until(lambda: ask("ping").out.strip() == "PONG", "the next one answers", seconds=30)
    assert ask("get", "kept").line() == "across" and ask("incr", "count").line() == "2"
    cli("restart", "-t", "5", "db").ok()
    wait_until(lambda: ask("get", "count").out.strip() == "2", "after a restart, too", seconds=30)
    assert cli("exec", "db", "stat", "-c", "%U %a", "/data").line() == "redis 750"
