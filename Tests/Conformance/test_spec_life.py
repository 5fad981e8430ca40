"""runtime.md and bundle.md: what the specification demands of a container's life, sentence by sentence, where no other test shows it."""

import glob
import json
import os
import subprocess
import time

import pytest
import schemas
from claims import fixture, spec
from conftest import merge
from processes import wait_until

HOST_PATH = os.environ["PATH"]


def validate(document, schema):
    schemas.validate(document, "runtime-spec", schema)


@spec("bundle.md#containerFormat", "MUST be named `config.json`")
def test_a_bundle_without_its_document_makes_no_container(runtime, bundle, container):
    bundle.write(["true"])
    os.rename(os.path.join(bundle.path, "config.json"), os.path.join(bundle.path, "Config.json"))
    runtime.detached("create", "-b", bundle.path, container).fails()
    runtime("state", container).fails()


@spec("runtime.md#runtimeState", "the format MUST adhere to the JSON Schema")
def test_the_state_is_valid_by_its_schema_at_every_status(runtime, bundle, container):
    bundle.write("sleep 600", annotations={"com.example.key": "value"})
    runtime.detached("create", "-b", bundle.path, container).ok()
    validate(runtime.state(container), "state-schema.json")
    runtime("start", container).ok()
    runtime.wait_for(container, "running")
    validate(runtime.state(container), "state-schema.json")
    runtime("kill", container, "KILL").ok()
    runtime.wait_for(container, "stopped")
    validate(runtime.state(container), "state-schema.json")


@spec("runtime.md#runtimeLifecycle", "The container's runtime environment MUST be created according to the configuration")
@spec("runtime.md#runtimeCreate", "except for `process` MUST be applied")
def test_create_applies_everything_but_the_process(runtime, bundle, container):
    bundle.config["mounts"].append({"destination": "/mnt/tmp", "type": "tmpfs", "source": "tmpfs", "options": ["size=64k"]})
    bundle.write("sleep 600", hostname="from-create", linux={"resources": {"pids": {"limit": 37}}, "sysctl": {"net.ipv4.ip_forward": "1"}})
    runtime.detached("create", "-b", bundle.path, container).ok()
    pid = runtime.state(container)["pid"]
    with open(f"/proc/{pid}/mountinfo", encoding="utf-8") as file:
        points = [line.split()[4] for line in file]
    assert "/mnt/tmp" in points and "/proc" in points
    inside = ["nsenter", "-t", str(pid), "-u", "-n", "cat", "/proc/sys/kernel/hostname", "/proc/sys/net/ipv4/ip_forward"]
    assert subprocess.run(inside, capture_output=True, text=True, check=True).stdout.split()[0] == "from-create"
    with open(f"/proc/{pid}/cgroup", encoding="utf-8") as file:
        lines = [line.rstrip("\n").split(":", 2) for line in file]
    paths = [f"/sys/fs/cgroup/pids{path}" if names == "pids" else f"/sys/fs/cgroup{path}" for _, names, path in lines if names in ("pids", "")]
    limits = [open(f"{path}/pids.max", encoding="utf-8").read().strip() for path in paths if os.path.exists(f"{path}/pids.max")]
    assert "37" in limits


@spec("runtime.md#runtimeLifecycle", "If any `poststart` hook fails")
def test_a_failing_poststart_hook_stops_the_container_and_goes_on_with_its_deletion(runtime, bundle, container):
    log = os.path.join(bundle.path, "log")
    poststop = {"path": "/bin/sh", "args": ["sh", "-c", f"echo poststop > {log}"], "env": [f"PATH={HOST_PATH}"]}
    bundle.write("sleep 600", ociVersion="1.3.0" if runtime.kind == "apus" else "1.0.2",
                 hooks={"poststart": [{"path": "/bin/false"}], "poststop": [poststop]})
    runtime.detached("create", "-b", bundle.path, container).ok()
    runtime("start", container).fails()
    runtime("state", container).fails()
    assert os.path.exists(log)


@spec("runtime.md#runtimeLifecycle", "If any `poststop` hook fails")
@spec("runtime.md#runtimeWarnings", "MUST continue as if the warning had not been logged")
def test_a_failing_poststop_hook_is_warned_of_and_the_next_one_runs(runtime, bundle, container):
    log = os.path.join(bundle.path, "log")
    second = {"path": "/bin/sh", "args": ["sh", "-c", f"echo second > {log}"], "env": [f"PATH={HOST_PATH}"]}
    bundle.write(["true"], hooks={"poststop": [{"path": "/bin/false"}, second]})
    runtime.detached("create", "-b", bundle.path, container).ok()
    runtime("start", container).ok()
    runtime.wait_for(container, "stopped")
    result = runtime("delete", container).ok()
    assert result.err.strip(), "no warning"
    assert os.path.exists(log)
    runtime("state", container).fails()


@spec("runtime.md#runtimeQueryState", "if it is not provided the ID of a container")
@spec("runtime.md#runtimeStart", "if it is not provided the container ID")
@spec("runtime.md#runtimeKill", "if it is not provided the container ID")
@spec("runtime.md#runtimeDelete", "if it is not provided the container ID")
@pytest.mark.parametrize("verb", ["state", "start", "kill", "delete"])
def test_an_operation_without_an_id_is_an_error(runtime, running, verb):
    runtime(verb).fails()
    runtime(verb, "").fails()
    assert runtime.status(running) == "running"


@spec("runtime.md#runtimeCreate", "if it is not provided a path to the bundle and the container ID")
def test_create_without_an_id_or_a_bundle_is_an_error(runtime, bundle, container, tmp_path):
    bundle.write(["true"])
    runtime.detached("create", "-b", bundle.path).fails()
    runtime.detached("create", "-b", str(tmp_path / "nowhere"), container).fails()
    runtime("state", container).fails()


@spec("runtime.md#runtimeDelete", "Attempting to `delete` a container that is not `stopped`")
def test_a_container_that_was_not_started_is_not_deleted(runtime, bundle, container):
    bundle.write("sleep 600")
    runtime.detached("create", "-b", bundle.path, container).ok()
    runtime("delete", container).fails()
    assert runtime.status(container) == "created"


@spec("runtime.md#runtimeDelete", "but not created by this container, MUST NOT be deleted")
@spec("config-linux.md#configLinuxNetworkDevices", "MUST NOT attempt to move the interface out of the namespace")
def test_what_the_container_did_not_make_outlives_it(runtime, bundle, container):
    owner = subprocess.Popen(["unshare", "-n", "sleep", "600"])
    parents = [f"/sys/fs/cgroup/{name}/{container}-parent" for name in ("pids", "memory") if os.path.isdir(f"/sys/fs/cgroup/{name}")]
    parents = parents or [f"/sys/fs/cgroup/{container}-parent"]
    try:
        path = f"/proc/{owner.pid}/ns/net"
        wait_until(lambda: os.readlink(path) != os.readlink("/proc/self/ns/net"), "the namespace")
        subprocess.run(["nsenter", f"--net={path}", "ip", "link", "add", "apus0", "type", "veth", "peer", "name", "apus1"], check=True)
        volume = os.path.join(bundle.path, "volume")
        os.mkdir(volume)
        for parent in parents:
            os.mkdir(parent)
        bundle.config["mounts"].append({"destination": "/volume", "type": "none", "source": volume, "options": ["bind"]})
        bundle.join("network", path).write("echo x > /volume/file", linux={"cgroupsPath": f"/{container}-parent/{container}"})
        runtime("run", "-b", bundle.path, container).ok()
        assert os.path.exists(os.path.join(volume, "file"))
        links = subprocess.run(["nsenter", f"--net={path}", "ip", "link"], capture_output=True, text=True, check=True).stdout
        assert "apus0" in links
        assert all(os.path.isdir(parent) for parent in parents)
    finally:
        owner.kill()
        owner.wait()
        # A peer leaves the parents that it made in other hierarchies.
        for parent in [*parents, *glob.glob(f"/sys/fs/cgroup/*/{container}-parent")]:
            if os.path.isdir(parent):
                os.rmdir(parent)


# Hooks: where they run and where their paths lead.

def script(path, log, words="true"):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write(f'#!/bin/sh\necho "$1 $({words})" >> {log}\n')
    os.chmod(path, 0o755)


@spec("config.md#configHooks", "The value of `path` MUST resolve in the runtime namespace.", "The value of `path` MUST resolve in the container namespace.",
      "The `prestart` hooks MUST be executed", "The `createRuntime` hooks MUST be executed", "The `createContainer` hooks MUST be executed",
      "The `startContainer` hooks MUST be executed", "The `poststart` hooks MUST be executed", "The `poststop` hooks MUST be executed")
@spec("config.md#configHooksPrestart", "hooks' path MUST resolve", "MUST be executed in the runtime namespace")
@spec("config.md#configHooksCreateRuntime", "hooks' path MUST resolve", "MUST be executed in the runtime namespace")
@spec("config.md#configHooksCreateContainer", "hooks' path MUST resolve", "MUST be executed in the container namespace")
@spec("config.md#configHooksStartContainer", "hooks' path MUST resolve", "MUST be executed in the container namespace")
@spec("config.md#configHooksPoststart", "hooks' path MUST resolve", "MUST be executed in the runtime namespace")
@spec("config.md#configHooksPoststop", "hooks' path MUST resolve", "MUST be executed in the runtime namespace")
def test_each_hook_is_found_and_run_where_it_belongs(runtime, bundle, container):
    """Each script lies in one of the two worlds alone, and says which uts namespace it is in."""
    where, outside, inside = "readlink /proc/self/ns/uts", os.path.join(bundle.path, "hooks", "outside"), "/hooks/inside"
    log = os.path.join(bundle.path, "hooks", "log")
    script(outside, log, where)
    script(os.path.join(bundle.rootfs, inside[1:]), "/hooks/log", where)
    env = [f"PATH={HOST_PATH}"]
    kinds = ("prestart", "createRuntime", "createContainer", "poststart", "poststop")
    hooks = {kind: [{"path": outside, "args": ["hook", kind], "env": env}] for kind in kinds}
    hooks["startContainer"] = [{"path": inside, "args": ["hook", "startContainer"], "env": ["PATH=/bin"]}]
    bundle.write("sleep 600", hooks=hooks)
    runtime.detached("create", "-b", bundle.path, container).ok()
    theirs, own = os.readlink(f"/proc/{runtime.state(container)['pid']}/ns/uts"), os.readlink("/proc/self/ns/uts")
    runtime("start", container).ok()
    runtime("kill", container, "KILL").ok()
    runtime.wait_for(container, "stopped")
    runtime("delete", container).ok()
    found = {}
    for path in (log, os.path.join(bundle.rootfs, "hooks/log")):
        with open(path, encoding="utf-8") as file:
            found.update(line.split() for line in file)
    assert found == {"prestart": own, "createRuntime": own, "createContainer": theirs, "startContainer": theirs, "poststart": own, "poststop": own}


@spec("config.md#configHooksPrestart", "but before the `pivot_root` or any equivalent operation")
@spec("config.md#configHooksCreateRuntime", "but before the `pivot_root` or any equivalent operation")
@spec("config.md#configHooksCreateContainer", "but before the `pivot_root` or any equivalent operation")
@pytest.mark.parametrize("kind", ["prestart", "createRuntime", "createContainer"])
def test_hooks_of_create_run_in_the_made_environment_before_the_root_is_changed(runtime, bundle, container, kind):
    """The container's process has its namespaces and its mounts already, and the host's root still."""
    log = os.path.join(bundle.path, "log")
    look = (f"pid=$(sed 's/.*\"pid\": *\\([0-9]*\\).*/\\1/;q' | tr -d '\\n'); echo uts $(readlink /proc/$pid/ns/uts) >> {log}; "
            f"echo root $(stat -L -c %d:%i /proc/$pid/root/) >> {log}; grep -c {bundle.rootfs} /proc/$pid/mountinfo >> {log}")
    if kind == "createContainer":
        look = look.replace("$(sed 's/.*\"pid\": *\\([0-9]*\\).*/\\1/;q' | tr -d '\\n')", "self")
    reader = f"tr -d '\\n' | {{ {look}; }}"
    bundle.write("sleep 600", hooks={kind: [{"path": "/bin/sh", "args": ["sh", "-c", reader], "env": [f"PATH={HOST_PATH}"]}]})
    runtime.detached("create", "-b", bundle.path, container).ok()
    with open(log, encoding="utf-8") as file:
        uts, root, mounts = file.read().splitlines()
    status = os.stat("/")
    assert uts.split()[1] == os.readlink(f"/proc/{runtime.state(container)['pid']}/ns/uts")
    assert root.split()[1] == f"{status.st_dev}:{status.st_ino}"
    assert int(mounts) >= len(bundle.config["mounts"])


# What must be refused.

REFUSED = fixture("bundles", "refused.json")


@pytest.mark.parametrize("case", [pytest.param(case, id=case["name"].replace(" ", "-"), marks=spec(case["place"], case["must"])) for case in REFUSED])
def test_what_must_be_refused_makes_no_container(runtime, bundle, container, case):
    bundle.write("sleep 600")
    merge(bundle.config, case["changes"])
    bundle.write()
    result = runtime.detached("create", "-b", bundle.path, container).fails()
    assert result.err.strip(), "no error was told"
    time.sleep(0.01)
    runtime("state", container).fails()


@pytest.mark.ours
@spec("config.md#configSpecificationVersion", "`ociVersion` (string, REQUIRED) MUST be in SemVer v2.0.0 format")
@pytest.mark.parametrize("version", ["1.zero.0", "1.0", "1.0.0.0", "1.02.0", "1.0.0-", "1.0.0+a_b"])
def test_a_version_in_another_form_is_refused(runtime, bundle, container, version):
    bundle.write(["true"], ociVersion=version)
    runtime("run", "-b", bundle.path, container).fails("ociVersion")


@spec("config.md#configExtensibility", "MUST otherwise ignore them")
@spec("config.md#configAnnotations", "MUST handle unknown annotation keys like any other unknown property")
def test_what_nobody_knows_is_ignored(runtime, bundle, container):
    unknown = {"com.example.unknown": {"a": [1, None, "x"]}}
    bundle.config["mounts"][0]["unknown"] = True
    bundle.write(["echo", "fine"], annotations={"org.opencontainers.unknown": "x", "com.example.unknown": "y"}, **unknown,
                 process={"unknown": 1, "user": {"unknown": []}}, linux={"unknown": {}, "resources": {"unknown": {"limit": 1}}})
    assert runtime("run", "-b", bundle.path, container).ok().out == "fine\n"


def features_of(runtime):
    return json.loads(runtime("features").ok().out)


@spec("features.md#featuresSpecificationVersion", "The value MUST NOT be less than", "MUST NOT contain properties that are not defined",
      "The runtime MUST accept this value as the `ociVersion` property")
def test_features_are_valid_and_their_versions_accepted(runtime, bundle, container):
    features = features_of(runtime)
    validate(features, "features-schema.json")
    lowest, highest = features["ociVersionMin"], features["ociVersionMax"]
    assert [int(part) for part in lowest.split("-")[0].split(".")] <= [int(part) for part in highest.split("-")[0].split(".")]
    known = {"ociVersionMin", "ociVersionMax", "hooks", "mountOptions", "linux", "annotations", "potentiallyUnsafeConfigAnnotations"}
    assert set(features) <= known
    assert set(features["linux"]) <= {"namespaces", "capabilities", "cgroup", "seccomp", "apparmor", "selinux", "intelRdt", "netDevices",
                                      "mountExtensions", "memoryPolicy"}
    for version in (lowest, highest):
        bundle.write(["true"], ociVersion=version)
        runtime("run", "-b", bundle.path, f"{container}-{version}").ok()


@spec("features.md#featuresHooks", "MUST support the elements in this array")
@spec("features.md#featuresMountOptions", "MUST recognize the elements in this array")
@spec("features.md#featuresAnnotations", "Annotations MUST be a key-value map")
@spec("features-linux.md#linuxFeaturesCapabilities", "MUST recognize the elements in this array")
@spec("features-linux.md#linuxFeaturesNamespaces", "MUST recognize the elements in this array")
def test_what_features_names_is_known(runtime, bundle, container):
    features = features_of(runtime)
    assert all(isinstance(key, str) and isinstance(value, str) for key, value in features.get("annotations", {}).items())
    needs_more = {"bind", "rbind", "idmap", "ridmap", "copy-symlink", "src-nofollow", "dest-nofollow", "remount", "tmpcopyup"}
    for number, option in enumerate(features["mountOptions"]):
        if option not in needs_more:
            bundle.config["mounts"].append({"destination": f"/mnt/{number}", "type": "tmpfs", "source": "tmpfs", "options": [option]})
    hooks = {kind: [{"path": "/bin/true"}] for kind in features["hooks"]}
    bundle.config["linux"]["namespaces"] = [{"type": kind} for kind in features["linux"]["namespaces"] if kind != "user"]
    names = features["linux"]["capabilities"]
    bundle.write(["true"], hooks=hooks, process={"capabilities": {"bounding": names, "permitted": names, "effective": names}})
    runtime("run", "-b", bundle.path, container).ok()


@spec("features-linux.md#linuxFeaturesSeccomp", "syscalls[].action", "syscalls[].args[].op", "`architectures` property",
      "MUST recognize and support the elements", "The runtime MUST recognize the elements in this array in the `flags` property "
      "of the `linux.seccomp` object in `config.json`.")
def test_what_features_names_of_seccomp_is_known(runtime, bundle, container):
    seccomp = features_of(runtime)["linux"]["seccomp"]
    flags = [flag for flag in seccomp["supportedFlags"] if flag != "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"]
    rules = [{"names": ["personality"], "action": "SCMP_ACT_ERRNO", "args": [{"index": 0, "value": 77, "valueTwo": 77, "op": operator}]}
             for operator in seccomp["operators"] if operator in ("SCMP_CMP_EQ", "SCMP_CMP_MASKED_EQ")]
    rules += [{"names": ["personality"], "action": "SCMP_ACT_ERRNO", "args": [{"index": 0, "value": 1 << 40, "op": operator}]}
              for operator in seccomp["operators"] if operator in ("SCMP_CMP_GT", "SCMP_CMP_GE")]
    rules += [{"names": ["personality"], "action": "SCMP_ACT_ERRNO", "args": [{"index": 0, "value": 1, "op": operator}]}
              for operator in seccomp["operators"] if operator in ("SCMP_CMP_LT", "SCMP_CMP_LE", "SCMP_CMP_NE")]
    for action in seccomp["actions"]:
        if action not in ("SCMP_ACT_NOTIFY", "SCMP_ACT_ALLOW"):
            rules.append({"names": [f"{'acct swapon swapoff reboot quotactl settimeofday vhangup syslog'.split()[len(rules) % 8]}"], "action": action})
    bundle.write(["echo", "fine"], linux={"seccomp": {"defaultAction": "SCMP_ACT_ALLOW", "architectures": seccomp["archs"], "flags": flags,
                                                       "syscalls": rules}})
    assert runtime("run", "-b", bundle.path, container).ok().out == "fine\n"


@spec("features-linux.md#linuxFeaturesMemoryPolicy", "as the `mode` of `linux.memoryPolicy`", "in the `flags` property of the `linux.memoryPolicy`")
def test_what_features_names_of_memory_policies_is_known(runtime, bundle, container):
    policy = features_of(runtime)["linux"]["memoryPolicy"]
    assert policy["modes"] and policy["flags"]
    for number, mode in enumerate(policy["modes"]):
        nodes = {} if mode in ("MPOL_DEFAULT", "MPOL_LOCAL") else {"nodes": "0"}
        bundle.write(["true"])
        bundle.config["linux"]["memoryPolicy"] = {"mode": mode, **nodes}
        bundle.write()
        runtime("run", "-b", bundle.path, f"{container}-{number}").ok()
    for flag in policy["flags"]:
        mode = "MPOL_BIND" if flag == "MPOL_F_NUMA_BALANCING" else "MPOL_INTERLEAVE"
        bundle.config["linux"]["memoryPolicy"] = {"mode": mode, "nodes": "0", "flags": [flag]}
        bundle.write()
        runtime("run", "-b", bundle.path, f"{container}-{flag}").ok()


@spec("features-linux.md#linuxFeaturesMountExtensions", "runtimes MUST still set this value to `true`")
def test_features_says_that_mappings_of_mounts_are_known(runtime):
    assert features_of(runtime)["linux"]["mountExtensions"]["idmap"]["enabled"] is True
