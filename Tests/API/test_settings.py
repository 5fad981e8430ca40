"""Settings by the names of dockerd's daemon.json: what each one does, or why it does nothing."""
# Rows: features

import json
import os
import signal
import subprocess

import pytest
from conftest import BUILD, CLIENTS, Client, Daemon
from engine_http import api
from oci_images import Pusher, busybox
from processes import wait_until


@pytest.fixture
def folder(workspace):
    path = os.path.join(workspace, f"s{len(os.listdir(workspace))}")
    os.makedirs(path)
    return path


def settings(folder, **document):
    path = os.path.join(folder, "daemon.json")
    with open(path, "w", encoding="utf-8") as file:
        json.dump({name.replace("_", "-"): value for name, value in document.items()}, file)
    return path


def validate(folder, **document):
    said = subprocess.run([f"{BUILD}/apusd", "--config", settings(folder, **document), "--validate"], capture_output=True, text=True,
                          timeout=20, check=False)
    return said.returncode, said.stdout + said.stderr


SERVED = {
    "labels": ["a=b"], "registry_mirrors": ["https://mirror.example"], "default_shm_size": "64M", "default_ipc_mode": "shareable",
    "default_cgroupns_mode": "host", "default_ulimits": {"nofile": {"Name": "nofile", "Hard": 64000, "Soft": 64000}},
    "default_address_pools": [{"base": "10.10.0.0/16", "size": 24}], "init": True, "init_path": "/usr/bin/tini", "cgroup_parent": "/here",
    "no_new_privileges": True, "seccomp_profile": "unconfined", "dns": ["192.0.2.1"], "dns_search": ["example"], "dns_opts": ["ndots:2"],
    "host_gateway_ip": "192.0.2.2", "group": "root", "min_api_version": "1.40", "max_concurrent_downloads": 5,
    "max_concurrent_uploads": 5, "max_download_attempts": 5, "icc": False, "ip_masq": False, "ip": "127.0.0.1", "mtu": 1400, "ipv6": True,
    "bip": "192.168.5.1/24", "bip6": "fd00:5::1/64", "fixed_cidr": "192.168.5.128/25", "storage_driver": "overlay2", "storage_opts": [],
    "exec_opts": ["native.cgroupdriver=cgroupfs"], "iptables": True, "ip6tables": True, "ip_forward": True, "firewall_backend": "nftables",
    "selinux_enabled": False, "live_restore": True, "authorization_plugins": [],
}
IDLE = {
    "userland_proxy": False, "shutdown_timeout": 15, "experimental": True, "features": {"cdi": True}, "builder": {"gc": {"enabled": True}},
    "containerd": "/run/x", "oom_score_adjust": -500, "raw_logs": True, "node_generic_resources": ["a=b"], "ip_forward_no_drop": True,
}
REFUSED = {
    "storage_opts": (["size=1G"], "'storage-opts' is not served: overlayfs is used without options"),
    "storage_driver": ("btrfs", "'storage-driver' must be overlay2 or overlayfs"),
    "exec_opts": (["native.cgroupdriver=systemd"], "'exec-opts' takes a list of native.cgroupdriver=cgroupfs"),
    "iptables": (False, "'iptables' must be true: published ports"), "firewall_backend": ("iptables", "'firewall-backend' must be nftables"),
    "authorization_plugins": (["opa"], "'authorization-plugins' is not served: plugins are not served: nobody would be asked"),
    "default_gateway": ("10.0.0.1", "'default-gateway' is not served"), "labels": (["a"], "--label takes KEY=VALUE, not 'a'"),
    "registry_mirrors": (["mirror"], "--registry-mirror takes http://HOST[:PORT]"),
    "default_ulimits": ({"nofile": {"Name": "nofile", "Hard": 1, "Soft": 2}}, "ulimit soft limit must be less than or equal to hard limit"),
    "default_address_pools": ([{"base": "10.10.0.0/16", "size": 8}], "invalid address pool base=10.10.0.0/16,size=8"),
    "default_ipc_mode": ("host", "--default-ipc-mode takes private or shareable, not 'host'"),
    "default_shm_size": ("much", "--default-shm-size takes a size such as 64m, not 'much'"),
    "seccomp_profile": ("/nosuch/profile", "--seccomp-profile: open /nosuch/profile"),
    "min_api_version": ("1.52", "--min-api-version takes 1.24 to 1.51, not '1.52'"), "dns": (["name"], "--dns takes an IP address, not 'name'"),
    "mtu": (20, "--mtu takes bytes from 68 to 65535"), "bip": ("192.168.5.1", "the bridge's address '192.168.5.1' is no address with the length"),
    "fixed_cidr": ("fd00::/64", "the range 'fd00::/64' is no block"), "host_gateway_ips": (["192.0.2.1", "fd00::1"], "takes one address"),
}


def test_settings_of_dockerd_are_served_passed_over_with_a_warning_or_refused_by_their_names(folder):
    assert validate(folder, **SERVED) == (0, "configuration OK\n")
    code, said = validate(folder, **IDLE)
    assert code == 0 and said.startswith("configuration OK\n")
    warned = [line for line in said.splitlines() if line.startswith("warning: ")]
    assert len(warned) == len(IDLE)
    for name in IDLE:
        assert any(f"'{name.replace('_', '-')}' has no effect here: " in line for line in warned), name
    for name, (value, reason) in REFUSED.items():
        code, said = validate(folder, **{name: value})
        assert code == 1 and reason in said and f"{folder}/daemon.json" in said, (name, said)


@pytest.fixture
def started(folder, workspace, registry):
    """A daemon without the default network that runs by a file of settings, and a client of its own."""
    made = []

    def start(*flags, **document):
        daemon = Daemon(folder)
        made.append(daemon)
        daemon.start("--config", settings(folder, **document), *flags)
        daemon.client = Client("apus", CLIENTS["apus"], daemon.host, workspace)
        daemon.image = f"{registry.host}/busybox"
        daemon.client("pull", daemon.image).ok()
        return daemon

    yield start
    for daemon in made:
        if daemon.process.poll() is None:
            if names := daemon.client("ps", "-aq").ok().split():
                daemon.client("rm", "-f", *names).ok()
            daemon.client("network", "prune", "-f").ok()
            wait_until(lambda daemon=daemon: not daemon.supervisors(), "shims and keeper have ended")
            assert daemon.stop() == 0
    if made:
        subprocess.run(["ip", "link", "del", made[0].instance], capture_output=True, check=False)
        made[0].forget_firewall()


PROFILE = {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 95}]}


@pytest.mark.parametrize("block", ["10.0.0.1/32", "10.0.0.0/31", "fd00::1/128"])
def test_a_pool_without_room_for_a_network_is_refused(folder, block):
    size = int(block.rsplit("/", 1)[1])
    code, said = validate(folder, default_address_pools=[{"base": block, "size": size}])
    assert code == 1 and f"invalid address pool base={block},size={size}" in said, said


@pytest.mark.parametrize("profile, reason", [
    ("{}", "the seccomp profile has neither defaultAction nor syscalls and would filter nothing: say unconfined if that is meant"),
    ("null", "would filter nothing"), ('{"syscalls": []}', "would filter nothing"), ("{", "Decoding seccomp profile failed: "),
])
def test_a_profile_of_the_daemons_that_filters_nothing_is_refused(folder, profile, reason):
    path = os.path.join(folder, "profile.json")
    with open(path, "w", encoding="utf-8") as file:
        file.write(profile)
    code, said = validate(folder, seccomp_profile=path)
    assert code == 1 and reason in said, said


def test_containers_get_what_the_settings_say_where_they_say_nothing(folder, started):
    profile = os.path.join(folder, "profile.json")
    with open(profile, "w", encoding="utf-8") as file:
        json.dump(PROFILE, file)
    daemon = started(
        "--bridge", "none", default_shm_size="32m", default_ipc_mode="shareable", default_cgroupns_mode="host", init=True,
        default_ulimits={"nofile": {"Name": "nofile", "Soft": 321, "Hard": 654}, "core": {"Name": "core", "Soft": 0, "Hard": 0}},
        cgroup_parent="/apus/parent", no_new_privileges=True, seccomp_profile=profile, dns=["192.0.2.53"], dns_search=["example"],
        dns_opts=["timeout:3"], host_gateway_ip="192.0.2.99")
    client, image = daemon.client, daemon.image
    script = ("ulimit -n; ulimit -Hn; df -m /dev/shm | tail -n 1; cat /etc/resolv.conf; grep gate /etc/hosts; grep NoNewPrivs /proc/self/status; "
              "readlink /proc/self/ns/cgroup; cat /proc/1/comm; mkdir /made")
    said = client("run", "--network", "none", "--name", "plain", "--add-host", "gate:host-gateway", image, "sh", "-c", script)
    words = said.out.split()
    assert words[:2] == ["321", "654"] and " 32 " in said.out and "Operation not supported" in said.err, said
    assert "nameserver 192.0.2.53\n" in said.out and "search example\n" in said.out and "options timeout:3" in said.out, said
    assert "192.0.2.99\tgate\n" in said.out and "NoNewPrivs:\t1\n" in said.out and os.readlink("/proc/self/ns/cgroup") in said.out, said
    assert words[-1] == "docker-init", said
    host = json.loads(client.inspect("plain", "{{json .HostConfig}}"))
    assert (host["IpcMode"], host["CgroupnsMode"], host["ShmSize"], host["CgroupParent"]) == ("shareable", "host", 32 << 20, "/apus/parent")
    # What a container says itself stands before it.
    said = client("run", "--rm", "--network", "none", "--init=false", "--ulimit", "nofile=99:99", "--shm-size", "8m", "--cgroupns", "private",
                  "--security-opt", "seccomp=unconfined", "--security-opt", "no-new-privileges=false", "--dns", "192.0.2.7", image, "sh", "-c", script)
    words = said.out.split()
    assert words[:2] == ["99", "99"] and " 8 " in said.out and "NoNewPrivs:\t0\n" in said.out and words[-1] == "sh" and not said.err, said
    assert "nameserver 192.0.2.7\n" in said.out and os.readlink("/proc/self/ns/cgroup") not in said.out
    # The engine's own filter is not the daemon's choice.
    client("run", "--rm", "--network", "none", "--security-opt", "seccomp=builtin", image, "mkdir", "/made").ok()
    assert "name=no-new-privileges" in api(daemon, "GET", "/info")[1]["SecurityOptions"]
    assert "name=seccomp,profile=custom" in api(daemon, "GET", "/info")[1]["SecurityOptions"]
    for path in ("/sys/fs/cgroup/apus/parent", *(f"/sys/fs/cgroup/{kind}/apus/parent" for kind in os.listdir("/sys/fs/cgroup"))):
        if os.path.isdir(path):
            wait_until(lambda path=path: remove(path), f"{path} is empty")


def remove(path):
    try:
        os.rmdir(path)
    except OSError:
        return not os.path.exists(path)
    return True


def test_what_dockerd_reads_again_is_read_again(folder, started):
    daemon = started("--bridge", "none", labels=["a=b"])
    assert api(daemon, "GET", "/info")[1]["Labels"] == ["a=b"]

    def reload(**document):
        seen = daemon.log().count("settings read again")
        settings(folder, **document)
        daemon.process.send_signal(signal.SIGHUP)
        wait_until(lambda: daemon.log().count("settings read again") > seen, "the settings are read again", seconds=20)

    reload(labels=["c=d"], default_shm_size="16m", default_ipc_mode="shareable", registry_mirrors=["http://127.0.0.1:1"],
           max_concurrent_downloads=7, max_concurrent_uploads=8, max_download_attempts=9)
    info = api(daemon, "GET", "/info")[1]
    assert info["Labels"] == ["c=d"] and info["RegistryConfig"]["Mirrors"] == ["http://127.0.0.1:1/"]
    made = daemon.client("create", "--network", "none", daemon.image, "true").line()
    host = json.loads(daemon.client.inspect(made, "{{json .HostConfig}}"))
    assert (host["IpcMode"], host["ShmSize"]) == ("shareable", 16 << 20)
    events = daemon.client("events", "--since", "1", "--until", "0s", "--filter", "event=reload", "--format", "{{json .Actor.Attributes}}").ok()
    told = json.loads(events.splitlines()[-1])
    assert told["labels"] == '["c=d"]' and told["registry-mirrors"] == '["http://127.0.0.1:1/"]' and told["default-ipc-mode"] == "shareable"
    assert [told[f"max-{what}"] for what in ("concurrent-downloads", "concurrent-uploads", "download-attempts")] == ["7", "8", "9"]
    reload(labels=["c=d"], dns=["192.0.2.1"], mtu=1400)
    wait_until(lambda: "some wait for the daemon's next start" in daemon.log() and "dns default-network" in daemon.log(), "what waits is told")


def test_a_mirror_is_asked_for_images_of_docker_hub(started, registry):
    Pusher(registry.host).push("library/mirrored", busybox())
    daemon = started("--bridge", "none", registry_mirrors=[f"http://{registry.host}"])
    daemon.client("pull", "mirrored").ok()
    assert daemon.client("image", "ls", "--format", "{{.Repository}}", "mirrored").line() == "mirrored"


def test_the_default_network_is_as_the_settings_say_and_made_anew_where_they_change(folder, started):
    daemon = started(bip="10.253.77.1/24", mtu=1400, icc=False, ip="127.0.0.1", fixed_cidr="10.253.77.128/25",
                     default_address_pools=[{"base": "10.253.96.0/20", "size": 26}], min_api_version="1.44")
    network = api(daemon, "GET", "/networks/bridge")[1]
    assert network["IPAM"]["Config"] == [{"Subnet": "10.253.77.0/24", "IPRange": "10.253.77.128/25", "Gateway": "10.253.77.1"}]
    assert network["Options"]["com.docker.network.bridge.enable_icc"] == "false" and network["Options"]["com.docker.network.driver.mtu"] == "1400"
    said = daemon.client("run", "--rm", daemon.image, "ip", "address", "show", "eth0").ok()
    assert "mtu 1400" in said and "10.253.77.128/24" in said
    pooled = daemon.client("network", "create", "pooled").line()
    assert api(daemon, "GET", f"/networks/{pooled}")[1]["IPAM"]["Config"] == [{"Subnet": "10.253.96.0/26", "Gateway": "10.253.96.1"}]
    assert api(daemon, "GET", "/v1.43/info")[0] == 400 and api(daemon, "GET", "/v1.44/version")[1]["MinAPIVersion"] == "1.44"
    # Of containers that run it stays as it is; without them it is made anew.
    daemon.client("run", "-d", "--name", "kept", daemon.image, "sleep", "600").ok()
    path = settings(folder, bip="10.253.78.1/24")
    for subnet in ("10.253.77.0/24", "10.253.78.0/24"):
        assert daemon.stop() == 0
        daemon.start("--config", path)
        assert api(daemon, "GET", "/networks/bridge")[1]["IPAM"]["Config"][0]["Subnet"] == subnet
        assert ("the default network stays as it was made while containers run" in daemon.log()) or subnet != "10.253.77.0/24"
        if subnet == "10.253.77.0/24":
            daemon.client("rm", "-f", "kept").ok()
    assert "10.253.78.2/24" in daemon.client("run", "--rm", daemon.image, "ip", "address", "show", "eth0").ok()


def test_a_socket_belongs_to_the_group_that_is_named(folder):
    daemon = Daemon(folder).start("--bridge", "none", "--config", settings(folder, group="12345"))
    try:
        assert os.stat(daemon.socket).st_gid == 12345
    finally:
        assert daemon.stop() == 0
        daemon.forget_firewall()
    said = subprocess.run([f"{BUILD}/apusd", "--host", daemon.host, "--data-root", daemon.data, "--exec-root", daemon.run, "--bridge", "none",
                           "--config", settings(folder, group="nosuchgroup")], capture_output=True, text=True, timeout=20, check=False)
    assert said.returncode == 1 and "--group: there is no group 'nosuchgroup' in /etc/group" in said.stderr
