"""Containers that tests write to images and make of them again: what they do meanwhile, so that it shows where they go on."""

import os
import subprocess
import tempfile

import pytest
from processes import PATIENCE, wait_until

# In a variable of the shell, so that a shell that starts anew starts from 1.
COUNTING = "i=0; while [ ! -e /stop ]; do i=$((i+1)); echo $i 1<> /count; sleep 0.05; done; exit 7"
TALKING = "i=0; while true; do i=$((i+1)); echo $i; sleep 0.05; done"


def quietly(runtime, *words, options=(), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL):
    """Nothing of this process's is the container's, but what is given: criu cannot dump files of the host."""
    with tempfile.NamedTemporaryFile() as log:
        done = subprocess.run(runtime.command(*words, options=[*options, "--log", log.name]), stdin=stdin, stdout=stdout,
                              stderr=stderr, timeout=120 * PATIENCE, check=False)
        assert done.returncode == 0, log.read().decode()


def images(bundle, name="images"):
    return ["--image-path", os.path.join(bundle.path, name), "--work-path", os.path.join(bundle.path, "work")]


class Counter:
    """A container that counts in a file of its root, which is never empty once it is there."""

    def __init__(self, runtime, bundle, name):
        self.runtime, self.bundle, self.name = runtime, bundle, name
        # Of the runtime, before its verb.
        self.options = ()

    def start(self, args=COUNTING, **changes):
        self.bundle.write(args, **changes)
        quietly(self.runtime, "run", "-d", "-b", self.bundle.path, self.name, options=self.options)
        self.goes_on(0)

    def count(self):
        try:
            with open(os.path.join(self.bundle.rootfs, "count"), encoding="utf-8") as file:
                return int(file.read() or 0)
        except FileNotFoundError:
            return 0

    def goes_on(self, before):
        """From where it was, which is not from the beginning."""
        wait_until(lambda: self.count() > before + 3, "the count goes on", seconds=30)

    def checkpoint(self, *flags, name="images"):
        self.runtime("checkpoint", *images(self.bundle, name), *flags, self.name, timeout=120, options=self.options).ok()
        return self.count()

    def cannot_be_written_without(self, flag):
        """criu's reason names the flag, which runc 1.1 leaves in criu's log, and the container goes on."""
        result = self.runtime("checkpoint", *images(self.bundle, "refused"), self.name, timeout=120).fails()
        assert self.runtime.kind != "apus" or flag.lstrip("-") in result.message, result.message
        self.goes_on(self.count())

    def restore(self, *flags, name="images", container=None):
        quietly(self.runtime, "restore", "-d", *images(self.bundle, name), "-b", self.bundle.path, *flags, container or self.name,
                options=self.options)


@pytest.fixture
def counter(runtime, bundle, container):
    made = Counter(runtime, bundle, container)
    yield made
    # Before its root goes, into which it counts.
    for name in (made.name, f"{made.name}-again"):
        runtime("delete", "-f", name)
