"""Every flag of every verb of runc 1.5, by the runtime's own help."""

import re

import pytest

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


@pytest.mark.parametrize("words", [["list", "--format="], ["events", "--interval=", "CONTAINER"], ["exec", "--user=", "CONTAINER", "true"],
                                   ["exec", "--preserve-fds=", "CONTAINER", "true"]], ids=" ".join)
def test_an_empty_value_is_refused_where_it_could_be_meant(runtime, running, words):
    runtime(*(running if word == "CONTAINER" else word for word in words)).fails("")
