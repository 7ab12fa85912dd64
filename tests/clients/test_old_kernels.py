"""On a kernel of the day of glibc 2.17, which packages are built for: old_kernel.py takes away what Linux has got since."""

import platform
import subprocess
import sys
from pathlib import Path

import pytest
from harness import BINARY, MIB, payload

OLD = [sys.executable, str(Path(__file__).with_name("old_kernel.py"))]

pytestmark = pytest.mark.skipif(platform.machine() != "x86_64", reason="system calls are numbered as on x86-64")


def test_a_call_that_came_later_is_not_there():
    asks = "import os; os.getrandom(1)"
    done = subprocess.run([*OLD, sys.executable, "-c", asks], capture_output=True, text=True, timeout=30)
    assert done.returncode == 1 and "Function not implemented" in done.stderr
    assert subprocess.run([sys.executable, "-c", asks], timeout=30).returncode == 0


def test_every_clause_is_passed():
    done = subprocess.run([*OLD, BINARY, "selftest"], capture_output=True, text=True, timeout=150)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "19 passed, 0 failed, 0 not run" in done.stdout, done.stdout


def test_files_come_back_over_a_restart_in_ranges_and_copied(new_server):
    server = new_server(start=False)
    server.before = OLD
    server.start()
    sub = server.open_account(100).open_sub_account(20)
    data = {f"k{n}": payload(size, n) for n, size in enumerate([0, 1, 4096, 100_000, 3 * MIB])}
    for key, body in data.items():
        sub.put(sub.record, key, body)
    server.restart()
    s3 = sub.boto()
    s3.copy_object(Bucket=sub.record, Key="copy", CopySource=f"{sub.record}/k4")
    assert {key: sub.get(sub.record, key) for key in data} == data
    assert sub.get(sub.record, "copy") == data["k4"]
    part = s3.get_object(Bucket=sub.record, Key="k4", Range="bytes=1000000-1000999")["Body"].read()
    assert part == data["k4"][1_000_000:1_001_000]
    assert server.cli("index", "check") is not None
