"""Row B06: containers are confined by AppArmor where the kernel has it, as that of `make cgroup2` has."""
# Rows: attacks

import json
import os
import shutil
import subprocess

import pytest
from conftest import daemon_with_an_image

LOADED = "/sys/kernel/security/apparmor/profiles"
PARSER = shutil.which("apparmor_parser", path="/usr/sbin:/sbin")
MOUNT = ["--cap-add", "SYS_ADMIN"]


def is_loaded():
    with open(LOADED, encoding="utf-8") as file:
        return any(line.startswith("docker-default (") for line in file)


@pytest.fixture
def confining(workspace):
    if not os.path.exists(LOADED) or not PARSER:
        pytest.skip("this kernel has no AppArmor")
    with daemon_with_an_image(workspace, "a") as daemon:
        yield daemon


def label(client, name):
    with open(f"/proc/{client.inspect(name, '{{.State.Pid}}')}/attr/current", encoding="utf-8") as file:
        return file.read().strip("\0\n")


def test_B06_the_default_profile_confines_whoever_names_none(confining):
    client = confining.client
    assert is_loaded() and "name=apparmor" in json.loads(client("info", "--format", "{{json .SecurityOptions}}").ok())
    run = ["run", "-d", "--network", "none"]
    client(*run, "--name", "plain", *MOUNT, confining.image, "sleep", "900").ok()
    assert client.inspect("plain", "{{.AppArmorProfile}}") == "docker-default" and label(client, "plain") == "docker-default (enforce)"
    # Told from inside, by an exec too, which has it as well.
    assert client("exec", "plain", "cat", "/proc/self/attr/current").line() == "docker-default (enforce)"
    # Capability and filter of calls let it mount; the profile does not. Its own files are its own.
    assert client("exec", "plain", "mount", "-t", "tmpfs", "none", "/tmp").err.strip().endswith("Permission denied")
    assert client("exec", "plain", "sh", "-c", "echo 1 > /tmp/f && cat /tmp/f && kill -0 1").line() == "1"
    # Another one on the host may take it away: the next container has it all the same.
    client("stop", "-t", "0", "plain").ok()
    subprocess.run([PARSER, "--remove"], input=b"profile docker-default { }\n", check=True, capture_output=True)
    assert not is_loaded()
    client("start", "plain").ok()
    assert is_loaded() and label(client, "plain") == "docker-default (enforce)"
    for name, flags in (("named", ["--security-opt", "apparmor=unconfined", *MOUNT]), ("privileged", ["--privileged"])):
        client(*run, "--name", name, *flags, confining.image, "sleep", "900").ok()
        assert client.inspect(name, "{{.AppArmorProfile}}") == label(client, name) == "unconfined"
        client("exec", name, "mount", "-t", "tmpfs", "none", "/tmp").ok()
    refused = client(*run, "--security-opt", "apparmor=no-such-profile", confining.image, "true")
    assert refused.code != 0 and "no-such-profile" in refused.err
