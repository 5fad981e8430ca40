"""A wall clock that a test sets, for programs with shared libraries: the daemon, not its shims."""

import os
import struct
import subprocess


class Clock:
    def __init__(self, folder):
        self.library, self.path = os.path.join(folder, "clock.so"), os.path.join(folder, "clock")
        source = os.path.join(os.path.dirname(os.path.abspath(__file__)), "set_clock.c")
        subprocess.run(["gcc", "-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o", self.library, source], check=True)
        self.put_off(0)

    @property
    def environment(self):
        """What a program has the clock by."""
        return {"LD_PRELOAD": self.library, "APUS_CLOCK": self.path}

    def put_off(self, seconds):
        with open(self.path, "r+b" if os.path.exists(self.path) else "wb") as file:
            file.write(struct.pack("<q", seconds))
