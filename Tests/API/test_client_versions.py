"""What a request to make a container means to clients of older versions of the API, as dockerd takes it from them."""

import os

import pytest

from engine_http import api

UNIFIED = os.path.exists("/sys/fs/cgroup/cgroup.controllers")


def create(daemon, version, image, host=None, expect=201, query="", **config):
    body = {"Image": image, "Cmd": ["true"], **config, "HostConfig": host or {}}
    answer = api(daemon, "POST", f"/v{version}/containers/create?{query}", body, expect=expect)[1]
    return api(daemon, "GET", f"/containers/{answer['Id']}/json")[1]["HostConfig"] if expect == 201 else answer["message"]


@pytest.mark.parametrize("version, host, field, value", [
    ("1.24", {"AutoRemove": True}, "AutoRemove", False), ("1.25", {"AutoRemove": True}, "AutoRemove", True),
    ("1.39", {}, "IpcMode", "shareable"), ("1.40", {}, "IpcMode", "private"), ("1.39", {"IpcMode": "none"}, "IpcMode", "none"),
    ("1.40", {}, "CgroupnsMode", "private" if UNIFIED else "host"), ("1.41", {}, "CgroupnsMode", "private" if UNIFIED else "host"),
    ("1.51", {"PidsLimit": 0}, "PidsLimit", None), ("1.51", {"PidsLimit": -5}, "PidsLimit", -1), ("1.51", {"PidsLimit": 7}, "PidsLimit", 7),
    ("1.24", {}, "NetworkMode", "bridge"), ("1.51", {"NetworkMode": "default"}, "NetworkMode", "bridge"),
    ("1.51", {"NetworkMode": "none"}, "NetworkMode", "none"),
])
def test_what_is_said_and_what_is_not_means_what_it_meant_then(own_daemon, image, version, host, field, value):
    assert create(own_daemon, version, image, host)[field] == value


def bind(source="/tmp", **options):
    return {"Mounts": [{"Type": "bind", "Source": source, "Target": "/x", "ReadOnly": True, "BindOptions": options}]}


def test_options_of_mounts_that_came_later_are_passed_over_or_refused(own_daemon, image):
    assert create(own_daemon, "1.39", image, bind(NonRecursive=True))["Mounts"][0]["BindOptions"] == {}
    assert create(own_daemon, "1.40", image, bind(NonRecursive=True))["Mounts"][0]["BindOptions"] == {"NonRecursive": True}
    missing = bind("/nosuch/source", CreateMountpoint=True)
    assert "bind source path does not exist: /nosuch/source" in create(own_daemon, "1.41", image, missing, expect=400)
    volume = {"Mounts": [{"Type": "volume", "Target": "/x", "TmpfsOptions": {"SizeBytes": 4096}}]}
    assert "TmpfsOptions" not in create(own_daemon, "1.41", image, volume)["Mounts"][0]
    assert "field TmpfsOptions must not be specified" in create(own_daemon, "1.42", image, volume, expect=400)
    mixed = {"Mounts": [{"Type": "bind", "Source": "/tmp", "Target": "/x", "VolumeOptions": {"NoCopy": True}}]}
    assert "VolumeOptions" not in create(own_daemon, "1.41", image, mixed)["Mounts"][0]
    assert "field VolumeOptions must not be specified" in create(own_daemon, "1.42", image, mixed, expect=400)
    forced = bind(ReadOnlyForceRecursive=True)
    assert create(own_daemon, "1.43", image, forced, expect=400) == "BindOptions.ReadOnlyForceRecursive needs API v1.44 or newer"
    create(own_daemon, "1.44", image, forced)
    within = {"Mounts": [{"Type": "volume", "Source": "subs", "Target": "/x", "VolumeOptions": {"Subpath": "a"}}]}
    assert create(own_daemon, "1.44", image, within, expect=400) == "VolumeOptions.Subpath needs API v1.45 or newer"
    for made in api(own_daemon, "GET", "/containers/json?all=1")[1]:
        api(own_daemon, "DELETE", f"/containers/{made['Id']}?v=1", expect=204)


def test_a_container_is_made_on_several_networks_from_1_44_on(own_daemon, apus, image):
    for name in ("one", "two"):
        apus("network", "create", name).ok()
    wishes = {"NetworkingConfig": {"EndpointsConfig": {"two": {}, "one": {}}}}
    try:
        refused = create(own_daemon, "1.43", image, {"NetworkMode": "one"}, expect=400, **wishes)
        assert refused == "Container cannot be created with multiple network endpoints: one, two"
        create(own_daemon, "1.44", image, {"NetworkMode": "one"}, **wishes)
    finally:
        for made in api(own_daemon, "GET", "/containers/json?all=1")[1]:
            api(own_daemon, "DELETE", f"/containers/{made['Id']}", expect=204)
        apus("network", "rm", "one", "two").ok()


@pytest.mark.parametrize("version", ["1.41", "1.50"])
@pytest.mark.parametrize("mode", [None, "elsewhere"])
def test_feature_C20_a_container_is_on_the_networks_that_are_named_and_no_other(own_daemon, apus, image, version, mode):
    for name in ("closed", "elsewhere"):
        apus("network", "create", "--internal", name).ok()
    wishes = {"NetworkingConfig": {"EndpointsConfig": {"closed": {}}}}
    try:
        body = {"Image": image, "Cmd": ["ip", "route"], "HostConfig": {"NetworkMode": mode} if mode else {}, **wishes}
        id = api(own_daemon, "POST", f"/v{version}/containers/create", body, expect=201)[1]["Id"]
        assert list(api(own_daemon, "GET", f"/containers/{id}/json")[1]["NetworkSettings"]["Networks"]) == ["closed"]
        assert "default" not in apus("start", "-a", id).ok()
    finally:
        for left in api(own_daemon, "GET", "/containers/json?all=1")[1]:
            api(own_daemon, "DELETE", f"/containers/{left['Id']}", expect=204)
        apus("network", "rm", "closed", "elsewhere").ok()


def test_the_address_of_a_link_is_the_whole_containers_until_1_43_and_an_endpoints_from_1_44_on(own_daemon, image):
    whole, endpoint = "02:42:00:00:00:07", "02:42:00:00:00:08"
    wishes = {"NetworkingConfig": {"EndpointsConfig": {"bridge": {"MacAddress": endpoint}}}}

    def made(version, expect=201, **config):
        return api(own_daemon, "POST", f"/v{version}/containers/create", {"Image": image, "Cmd": ["true"], **config}, expect=expect)[1]

    def address(answer):
        return api(own_daemon, "GET", f"/v1.44/containers/{answer['Id']}/json")[1]["NetworkSettings"]["Networks"]["bridge"]["MacAddress"]

    assert made("1.43", MacAddress=whole)["Warnings"] == [] and address(made("1.43", **wishes)) == ""
    answer = made("1.44", **wishes)
    assert answer["Warnings"] == [] and address(answer) == endpoint
    assert made("1.44", MacAddress=whole)["Warnings"] == [
        "The container-wide MacAddress field is now deprecated. It should be specified in EndpointsConfig instead."]
    refused = made("1.44", 400, MacAddress=whole, **wishes)
    assert refused == {"message": "the container-wide MAC address must match the endpoint-specific MAC address for the main network, or be left empty"}


def test_info_names_what_secures_containers_without_more_until_1_24(own_daemon):
    old, new = (api(own_daemon, "GET", f"/v{version}/info", expect=200)[1] for version in ("1.24", "1.25"))
    assert "name=seccomp,profile=builtin" in new["SecurityOptions"]
    assert old["SecurityOptions"] == [option.split(",")[0].removeprefix("name=") for option in new["SecurityOptions"]]
    assert old["ExecutionDriver"] == "<not supported>" and "ExecutionDriver" not in new


def test_what_the_container_of_a_commit_was_made_with_is_told_until_1_44(own_daemon, apus, image):
    id = apus("create", "--name", "origin", "-e", "A=b", image, "echo", "made").line()
    made = apus("commit", "origin").line()
    try:
        old, new = (api(own_daemon, "GET", f"/v{version}/images/{made}/json", expect=200)[1] for version in ("1.44", "1.45"))
        assert old["Container"] == id and "Container" not in new and "ContainerConfig" not in new
        config = old["ContainerConfig"]
        assert (config["Image"], config["Cmd"]) == (image, ["echo", "made"]) and "A=b" in config["Env"]
    finally:
        apus("rmi", made).ok()


def test_the_short_id_is_an_alias_until_1_44(own_daemon, apus, image):
    """From then on `DNSNames` tells by what a container is found."""
    apus("network", "create", "found").ok()
    try:
        id = apus("create", "--network", "found", "--network-alias", "db", image, "true").line()
        apus("network", "connect", "bridge", id).ok()
        for version, aliases in (("1.41", ["db", id[:12]]), ("1.44", ["db", id[:12]]), ("1.45", ["db"])):
            networks = api(own_daemon, "GET", f"/v{version}/containers/{id}/json", expect=200)[1]["NetworkSettings"]["Networks"]
            assert networks["found"]["Aliases"] == aliases and not networks["bridge"]["Aliases"], version
    finally:
        apus("rm", "-f", id).ok()
        apus("network", "rm", "found").ok()


def test_a_platform_is_asked_for_from_1_41_on(own_daemon, image):
    create(own_daemon, "1.40", image, query="platform=linux/s390x")
    assert "does not provide the specified platform" in create(own_daemon, "1.41", image, query="platform=linux/s390x", expect=404)


@pytest.mark.parametrize("version, words", [("1.43", "rw"), ("1.44", "ro")])
def test_a_read_only_bind_covers_what_is_mounted_below_it_from_1_44_on(own_daemon, apus, image, tmp_path, version, words):
    os.system(f"mount -t tmpfs outer {tmp_path} && mkdir {tmp_path}/inner && mount -t tmpfs inner {tmp_path}/inner")
    try:
        for host in ({"Binds": [f"{tmp_path}:/x:ro"]}, bind(str(tmp_path))):
            body = {"Image": image, "Cmd": ["grep", " /x", "/proc/mounts"], "HostConfig": host}
            made = api(own_daemon, "POST", f"/v{version}/containers/create", body, expect=201)[1]["Id"]
            rows = {row.split()[1]: row.split()[3].split(",")[0] for row in apus("start", "-a", made).ok().splitlines()}
            assert rows == {"/x": "ro", "/x/inner": words}, host
    finally:
        os.system(f"umount -R {tmp_path}")
