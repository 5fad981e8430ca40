"""A file system whose server never answers for one name: what looks there is stuck in the kernel, and no signal ends it.

It speaks FUSE by itself, so that it needs no library. The connection ends with its descriptor, so nothing outlives the test's process."""

import ctypes
import os
import select
import struct
import threading

LOOKUP, GETATTR, STATFS, INIT, BATCH_FORGET, FORGET = 1, 3, 17, 26, 42, 2
MKNOD, UNLINK, OPENDIR, READDIR = 8, 10, 27, 28
ENOENT, ENOSYS = 2, 38
MS_NOSUID, MS_NODEV, MNT_DETACH = 2, 4, 2
LIBC = ctypes.CDLL(None, use_errno=True)


class HangingFiles:
    """Mounted at `path`: `hang` in it is never answered for, nothing else is there."""

    def __init__(self, path):
        self.path = path
        os.makedirs(path, exist_ok=True)
        self.device = os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC | os.O_NONBLOCK)
        options = f"fd={self.device},rootmode=40000,user_id=0,group_id=0,allow_other"
        if LIBC.mount(b"hanging", path.encode(), b"fuse", MS_NOSUID | MS_NODEV, options.encode()):
            raise OSError(ctypes.get_errno(), f"mount fuse onto {path}")
        self.stuck = 0
        self.wake = os.pipe()
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self):
        # Never blocked in the read, not even where a request is withdrawn after it was told of: a descriptor that is in use would keep the connection.
        while select.select([self.device, self.wake[0]], [], [])[0] == [self.device]:
            try:
                request = os.read(self.device, 1 << 20)
            except OSError:
                continue  # Whoever asked was killed meanwhile, before the read (EAGAIN) or in it.
            opcode, unique, node = struct.unpack_from("<IQQ", request, 4)
            body = request[40:]
            if opcode in (FORGET, BATCH_FORGET):
                continue
            if self.hangs(opcode, unique, body):
                self.stuck += 1
                continue
            self.answer(unique, *self.reply(opcode, node, body))

    def hangs(self, opcode, _unique, body):
        return opcode == LOOKUP and body.rstrip(b"\0") == b"hang"

    def reply(self, opcode, _node, _body):
        if opcode == INIT:
            return 0, struct.pack("<IIIIHHIIHHI7I", 7, 31, 65536, 0, 12, 9, 65536, 1, 16, 0, 0, *[0] * 7)
        if opcode == GETATTR:
            return 0, struct.pack("<QII6Q10I", 60, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0o40755, 2, 0, 0, 0, 4096, 0)
        if opcode == STATFS:
            return 0, bytes(80)
        return (-ENOENT if opcode == LOOKUP else -ENOSYS), b""

    def answer(self, unique, error, body):
        try:
            os.write(self.device, struct.pack("<IiQ", 16 + len(body), error, unique) + body)
        except OSError:
            pass  # Whoever asked was killed meanwhile.

    def give_up(self):
        """Ends the connection: whoever is stuck gets an error."""
        if self.device < 0:
            return
        os.close(self.wake[1])
        self.thread.join(10)
        os.close(self.device)
        self.device = -1
        LIBC.umount2(self.path.encode(), MNT_DETACH)
        os.close(self.wake[0])


class SlowRemoval(HangingFiles):
    """Mounted at `path`, an empty folder for empty files, of which the first one that is to be removed is so when `release` is called. Until then
    whoever looks into the folder waits, too."""

    def __init__(self, path):
        self.nodes, self.held = {}, None
        super().__init__(path)

    def hangs(self, opcode, unique, body):
        if opcode != UNLINK or self.held:
            return False
        self.held = (unique, body.rstrip(b"\0"))
        return True

    def release(self):
        unique, name = self.held
        del self.nodes[name]
        self.answer(unique, 0, b"")

    def reply(self, opcode, node, body):
        name = body[16 if opcode == MKNOD else 0:].rstrip(b"\0")
        if opcode == MKNOD:
            self.nodes[name] = 2 + max(self.nodes.values(), default=0)
        if opcode in (LOOKUP, MKNOD) and name in self.nodes:
            return 0, struct.pack("<QQQQII", self.nodes[name], 0, 0, 0, 0, 0) + self.attributes(self.nodes[name])
        if opcode == GETATTR and node != 1:
            return 0, struct.pack("<QII", 0, 0, 0) + self.attributes(node)
        if opcode == UNLINK:
            del self.nodes[name]
            return 0, b""
        if opcode == OPENDIR:
            return 0, bytes(16)
        if opcode == READDIR:
            return 0, b"" if struct.unpack_from("<Q", body, 8)[0] else b"".join(map(self.entry, self.nodes.items()))
        return super().reply(opcode, node, body)

    @staticmethod
    def attributes(node):
        return struct.pack("<6Q10I", node, *[0] * 5, 0, 0, 0, 0o100600, 1, 0, 0, 0, 4096, 0)

    @staticmethod
    def entry(item):
        name, node = item
        return struct.pack("<QQII", node, node, len(name), 8) + name + bytes(-len(name) % 8)
