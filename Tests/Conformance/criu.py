"""Whether criu works here: for tests that need it, and for those of what is said where it does not."""

import shutil
import subprocess

import pytest

IS_INSTALLED = shutil.which("criu") is not None
WORKS = IS_INSTALLED and subprocess.run(["criu", "check"], capture_output=True, check=False).returncode == 0
needed = pytest.mark.skipif(not WORKS, reason="criu check fails here")
missed = pytest.mark.skipif(WORKS or not IS_INSTALLED, reason="criu works here, or is not installed")
