"""A network namespace of the test run's own, so that bridges, routes and firewall tables touch nobody else's; and calls inside of others."""

import concurrent.futures
import ctypes
import os
import subprocess

CLONE_NEWNET = 0x40000000


def enter():
    """Moves this process, and all that it starts from now on, to a new network namespace with a loopback link."""
    if os.geteuid() != 0 or os.environ.get("APUS_OWN_NETWORK"):
        return
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "unshare a network namespace")
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    os.environ["APUS_OWN_NETWORK"] = "1"


def inside(path, body):
    """What `body` returns, called by a thread in the network namespace of a file: its sockets are made there, without a program being started."""
    def enter_and_call():
        libc = ctypes.CDLL(None, use_errno=True)
        with open(path, "rb") as namespace:
            if libc.setns(namespace.fileno(), CLONE_NEWNET) != 0:
                raise OSError(ctypes.get_errno(), f"enter {path}")
        return body()

    # The thread ends with the scope, and its being elsewhere with it.
    with concurrent.futures.ThreadPoolExecutor(1) as thread:
        return thread.submit(enter_and_call).result()
