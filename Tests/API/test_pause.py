"""Rows A12, D01, D09-D12: containers that are held where they are."""
# Rows: features

import time

import pytest
from engine_http import api
from processes import wait_until


@pytest.fixture
def counting(cli, image):
    """A container named `count` that writes a number every few milliseconds and ends at SIGTERM with 7."""
    script = "trap 'exit 7' TERM; n=0; while :; do n=$((n+1)); echo $n; usleep 20000; done"
    cli("run", "-d", "--name", "count", image, "sh", "-c", script).ok()
    wait_until(lambda: progress(cli) > 3, "the container counts")
    return "count"


def progress(cli):
    return len(cli("logs", "count").ok().split())


def state(cli, name="count"):
    return cli.inspect(name, "{{.State.Status}} {{.State.Running}} {{.State.Paused}}")


def refused(result):
    assert result.code != 0, result
    return result.err


def test_D11_a_paused_container_makes_no_progress_and_goes_on_where_it_was(cli, counting):
    assert cli("pause", counting).line() == counting
    assert state(cli) == "paused true true"
    before = progress(cli)
    time.sleep(0.5)
    assert progress(cli) == before
    assert cli("unpause", counting).line() == counting
    assert state(cli) == "running true false"
    wait_until(lambda: progress(cli) > before, "the container goes on")
    numbers = [int(word) for word in cli("logs", "count").ok().split()]
    assert numbers == list(range(1, len(numbers) + 1))


def test_D01_ps_shows_a_paused_container_as_paused(cli, counting):
    cli("pause", counting).ok()
    assert cli("ps", "--format", "{{.Status}}").line().endswith("(Paused)")
    assert cli("ps", "-q", "-f", "status=paused").line() and not cli("ps", "-q", "-f", "status=running").line()
    assert cli("info", "--format", "{{.Containers}} {{.ContainersRunning}} {{.ContainersPaused}}").line() == "1 0 1"


def test_D11_exec_in_a_paused_container_is_refused_until_it_goes_on(cli, counting):
    cli("pause", counting).ok()
    assert "is paused, unpause the container before exec" in refused(cli("exec", counting, "true"))
    assert "paused" in refused(cli("attach", counting))
    cli("unpause", counting).ok()
    assert cli("exec", counting, "echo", "on").line() == "on"


def test_A12_pausing_out_of_turn_names_the_state_and_changes_nothing(cli, counting, image):
    cli("create", "--name", "idle", image, "true").ok()
    assert "is not running" in refused(cli("pause", "idle"))
    assert "is not paused" in refused(cli("unpause", "idle"))
    assert "is not paused" in refused(cli("unpause", counting))
    cli("pause", counting).ok()
    assert "is already paused" in refused(cli("pause", counting))
    assert state(cli) == "paused true true" and state(cli, "idle") == "created false false"
    assert "No such container: nosuch" in refused(cli("pause", "nosuch"))


def test_D09_start_on_a_paused_container_is_refused(cli, counting):
    cli("pause", counting).ok()
    assert "cannot start a paused container, try unpause instead" in refused(cli("start", counting))
    assert state(cli) == "paused true true"


def test_D10_restart_thaws_a_paused_container(cli, counting):
    before = cli.inspect(counting, "{{.State.StartedAt}}")
    cli("pause", counting).ok()
    cli("restart", counting).ok()
    assert state(cli) == "running true false" and cli.inspect(counting, "{{.State.StartedAt}}") != before


def test_D12_stop_reaches_a_paused_container(cli, counting):
    cli("pause", counting).ok()
    cli("stop", "-t", "60", counting).ok()
    assert cli.inspect(counting, "{{.State.Status}} {{.State.Paused}} {{.State.ExitCode}}") == "exited false 7"


@pytest.mark.parametrize("signal, code", [("KILL", 137), ("TERM", 7)])
def test_D11_kill_ends_a_paused_container(cli, counting, signal, code):
    cli("pause", counting).ok()
    cli("kill", "-s", signal, counting).ok()
    assert cli("wait", counting).line() == str(code)


def test_D05_rm_spares_a_paused_container_unless_forced(cli, counting):
    cli("pause", counting).ok()
    assert "paused" in refused(cli("rm", counting))
    assert cli("rm", "-f", counting).line() == counting
    assert cli("ps", "-aq").line() == ""


def test_D11_nobody_attaches_to_a_paused_container_whatever_of_it_is_asked_for(cli, counting, daemon):
    cli("pause", counting).ok()
    for query in ("stream=1&stdout=1", "logs=1&stdout=1", ""):
        _, refusal = api(daemon, "POST", f"/containers/{counting}/attach?{query}", expect=409)
        assert refusal["message"].endswith("is paused, unpause the container before attach"), refusal
    cli("unpause", counting).ok()
