"""What a test may have left in the kernel: compared before and after."""

import collections
import ctypes
import functools
import glob
import os
import re
import socket
import struct

# Of libnftables.h.
NFT_STATELESS = 4
# Of linux/netlink.h, linux/sock_diag.h and linux/unix_diag.h.
NETLINK_SOCK_DIAG, SOCK_DIAG_BY_FAMILY, UDIAG_SHOW_PEER, UDIAG_SHOW_RQLEN, UNIX_DIAG_PEER, UNIX_DIAG_RQLEN = 4, 20, 4, 16, 2, 4
NLM_F_REQUEST, NLM_F_DUMP, NLMSG_ERROR, NLMSG_DONE = 1, 0x300, 2, 3


def mounts(below):
    with open("/proc/self/mountinfo", encoding="utf-8") as file:
        return sorted(line.split()[4] for line in file if line.split()[4].startswith(below))


def links():
    """Network links of this namespace; /sys may still show those of another one."""
    with open("/proc/net/dev", encoding="utf-8") as file:
        return sorted(line.split(":")[0].strip() for line in file if ":" in line)


@functools.cache
def nft_library():
    library = ctypes.CDLL("libnftables.so.1")
    library.nft_ctx_new.restype = library.nft_ctx_get_output_buffer.restype = ctypes.c_void_p
    return library


def ruleset():
    """The lines of the firewall of this network namespace, without counters. Asked of nft's library, which takes a tenth of what the program takes."""
    nft = nft_library()
    context = ctypes.c_void_p(nft.nft_ctx_new(0))
    try:
        nft.nft_ctx_buffer_output(context)
        nft.nft_ctx_output_set_flags(context, NFT_STATELESS)
        assert nft.nft_run_cmd_from_buffer(context, b"list ruleset") == 0, "nft lists no ruleset"
        text = ctypes.string_at(nft.nft_ctx_get_output_buffer(context)).decode()
    finally:
        nft.nft_ctx_free(context)
    # Elements of a set come in any order, as many on a line as fit.
    lines = [line.replace("elements = {", "").strip(" \t{},") for line in text.splitlines()]
    return sorted(part for line in lines for part in line.split(", ") if part)


def cgroups(named):
    """Cgroup directories of any hierarchy whose path holds `named`."""
    found = []
    for folder, children, _ in os.walk("/sys/fs/cgroup"):
        depth = folder.count("/")
        if depth > 9:
            children.clear()
        found += [os.path.join(folder, child) for child in children if named in child or named in folder]
    return sorted(found)


def parents_of_peers():
    """The cgroups that docker, containerd and podman keep their containers in, of every hierarchy."""
    names = ("docker", "default", "libpod_parent")
    return {path for name in names for path in (*glob.glob(f"/sys/fs/cgroup/{name}"), *glob.glob(f"/sys/fs/cgroup/*/{name}"))}


def remove_cgroups(paths):
    """Removes cgroups without processes, and those below them."""
    for path in paths:
        for folder, _, _ in os.walk(path, topdown=False):
            os.rmdir(folder)


def processes(command):
    """Process ids whose command line holds `command`. Asked often, and of machines with many processes: without a file object for each."""
    wanted, found = command.encode(), []
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            file = os.open(f"/proc/{name}/cmdline", os.O_RDONLY | os.O_CLOEXEC)
            try:
                words = b"".join(iter(lambda: os.read(file, 1 << 16), b""))
            finally:
                os.close(file)
        except OSError:
            # Ended meanwhile.
            continue
        if wanted in words.replace(b"\0", b" "):
            found.append(int(name))
    return sorted(found)


def files(folder):
    """A folder and all that is below it, each with what tells whether it is still the same; nothing where it is not there."""
    paths = [folder, *glob.glob(f"{folder}/**/*", recursive=True, include_hidden=True)]
    return {path: (os.lstat(path).st_ino, os.lstat(path).st_mode, os.lstat(path).st_mtime_ns) for path in paths if os.path.lexists(path)}


def descriptors(process):
    return len(os.listdir(f"/proc/{process}/fd"))


def links_of_descriptors(process):
    """What a process has open, one entry for each; nothing where it is gone."""
    found = []
    try:
        numbers = os.listdir(f"/proc/{process}/fd")
    except OSError:
        return found
    for number in numbers:
        try:
            found.append(os.readlink(f"/proc/{process}/fd/{number}"))
        except OSError:
            # Closed meanwhile.
            continue
    return found


def held(process):
    """How many descriptors of each kind a process has, but for those of pools with a bound of their own: the database's files, and TCP
    connections, which are kept for a while after a registry was asked."""
    links = [link for link in links_of_descriptors(process) if "/engine.sqlite" not in link]
    kinds = kinds_of_sockets(process, {link for link in links if link.startswith("socket:")})
    links = [kind for link in links if (kind := kinds.get(link, link))]
    # The journal's files have numbers for names: the next one is no other kind.
    return collections.Counter(re.sub(r":\[\d+\]$|(?<=/)\d+$", "", kind) for kind in links)


def kinds_of_sockets(process, sockets):
    """Those of a process's sockets whose other end is among them, and those of whole packets, by which it speaks to the server of names; and None for a
    TCP connection."""
    kinds, rest = {}, set(sockets)
    for number, kind, other, _ in unix_sockets():
        if (own := f"socket:[{number}]") not in sockets:
            continue
        rest.discard(own)
        if f"socket:[{other}]" in sockets:
            kinds[own] = "socket pair"
        elif kind == socket.SOCK_SEQPACKET:
            kinds[own] = "socket of packets"
    # The kernel looks through a table of a quarter of a million places for connections: it is asked only where there may be one.
    if rest - netlink_sockets(process):
        kinds.update(dict.fromkeys(connections(process), None))
    return kinds


def netlink_sockets(process):
    """The netlink sockets of a process's network, as links of descriptors name them."""
    try:
        with open(f"/proc/{process}/net/netlink", encoding="ascii") as file:
            return {f"socket:[{line.split()[9]}]" for line in file if not line.startswith("sk ")}
    except OSError:
        return set()


def unread(process):
    """How many bytes, and connections, wait in a process's unix sockets for it to take them."""
    own = set(links_of_descriptors(process))
    return sum(waiting for number, _, _, waiting in unix_sockets() if f"socket:[{number}]" in own)


def unix_sockets():
    """Number, type, the other end's number and what waits in it of each unix socket of this network namespace: what `ss` asks for, without a program
    for each question."""
    dump = struct.pack("=IHHII", 40, SOCK_DIAG_BY_FAMILY, NLM_F_REQUEST | NLM_F_DUMP, 0, 0)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_SOCK_DIAG) as asked:
        asked.settimeout(10)
        asked.send(dump + struct.pack("=BBHIII8x", socket.AF_UNIX, 0, 0, 0xFFFFFFFF, 0, UDIAG_SHOW_PEER | UDIAG_SHOW_RQLEN))
        while True:
            answer, place = asked.recv(1 << 16), 0
            while place < len(answer):
                length, kind = struct.unpack_from("=IH", answer, place)
                if kind == NLMSG_DONE:
                    return
                if kind == NLMSG_ERROR:
                    failure = -struct.unpack_from("=i", answer, place + 16)[0]
                    raise OSError(failure, f"list unix sockets: {os.strerror(failure)}")
                yield one_unix_socket(answer[place + 16:place + length])
                place += (length + 3) & ~3


def one_unix_socket(message):
    """A struct unix_diag_msg, and the attributes that follow it."""
    kind, number, place, other, waiting = message[1], struct.unpack_from("=I", message, 4)[0], 16, 0, 0
    while place < len(message):
        length, attribute = struct.unpack_from("=HH", message, place)
        if attribute == UNIX_DIAG_PEER:
            other = struct.unpack_from("=I", message, place + 4)[0]
        if attribute == UNIX_DIAG_RQLEN:
            waiting = struct.unpack_from("=I", message, place + 4)[0]
        place += (length + 3) & ~3
    return number, kind, other, waiting


def connections(process):
    """The TCP sockets of a process's network that do not listen, as links of descriptors name them."""
    found = set()
    for table in ("tcp", "tcp6"):
        try:
            with open(f"/proc/{process}/net/{table}", encoding="ascii") as file:
                rows = [line.split() for line in file][1:]
        except OSError:
            continue
        found.update(f"socket:[{row[9]}]" for row in rows if row[3] != "0A")
    return found


def threads(process):
    return len(os.listdir(f"/proc/{process}/task"))


def thread_kinds(process):
    """How many threads of each name a process has, numbers within names left out."""
    found = collections.Counter()
    for path in glob.glob(f"/proc/{process}/task/*/comm"):
        try:
            with open(path, encoding="utf-8") as file:
                found[re.sub(r"\d+", "", file.read().strip())] += 1
        except OSError:
            # Ended meanwhile.
            continue
    return found
