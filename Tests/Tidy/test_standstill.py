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
    (tmp_path / "conftest.py").write_text(CONFTEST.replace("FIXTURES", repr(FIXTURES)))
    imports = "import os, subprocess, threading, time\nfrom concurrent.futures import ThreadPoolExecutor\n"
    (tmp_path / "test_still.py").write_text(f"{imports}\ndef test_still():\n    {body}\n\ndef test_next():\n    pass\n")
    ended = subprocess.run([sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)], capture_output=True, text=True, timeout=60,
                           env={**os.environ, "APUS_TEST_SECONDS": "1", "APUS_PATIENCE": "1"}, cwd=tmp_path, check=False)
    assert ended.returncode == 1 and "stood still for 1 s" in ended.stdout and "1 failed, 1 passed" in ended.stdout, ended
