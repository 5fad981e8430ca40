"""Filters of system calls, seen from the payload. - Spec: runtime-spec, config-linux.md, "Seccomp"."""

import json
import os
import re
import subprocess

import pytest
from boxes import Box

DENY_CHROOT = {"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"]}


@pytest.fixture
def box(runtime, bundle, container):
    return Box(runtime, bundle, container)


def rule(*names, action="SCMP_ACT_ERRNO", **rest):
    return {"names": list(names), "action": action, **rest}


def with_rules(box, *rules, **profile):
    box.linux["seccomp"] = {**DENY_CHROOT, "syscalls": list(rules), **profile}
    return box


def test_a_denied_call_fails_with_the_profiles_errno_and_others_work(box):
    with_rules(box, rule("chroot", errnoRet=38))
    done = box.run("busybox chroot / true; echo status $?; echo alive")
    assert "not implemented" in done.err and "alive" in done.out


def test_without_an_errno_a_denied_call_is_not_permitted(box):
    with_rules(box, rule("mkdir", "mkdirat"))
    done = box.run("mkdir /x; echo alive")
    assert "not permitted" in done.err and done.out == "alive\n"


def test_conditions_on_arguments_decide(box):
    """kill(0, 0) is denied, any other signal is not."""
    with_rules(box, rule("kill", args=[{"index": 1, "value": 0, "op": "SCMP_CMP_EQ"}]))
    done = box.run("kill -0 $$; echo $?; kill -CONT $$; echo $?")
    assert done.out.split() == ["1", "0"]


def test_a_call_that_kills_ends_the_payload_with_its_signal(box):
    with_rules(box, rule("chroot", action="SCMP_ACT_KILL_PROCESS"))
    done = box.run("exec busybox chroot / true")
    assert done.code == 128 + 31


def test_an_allow_list_of_docker_s_kind_runs_a_shell(box):
    box.linux["seccomp"] = {
        "defaultAction": "SCMP_ACT_ERRNO", "architectures": ["SCMP_ARCH_X86_64"],
        "syscalls": [rule(*("read write open openat close stat fstat lstat newfstatat mmap mprotect munmap brk rt_sigaction rt_sigprocmask "
                            "ioctl dup2 fcntl fork vfork clone execve exit exit_group wait4 getpid getppid getuid geteuid getgid getegid "
                            "arch_prctl set_tid_address set_robust_list rseq prlimit64 getrandom readlink uname getcwd futex readlinkat "
                            "rt_sigreturn sigaltstack access faccessat faccessat2 poll prctl chdir fchdir seccomp close_range execveat "
                            "nanosleep epoll_pwait epoll_ctl epoll_create1 eventfd2 pipe2 madvise sched_yield tgkill gettid getdents64 "
                            "fchown setgroups setuid setgid capset capget lseek pread64").split(), action="SCMP_ACT_ALLOW")],
    }
    done = box.run("echo hello; cat /proc/self/status")
    assert done.out.startswith("hello\n") and "Seccomp:\t2" in done.out
    assert "not permitted" in box.run("mkdir /x").err


def test_a_name_that_nobody_knows_is_passed_over(box):
    with_rules(box, rule("no_such_call_at_all", "chroot"))
    assert "not permitted" in box.run("busybox chroot / true").err


@pytest.mark.ours
@pytest.mark.parametrize("first, second", [
    ([(2, "LT", 1, 0), (0, "NE", 1, 0)], [(2, "MASKED_EQ", 1 << 32, 1), (0, "NE", 1, 0)]),
    ([(1, "EQ", 0, 0), (2, "LE", 1, 0), (0, "GE", 1, 0)], [(1, "MASKED_EQ", 0, 0), (2, "EQ", 0, 0), (0, "GE", 1, 0)]),
], ids=["two-conditions", "three-conditions"])
def test_a_profile_over_which_libseccomp_comes_to_no_end_is_an_error(box, first, second):
    """2.5.4 goes round in a circle with it: the runtime did, too, and had to be killed. A library without the fault makes a filter of it."""
    rules = [rule("flock", action=action, args=[
        {"index": index, "op": f"SCMP_CMP_{operator}", "value": value, "valueTwo": other} for index, operator, value, other in conditions])
        for action, conditions in (("SCMP_ACT_TRAP", first), ("SCMP_ACT_ERRNO", second))]
    # Five seconds of the processor, which others may want, too.
    done = with_rules(box, *rules).run("echo alive", timeout=300)
    if done.code == 0:
        assert (done.out, done.err) == ("alive\n", "")
        return
    assert done.code == 1 and "compile seccomp filter: libseccomp came to no end with this profile" in done.err, done.err
    assert len(done.err.strip().splitlines()) == 1


@pytest.mark.ours
def test_a_lower_limit_of_the_callers_on_its_time_stays_and_is_no_hindrance(box):
    """Nobody without CAP_SYS_RESOURCE can raise it; a filter is compiled in less."""
    with_rules(box, rule("chroot", errnoRet=94))
    with box.runtime.below("setpriv", "--bounding-set", "-sys_resource", "sh", "-c", 'ulimit -t 4; exec "$@"', "sh"):
        assert box.run("echo alive").ok().out == "alive\n"


def test_a_second_start_takes_the_compiled_filter_and_denies_the_same(box):
    with_rules(box, rule("chroot", errnoRet=95))
    for _ in range(3):
        assert "not supported" in box.run("busybox chroot / true").err


ENOUGH_FOR_C = ["read", "write", "writev", "exit", "exit_group", "execve", "brk", "mmap", "munmap", "fstat", "newfstatat", "arch_prctl",
                "set_tid_address", "set_robust_list", "rseq", "prlimit64", "readlink", "readlinkat", "getrandom", "mprotect", "ioctl", "uname", "futex",
                "capset", "prctl"]


def errors_of_calls(box, folder, numbers, *rules):
    """What calls of these numbers fail with, where what a small program needs is allowed and EPERM is the default."""
    source = folder / "calls.c"
    source.write_text("""#include <errno.h>\n#include <stdio.h>\n#include <sys/syscall.h>\n#include <unistd.h>
        int main(void) { long numbers[] = {%s}; for (unsigned i = 0; i < sizeof numbers / sizeof *numbers; i++) {
            errno = 0; long result = syscall(numbers[i], 0, 0, 0); printf("%%d ", result < 0 ? errno : 0); } return 0; }""" % numbers)
    program = os.path.join(box.bundle.rootfs, "bin/calls")
    subprocess.run(["cc", "-static", "-O1", "-o", program, str(source)], check=True)
    box.linux["seccomp"] = {"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 1, "architectures": ["SCMP_ARCH_X86_64"],
                            "syscalls": [rule(*ENOUGH_FOR_C, action="SCMP_ACT_ALLOW"), *rules]}
    box.bundle.write(["/bin/calls"])
    return box.runtime("run", "-b", box.bundle.path, box.name).ok().out.split()


def test_calls_newer_than_the_profile_do_not_exist_also_where_the_default_is_eperm(box, tmp_path):
    """Programs of tomorrow try a new call and fall back when there is none: EPERM would stop them."""
    assert errors_of_calls(box, tmp_path, "600, 100000, SYS_acct") == ["38", "38", "1"]


def test_a_call_that_the_profile_names_for_what_is_its_default_is_one_that_it_knows(box, tmp_path):
    """futex_waitv, which is newer than all that is allowed; then the one after it."""
    assert errors_of_calls(box, tmp_path, "449, 450", rule("futex_waitv", errnoRet=1)) == ["1", "38"]


@pytest.mark.ours
def test_what_keeps_the_program_from_running_is_told_behind_a_filter_that_denies_sending(box):
    box.linux["seccomp"] = {"defaultAction": "SCMP_ACT_ERRNO", "architectures": ["SCMP_ARCH_X86_64"],
                            "syscalls": [{"names": ["read", "write", "exit", "exit_group", "capset", "prctl"], "action": "SCMP_ACT_ALLOW"}]}
    box.run("true").fails("operation not permitted")


@pytest.mark.ours
def test_with_debug_alone_it_is_told_why_compiled_filters_are_not_kept(box, tmp_path):
    """The cache is one that others may write to: it is not used, which is worth no warning."""
    with_rules(box, rule("chroot"))
    box.bundle.write("echo ran")
    log, run = tmp_path / "log", ["run", "-b", box.bundle.path]
    unusable = 'mkdir -p /run/apus && mount -t tmpfs tmpfs /run/apus && mkdir /run/apus/seccomp && chmod 777 /run/apus/seccomp && exec "$@"'
    with box.runtime.below("unshare", "-m", "sh", "-c", unusable, "sh"):
        quiet = box.runtime(*run, f"{box.name}-quiet").ok()
        told = box.runtime(*run, f"{box.name}-told", options=["--debug"]).ok()
        box.runtime(*run, f"{box.name}-logged", options=["--debug", "--log", log, "--log-format", "json"]).ok()
    assert (quiet.out, quiet.err, told.out) == ("ran\n", "", "ran\n")
    assert len(re.findall(r'^time="[^"]+" level=debug msg="the seccomp cache is not used: .*/run/apus/seccomp.*"$', told.err, re.M)) == 1
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert {line["level"] for line in lines} == {"debug"}
    assert len([line for line in lines if line["msg"].startswith("the seccomp cache is not used: ")]) == 1
