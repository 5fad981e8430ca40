"""`--debug`: a container's stages in the log, in runc's two forms, and `--log` alone, which makes the file."""

import json
import os
import re

import pytest

LINE = {
    "text": re.compile(r'time="(?P<time>[^"]*)" level=(?P<level>[a-z]+) msg="?(?P<msg>(?:[^"\\]|\\.)*)"?(?: .*)?'),
    "json": None,
}


@pytest.fixture
def log(tmp_path):
    return os.path.join(tmp_path, "log")


def entries(path, form):
    """Of each line of a log its level and message; what has another form fails."""
    found = []
    with open(path, encoding="utf-8") as file:
        for line in file.read().splitlines():
            entry = json.loads(line) if form == "json" else LINE["text"].fullmatch(line).groupdict()
            assert re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}(Z|[+-][0-9:]{5})", entry["time"]), line
            found.append((entry["level"], entry["msg"]))
    return found


def options(log, form, *others):
    return [*others, "--log", log, "--log-format", form]


def stages(log, form, container):
    """The words of a container's stages, in their order, without ids and paths."""
    found = entries(log, form)
    assert {level for level, _ in found} == {"debug"}
    assert all(message.startswith(f"container {container}: ") for _, message in found), found
    return [re.sub(r"[0-9]+", "N", message.partition(": ")[2].partition(", ")[0]) for _, message in found]


@pytest.mark.parametrize("form", ["text", "json"])
def test_debug_lines_have_runcs_forms(runtime, bundle, container, log, form):
    bundle.write(["true"])
    result = runtime("run", "-b", bundle.path, container, options=options(log, form, "--debug")).ok()
    assert result.err == ""
    found = entries(log, form)
    assert len(found) > 3 and "debug" in {level for level, _ in found}


@pytest.mark.ours
@pytest.mark.parametrize("form", ["text", "json"])
def test_a_successful_run_tells_its_stages(runtime, bundle, container, log, form):
    bundle.map_users()
    bundle.write(["true"], linux={"cgroupsPath": f"/{container}"})
    runtime("run", "-b", bundle.path, container, options=options(log, form, "--debug")).ok()
    found = stages(log, form, container)
    assert sorted(found) == sorted([
        f"configuration of {re.sub('[0-9]+', 'N', bundle.path)} read", "process N cloned", "ids of the user namespace mapped", "cgroup made",
        "prepared", "started", "its process has ended with status N", "removed"])
    order = [found.index(stage) for stage in ("process N cloned", "ids of the user namespace mapped", "prepared", "started", "removed")]
    assert order == sorted(order) and found.index("cgroup made") < found.index("prepared")
    told = [message for _, message in entries(log, form) if "cgroup made" in message]
    assert f"/{container}" in told[0]


@pytest.mark.ours
def test_the_stages_are_told_by_the_commands_that_reach_them(runtime, bundle, container, tmp_path):
    bundle.write("sleep 600", hooks={"createRuntime": [{"path": "/bin/true"}]})

    def told(name, *words):
        log = os.path.join(tmp_path, name)
        runtime.detached(*words, options=options(log, "json", "--debug")).ok()
        return stages(log, "json", container)

    created = told("create", "create", "-b", bundle.path, container)
    assert created[-2:] == ["root mounted", "prepared"] and "cgroup made" in created
    assert told("start", "start", container) == ["started"]
    assert told("exec", "exec", container, "true") == ["process N cloned", "process N prepared", "process N started"]
    assert told("pause", "pause", container) == ["paused"]
    assert told("resume", "resume", container) == ["resumed"]
    assert told("kill", "kill", container, "KILL") == ["signal N sent"]
    runtime.wait_for(container, "stopped")
    assert told("delete", "delete", container) == ["removed"]


@pytest.mark.ours
def test_without_a_log_debug_lines_go_to_standard_error(runtime, bundle, container):
    bundle.write(["echo", "said"])
    result = runtime("run", "-b", bundle.path, container, options=["--debug"]).ok()
    assert result.out == "said\n" and re.search(r"level=debug msg=\"container \S+: started\"", result.err)


def test_a_log_is_there_from_the_beginning_and_says_nothing_of_what_goes_well(runtime, bundle, container, log):
    bundle.write(["true"])
    runtime("run", "-b", bundle.path, container, options=["--log", log]).ok()
    assert os.path.getsize(log) == 0


def test_a_log_that_cannot_be_is_an_error_before_anything_is_made(runtime, bundle, container, tmp_path):
    bundle.write(["true"])
    result = runtime("run", "-b", bundle.path, container, options=["--log", str(tmp_path / "nowhere" / "log")]).fails()
    assert "nowhere" in result.err
