"""What a shim has in memory, whatever its container writes."""
import re
from pathlib import Path

import pytest
from shim_client import BINARIES, read_log
from shim_fixtures import shim, shims  # noqa: F401

# A debug build takes ten times as long for each byte.
GIGABYTE = 50_000_000 if "debug" in str(BINARIES) else 1_000_000_000
FILE_BYTE_COUNT, FILE_COUNT = 1_000_000, 3


def peak(pid):
    return int(re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())[1])


@pytest.mark.parametrize("source, byte_count", [
    ("cat /dev/zero", GIGABYTE), ("cat /dev/zero | tr '\\0' '\\377'", GIGABYTE // 10), ("yes $(printf 'line \\200 of what is no text')", GIGABYTE // 10)],
    ids=["a gigabyte of NULs without a newline", "invalid UTF-8 without a newline", "lines"])
def test_memory_is_bounded_whatever_is_written(shim, source, byte_count):
    shim.run("sh", "-c", f"while [ ! -e /tmp/go ]; do usleep 10000; done; ({source}) 2>/dev/null | head -c {byte_count}",
             options={"file_bytes": FILE_BYTE_COUNT, "files": FILE_COUNT})
    before = peak(shim.pid)
    shim.connection.socket.settimeout(600)
    (shim.bundle / "rootfs/tmp/go").touch()
    assert shim.wait()[2] == 0
    after = peak(shim.pid)
    print(f"peak {before} kB before, {after} kB after {byte_count} bytes")
    assert after - before < 2048, (before, after)
    sequence, records = read_log(shim.log)
    written = sum(len(text) + (not partial) for _, _, partial, text in records)
    assert records and written <= FILE_BYTE_COUNT
    # All that was written went through files of that size; what each record adds is part of it.
    assert sequence > byte_count // FILE_BYTE_COUNT - 2
    # The spool gave back what the log had.
    assert sum(path.stat().st_blocks * 512 for path in shim.directory.iterdir() if path.name in ("stdout", "stderr")) <= 1 << 20
