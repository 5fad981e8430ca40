"""config.md and config-linux.md: what the specification demands of the configuration's members, where no other test shows it."""

import os
import subprocess

import pytest
from claims import MUSTS, spec


def run(runtime, bundle, container, args, **changes):
    bundle.write(args, **changes)
    return runtime("run", "-b", bundle.path, container)


def tmpfs(destination, *options):
    return {"destination": destination, "type": "tmpfs", "source": "tmpfs", "options": list(options)}


@spec("config.md#configMounts", "MUST mount entries in the listed order")
def test_mounts_are_made_in_their_order(runtime, bundle, container, tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "inside").mkdir()
        (tmp_path / name / "file").write_text(name)
    bind = [{"destination": place, "type": "none", "source": str(tmp_path / source), "options": ["bind"]}
            for place, source in (("/mnt", "one"), ("/mnt", "two"), ("/mnt/inside", "one"))]
    bundle.config["mounts"] += bind
    assert run(runtime, bundle, container, "cat /mnt/file /mnt/inside/file").ok().out == "twoone"


@spec("config.md#configMounts", 'it MUST be interpreted as relative to "/"')
def test_a_relative_destination_begins_at_the_root(runtime, bundle, container):
    bundle.config["mounts"].append(tmpfs("mnt/relative", "size=64k"))
    assert " /mnt/relative " in run(runtime, bundle, container, ["cat", "/proc/self/mountinfo"], process={"cwd": "/tmp"}).ok().out


@spec("config.md#configLinuxMountOptions", "Runtimes MUST/SHOULD/MAY implement the following option strings")
@pytest.mark.parametrize("option", [
    pytest.param(word, id=word, marks=spec("config.md#configLinuxMountOptions", f"option `{word}`: MUST"))
    for word in (must["sentence"].split("`")[1] for must in MUSTS if must["sentence"].endswith("`: MUST"))])
def test_each_option_of_mount_that_must_be_known_is(runtime, bundle, container, option):
    """That it is taken, and the mount made, and what the mount table shows of it."""
    shows = {"ro", "noatime", "nodev", "nodiratime", "noexec", "nosuid", "sync", "dirsync", "lazytime", "relatime"}
    if option in ("bind", "rbind"):
        source = os.path.join(bundle.path, "source")
        os.mkdir(source)
        bundle.config["mounts"].append({"destination": "/mnt", "type": "none", "source": source, "options": [option]})
    elif option == "remount":
        bundle.config["mounts"] += [tmpfs("/mnt", "nosuid"), tmpfs("/mnt", "remount", "noexec")]
    else:
        bundle.config["mounts"].append(tmpfs("/mnt", option))
    lines = run(runtime, bundle, container, ["cat", "/proc/self/mountinfo"]).ok().lines
    found = [line for line in lines if line.split()[4] == "/mnt"]
    assert len(found) == 1
    fields, optional = found[0].split(" - ")[0].split(), found[0].split(" - ")[0].split()[6:]
    options = set(fields[5].split(",")) | set(found[0].split(" - ")[1].split()[2].split(","))
    if option == "remount":
        assert {"nosuid", "noexec"} <= options
    elif option in shows:
        assert option in options
    elif option in ("shared", "rshared"):
        assert any(field.startswith("shared:") for field in optional)
    elif option in ("unbindable", "runbindable"):
        assert "unbindable" in optional


@spec("config.md#configProcess", "MUST ignore `consoleSize` if `terminal` is `false`")
def test_the_size_of_a_terminal_that_there_is_not_is_ignored(runtime, bundle, container):
    size = {"height": 11, "width": 77}
    assert run(runtime, bundle, container, "test -t 0 || echo none", process={"consoleSize": size}).ok().out == "none\n"


@spec("config.md#configLinuxProcess", "MUST be logged as a warning by the runtime")
def test_a_capability_that_no_kernel_has_is_a_warning(runtime, bundle, container):
    result = run(runtime, bundle, container, ["true"], process={"capabilities": {"bounding": ["CAP_NONSENSE"]}}).ok()
    assert "CAP_NONSENSE" in result.err


@spec("config.md#configLinuxProcess", "If `oomScoreAdj` is not set")
def test_without_an_oom_score_the_callers_stays(runtime, bundle, container):
    bundle.write(["cat", "/proc/self/oom_score_adj"])
    with runtime.below("sh", "-c", 'echo 217 > /proc/self/oom_score_adj; exec "$@"', "sh"):
        assert runtime("run", "-b", bundle.path, container).ok().out == "217\n"


@spec("config-linux.md#configLinuxNetworkDevices", 'MUST set the network device state to "up"')
def test_a_device_that_was_down_is_brought_up(runtime, bundle, container):
    bundle.write("ip addr show dev apus0", linux={"netDevices": {"apus0": {}}})
    command = runtime.command("run", "-b", bundle.path, container)
    make = 'ip link add apus0 type veth peer name apus1 && ip addr add 10.7.7.1/24 dev apus0 && exec "$@"'
    done = subprocess.run(["unshare", "-n", "sh", "-c", make, "sh", *command], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=60, check=True)
    assert "UP" in done.stdout.split("<")[1].split(">")[0].split(",") and "10.7.7.1/24" in done.stdout


@spec("config-linux.md#configLinuxNetworkDevices", "In that case, the runtime MUST allow the move")
def test_a_template_lets_the_kernel_choose_the_name_of_a_device(runtime, bundle, container):
    bundle.write("ip link show dev eth0 && ip link show dev eth1", linux={"netDevices": {"apus0": {"name": "eth%d"}, "apus1": {"name": "eth%d"}}})
    command = runtime.command("run", "-b", bundle.path, container)
    make = 'ip link add apus0 type veth peer name apus1 && exec "$@"'
    done = subprocess.run(["unshare", "-n", "sh", "-c", make, "sh", *command], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


@spec("config-linux.md#configLinuxCgroupsPath", "MUST consistently attach to the same place", "MUST be either an absolute path or a relative path")
@pytest.mark.parametrize("path", ["/{}-at", "{}-at"])
def test_the_same_cgroups_path_is_the_same_place(runtime, bundle, container, path):
    found = set()
    for number in range(2):
        # The container's own cgroup namespace would hide where it is.
        result = run(runtime, bundle, f"{container}-{number}", ["cat", "/proc/self/cgroup"], linux={"cgroupsPath": path.format(container)}).ok()
        found.add(tuple(line for line in result.lines if line.split(":", 2)[1] not in ("", "name=systemd")) or tuple(result.lines))
    assert len(found) == 1 and f"{container}-at" in str(found)


@spec("config-linux.md#configLinuxDeviceAllowedlist", "MUST apply entries in the listed order")
@pytest.mark.parametrize("allowed", [True, False])
def test_rules_of_devices_apply_in_their_order(runtime, bundle, container, allowed):
    """The last rule about a device is the one that counts."""
    rule = {"type": "c", "major": 10, "minor": 200, "access": "rwm"}
    node = {"path": "/dev/net/tun", "type": "c", "major": 10, "minor": 200, "fileMode": 0o666, "uid": 0, "gid": 0}
    rules = [{"allow": False, "access": "rwm"}, {"allow": not allowed, **rule}, {"allow": allowed, **rule}]
    bundle.write("exec 3<>/dev/net/tun && echo opened", linux={"devices": [node], "resources": {"devices": rules}})
    result = runtime("run", "-b", bundle.path, container)
    assert (result.out == "opened\n") == allowed, result.err
