"""The runtime of an ordinary user: no capability, no cgroup of their own, and only the ids that they may map."""

import os
import shutil

import pytest
from ordinary import FIRST_SUBID, USER, hand_over
from test_cgroups import V1

pytestmark = pytest.mark.ours


@pytest.fixture
def single(rootless, bundle):
    """A bundle as `spec --rootless` describes it: the user alone is mapped."""
    return hand_over(rootless, bundle, USER)


@pytest.fixture
def several(single):
    """The user is root inside; 65,536 ids more are mapped by newuidmap and newgidmap."""
    for kind in ("uidMappings", "gidMappings"):
        single.config["linux"][kind] = [{"containerID": 0, "hostID": USER, "size": 1},
                                        {"containerID": 1, "hostID": FIRST_SUBID, "size": 65536}]
    return single


def test_an_ordinary_user_runs_a_container(rootless, single, container):
    single.write("id -u; cat /proc/self/uid_map; touch /made; exit 3")
    result = rootless("run", "-b", single.path, container)
    assert result.code == 3, result.err
    assert [line.split() for line in result.lines] == [["0"], ["0", str(USER), "1"]]
    assert "has no cgroup of its own" in result.message and "level=warning" in result.err
    assert os.stat(os.path.join(single.rootfs, "made")).st_uid == USER
    assert rootless("list", "-q").ok().out == ""


@pytest.mark.parametrize("mapping", ["single", "several"])
def test_the_whole_life_of_an_ordinary_users_container(rootless, single, request, container, mapping):
    bundle = request.getfixturevalue(mapping)
    bundle.write("sleep 600", process={"oomScoreAdj": 300})
    rootless.detached("create", "-b", bundle.path, container).ok()
    assert rootless.status(container) == "created"
    rootless("start", container).ok()
    inside = rootless("exec", container, "sh", "-c", "id -u; readlink /proc/self/ns/user; readlink /proc/1/ns/user; ps; "
                                                     "cat /proc/self/oom_score_adj").ok().lines
    assert inside[0] == "0" and inside[1] == inside[2] and inside[-1] == "300"
    assert any("sleep 600" in line for line in inside)
    state = rootless.state(container)
    with open(f"/proc/{state['pid']}/uid_map", encoding="utf-8") as file:
        assert len(file.readlines()) == (1 if mapping == "single" else 2)
    rootless("delete", container).fails("running")
    rootless("kill", container, "KILL").ok()
    rootless.wait_for(container, "stopped")
    rootless("delete", container).ok()
    assert rootless("list", "-q").ok().out == ""


@pytest.mark.parametrize("mapping", ["single", "several"])
def test_an_ordinary_user_execs_into_a_created_container(rootless, single, request, container, mapping):
    bundle = request.getfixturevalue(mapping)
    bundle.config["linux"]["namespaces"].append({"type": "cgroup"})
    bundle.write("sleep 600")
    rootless.detached("create", "-b", bundle.path, container).ok()
    init = rootless.state(container)["pid"]
    names = ["cgroup", "ipc", "mnt", "net", "pid", "user", "uts"]
    script = "; ".join(f"readlink /proc/self/ns/{name}" for name in names)
    for _ in range(2):
        inside = rootless("exec", container, "sh", "-c", f"{script}; id -u; hostname").ok().lines
        assert inside == [os.readlink(f"/proc/{init}/ns/{name}") for name in names] + ["0", "apus"]
        assert rootless.status(container) == "created"
    rootless("start", container).ok()
    assert rootless("exec", container, "readlink", "/proc/self/ns/pid").ok().lines == [os.readlink(f"/proc/{init}/ns/pid")]
    rootless("delete", "-f", container).ok()


def test_ids_beyond_ones_own_are_those_of_the_database(rootless, several, container):
    several.write("id -u; id -G; touch /tmp/made", process={"user": {"uid": 1000, "gid": 1000, "additionalGids": [5]}})
    os.chmod(os.path.join(several.rootfs, "tmp"), 0o1777)
    assert rootless("run", "-b", several.path, container).ok().lines == ["1000", "1000 5"]
    assert os.stat(os.path.join(several.rootfs, "tmp/made")).st_uid == FIRST_SUBID + 999


@pytest.mark.parametrize("changes, field", [
    ({"process": {"user": {"uid": 7, "gid": 0}}}, "process.user.uid"), ({"process": {"user": {"uid": 0, "gid": 7}}}, "process.user.gid"),
    ({"process": {"user": {"uid": 0, "gid": 0, "additionalGids": [9]}}}, "process.user.additionalGids[0]"),
    ({"linux": {"uidMappings": [{"containerID": 1, "hostID": USER, "size": 1}]}}, "process.user.uid"),
])
def test_ids_without_a_meaning_are_refused_by_their_field(rootless, single, container, changes, field):
    single.write(["true"], **changes)
    result = rootless("run", "-b", single.path, container).fails(field)
    assert len(result.err.strip().splitlines()) == 1, result.err
    assert rootless("list", "-q").ok().out == ""


def test_foreign_ids_are_refused_by_newuidmap(rootless, several, container):
    several.config["linux"]["uidMappings"][1].update(hostID=1, size=1000)
    several.write(["true"])
    rootless("run", "-b", several.path, container).fails("newuidmap", "exit status 1")
    assert rootless("list", "-q").ok().out == ""


def test_without_newuidmap_its_package_is_named(rootless, several, container):
    several.write(["true"])
    environment = {"PATH": "/nowhere"}
    before, rootless.prefix = rootless.prefix, [shutil.which("unshare"), "-m", "/bin/sh", "-ec", rootless.prefix[4].replace(
        "exec setpriv", "export PATH=/nowhere; exec /usr/bin/setpriv").replace("mount", "/usr/bin/mount"), "sh"]
    try:
        rootless("run", "-b", several.path, container, env=environment).fails("linux.uidMappings", "Debian: uidmap")
    finally:
        rootless.prefix = before


def test_limits_without_a_right_to_cgroups_are_refused(rootless, single, container):
    single.write(["true"], linux={"resources": {"pids": {"limit": 10}}})
    result = rootless("run", "-b", single.path, container).fails("cgroup", "EACCES")
    assert len(result.err.strip().splitlines()) == 1, result.err
    assert rootless("list", "-q").ok().out == ""
    single.config["linux"]["resources"] = {"devices": [{"allow": False, "access": "rwm"}]}
    single.write(["true"])
    rootless("run", "-b", single.path, container).ok()


def test_rootless_false_wants_a_cgroup(rootless, single, container):
    single.write(["true"])
    for word in ("false", "0", "f", "FALSE"):
        rootless("run", "-b", single.path, container, options=["--rootless", word]).fails("create cgroup", "EACCES")
    for word in ("true", "1", "t", "TRUE"):
        rootless("run", "-b", single.path, container, options=[f"--rootless={word}"]).ok()
    rootless("run", "-b", single.path, container, options=["--rootless", "perhaps"]).fails("invalid --rootless")


def test_what_needs_a_cgroup_says_that_there_is_none(rootless, single, container):
    single.write("sleep 600")
    rootless.detached("run", "-d", "-b", single.path, container).ok()
    for words, text in [(("ps", container), "it has no cgroup"), (("kill", "--all", container, "KILL"), "it has no cgroup"),
                        (("pause", container), "the container has no cgroup of its own"), (("update", "--pids-limit", "5", container), "pids")]:
        rootless(*words).fails(text)
    assert rootless.status(container) == "running"
    rootless("delete", "-f", container).ok()


def test_root_of_a_user_namespace_is_rootless_too(rootless, single, container):
    """As in a container of the user's: root by number, with no right over the host's cgroups."""
    for kind in ("uidMappings", "gidMappings"):
        single.config["linux"][kind] = [{"containerID": 0, "hostID": 0, "size": 1}]
    single.write("id -u")
    with rootless.below("unshare", "--map-root-user", "--mount", "--pid", "--fork", "--mount-proc"):
        result = rootless("run", "-b", single.path, container)
        assert result.ok().lines == ["0"]
        assert "has no cgroup of its own" in result.message


@pytest.fixture
def delegated(rootless, container):
    """A cgroup that belongs to the user, who is in one below it: its path below the hierarchy's."""
    name = f"{container}-delegated"
    top = os.path.join("/sys/fs/cgroup", name)
    own = os.path.join(top, "own")
    os.makedirs(own)
    with open(os.path.join(top, "cgroup.subtree_control"), "w", encoding="utf-8") as file:
        file.write("+memory +pids")
    for place in (top, own):
        for path in (place, *(os.path.join(place, file) for file in ("cgroup.procs", "cgroup.subtree_control", "cgroup.threads"))):
            os.chown(path, USER, USER)
    before, words = rootless.prefix, list(rootless.prefix)
    words[4] = f"echo $$ > {own}/cgroup.procs; {words[4]}"
    rootless.prefix = words
    yield name
    rootless.prefix = before
    os.rmdir(own)
    os.rmdir(top)


@pytest.mark.skipif(V1, reason="cgroup v1 is not handed over")
def test_limits_of_an_ordinary_user_hold_in_a_cgroup_that_is_handed_over(rootless, single, container, delegated):
    """No manager is asked: the user's own files are written. - Source: the kernel's cgroup-v2.rst, "Delegation"."""
    path = f"/sys/fs/cgroup/{delegated}/{container}"

    def value(name):
        with open(f"{path}/{name}", encoding="utf-8") as file:
            return file.read().strip()

    single.write("sleep 600", linux={"cgroupsPath": f"/{delegated}/{container}", "resources": {"memory": {"limit": 64 << 20}, "pids": {"limit": 20}}})
    result = rootless.detached("run", "-d", "-b", single.path, container).ok()
    assert "no cgroup" not in result.message
    assert (value("memory.max"), value("pids.max")) == (str(64 << 20), "20")
    rootless("exec", container, "sh", "-c", "echo in").ok()
    rootless("update", "--pids-limit", "30", container).ok()
    assert value("pids.max") == "30"
    rootless("pause", container).ok()
    assert (rootless.status(container), value("cgroup.freeze")) == ("paused", "1")
    rootless("resume", container).ok()
    assert len(rootless("ps", "-f", "json", container).ok().out.strip("[]\n").split(",")) == 1
    rootless("delete", "-f", container).ok()
    assert not os.path.exists(path)


def test_without_a_user_namespace_what_is_missing_is_said(rootless, single, container):
    single.without_namespace("user")
    del single.config["linux"]["uidMappings"], single.config["linux"]["gidMappings"]
    single.write(["true"])
    rootless("run", "-b", single.path, container).fails("linux.namespaces: an ordinary user's container needs a user namespace")
