"""A machine that loses its power while images come in: five cuts of `make power-cuts`, one after another on one disk."""

import os
import shutil
import sys
import tempfile
import time

import pytest
from conftest import ROOT

sys.path.insert(0, os.path.join(ROOT, "Tests", "PowerCut"))
import power_cut

CUTS = 5
# Some come after the end of what they were to be in the middle of, and are as good, but do not count.
MOST_BOOTS = 5


@pytest.fixture(scope="module")
def series():
    if shutil.which("qemu-system-x86_64") is None:
        pytest.skip("no qemu-system-x86_64: `make deps-vm` installs it")
    folder = tempfile.mkdtemp(prefix="apus-power-")
    try:
        seed = time.time_ns() % 1_000_000
        print(f"seed {seed}")
        yield power_cut.Series(folder, seed)
    finally:
        shutil.rmtree(folder)


def of_the_machine(attempt):
    """What a virtual machine that does not work here says of us is nothing."""
    try:
        return attempt()
    except power_cut.MachineFault as fault:
        return pytest.skip(f"a virtual machine does not work here: {fault}")


@pytest.mark.parametrize("number", range(1, CUTS + 1))
def test_fault_D01_power_is_cut_in_a_pull_a_load_or_a_commit_and_what_is_seen_afterwards_is_whole(series, number):
    """Each looks at what the one before it left, the last test at what the last one did."""
    assert any(of_the_machine(series.cut) for _ in range(MOST_BOOTS)), "too many cuts came too late"


def test_fault_D01_after_the_last_cut_everything_is_whole(series):
    assert "whole: " in of_the_machine(series.look)
