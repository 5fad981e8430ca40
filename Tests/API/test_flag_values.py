"""Values of flags that a whole daemon shows the meaning of: moments, and several values between commas."""
# Rows: features

import json
import time

import pytest

LINES = "echo one; sleep 1; echo two"


@pytest.fixture
def logged(apus, image):
    apus("run", "--name", "logged", image, "sh", "-c", LINES).ok()
    return apus.inspect("logged", "{{.State.StartedAt}}")


@pytest.mark.parametrize("since, until, expected", [
    ("0", None, ["one", "two"]), ("", "", ["one", "two"]), (None, "-1m", ["one", "two"]), ("-1m", None, []), ("1", None, ["one", "two"]),
    ("2024-01-01", None, ["one", "two"]), ("2024-01-01T10", None, ["one", "two"]), ("2024-01-01T10:00", None, ["one", "two"]),
    ("2024-01-01T10Z", None, ["one", "two"]), ("2024-01-01T10:00Z", None, ["one", "two"]), ("2024-01-01T10:00+01:00", None, ["one", "two"]),
    ("2024-01-01Z", None, ["one", "two"]), (None, "2024-01-01T10:00-05:00", []), (None, "2024-01-01T10:00:00", []), (None, "1704103200.5", []),
])
def test_the_moments_of_logs_are_dockers(cli, logged, since, until, expected):
    words = [*(["--since", since] if since is not None else []), *(["--until", until] if until is not None else [])]
    assert cli("logs", *words, "logged").ok().split() == expected


@pytest.mark.parametrize("text", ["x", "2024-13-01", "2024-01-01T25", "-5", "1.x", "2024-01-01T10:00:00.", "T10"])
def test_what_is_no_moment_is_refused(cli, logged, text):
    result = cli("logs", f"--since={text}", "logged")
    assert result.code == 1 and result.err.startswith("invalid value for \"since\": "), result


def test_a_moment_without_a_zone_is_of_the_local_one(cli, logged):
    # Five hours east of Greenwich the clock shows five hours more: read as UTC, a minute ago there is still to come.
    zone = {"TZ": "Etc/GMT-5"}
    local = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(time.time() + 5 * 3600 - 60))
    assert cli("logs", "--since", local, "logged", env=zone).ok().split() == ["one", "two"]
    assert cli("logs", "--since", local + "Z", "logged", env=zone).ok() == ""


def test_events_since_zero_are_all(cli, logged):
    words = ("--until", "0s", "--filter", "container=logged", "--format", "{{.Action}}")
    shown = cli("events", "--since", "0", *words).ok().split()
    assert {"create", "start", "die"} <= set(shown), shown
    assert cli("events", "--since", "0s", *words).ok() == ""


def test_flags_of_networks_take_several_values_between_commas(cli, image, net):
    net("several", "--ipv6", "--subnet", "10.88.0.0/24,fd88::/64", "--gateway", "10.88.0.9,fd88::9", "--ip-range", "10.88.0.128/25")
    blocks = json.loads(cli.inspect("several", "{{json .IPAM.Config}}"))
    # Docker's own client asks for them in no order.
    assert {(block["Subnet"], block["Gateway"]) for block in blocks} == {("10.88.0.0/24", "10.88.0.9"), ("fd88::/64", "fd88::9")}
    cli("run", "-d", "--name", "named", image, "sleep", "100").ok()
    cli("network", "connect", "--alias", "a1,a2", "--alias", "a3", "several", "named").ok()
    aliases = json.loads(cli.inspect("named", "{{json .NetworkSettings.Networks.several.Aliases}}"))
    assert {"a1", "a2", "a3"} <= set(aliases) and "a1,a2" not in aliases
    result = cli("network", "connect", "--alias", 'a"b', "several", "named")
    assert result.code == 125 and 'parse error on line 1, column 2: bare " in non-quoted-field' in result.err, result


def test_a_volume_of_a_mount_has_options_with_commas(cli, image):
    mount = 'type=volume,src=quoted,dst=/x,volume-driver=local,volume-opt=type=tmpfs,volume-opt=device=tmpfs,"volume-opt=o=size=1m,mode=700"'
    assert cli("run", "--rm", "--mount", mount, image, "stat", "-c", "%a", "/x").line() == "700"
    assert cli.inspect("quoted", "{{.Options.o}}") == "size=1m,mode=700"
    cli("volume", "rm", "quoted").ok()


def test_ports_in_their_long_form_are_published(cli, image):
    cli("run", "-d", "--name", "long", "-p", "published=18087,target=80", image, "sleep", "100").ok()
    assert "0.0.0.0:18087" in cli("port", "long", "80").ok()
