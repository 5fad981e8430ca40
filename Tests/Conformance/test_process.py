"""config.md, "Process": what the program finds when it begins, and what is said when it cannot."""

import os
import re
import shlex
import subprocess

import pytest
from claims import spec


def run(runtime, bundle, container, args, **changes):
    bundle.write(args, **changes)
    return runtime("run", "-b", bundle.path, container)


def status_of(result):
    return dict(re.findall(r"^(\w+):[ \t]*(.*)$", result.ok().out, re.M))


def test_the_environment_is_the_configured_one_with_a_home(runtime, bundle, container):
    result = run(runtime, bundle, container, ["env"], process={"env": ["PATH=/bin", "A=1", "B=two words"]})
    assert sorted(result.ok().lines) == ["A=1", "B=two words", "HOME=/root", "PATH=/bin"]


def test_home_comes_from_the_containers_passwd_and_else_is_the_root(runtime, bundle, container):
    for uid, home in ((1000, "/home/bob"), (4711, "/")):
        result = run(runtime, bundle, f"{container}-{uid}", ["env"], process={"user": {"uid": uid, "gid": 0}})
        assert f"HOME={home}" in result.ok().lines


def test_a_configured_home_stays(runtime, bundle, container):
    result = run(runtime, bundle, container, ["env"], process={"env": ["PATH=/bin", "HOME=/elsewhere"]})
    assert [line for line in result.ok().lines if line.startswith("HOME")] == ["HOME=/elsewhere"]


def test_the_working_directory_is_the_configured_one(runtime, bundle, container):
    assert run(runtime, bundle, container, ["pwd"], process={"cwd": "/tmp"}).ok().out == "/tmp\n"


def test_a_missing_working_directory_is_made(runtime, bundle, container):
    assert run(runtime, bundle, container, ["pwd"], process={"cwd": "/made/for/it"}).ok().out == "/made/for/it\n"


def test_user_groups_and_umask_are_the_configured_ones(runtime, bundle, container):
    user = {"uid": 1000, "gid": 1001, "additionalGids": [5, 1002], "umask": 0o027}
    result = run(runtime, bundle, container, "id -u; id -g; id -G; umask", process={"user": user})
    lines = result.ok().lines
    assert (lines[0], lines[1], set(lines[2].split()), lines[3]) == ("1000", "1001", {"1001", "5", "1002"}, "0027")


def test_groups_of_the_caller_do_not_reach_the_program(runtime, bundle, container):
    result = run(runtime, bundle, container, ["cat", "/proc/self/status"])
    assert status_of(result)["Groups"].strip() in ("", "0"), "a group of the caller"


def test_capabilities_are_exactly_the_configured_sets(runtime, bundle, container):
    sets = {"bounding": ["CAP_KILL", "CAP_CHOWN", "CAP_SETUID"], "permitted": ["CAP_KILL", "CAP_CHOWN"], "effective": ["CAP_KILL"],
            "inheritable": [], "ambient": []}
    found = status_of(run(runtime, bundle, container, ["cat", "/proc/self/status"], process={"capabilities": sets, "noNewPrivileges": True}))
    # Executed by root, the program gets its bounding set whatever permitted was.
    assert int(found["CapBnd"], 16) == 1 << 5 | 1 << 0 | 1 << 7
    assert int(found["CapInh"], 16) == int(found["CapAmb"], 16) == 0


def test_a_user_keeps_no_capability_but_the_ambient_ones(runtime, bundle, container):
    sets = {kind: ["CAP_NET_BIND_SERVICE"] for kind in ("bounding", "permitted", "effective", "inheritable", "ambient")}
    user = {"uid": 1000, "gid": 1000}
    found = status_of(run(runtime, bundle, container, ["cat", "/proc/self/status"], process={"capabilities": sets, "user": user}))
    assert {found[name] for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {f"{1 << 10:016x}"}


def test_an_unknown_capability_is_an_error(runtime, bundle, container):
    run(runtime, bundle, container, ["true"], process={"capabilities": {"bounding": ["CAP_NONSENSE"]}}).fails("CAP_NONSENSE")


@pytest.mark.ours
def test_a_capability_that_the_machine_cannot_give_is_dropped_with_a_warning(runtime, bundle, container):
    """A machine that can give it is played by a caller who gave it up."""
    sets = {kind: ["CAP_KILL", "CAP_SYS_RESOURCE"] for kind in ("bounding", "permitted", "effective")}
    with runtime.below("setpriv", "--bounding-set", "-sys_resource"):
        result = run(runtime, bundle, container, ["cat", "/proc/self/status"], process={"capabilities": sets})
    assert int(status_of(result)["CapBnd"], 16) == 1 << 5
    assert "level=warning" in result.err and "CAP_SYS_RESOURCE" in result.err


def test_no_new_privileges_is_as_configured(runtime, bundle, container):
    for wanted in (True, False):
        result = run(runtime, bundle, f"{container}-{wanted}", ["cat", "/proc/self/status"], process={"noNewPrivileges": wanted})
        assert status_of(result)["NoNewPrivs"] == str(int(wanted))


@spec("config.md#configPOSIXProcess", "a `getrlimit(3)` on `type` MUST succeed", "`rlim.rlim_cur` MUST match", "`rlim.rlim_max` MUST match")
def test_limits_are_the_configured_ones(runtime, bundle, container):
    limits = [{"type": "RLIMIT_NOFILE", "soft": 512, "hard": 1000}, {"type": "RLIMIT_CORE", "soft": 0, "hard": 0}]
    result = run(runtime, bundle, container, ["cat", "/proc/self/limits"], process={"rlimits": limits, "user": {"uid": 1000, "gid": 0}})
    found = {line[:26].strip(): line[26:].split()[:2] for line in result.ok().lines}
    assert (found["Max open files"], found["Max core file size"]) == (["512", "1000"], ["0", "0"])


def test_an_unknown_limit_is_an_error(runtime, bundle, container):
    run(runtime, bundle, container, ["true"], process={"rlimits": [{"type": "RLIMIT_NONSENSE", "soft": 1, "hard": 1}]}).fails("RLIMIT_NONSENSE")


@pytest.mark.ours
def test_a_limit_that_may_not_be_raised_names_itself(runtime, bundle, container):
    limits = [{"type": "RLIMIT_NOFILE", "soft": 1 << 30, "hard": 1 << 30}]
    run(runtime, bundle, container, ["true"], process={"rlimits": limits}).fails("RLIMIT_NOFILE", "EPERM (1)", code=1)


@spec("config.md#configLinuxProcess", "If `oomScoreAdj` is set")
def test_the_oom_score_is_the_configured_one(runtime, bundle, container):
    assert run(runtime, bundle, container, ["cat", "/proc/self/oom_score_adj"], process={"oomScoreAdj": 317}).ok().out == "317\n"


def test_host_and_domain_name_are_the_configured_ones(runtime, bundle, container):
    result = run(runtime, bundle, container, "hostname; cat /proc/sys/kernel/domainname", hostname="inside.example", domainname="yp.example")
    assert result.ok().lines[0] == "inside.example"
    if runtime.kind != "runc":
        assert result.lines[1] == "yp.example"


def test_signals_that_the_caller_ignores_act_in_the_container(runtime, bundle, container):
    bundle.write(["cat", "/proc/self/status"])
    result = runtime("run", "-b", bundle.path, container, preexec_fn=ignore_signals)
    found = status_of(result)
    assert int(found["SigBlk"], 16) == int(found["SigIgn"], 16) == 0


def ignore_signals():
    import ctypes
    import signal
    for number in (signal.SIGPIPE, signal.SIGHUP, signal.SIGUSR1):
        signal.signal(number, signal.SIG_IGN)
    # The C library keeps its real-time signals 32 and 33 to itself; the kernel lets a caller ignore them all the same.
    ignoring = (ctypes.c_ulong * 4)(signal.SIG_IGN)
    for number in (32, 33):
        rt_sigaction = {"x86_64": 13, "aarch64": 134}[os.uname().machine]
        assert ctypes.CDLL(None).syscall(rt_sigaction, number, ignoring, None, 8) == 0
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR2, signal.SIGALRM})


def test_the_program_has_a_session_of_its_own(runtime, bundle, container):
    result = run(runtime, bundle, container, ["cat", "/proc/self/stat"])
    fields = result.ok().out.rsplit(")", 1)[1].split()
    assert fields[2] == fields[3] == "1"


def test_a_user_may_open_its_standard_streams_again(runtime, bundle, container):
    bundle.write("echo again > /dev/stdout", process={"user": {"uid": 1000, "gid": 1000}})
    result = runtime("run", "-b", bundle.path, container)
    assert result.ok().out == "again\n"


def test_preserved_descriptors_and_no_others_reach_the_program(runtime, bundle, container):
    bundle.write("cat <&3; ls /proc/self/fd")
    # A shell gives out the numbers: 3 is to be kept, 4 is not.
    command = " ".join(map(shlex.quote, runtime.command("run", "--preserve-fds", "1", "-b", bundle.path, container)))
    done = subprocess.run(["sh", "-c", f"echo kept | {command} 3<&0 0</dev/null 4</etc"], capture_output=True, text=True, timeout=60, check=True)
    lines = done.stdout.splitlines()
    # ls itself has one directory open.
    assert lines[0] == "kept" and len(lines[1:]) == 5


def test_a_preserved_descriptor_that_is_not_open_is_an_error(runtime, bundle, container):
    bundle.write(["true"])
    runtime("run", "--preserve-fds", "7", "-b", bundle.path, container).fails("inherit" if runtime.kind == "apus" else "")


# A program that cannot be executed. The words are those that engines look for.

NOT_EXECUTABLE = {
    "nonexist": 'exec: "nonexist": executable file not found in $PATH',
    "/bin/nonexist": 'exec: "/bin/nonexist": stat /bin/nonexist: no such file or directory',
    "/bin": 'exec: "/bin": permission denied',
    "/etc/passwd": 'exec: "/etc/passwd": permission denied',
}
SAYS_WHY = {
    "/bin/missing-interpreter": 'interpreter "/bin/nonexistent": no such file or directory',
    "/bin/crlf": "the script has CRLF line endings",
    "/bin/needs-linker": 'interpreter "/lib64/ld-linux-x86-64.so.2": no such file or directory',
    "/bin/foreign": "exec format error: the program is for arm64",
    "/bin/garbage": "exec format error",
}


@pytest.fixture
def programs(bundle):
    bundle.file("/bin/missing-interpreter", "#!/bin/nonexistent\n", 0o755)
    bundle.file("/bin/crlf", "#!/bin/sh\r\necho hi\r\n", 0o755)
    with open("/bin/ls", "rb") as file:
        bundle.file("/bin/needs-linker", file.read(), 0o755)
    with open("/bin/busybox", "rb") as file:
        head = bytearray(file.read())
    head[18:20] = b"\xb7\x00"
    bundle.file("/bin/foreign", bytes(head), 0o755)
    bundle.file("/bin/garbage", "garbage", 0o755)
    return bundle


@pytest.mark.parametrize("program", NOT_EXECUTABLE)
def test_a_program_that_is_not_there_or_not_executable_fails_in_runcs_words(runtime, programs, container, program):
    run(runtime, programs, container, [program]).fails(NOT_EXECUTABLE[program], code=1)
    programs.write([program])
    runtime.detached("create", "-b", programs.path, container).fails(NOT_EXECUTABLE[program], code=1)


@pytest.mark.ours
@pytest.mark.parametrize("program", SAYS_WHY)
def test_a_program_that_the_kernel_refuses_says_why(runtime, programs, container, program):
    run(runtime, programs, container, [program]).fails(f'exec: "{program}": ', SAYS_WHY[program], code=1)


@pytest.mark.ours
def test_start_reports_what_kept_the_program_from_running(runtime, programs, container):
    programs.write(["/bin/foreign"])
    runtime.detached("create", "-b", programs.path, container).ok()
    runtime("start", container).fails(SAYS_WHY["/bin/foreign"], code=1)
    runtime.wait_for(container, "stopped")


@pytest.mark.ours
def test_a_failing_step_is_one_line_with_subject_and_errno(runtime, bundle, container):
    bundle.config["mounts"].append({"destination": "/mnt", "type": "bind", "source": "/nonexistent/source", "options": ["bind"]})
    result = run(runtime, bundle, container, ["true"]).fails("/nonexistent/source", "ENOENT (2)", code=1)
    assert len(result.err.splitlines()) == 1
