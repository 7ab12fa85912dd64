"""The power goes on ext4, under load: what was acknowledged is there, whole, and nothing else is."""

import os
import subprocess

import pytest

import endure
import harness
from ledger import Lost
from power import Power, why_not

REASON = why_not()
pytestmark = pytest.mark.skipif(REASON is not None, reason=f"no power can be cut here: {REASON}")

CUTS = 6


def write(path, data, sync):
    with open(path, "wb") as file:
        file.write(data)
        file.flush()
        if sync:
            os.fsync(file.fileno())


def test_the_disk_keeps_what_was_synced_and_loses_what_was_not():
    with Power(64) as power, power.mounted() as [home]:
        write(home / "synced", b"a" * 100_000, sync=True)
        flushes = power.counts(power.disks)["flushes"]
        write(home / "synced too", b"b" * 100_000, sync=True)
        assert power.counts(power.disks)["flushes"] > flushes, "ext4 asks for a flush, and it comes to the disk"
        write(home / "not synced", b"c" * 100_000, sync=False)
        # Written to the disk, and not flushed there.
        with open(home / "synced", "r+b") as file:
            file.write(b"d" * 100_000)
            file.flush()
        lost, _ = power.cut("lose", 1)
        with power.mounted(lost) as [cut]:
            assert sorted(path.name for path in cut.iterdir()) == ["lost+found", "synced", "synced too"]
            assert (cut / "synced").read_bytes() == b"a" * 100_000
            assert (cut / "synced too").read_bytes() == b"b" * 100_000
        assert (home / "not synced").read_bytes() == b"c" * 100_000, "the disk itself goes on"


@pytest.mark.timeout(300)
@pytest.mark.parametrize("disks", [1, 3])
def test_power_cuts_lose_nothing_that_was_acknowledged(disks):
    report = endure.cuts(CUTS, 20140328, disks=disks, every=(4, 4, 4))
    print(report)
    assert report["gone_on_from_the_cut"] == 1 and report["again_in_recovery"] == 2 and report["index_rebuilt"] == 1
    assert report["rounds"] == CUTS and report["acknowledged"] > CUTS * 10, "the load was none"


@pytest.mark.timeout(300)
def test_a_disk_that_forgets_what_it_was_told_to_flush_is_found_out():
    with pytest.raises(Lost):
        endure.cuts(CUTS, 1, pause=(0.3, 0.5), modes=("lose",), lie=True)


# A library to load before the others: what is synced in files of this name is not.
FORGETFUL = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
static int forgotten(int fd) {
    char link[64], path[512];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, sizeof path - 1);
    path[n < 0 ? 0 : n] = 0;
    return strstr(path, FORGET) != 0;
}
int fsync(int fd) { return forgotten(fd) ? 0 : ((int (*)(int))dlsym(RTLD_NEXT, "fsync"))(fd); }
int fdatasync(int fd) { return forgotten(fd) ? 0 : ((int (*)(int))dlsym(RTLD_NEXT, "fdatasync"))(fd); }
"""


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize("files", [".kdv", ".kdj", "index.redb", "books.redb"])
def test_an_appliance_that_forgets_to_sync_is_found_out(files, tmp_path, monkeypatch):
    library, source, wrapper = tmp_path / "forgetful.so", tmp_path / "forgetful.c", tmp_path / "kandian"
    source.write_text(FORGETFUL)
    subprocess.run(["cc", "-shared", "-fPIC", f'-DFORGET="{files}"', "-o", library, source, "-ldl"], check=True)
    wrapper.write_text(f'#!/bin/sh\nLD_PRELOAD={library} exec {harness.BINARY} "$@"\n')
    wrapper.chmod(0o755)
    monkeypatch.setattr(harness, "BINARY", wrapper)
    with pytest.raises(AssertionError, match="acknowledged was|nobody made them|ended with|bytes that are not"):
        print(endure.cuts(150, 20140328))
