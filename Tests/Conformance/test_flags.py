"""Every flag of every verb of runc 1.5, by the runtime's own help."""

import json
import os
import re
import subprocess

import pytest
from processes import PATIENCE, wait_until

pytestmark = pytest.mark.ours

CREATE = "-b --bundle --console-socket --pid-file --no-pivot --no-new-keyring --preserve-fds --pidfd-socket"
IMAGES = "--image-path --work-path --tcp-established --ext-unix-sk --shell-job --lazy-pages --file-locks --manage-cgroups-mode --empty-ns --auto-dedup"
FLAGS = {
    "create": CREATE,
    "run": f"{CREATE} -d --detach --keep --no-subreaper",
    "exec": "--console-socket --cwd -e --env -t --tty -u --user -g --additional-gids -p --process -d --detach --pid-file --process-label "
            "--apparmor --no-new-privs -c --cap --preserve-fds --cgroup --ignore-paused --pidfd-socket",
    "start": "", "state": "", "pause": "", "resume": "", "features": "",
    "kill": "-a --all", "delete": "-f --force", "list": "-f --format -q --quiet", "ps": "-f --format", "events": "--interval --stats",
    "spec": "-b --bundle --rootless",
    "update": "-r --resources --blkio-weight --cpu-period --cpu-quota --cpu-burst --cpu-share --cpu-rt-period --cpu-rt-runtime --cpuset-cpus "
              "--cpuset-mems --cpu-idle --memory --memory-reservation --memory-swap --pids-limit --l3-cache-schema --mem-bw-schema "
              "--kernel-memory --kernel-memory-tcp",
    "checkpoint": f"{IMAGES} --parent-path --leave-running --tcp-skip-in-flight --link-remap --status-fd --page-server --pre-dump",
    "restore": f"{IMAGES} --console-socket -b --bundle -d --detach --pid-file --no-subreaper --no-pivot --lsm-profile --lsm-mount-context",
    "mounts": "",
}


def flags_in(text):
    return set(re.findall(r"(?<![\w-])--?[a-z][a-z0-9-]*", text.split("OPTIONS:", 1)[-1])) if "OPTIONS:" in text else set()


@pytest.mark.parametrize("verb", FLAGS)
def test_a_verb_has_all_of_runcs_flags(runtime, verb):
    help_text = runtime(verb, "--help").ok().out
    assert help_text.startswith(f"NAME:\n   apus-runtime {verb} - ")
    assert set(FLAGS[verb].split()) <= flags_in(help_text)


def test_all_verbs_and_global_flags_are_listed(runtime):
    help_text = runtime("--help").ok().out
    verbs = set(re.findall(r"^   ([a-z]+) ", help_text.split("COMMANDS:", 1)[1].split("GLOBAL OPTIONS:", 1)[0], flags=re.MULTILINE))
    assert verbs == set(FLAGS)
    assert {"--debug", "--log", "--log-format", "--root", "--systemd-cgroup", "--rootless", "--help", "--version"} <= flags_in(help_text)


@pytest.mark.parametrize("verb", FLAGS)
def test_an_unknown_flag_is_named(runtime, verb):
    result = runtime(verb, "--no-such-flag", "x").fails("flag provided but not defined: -no-such-flag", code=1)
    assert result.out.startswith("Incorrect Usage: ")


def test_an_empty_value_is_none(runtime, bundle, container):
    bundle.write("sleep 600")
    words = [word for name in ("console-socket", "pid-file", "pidfd-socket") for word in (f"--{name}", "")]
    runtime.detached("create", *words, "-b", bundle.path, container, options=["--log", "", "--log-format", "", "--rootless="]).ok()
    runtime("start", container).ok()
    words += [word for name in ("cwd", "process", "apparmor", "process-label") for word in (f"--{name}", "")]
    assert runtime("exec", *words, container, "pwd").ok().out == "/\n"
    runtime("update", "--resources", "", "--pids-limit", "50", container).ok()


@pytest.mark.parametrize("verb", ["create", "run"])
def test_flags_count_behind_operands_too(runtime, bundle, container, verb):
    pid_file = os.path.join(bundle.path, "pid")
    bundle.write("sleep 600")
    runtime.detached(verb, container, *(["-d"] if verb == "run" else []), "--pid-file", pid_file, "-b", bundle.path).ok()
    assert runtime("update", container, "--pids-limit", "45").ok().out == ""
    assert runtime("state", container, "--help").ok().out.startswith("NAME:")
    assert json.loads(runtime("ps", "-f", "json", container).ok().out) == [int(open(pid_file, encoding="utf-8").read())]
    assert container in runtime("list", "--quiet").ok().lines
    runtime("kill", container, "0", "-a").ok()
    runtime("kill", container, "-9").fails("unknown signal")
    runtime("delete", container, "--", "--force").fails("requires exactly 1 argument(s)")
    runtime("delete", container, "--force").ok()
    assert container not in runtime("list", "--quiet").ok().lines


def test_words_behind_the_container_are_the_programs_own(runtime, running):
    assert runtime("exec", running, "echo", "-t", "--cwd", "/tmp").ok().out == "-t --cwd /tmp\n"
    assert "PID" in runtime("ps", running, "-f").ok().out


def test_a_switch_that_is_off_is_off_also_where_the_container_has_it_on(runtime, bundle, container):
    bundle.write("sleep 600", process={"noNewPrivileges": True})
    runtime.detached("run", "-d", "-b", bundle.path, container).ok()
    for words, expected in ([], "1"), (["--no-new-privs=false"], "0"), (["--no-new-privs=false", "--no-new-privs"], "1"):
        assert runtime("exec", *words, container, "grep", "NoNewPrivs", "/proc/self/status").ok().out.split() == ["NoNewPrivs:", expected]


@pytest.mark.parametrize("words", [["exec", "-g", "x", "CONTAINER", "true"], ["exec", "--preserve-fds", "x", "CONTAINER", "true"],
                                   ["update", "--pids-limit", "x", "CONTAINER"], ["update", "--blkio-weight", "1.5", "CONTAINER"],
                                   ["events", "--interval", "x", "CONTAINER"]], ids=" ".join)
def test_what_is_no_number_is_incorrect_usage(runtime, running, words):
    flag = words[1].lstrip("-")
    result = runtime(*(running if word == "CONTAINER" else word for word in words))
    result.fails(f'invalid value "{words[2]}" for flag -{flag}: parse error', code=1)
    assert result.out.startswith("Incorrect Usage: ")


@pytest.mark.parametrize("options", [["--log-format", "xml"], ["--log", "/tmp"], ["--rootless", "perhaps"]], ids=" ".join)
def test_a_value_that_cannot_be_is_told_without_the_help(runtime, options):
    result = runtime("list", options=options).fails("", code=1)
    assert result.out == "" and len(result.err.strip().splitlines()) == 1


def test_an_ordinary_user_without_a_place_of_their_own_has_no_containers(rootless):
    kept, rootless.command = rootless.command, lambda *words, options=(): [*rootless.prefix, rootless.path, *options, *words]
    try:
        environment = {"PATH": os.environ["PATH"]}
        assert rootless("list", "-q", env=environment).ok().out == ""
        result = rootless("state", "nobody", env=environment).fails("--root is needed where XDG_RUNTIME_DIR is not set", code=1)
        assert result.out == ""
    finally:
        rootless.command = kept


@pytest.mark.parametrize("words", [["list", "--format="], ["events", "--interval=", "CONTAINER"], ["exec", "--user=", "CONTAINER", "true"],
                                   ["exec", "--preserve-fds=", "CONTAINER", "true"]], ids=" ".join)
def test_an_empty_value_is_refused_where_it_could_be_meant(runtime, running, words):
    runtime(*(running if word == "CONTAINER" else word for word in words)).fails("")


@pytest.mark.parametrize("flags", [[], ["--no-subreaper"]], ids=["the runtime's", "not with --no-subreaper"])
def test_orphans_of_a_container_without_a_pid_namespace_are_the_runtimes(runtime, bundle, container, flags):
    """They go to it until the container ends, or to whoever adopts on this machine."""
    told = os.path.join(bundle.rootfs, "orphan")
    bundle.without_namespace("pid").write("(sleep 600 & echo $! > /orphan.new; mv /orphan.new /orphan); exec sleep 600")
    with subprocess.Popen(runtime.command("run", *flags, "-b", bundle.path, container), stdin=subprocess.DEVNULL) as process:
        try:
            wait_until(lambda: os.path.exists(told), "the orphan is there")
            with open(told, encoding="utf-8") as file:
                orphan = file.read().strip()

            def parent():
                with open(f"/proc/{orphan}/status", encoding="utf-8") as file:
                    return int(re.search(r"^PPid:\t(\d+)$", file.read(), re.M)[1])
            wait_until(lambda: parent() != runtime.state(container)["pid"] and (parent() == process.pid) == (flags == []), "it is adopted")
        finally:
            runtime("delete", "-f", container)
            process.wait(30 * PATIENCE)
