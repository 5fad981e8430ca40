"""Devices of the host, by path, by rule and by CDI name; mounts in their long form."""
# Rows: attacks

import json
import os

import pytest

from conftest import CLIENTS, Client, Daemon, end_without_remains, sweep
from engine_http import api
from processes import wait_until


def create(daemon, image, expect=201, config=None, **host):
    status, answer = api(daemon, "POST", "/containers/create", {"Image": image, "Cmd": ["true"], **(config or {}), "HostConfig": host})
    assert status == expect, answer
    return answer


def test_a_device_is_passed_by_path_with_its_rights(cli, image):
    out = cli("run", "--rm", "--device", "/dev/zero:/dev/nought:r", image, "sh", "-c", "head -c 3 /dev/nought | wc -c; ls -l /dev/nought; echo > /dev/nought")
    lines = out.out.splitlines()
    assert lines[0] == "3" and lines[1].startswith("crw") and " 1,   5 " in lines[1]
    # What every container may write by the default rules is the same device.
    cli("create", "--name", "given", "--device", "/dev/zero:/dev/nought:r", image).ok()
    assert json.loads(cli.inspect("given", "{{json .HostConfig.Devices}}")) == [
        {"PathOnHost": "/dev/zero", "PathInContainer": "/dev/nought", "CgroupPermissions": "r"}]


def test_only_a_device_that_was_passed_can_be_opened(cli, image):
    script = "mknod /made b 7 0 && exec 3< /made && echo opened"
    assert "peration not permitted" in cli("run", "--rm", image, "sh", "-c", script).err
    result = cli("run", "--rm", "--device-cgroup-rule", "b 7:* rm", image, "sh", "-c", script)
    # Nobody may have made the loop device; then the kernel says another word.
    assert "peration not permitted" not in result.err


def test_a_directory_of_devices_is_passed_whole(cli, image, tmp_path):
    folder = tmp_path / "several" / "below"
    folder.mkdir(parents=True)
    os.mknod(folder / "nought", 0o600 | 0o020000, os.makedev(1, 5))
    assert cli("run", "--rm", "--device", f"{tmp_path}/several:/dev/some", image, "ls", "-R", "/dev/some").ok().split() == [
        "/dev/some:", "below", "/dev/some/below:", "nought"]


@pytest.mark.parametrize("path, reason", [("/nosuch", "no such file or directory"), ("/etc/passwd", "not a device node")])
def test_what_is_no_device_is_refused_in_dockers_words(cli, image, path, reason):
    result = cli("run", "--rm", "--device", path, image, "true")
    assert result.code in (125, 127)
    assert f'error gathering device information while adding custom device "{path}": {reason}' in result.err


@pytest.mark.parametrize("host, message", [
    ({"DeviceCgroupRules": ["x 1:1 rwm"]}, "invalid device cgroup rule format: 'x 1:1 rwm'"),
    ({"DeviceCgroupRules": ["c 99999999999:1 r"]}, "invalid device cgroup rule format: 'c 99999999999:1 r'"),
    ({"DeviceRequests": [{"Count": -1, "Capabilities": [["gpu"]]}]}, 'could not select device driver "" with capabilities: [[gpu]]'),
    ({"Mounts": [{"Type": "bind", "Target": "/x"}]}, 'invalid mount config for type "bind": field Source must not be empty'),
    ({"Mounts": [{"Type": "bind", "Source": "/tmp"}]}, 'invalid mount config for type "bind": field Target must not be empty'),
    ({"Mounts": [{"Type": "bind", "Source": "/tmp", "Target": "/"}]},
     'invalid mount config for type "bind": invalid specification: destination can\'t be \'/\''),
    ({"Mounts": [{"Type": "bind", "Source": "/nosuch/x", "Target": "/x"}]},
     'invalid mount config for type "bind": bind source path does not exist: /nosuch/x'),
    ({"Mounts": [{"Type": "bind", "Source": "/tmp", "Target": "x"}]},
     'invalid mount config for type "bind": invalid mount path: \'x\' mount path must be absolute'),
    ({"Mounts": [{"Type": "bind", "Source": "/tmp", "Target": "/x", "BindOptions": {"Propagation": "wide"}}]},
     'invalid mount config for type "bind": invalid propagation mode: wide'),
    ({"Mounts": [{"Type": "tmpfs", "Source": "/a", "Target": "/x"}]}, 'invalid mount config for type "tmpfs": field Source must not be specified'),
    ({"Mounts": [{"Type": "tmpfs", "Target": "/x", "BindOptions": {}}]},
     'invalid mount config for type "tmpfs": field BindOptions must not be specified'),
    ({"Mounts": [{"Type": "floppy", "Target": "/x"}]}, 'invalid mount config for type "floppy": mount type unknown'),
    ({"Binds": ["/tmp:/x"], "Mounts": [{"Type": "tmpfs", "Target": "/x"}]}, "Duplicate mount point: /x"),
])
def test_F07_devices_and_mounts_that_make_no_sense_are_refused_in_dockers_words(own_daemon, image, host, message):
    assert create(own_daemon, image, expect=400, **host) == {"message": message}


def test_a_bind_in_the_long_form_is_read_only_all_the_way_down_or_only_at_the_top(cli, image, tmp_path):
    (tmp_path / "note").write_text("there")
    flags = ["--mount", f"type=bind,src={tmp_path},dst=/data,readonly"]
    result = cli("run", "--rm", *flags, image, "sh", "-c", "cat /data/note; touch /data/x")
    assert result.out == "there" and "Read-only file system" in result.err
    cli("create", "--name", "bound", *flags, image).ok()
    point = json.loads(cli.inspect("bound", "{{json .Mounts}}"))[0]
    assert (point["Type"], point["Source"], point["Destination"], point["RW"], point["Propagation"]) == (
        "bind", str(tmp_path), "/data", False, "rprivate")
    assert json.loads(cli.inspect("bound", "{{json .HostConfig.Mounts}}"))[0]["ReadOnly"] is True


def test_mounts_below_a_bind_follow_its_options(own_daemon, apus, image, tmp_path):
    os.system(f"mount -t tmpfs outer {tmp_path} && mkdir {tmp_path}/inner && mount -t tmpfs inner {tmp_path}/inner")
    try:
        for options, words in [({}, "ro"), ({"ReadOnlyNonRecursive": True}, "rw"), ({"NonRecursive": True}, "")]:
            bind = {"Type": "bind", "Source": str(tmp_path), "Target": "/data", "ReadOnly": True, "BindOptions": options}
            answer = create(own_daemon, image, config={"Cmd": ["grep", " /data/inner ", "/proc/mounts"]}, Mounts=[bind])
            found = apus("start", "-a", answer["Id"]).out.split()
            assert found[3].split(",")[0] == words if words else found == [], options
    finally:
        os.system(f"umount -R {tmp_path}")


def test_a_source_is_made_where_the_long_form_says_so(own_daemon, apus, image, tmp_path):
    source = tmp_path / "made" / "here"
    answer = create(own_daemon, image, Mounts=[
        {"Type": "bind", "Source": str(source), "Target": "/x", "BindOptions": {"CreateMountpoint": True}}])
    apus("start", "-a", answer["Id"]).ok()
    assert source.is_dir()


def test_a_tmpfs_in_the_long_form_has_its_size_and_mode(cli, image):
    flags = ["--mount", "type=tmpfs,dst=/scratch,tmpfs-size=1m,tmpfs-mode=0700"]
    out = cli("run", "--rm", *flags, image, "sh", "-c", "df /scratch | tail -n 1; stat -c %a /scratch; grep ' /scratch ' /proc/mounts").ok()
    assert " 1024 " in out and "\n700\n" in out and "noexec" in out
    cli("create", "--name", "lean", *flags, image).ok()
    assert json.loads(cli.inspect("lean", "{{json .Mounts}}"))[0]["Type"] == "tmpfs"


def test_propagation_from_the_host_reaches_the_container_where_asked(cli, image, tmp_path):
    os.system(f"mount -t tmpfs outer {tmp_path} && mount --make-shared {tmp_path} && mkdir {tmp_path}/later")
    try:
        cli("run", "-d", "--name", "told", "--mount", f"type=bind,src={tmp_path},dst=/data,bind-propagation=rslave", image, "sleep", "60").ok()
        os.system(f"mount -t tmpfs inner {tmp_path}/later && touch {tmp_path}/later/seen")
        assert cli("exec", "told", "ls", "/data/later").ok() == "seen\n"
        cli("rm", "-f", "told").ok()
    finally:
        os.system(f"umount -R {tmp_path}")


@pytest.mark.parametrize("mode, wanted", [("shared", "a shared mount"), ("rshared", "a shared mount"), ("slave", "a shared or slave mount"),
                                          ("rslave", "a shared or slave mount")])
def test_propagation_from_a_private_mount_of_the_host_is_refused_in_dockers_words(cli, image, tmp_path, mode, wanted):
    os.system(f"mount -t tmpfs outer {tmp_path} && mount --make-private {tmp_path} && mkdir {tmp_path}/below")
    try:
        result = cli("run", "--rm", "-v", f"{tmp_path}/below:/data:{mode}", image, "true")
        assert result.code == 125 and f"path {tmp_path}/below is mounted on {tmp_path} but it is not {wanted}" in result.err
        cli("run", "--rm", "-v", f"{tmp_path}/below:/data:rprivate", image, "true").ok()
    finally:
        os.system(f"umount -R {tmp_path}")


def test_a_bind_that_holds_the_daemons_root_follows_its_mounts(cli, image, own_daemon):
    """As with Docker: unless somebody asks for something else, which may keep the daemon's mounts busy, and is refused."""
    words = lambda name: [(mount["Destination"], mount["Propagation"]) for mount in json.loads(cli.inspect(name, "{{json .Mounts}}"))]
    for source in ("/", own_daemon.folder, own_daemon.data, f"{own_daemon.data}/containers"):
        cli("run", "-d", "--name", "holds", "-v", f"{source}:/held:ro", image, "sleep", "600").ok()
        assert words("holds") == [("/held", "rslave")], source
        cli("rm", "-f", "holds").ok()
        cli("create", "--name", "long", "--mount", f"type=bind,src={source},dst=/held", image).ok()
        assert words("long") == [("/held", "rslave")], source
        cli("rm", "long").ok()
    for mode in ("private", "rprivate", "slave", "shared"):
        refused = cli("create", "-v", f"{own_daemon.data}:/held:{mode}", image)
        assert refused.code == 1 and 'must use either propagation mode "rslave" or "rshared" when mount source is within the daemon root' in refused.err
        assert f'daemon root: "{own_daemon.data}", bind mount source: "{own_daemon.data}", propagation: "{mode}"' in refused.err
    # A name that only begins like it is another place.
    os.makedirs(f"{own_daemon.data}-beside", exist_ok=True)
    cli("create", "--name", "beside", "-v", f"{own_daemon.data}-beside:/held", image).ok()
    assert words("beside") == [("/held", "rprivate")]
    os.rmdir(f"{own_daemon.data}-beside")


def test_what_the_daemon_unmounts_goes_from_a_container_that_holds_its_root(workspace, registry):
    """`/proc/PID/mountinfo` of the holder: what another container's root is mounted on comes and goes there with it."""
    outer = os.path.join(workspace, "shared")
    os.makedirs(outer)
    os.system(f"mount -t tmpfs outer {outer} && mount --make-shared {outer}")
    daemon = Daemon(os.path.join(outer, "d"))
    os.makedirs(daemon.folder)
    try:
        daemon.start()
        client = Client("apus", CLIENTS["apus"], daemon.host, workspace)
        client("pull", image := f"{registry.host}/busybox").ok()
        client("run", "-d", "--name", "holds", "-v", f"{outer}:/held", image, "sleep", "600").ok()
        held = lambda name: cat_mounts(client, "holds").count(client.inspect(name, "{{.Id}}"))
        client("run", "-d", "--name", "other", image, "sleep", "600").ok()
        assert held("other") > 0
        client("kill", "other").ok()
        wait_until(lambda: held("other") == 0, "its mounts are gone there, too")
        client("rm", "-f", "holds", "other").ok()
        sweep(daemon)
        end_without_remains(daemon)
    finally:
        if daemon.process and daemon.process.poll() is None:
            daemon.kill()
        os.system(f"umount -R -l {outer}")
        os.rmdir(outer)


def cat_mounts(client, name):
    with open(f"/proc/{client.inspect(name, '{{.State.Pid}}')}/mountinfo", encoding="utf-8") as file:
        return file.read()


def test_a_file_bound_onto_a_directory_is_refused_in_dockers_words(cli, image, tmp_path):
    (tmp_path / "file").write_text("x")
    for source, target in ((tmp_path / "file", "/etc"), (tmp_path, "/etc/passwd")):
        refused = cli("run", "--rm", "-v", f"{source}:{target}", image, "true")
        assert refused.code in (125, 127), refused
        assert ("not a directory: unknown: Are you trying to mount a directory onto a file (or vice-versa)? Check if the specified host path "
                "exists and is the expected type") in refused.err, refused


# CDI


CDI = {
    "cdiVersion": "0.6.0", "kind": "example.org/thing", "containerEdits": {"env": ["THING_KIND=every"]},
    "devices": [
        {"name": "one", "containerEdits": {
            "env": ["THING=one"], "deviceNodes": [{"path": "/dev/thing", "hostPath": "/dev/zero", "permissions": "r"}],
            "mounts": [{"hostPath": "/etc/hostname", "containerPath": "/thing/name", "options": ["ro", "bind"]}],
            "additionalGids": [4242]}},
        {"name": "two", "containerEdits": {"deviceNodes": [{"path": "/dev/other", "type": "c", "major": 1, "minor": 3}]}},
    ],
}


@pytest.fixture
def cdi(own_daemon):
    path = f"{own_daemon.folder}/cdi/thing.json"
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        json.dump(CDI, file)
    yield path
    os.remove(path)


def test_a_device_is_asked_for_by_its_cdi_name(cli, image, cdi):
    if cli.name.startswith("docker-20"):
        pytest.skip("this command line knows no CDI")
    script = "echo $THING $THING_KIND; ls -l /dev/thing /dev/other; id -G; test -s /thing/name && echo named"
    lines = cli("run", "--rm", "--device", "example.org/thing=one", "--device", "example.org/thing=two", image, "sh", "-c", script).ok().splitlines()
    assert lines[0] == "one every" and lines[1].endswith("/dev/thing") or lines[2].endswith("/dev/thing")
    assert "4242" in lines[3].split() and lines[4] == "named"


def test_a_cdi_device_that_no_document_has_is_refused_in_dockers_words(own_daemon, apus, image, cdi):
    result = apus("run", "--rm", "--device", "example.org/thing=three", image, "true")
    assert result.code == 125
    assert "CDI device injection failed: unresolvable CDI devices example.org/thing=three" in result.err
    with open(cdi, "w", encoding="utf-8") as file:
        file.write('{"cdiVersion": 5')
    assert "thing.json" in apus("run", "--rm", "--device", "example.org/thing=one", image, "true").err


# As nvidia-ctk writes it, and device plugins by the same library.
CDI_IN_YAML = """---
cdiVersion: 0.5.0
kind: example.org/other
devices:
- name: "0"
  containerEdits:
    deviceNodes:
    - path: /dev/other0
      hostPath: /dev/null
      fileMode: 0666
- name: all
  containerEdits: {env: [OTHER=all]}
containerEdits:
  env:
  - OTHER_KIND=void
  mounts:
  - containerPath: /other/name
    hostPath: /etc/hostname
    options:
    - ro
    - nosuid
    - bind
"""


@pytest.fixture
def cdi_in_yaml(own_daemon):
    path = f"{own_daemon.folder}/cdi/other.yaml"
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write(CDI_IN_YAML)
    yield path
    os.remove(path)


def test_a_cdi_document_in_yaml_is_read(cli, image, cdi, cdi_in_yaml):
    if cli.name.startswith("docker-20"):
        pytest.skip("this command line knows no CDI")
    script = "echo $THING $OTHER $OTHER_KIND; ls -l /dev/other0; test -s /other/name && echo named"
    devices = ("example.org/thing=one", "example.org/other=0", "example.org/other=all")
    lines = cli("run", "--rm", *(word for name in devices for word in ("--device", name)), image, "sh", "-c", script).ok().splitlines()
    assert lines[0] == "one all void" and lines[1].startswith("crw-rw-rw-") and lines[2] == "named"


def test_what_is_not_read_of_a_cdi_document_in_yaml_is_told_with_its_line(own_daemon, apus, image, cdi, cdi_in_yaml):
    """Devices of other documents are had all the same."""
    with open(cdi_in_yaml, "w", encoding="utf-8") as file:
        file.write(CDI_IN_YAML.replace("kind: ", "kind: &kind "))
    result = apus("run", "--rm", "--device", "example.org/other=all", image, "true")
    assert result.code == 125 and "unresolvable CDI devices example.org/other=all" in result.err, result
    assert f"{cdi_in_yaml}: line 3: an anchor (&) is not read" in result.err, result
    assert apus("run", "--rm", "--device", "example.org/thing=one", image, "sh", "-c", "echo $THING").line() == "one"


def test_info_tells_of_the_devices_found(own_daemon, cdi):
    _, info = api(own_daemon, "GET", "/v1.50/info")
    assert info["CDISpecDirs"] == [os.path.dirname(cdi)]
    assert info["DiscoveredDevices"] == [{"Source": "cdi", "ID": "example.org/thing=one"}, {"Source": "cdi", "ID": "example.org/thing=two"}]
