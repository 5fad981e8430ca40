"""Rows of the attack list that aim at the runtime's process, its command line and its configuration. That each can fail is shown by
`make weakened`. What an attack aims at belongs to the test: were it to work, the machine would be none the worse."""
# Rows: attacks

import contextlib
import fcntl
import hashlib
import os
import shlex
import shutil
import subprocess
import time
from pathlib import Path

import pytest
from claims import spec
from consoles import ConsoleSocket
from ordinary import everywhere
from processes import PATIENCE, held_in_one_of_several_rounds, wait_until


def digest(path):
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


@pytest.fixture
def copied(runtime, owner):
    """The runtime as a file that an attack may ruin, and that who is root in the container would have the right to write to."""
    path = os.path.join(owner.folder, os.path.basename(runtime.path))
    shutil.copy2(runtime.path, path)
    owner.take(path)
    original, runtime.path = runtime.path, path
    yield path
    runtime.path = original
    os.unlink(path)


# Whoever is neither the container's first process nor this shell has just been cloned by the runtime, from the runtime's file. It is
# opened for reading while that process lives; once no process runs from it any more, writing is no longer "text file busy".
OVERWRITE = """
touch /tmp/ready
while :; do for p in /proc/[0-9]*; do
    case $p in /proc/1|/proc/$$) continue;; esac
    { i=0; while [ $i -lt 100 ]; do (echo overwritten >> /proc/self/fd/3) 2>/dev/null && touch /tmp/done; i=$((i+1)); done; } 3< $p/exe
done 2>/dev/null; done
"""


@everywhere
def test_A01_the_runtimes_own_file_cannot_be_overwritten_by_a_container_that_exec_enters(runtime, copied, bundle, container):
    before = digest(copied)
    sets = {kind: ["CAP_SYS_PTRACE", "CAP_DAC_OVERRIDE"] for kind in ("bounding", "permitted", "effective")}
    bundle.write(OVERWRITE, process={"capabilities": sets})
    runtime.detached("run", "-d", "-b", bundle.path, container).ok()
    wait_until(lambda: os.path.exists(os.path.join(bundle.rootfs, "tmp/ready")), "the attacker")
    for _ in range(20):
        runtime("exec", container, "true")
        time.sleep(0.05)
        if os.path.exists(os.path.join(bundle.rootfs, "tmp/done")):
            break
    assert digest(copied) == before


@everywhere
def test_A01_a_payload_that_is_proc_self_exe_is_not_the_runtimes_own_file(runtime, copied, bundle, container):
    """The kernel resolves the interpreter in the process that calls execve: it is our program that runs again, as the payload."""
    before = digest(copied)
    bundle.file("/bin/attack", "#!/proc/self/exe\n", 0o755)
    bundle.write(["/bin/attack"])
    runtime("run", "-b", bundle.path, container, timeout=20)
    assert digest(copied) == before


@pytest.mark.ours
@everywhere
def test_A01_init_runs_from_a_file_that_refuses_writing(runtime, bundle, container, owner):
    """"Text file busy" would protect it only as long as it runs. An ordinary user, who may mount nothing, has a copy in memory."""
    bundle.write(["true"])
    runtime.detached("create", "-b", bundle.path, container).ok()
    program = f"/proc/{runtime.state(container)['pid']}/exe"
    if owner.whose == "an ordinary user's":
        with open(program, "rb") as file:
            assert fcntl.fcntl(file, fcntl.F_GET_SEALS) & fcntl.F_SEAL_WRITE
    else:
        assert os.statvfs(program).f_flag & os.ST_RDONLY


@pytest.fixture(scope="module")
def remounts(folder):
    path = os.path.join(folder, "remounts")
    source = os.path.join(os.path.dirname(os.path.abspath(__file__)), "remounts.c")
    subprocess.run(["cc", "-static", "-O1", "-Wall", "-Werror", "-o", path, source], check=True)
    with open(path, "rb") as file:
        return file.read()


@pytest.fixture(params=["CAP_SYS_ADMIN", "CAP_SYS_ADMIN CAP_SYS_PTRACE"])
def remounting(request, runtime, copied, bundle, container, remounts):
    """Starts a container that may mount and makes every file writable that it sees a process run from; what it came to is told."""
    before = digest(copied)
    rights = ["CAP_DAC_OVERRIDE", *request.param.split()]
    sets = {kind: rights for kind in ("bounding", "permitted", "effective")}
    bundle.file("/bin/remounts", remounts, 0o755)
    bundle.write(["/bin/remounts"], process={"capabilities": sets})
    runtime.detached("run", "-d", "-b", bundle.path, container).ok()

    def has(name):
        return os.path.exists(os.path.join(bundle.rootfs, "tmp", name))

    def came_to(looked):
        # Peers are gone before they can be looked at.
        looked = looked if runtime.kind == "apus" else has("looked")
        assert {name: has(name) for name in ("looked", "writable", "written")} == {"looked": looked, "writable": False, "written": False}
        assert digest(copied) == before

    def rounds(looked):
        """Twenty, and more where the attacker had no processor in any of them; as many as there may be, for whom it is to see."""
        for number in range(400):
            if number >= 20 and (has("looked") or not looked or runtime.kind != "apus"):
                return
            yield number

    wait_until(lambda: has("ready"), "the attacker")
    came_to.rights, came_to.rounds = sets, rounds
    return came_to


@everywhere
def test_A01_a_container_that_may_mount_makes_the_runtimes_file_no_more_writable_when_exec_enters(runtime, container, remounting):
    """Its exe is on a mount that is mounted nowhere: another could be made writable by whoever sees it."""
    for _ in remounting.rounds(looked=True):
        runtime("exec", container, "true").ok()
        runtime("exec", container, "/proc/self/exe", "features")
    remounting(looked=True)


@pytest.mark.parametrize("verb", ["run", "create"])
def test_A01_nor_when_another_container_is_made_in_its_pid_namespace(runtime, template, bundle, container, remounting, verb):
    beside, other = type(bundle)(f"{bundle.path}-other", template), f"{container}-other"
    try:
        beside.join("pid", f"/proc/{runtime.state(container)['pid']}/ns/pid")
        beside.write(["/proc/self/exe", "features"], process={"capabilities": remounting.rights})
        # A created container's init hides from whoever may not look into everybody.
        looked = verb == "run" or "CAP_SYS_PTRACE" in remounting.rights["bounding"]
        for _ in remounting.rounds(looked):
            if verb == "run":
                runtime("run", "-b", beside.path, other)
            else:
                runtime.detached("create", "-b", beside.path, other).ok()
                runtime("delete", "-f", other).ok()
        remounting(looked)
    finally:
        shutil.rmtree(beside.path)


# Keeps the file that its parent runs from, and writes once nobody runs from it any more: "busy" alone is no guard, it passes.
# Where the file cannot even be opened, that is told.
KEEP = """(exec 3< /proc/$PPID/exe) 2> {0} || exit 0; {{ (i=0; while [ $i -lt 200 ] && {{ grep -qs apus-runtime /proc/$PPID/cmdline ||
                                       (echo attack >> /proc/self/fd/3) 2>&1 | grep -q busy; }}; do i=$((i+1)); sleep 0.05; done
    echo attack >> /proc/self/fd/3) > /dev/null 2> {0} & }} 3< /proc/$PPID/exe"""


@pytest.mark.ours
@pytest.mark.parametrize("kind", ["prestart", "createRuntime", "startContainer", "poststart"])
@everywhere
def test_A01_a_hook_cannot_keep_the_runtimes_file_to_overwrite_it_later(runtime, copied, bundle, container, owner, kind):
    """Those of the container are programs of the image, with all the rights of the payload; those of the host show the runtime itself."""
    before = digest(copied)
    done = os.path.join(bundle.rootfs, "tmp/done")
    script = KEEP.format("/tmp/done" if kind == "startContainer" else done)
    sets = {name: ["CAP_SYS_PTRACE", "CAP_DAC_OVERRIDE"] for name in ("bounding", "permitted", "effective")}
    bundle.write("exec sleep 600", process={"capabilities": sets},
                 hooks={kind: [{"path": "/bin/sh", "args": ["sh", "-c", script], "env": ["PATH=/bin:/usr/bin"]}]})
    runtime.detached("run", "-d", "-b", bundle.path, container).ok()

    def whole():
        """A shell writes an error in pieces."""
        with contextlib.suppress(FileNotFoundError), open(done, encoding="utf-8") as file:
            text = file.read()
            return text if text.endswith("\n") else None

    said = wait_until(whole, "the attack", seconds=30)
    # What hides from the container, or from an ordinary user, shows no file at all.
    kept_out = owner.whose == "an ordinary user's" or owner.root and kind == "startContainer"
    assert ("Permission denied" if kept_out else "Read-only file system") in said
    assert digest(copied) == before


@everywhere
def test_A02_a_working_directory_through_a_descriptor_is_refused(runtime, bundle, container, owner):
    for number in range(3, 40, owner.step):
        bundle.write(["true"], process={"cwd": f"/proc/self/fd/{number}"})
        result = runtime("run", "-b", bundle.path, container)
        assert result.code != 0, f"descriptor {number}: {result.out}"


@everywhere
def test_A02_exec_refuses_a_working_directory_through_a_descriptor(runtime, running, owner):
    for number in range(3, 40, owner.step):
        result = runtime("exec", "--cwd", f"/proc/self/fd/{number}", running, "true")
        assert result.code != 0, f"descriptor {number}: {result.out}"


@everywhere
def test_A02_a_link_in_the_image_to_a_descriptor_is_no_working_directory(runtime, bundle, container, owner):
    for number in range(3, 20, owner.step):
        os.symlink(f"/proc/self/fd/{number}", os.path.join(bundle.rootfs, f"link{number}"))
        bundle.write(["true"], process={"cwd": f"/link{number}"})
        assert runtime("run", "-b", bundle.path, container).code != 0


@pytest.fixture
def with_host_directories(runtime, owner):
    """The runtime is called with directories of the host as descriptors 3 to 6, so that a way out exists."""
    with runtime.below("sh", "-c", 'exec 3</ 4</ 5</ 6</; exec "$@"', "sh"):
        yield


@pytest.mark.ours
@pytest.mark.parametrize("verb", ["run", "exec"])
@everywhere
def test_A01_the_runtimes_own_copy_is_no_preserved_descriptor(runtime, bundle, running, verb):
    """No descriptor of its own stands at 3."""
    words = ["run", "-b", bundle.path, f"{running}-3"] if verb == "run" else ["exec", running, "true"]
    command = " ".join(map(shlex.quote, runtime.command(verb, "--preserve-fds", "1", *words[1:])))
    done = subprocess.run(["sh", "-c", f"exec {command} 3<&- 4<&-"], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode != 0 and "descriptor 3, which the container is to inherit, is not open" in done.stderr


@pytest.mark.ours
@pytest.mark.parametrize("cwd", ["/proc/self/fd/3", "/proc/self/fd/3/etc", "/link", "/proc/thread-self/fd/3", "/proc/1/fd/3", "/proc/self/fd/3/../.."])
@pytest.mark.usefixtures("with_host_directories")
@everywhere
def test_A02_a_working_directory_through_a_preserved_descriptor_is_refused(runtime, bundle, container, cwd):
    os.symlink("/proc/self/fd/3", os.path.join(bundle.rootfs, "link"))
    bundle.write("pwd; ls", process={"cwd": cwd})
    result = runtime("run", "--preserve-fds", "1", "-b", bundle.path, container)
    assert (result.code != 0, result.out) == (True, "")


@pytest.mark.ours
@pytest.mark.usefixtures("with_host_directories")
@everywhere
def test_A02_exec_refuses_a_working_directory_through_a_preserved_descriptor(runtime, bundle, running):
    result = runtime("exec", "--preserve-fds", "1", "--cwd", "/proc/self/fd/3", running, "ls")
    assert (result.code, result.out) == (255, "")
    document = bundle.file("/process.json", '{"cwd": "/proc/self/fd/3", "args": ["ls"], "user": {"uid": 0, "gid": 0}}')
    result = runtime("exec", "--preserve-fds", "1", "--process", document, running)
    assert (result.code, result.out) == (255, "")


def descriptors_of(process):
    """Every descriptor from 3 up: its number, what it is, and whether it is closed at exec."""
    found = {}
    for name in os.listdir(f"/proc/{process}/fd"):
        with open(f"/proc/{process}/fdinfo/{name}", encoding="utf-8") as file:
            flags = next(int(line.split()[1], 8) for line in file if line.startswith("flags:"))
        if int(name) > 2:
            found[int(name)] = (os.readlink(f"/proc/{process}/fd/{name}"), bool(flags & os.O_CLOEXEC))
    return found


@pytest.mark.ours
@everywhere
def test_A02_what_waits_for_start_holds_nothing_but_its_sockets_and_those_end_at_exec(runtime, bundle, container, open_directories, owner):
    bundle.write(["true"], process={"terminal": False})
    runtime.detached("create", "-b", bundle.path, container, pass_fds=open_directories).ok()
    pid = runtime.state(container)["pid"]
    held = descriptors_of(pid)
    # An ordinary user's lends its own namespaces to exec.
    lent = [os.readlink(f"/proc/{pid}/ns/{name}") for name in os.listdir(f"/proc/{pid}/ns")] if owner.whose == "an ordinary user's" else []
    assert [what for what, _ in held.values() if not what.startswith("socket:") and what not in lent] == []
    assert all(closes for _, closes in held.values()), held


@pytest.mark.ours
@pytest.mark.usefixtures("with_host_directories")
@everywhere
def test_A02_the_payload_has_its_standard_files_and_what_it_was_to_inherit(runtime, bundle, container):
    bundle.write("ls /proc/self/fd", process={"cwd": "/"})
    assert runtime("run", "-b", bundle.path, container).ok().lines == ["0", "1", "2", "3"]
    many = runtime("run", "--preserve-fds", "2", "-b", bundle.path, container)
    assert many.ok().lines == ["0", "1", "2", "3", "4", "5"]


@pytest.mark.ours
@pytest.mark.parametrize("kind", ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"])
@everywhere
def test_A02_A03_a_hook_has_its_standard_files_and_nothing_else(runtime, bundle, container, open_directories, kind):
    log = "/tmp/fds" if kind == "startContainer" else os.path.join(bundle.rootfs, "tmp/fds")
    bundle.write(["true"], hooks={kind: [{"path": "/bin/sh", "args": ["sh", "-c", f"ls /proc/self/fd > {log}"], "env": ["PATH=/bin:/usr/bin"]}]})
    runtime("run", "-b", bundle.path, container, pass_fds=open_directories).ok()
    with open(os.path.join(bundle.rootfs, "tmp/fds"), encoding="utf-8") as file:
        assert file.read().split() == ["0", "1", "2", "3"]


@pytest.mark.ours
@everywhere
def test_A02_A03_no_hook_has_what_is_left_open_or_meant_for_the_program(runtime, bundle, container, open_directories, owner):
    kinds = ("prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop")
    log = lambda kind: "/tmp/fds" if kind == "startContainer" else os.path.join(bundle.rootfs, "tmp/fds")
    bundle.write("echo program $(ls /proc/self/fd) >> /tmp/fds; exec sleep 600", hooks={
        kind: [{"path": "/bin/sh", "args": ["sh", "-c", f"echo {kind} $(ls /proc/self/fd) >> {log(kind)}"], "env": ["PATH=/bin:/usr/bin"]}]
        for kind in kinds})
    # The host's hooks and the container's write to it.
    owner.take(bundle.file("/tmp/fds", "", 0o666))
    options = {"pass_fds": open_directories}
    with runtime.below("sh", "-c", 'exec "$0" "$@" 3< /etc/passwd 4< /etc/group'):
        runtime.detached("create", "--preserve-fds", "2", "-b", bundle.path, container, **options).ok()
    runtime("start", container, **options).ok()
    lines = lambda: [line.split() for line in (Path(bundle.rootfs) / "tmp/fds").read_text(encoding="utf-8").splitlines()]
    wait_until(lambda: any(line[0] == "program" for line in lines()), "the program has told")
    runtime("delete", "-f", container, **options).ok()
    told = {line[0]: line[1:] for line in lines()}
    # The program's shell lists what it was given, and has a pipe and the directory open besides.
    assert told.pop("program")[:5] == ["0", "1", "2", "3", "4"]
    assert told == {kind: ["0", "1", "2", "3"] for kind in kinds}


@pytest.fixture
def open_directories(folder):
    numbers = [os.open("/", os.O_RDONLY) for _ in range(18)]
    yield numbers
    for number in numbers:
        os.close(number)


@everywhere
def test_A03_descriptors_that_the_caller_left_open_do_not_reach_the_program(runtime, bundle, container, open_directories):
    # What lists has the directory itself open, and no more.
    bundle.write("ls /proc/self/fd")
    plain = runtime("run", "-b", bundle.path, container).ok().lines
    leaky = runtime("run", "-b", bundle.path, container, pass_fds=open_directories).ok().lines
    assert leaky == plain == ["0", "1", "2", "3"]


@everywhere
def test_A03_descriptors_that_the_caller_left_open_do_not_reach_an_exec(runtime, running, open_directories):
    assert runtime("exec", running, "ls", "/proc/self/fd", pass_fds=open_directories).ok().lines == ["0", "1", "2", "3"]


@everywhere
def test_A03_descriptors_that_the_caller_left_open_do_not_reach_a_created_container(runtime, bundle, container, open_directories):
    bundle.write("sleep 600")
    runtime.detached("create", "-b", bundle.path, container, pass_fds=open_directories).ok()
    runtime("start", container).ok()
    pid = runtime.state(container)["pid"]
    wait_until(lambda: os.path.basename(os.readlink(f"/proc/{pid}/exe")) == "busybox", "the program")
    assert sorted(os.listdir(f"/proc/{pid}/fd")) == ["0", "1", "2"]


@pytest.fixture
def device(folder):
    """A device node that belongs to the test: its path."""
    path = os.path.join(folder, "zero")
    os.mknod(path, 0o020600, os.makedev(1, 5))
    yield path
    os.unlink(path)


@pytest.mark.ours
@pytest.mark.parametrize("terminal", [False, True], ids=["no terminal", "terminal"])
@pytest.mark.parametrize("mapped", [False, True], ids=["host's users", "own users"])
@pytest.mark.parametrize("verb", ["create", "run", "run -d", "exec", "exec -d"])
def test_a_device_of_the_host_is_never_given_to_the_containers_user(runtime, bundle, container, device, verb, mapped, terminal):
    """As standard input and output; runc gives away all but the null device."""
    if mapped:
        bundle.map_users()
    word, *flags = verb.split()
    is_kept = verb in ("run", "exec")
    bundle.write(["true"] if verb == "run" else "exec sleep 600",
                 process={"user": {"uid": 1000, "gid": 1000}, "terminal": terminal and word != "exec"})
    if word == "exec":
        runtime.detached("run", "-d", "-b", bundle.path, container).ok()
        flags += ["-t"] if terminal else []
    else:
        flags += ["-b", bundle.path]
    console = None
    if terminal and not is_kept:
        console = ConsoleSocket(bundle.path, "s")
        flags += ["--console-socket", console.path]
    with open(device, "r+b", buffering=0) as file:
        words = [word, *flags, container, *(["true"] if word == "exec" else [])]
        subprocess.run(runtime.command(*words), stdin=file, stdout=file, stderr=file, check=True, timeout=60 * PATIENCE)
    if console:
        os.close(console.master())
    found = os.stat(device)
    assert (found.st_uid, found.st_gid, found.st_mode) == (0, 0, 0o020600)


@pytest.mark.ours
@pytest.mark.parametrize("verb", ["create", "exec"])
def test_a_callers_pipe_stays_the_callers_where_a_terminal_takes_its_place(runtime, bundle, container, verb):
    """Without a terminal it becomes the user's, who may open /dev/stdout anew."""
    bundle.map_users()
    bundle.write("exec sleep 600", process={"user": {"uid": 1000, "gid": 1000}, "terminal": verb == "create"})
    console = ConsoleSocket(bundle.path, "s")
    words = ["create", "-b", bundle.path, "--console-socket", console.path, container]
    if verb == "exec":
        runtime.detached("run", "-d", "-b", bundle.path, container).ok()
        words = ["exec", "-d", "-t", "--console-socket", console.path, container, "sleep", "600"]
    ours, theirs = os.pipe()
    subprocess.run(runtime.command(*words), stdin=ours, stdout=theirs, stderr=theirs, check=True, timeout=60 * PATIENCE)
    os.close(console.master())
    assert os.fstat(theirs).st_uid == 0
    os.close(ours)
    os.close(theirs)


def status(result):
    return dict(line.split(":", 1) for line in result.ok().lines if ":" in line)


def capabilities(result):
    lines = status(result)
    return int(lines["CapInh"], 16), int(lines["CapAmb"], 16)


@pytest.mark.parametrize("uid", [0, 1000])
def test_A11_the_program_inherits_no_capability_that_was_not_asked_for(runtime, bundle, container, uid):
    bundle.write(["cat", "/proc/self/status"], process={"user": {"uid": uid, "gid": uid}})
    assert capabilities(runtime("run", "-b", bundle.path, container)) == (0, 0)


def test_A11_exec_inherits_no_capability_that_was_not_asked_for(runtime, running):
    for words in ([], ["--cap", "CAP_CHOWN"], ["--user", "1000:1000"], ["--user", "1000:1000", "--cap", "CAP_CHOWN"]):
        result = runtime("exec", *words, running, "cat", "/proc/self/status")
        assert int(status(result)["CapInh"], 16) == 0, words


def test_A11_the_program_inherits_what_was_asked_for(runtime, bundle, container):
    """CAP_KILL is number 5."""
    sets = {kind: ["CAP_KILL"] for kind in ("bounding", "permitted", "effective", "inheritable")}
    bundle.write(["cat", "/proc/self/status"], process={"capabilities": sets})
    assert capabilities(runtime("run", "-b", bundle.path, container)) == (1 << 5, 0)


# What could be read as user 0 by a careless parser; runc 1.1.5 takes some of them.
@pytest.mark.ours
@pytest.mark.parametrize("user", ["1000:", ":0", "4294967296", "-1", "0x0", " 0", "0 ", "", ":", "+0", "1000:0x0", "1000:-1", "00000000000000000000000"])
def test_A14_a_user_that_is_no_plain_number_is_refused(runtime, running, user):
    if set(user) == {"0"}:
        assert runtime("exec", "-u", user, running, "id", "-u").code == 0
        return
    result = runtime("exec", f"--user={user}", running, "id", "-u")
    assert (result.code, result.out) == (255, ""), result.out


@pytest.mark.ours
@pytest.mark.parametrize("user", ["2147483648", "4294967295", "4294967296:1", "1:4294967296", "18446744073709551616"])
def test_A15_a_user_past_the_largest_is_refused_by_exec(runtime, running, user):
    result = runtime("exec", f"--user={user}", running, "id", "-u")
    assert (result.code, result.out) == (255, ""), result.out


@pytest.mark.ours
@pytest.mark.parametrize("uid", [4294967295, 4294967296, -1, 1 << 64])
def test_A15_a_user_past_the_largest_is_refused_by_create(runtime, bundle, container, uid):
    for user in ({"uid": uid, "gid": 0}, {"uid": 0, "gid": uid}, {"uid": 0, "gid": 0, "additionalGids": [uid]}):
        bundle.write("id -u; id -g", process={"user": user})
        result = runtime("run", "-b", bundle.path, container)
        assert result.code != 0 and result.out == ""


@pytest.mark.parametrize("uid", [2147483648, 4294967294])
def test_A15_a_large_user_of_the_configuration_is_that_user_or_none(runtime, bundle, container, uid):
    """The specification allows them, and the kernel has them; user 0 they are not."""
    bundle.write("id -u; id -g; id -G", process={"user": {"uid": uid, "gid": uid, "additionalGids": [uid - 1]}})
    result = runtime("run", "-b", bundle.path, container)
    assert result.code != 0 or result.lines == [str(uid), str(uid), f"{uid} {uid - 1}"], result.out


IDS = ["../escape", "a/b", "x" * 256, "x" * 300, "-dash", ".", "..", "", "a b", "a\nb", "ä", "x/../../escape", "/escape"]
# Each with what must follow the id.
VERBS = {"state": [], "start": [], "kill": ["0"], "delete": [], "delete -f": [], "exec": ["true"], "pause": [], "resume": [], "ps": [],
         "update --pids-limit 5": [], "events --stats": [], "checkpoint": [], "restore": [], "mounts -- add": ["MOUNTS"], "mounts -- rm": ["MOUNTS"]}


@pytest.mark.ours
@pytest.mark.parametrize("verb", VERBS)
def test_A18_an_id_that_is_no_single_safe_name_is_refused_by_every_later_verb(runtime, folder, tmp_path, verb):
    mounts = tmp_path / "mounts.json"
    mounts.write_text('[{"destination": "/mnt", "type": "tmpfs", "source": "tmpfs"}]')
    before = sorted(os.listdir(folder))
    for name in IDS:
        words = verb.split() + (["--"] if name.startswith("-") and "--" not in verb.split() else [])
        tail = [str(mounts) if word == "MOUNTS" else word for word in VERBS[verb]]
        runtime(*words, name, *tail).fails("invalid container ID")
    assert sorted(os.listdir(folder)) == before


@spec("runtime.md#runtimeCreate", "If the ID provided is not unique")
@pytest.mark.parametrize("name", IDS)
def test_A18_an_id_that_is_no_single_safe_name_is_refused_by_create(runtime, bundle, folder, container, name):
    """The cgroup is a harmless one, whatever becomes of the id."""
    bundle.write(["true"], linux={"cgroupsPath": f"/{container}"})
    before = sorted(os.listdir(folder))
    words = ["-b", bundle.path] + (["--"] if name.startswith("-") else [])
    runtime("run", *words, name).fails()
    assert sorted(set(os.listdir(folder)) - {"state"}) == sorted(set(before) - {"state"})


@pytest.mark.parametrize("verb", ["state", "start", "kill", "delete", "exec", "pause", "resume", "ps"])
def test_A18_no_later_verb_leaves_the_state_root_by_an_id(runtime, folder, running, verb):
    victim = os.path.join(folder, "victim")
    shutil.copytree(os.path.join(runtime.state_root, running), victim, ignore=lambda path, names: [n for n in names if n.endswith((".sock", ".fifo"))])
    try:
        tail = {"exec": ["true"], "kill": ["0"]}.get(verb, [])
        flags = ["-f"] if verb == "delete" else []
        result = runtime(verb, *flags, "../victim", *tail)
        assert result.code != 0, result.out
        assert os.path.isdir(victim) and os.listdir(victim)
        assert runtime.status(running) == "running"
    finally:
        shutil.rmtree(victim, ignore_errors=True)


@everywhere
def test_A26_init_is_out_of_reach_of_its_container_until_the_program_runs(runtime, bundle, container):
    """A process of the same user with the same capabilities, in the same pid namespace, looks at the one that waits for start."""
    bundle.write("sleep 600")
    runtime.detached("create", "-b", bundle.path, container).ok()
    for look in ("readlink /proc/1/exe", "readlink /proc/1/cwd", "ls /proc/1/root/", "readlink /proc/1/fd/0", "cat /proc/1/fd/0",
                 "readlink /proc/1/ns/mnt", "cat /proc/1/environ"):
        peek = runtime("exec", container, "sh", "-c", look)
        assert (peek.out, peek.code != 0) == ("", True), look
    runtime("start", container).ok()
    # The program itself is as visible as any.
    seen = lambda: runtime("exec", container, "readlink", "/proc/1/exe").out
    wait_until(lambda: seen() == "/bin/busybox\n", "the program")


@pytest.mark.ours
@everywhere
def test_A26_init_cannot_be_looked_into_as_its_user_either(runtime, bundle, container, owner):
    """The files of a process that is not dumpable belong to root, whoever the process is. - Source: proc(5)."""
    bundle.write("exec sleep 600", process={"user": {"uid": 1000, "gid": 1000}})
    runtime.detached("create", "-b", bundle.path, container).ok()
    pid = runtime.state(container)["pid"]
    user = owner.host_id(1000)
    with open(f"/proc/{pid}/status", encoding="utf-8") as file:
        assert "\t".join(["Uid:", *4 * [str(user)]]) + "\n" in file.read()
    assert os.stat(f"/proc/{pid}/environ").st_uid == 0
    runtime("start", container).ok()
    wait_until(lambda: os.stat(f"/proc/{pid}/environ").st_uid == user, "the program")


@everywhere
def test_A26_the_init_of_another_container_in_the_same_pid_namespace_is_out_of_reach(runtime, bundle, running, container):
    """As an engine's `--pid container:` makes it."""
    first = runtime.state(running)["pid"]
    if bundle.config["linux"].get("uidMappings"):
        # Whose a pid namespace is decides who may join it.
        bundle.join("user", f"/proc/{first}/ns/user")
        del bundle.config["linux"]["uidMappings"], bundle.config["linux"]["gidMappings"]
    bundle.join("pid", f"/proc/{first}/ns/pid").write("exec sleep 601")
    second = f"{container}-second"
    runtime.detached("create", "-b", bundle.path, second).ok()
    script = "for p in /proc/[0-9]*; do case ${p#/proc/} in 1|self|$$) ;; *) for f in $p/exe $p/root $p/fd/*; do readlink $f; done;; esac; done"
    assert runtime("exec", running, "sh", "-c", script).out == ""
    runtime("start", second).ok()
    wait_until(lambda: "/bin/busybox\n" in runtime("exec", running, "sh", "-c", script).out, "the program")


# Whoever is neither the container's first process nor its shell, and whose program lies outside, is joining.
PEEK = """touch /tmp/ready; while :; do for p in /proc/[0-9]*; do
case $(readlink $p/exe) in ""|/bin/busybox) ;; *) readlink $p/exe >> /tmp/seen;; esac; done; done"""


@everywhere
def test_A26_a_joining_process_is_out_of_reach_of_the_container(runtime, bundle, container, owner):
    bundle.write(PEEK)
    runtime.detached("run", "-d", "-b", bundle.path, container).ok()
    wait_until(lambda: os.path.exists(os.path.join(bundle.rootfs, "tmp/ready")), "the attacker")
    for _ in range(0, 40, owner.step):
        runtime("exec", container, "true").ok()
    assert not os.path.exists(os.path.join(bundle.rootfs, "tmp/seen"))


@pytest.mark.parametrize("kind", ["fifo", "huge", "device-link"])
def test_C08_a_passwd_that_is_no_ordinary_file_delays_and_breaks_nothing(runtime, bundle, container, kind):
    path = os.path.join(bundle.rootfs, "etc/passwd")
    os.unlink(path)
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "huge":
        with open(path, "wb") as file:
            file.truncate(10 << 30)
    else:
        os.symlink("/dev/zero", path)
    bundle.write("echo $HOME")

    def attempt():
        assert runtime("run", "-b", bundle.path, container).ok().out == "/\n"

    held_in_one_of_several_rounds(attempt, 10, "it is not waited for")
