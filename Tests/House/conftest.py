"""What a newcomer types: the demonstration, installing, the benchmarks' command line; and what a newcomer's machine may meet: a power cut."""

import os
import shutil
import sys
import tempfile

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("APUS_BUILD", os.path.join(ROOT, ".build", "release"))
PROGRAMS = ["apus", "apusd", "apus-init", "apus-net", "apus-runtime", "apus-shim"]
sys.path.insert(0, os.path.join(ROOT, "Tests", "Fixtures"))
import standstill


def pytest_configure(config):
    standstill.register(config)


@pytest.fixture
def folder():
    """A short folder below /tmp: sockets lie in it."""
    path = tempfile.mkdtemp(prefix="apus-", dir="/tmp")
    yield path
    shutil.rmtree(path)
