"""Tests/Fixtures/standstill.py: what stands still fails, wherever it does, and ends."""

import os
import subprocess
import sys

import pytest

FIXTURES = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "Fixtures")
CONFTEST = """
import sys
sys.path.insert(0, FIXTURES)
import standstill

def pytest_configure(config):
    config.pluginmanager.register(standstill)
"""


@pytest.mark.parametrize("body", [
    "time.sleep(1000)",
    "with ThreadPoolExecutor() as pool: pool.submit(threading.Event().wait); time.sleep(1000)",
    "with subprocess.Popen(['cat'], stdin=os.pipe()[0]): time.sleep(1000)",
], ids=["a wait", "a wait beside a thread", "a wait beside a program"])
def test_what_stands_still_fails_and_ends(tmp_path, body):
    ended = run(tmp_path, body)
    # Broken off, not only failed: scripts/run-tests gives a file that was no second attempt.
    assert ended.returncode == 2 and "stood still for 1 s" in ended.stdout, ended
    # What comes behind it would stand still as well.
    assert "1 failed in" in ended.stdout and "passed" not in ended.stdout, ended


def test_where_no_signal_is_heard_the_process_says_where_it_is_and_ends(tmp_path):
    ended = run(tmp_path, "signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGALRM]); time.sleep(1000)")
    assert ended.returncode == 1 and "test_still.py" in ended.stderr and "Timeout" in ended.stderr, ended


def run(folder, body):
    (folder / "conftest.py").write_text(CONFTEST.replace("FIXTURES", repr(FIXTURES)))
    imports = "import os, signal, subprocess, threading, time\nfrom concurrent.futures import ThreadPoolExecutor\n"
    (folder / "test_still.py").write_text(f"{imports}\ndef test_still():\n    {body}\n\ndef test_next():\n    pass\n")
    return subprocess.run([sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(folder)], capture_output=True, text=True, timeout=60,
                          env={**os.environ, "APUS_TEST_SECONDS": "1", "APUS_PATIENCE": "1"}, cwd=folder, check=False)
