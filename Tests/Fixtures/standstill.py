"""A test that stands still fails, says where it stood and what its programs were doing, and holds up nobody else.

A plugin of pytest, which each conftest.py registers. APUS_TEST_SECONDS is how long a part of a test (its setting up, itself, its clearing up) may
take: far longer than any takes, for what is slow has limits of its own; 0 is for ever. What comes behind it in the same run is left out."""

import contextlib
import faulthandler
import glob
import os
import signal
import sys
import threading
import traceback

import pytest

SECONDS = int(float(os.environ.get("APUS_TEST_SECONDS", "900")) * float(os.environ.get("APUS_PATIENCE", "1")))
SECONDS_AGAIN = 60
# Time for some more.
SECONDS_DEAF = min(5 * SECONDS, 300)
ERRORS = pytest.StashKey[int]()


def register(config):
    """Once, however many folders of tests a run has."""
    if not config.pluginmanager.is_registered(sys.modules[__name__]):
        config.pluginmanager.register(sys.modules[__name__])


def children(parent):
    found = []
    for path in glob.glob(f"/proc/{parent}/task/*/children"):
        with contextlib.suppress(OSError), open(path, encoding="ascii") as file:
            found += [int(word) for word in file.read().split()]
    return found


def descendants(parent):
    for child in children(parent):
        yield child
        yield from descendants(child)


def told(pid):
    """What it is, and in which call of the kernel each of its threads waits. - Source: proc(5)."""
    with contextlib.suppress(OSError):
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            words = file.read().replace(b"\0", b" ").decode(errors="replace")
        yield f"{pid}: {words[:200]}"
        for task in glob.glob(f"/proc/{pid}/task/*"):
            with open(f"{task}/stat", encoding="utf-8", errors="replace") as stat, open(f"{task}/wchan", encoding="ascii") as wchan:
                yield f"    {stat.read().rpartition(')')[2].split()[0]} {wchan.read()}"


def story():
    programs = [line for pid in descendants(os.getpid()) for line in told(pid)]
    threads = [line for thread, place in sys._current_frames().items() if thread != threading.get_ident()
               for line in (f"thread {thread}:", *"".join(traceback.format_stack(place)[-4:]).splitlines())]
    return "\n".join([f"stood still for {SECONDS} s", *programs, *threads])


@contextlib.contextmanager
def limited(session):
    """Fails what takes longer, and what comes behind it does not begin: it would stand still as well. Where no signal is heard, in a call of C that
    goes on, this process ends a little later."""
    again = min(SECONDS, SECONDS_AGAIN)

    def fail(*_):
        # However long it takes to find out what is told: the next signal would begin that anew.
        signal.setitimer(signal.ITIMER_REAL, 0)
        session.shouldstop = session.shouldstop or f"a test stood still for {SECONDS} s"
        told = story()
        signal.setitimer(signal.ITIMER_REAL, again, again)
        pytest.fail(told)

    if not SECONDS:
        yield
        return
    signal.signal(signal.SIGALRM, fail)
    # Again and again: what is left on the way may wait, too, as a pool does for its threads.
    signal.setitimer(signal.ITIMER_REAL, SECONDS, again)
    faulthandler.dump_traceback_later(SECONDS + SECONDS_DEAF, exit=True, file=session.config.stash[ERRORS])
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()
        signal.setitimer(signal.ITIMER_REAL, 0)


@pytest.hookimpl(hookwrapper=True)
def limited_part(item):
    with limited(item.session):
        yield


pytest_runtest_setup = pytest_runtest_call = pytest_runtest_teardown = limited_part


@pytest.hookimpl(hookwrapper=True)
def pytest_sessionfinish(session):
    """What is for all tests is cleared up here where they ended early."""
    with limited(session):
        yield


def pytest_configure(config):
    # What a test writes is kept from the terminal: this goes there.
    config.stash[ERRORS] = os.dup(2)


def pytest_unconfigure(config):
    """Whoever ends waits for its threads."""
    if SECONDS:
        faulthandler.dump_traceback_later(SECONDS_AGAIN, exit=True, file=config.stash[ERRORS])
