"""The other end of a container's terminal."""

import array
import os
import select
import socket
import time

from processes import PATIENCE


class ConsoleSocket:
    """Listens as an engine's shim does, and takes the master."""

    def __init__(self, folder, name):
        self.path = os.path.join(folder, name)
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.path)
        self.listener.listen()
        self.listener.settimeout(20 * PATIENCE)

    def master(self):
        connection, _ = self.listener.accept()
        connection.settimeout(20 * PATIENCE)
        numbers = array.array("i")
        _, ancillary, _, _ = connection.recvmsg(4096, socket.CMSG_SPACE(4))
        for level, kind, data in ancillary:
            assert (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS)
            numbers.frombytes(data[:4])
        connection.close()
        self.listener.close()
        os.unlink(self.path)
        return numbers[0]


def read_until(descriptor, text, seconds=20):
    seen, deadline = b"", time.monotonic() + seconds * PATIENCE
    while text not in seen:
        ready, _, _ = select.select([descriptor], [], [], max(0, deadline - time.monotonic()))
        assert ready, f"{text} is not in {seen}"
        try:
            chunk = os.read(descriptor, 65536)
        except OSError:
            chunk = b""
        assert chunk, f"{text} is not in {seen}, and that was all"
        seen += chunk
    return seen
