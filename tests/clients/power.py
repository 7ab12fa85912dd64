"""Disks whose power can be cut: `examples/cutting_disk` below loop devices with ext4 on them."""

import json
import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

from harness import ROOT, run


def cutting_disk():
    """The program, of the newest build."""
    given = os.environ.get("KANDIAN_CUTTING_DISK")
    found = [Path(given)] if given else list(ROOT.glob("target/*/examples/cutting_disk"))
    assert found, "cargo build --example cutting_disk (or set KANDIAN_CUTTING_DISK)"
    return max(found, key=lambda path: path.stat().st_mtime)


def why_not():
    """Why no power can be cut here, or None."""
    if os.geteuid() != 0:
        return "only root may mount"
    for device in ("/dev/fuse", "/dev/loop-control"):
        try:
            os.close(os.open(device, os.O_RDWR))
        except OSError as error:
            return f"{device}: {error.strerror}"
    for tool in ("mkfs.ext4", "losetup", "mount", "umount"):
        if shutil.which(tool) is None:
            return f"{tool} is not installed"
    # Where the devices may be opened and yet nothing mounted, as in some containers.
    with tempfile.TemporaryDirectory() as directory:
        tried = subprocess.run(["mount", "-t", "tmpfs", "none", directory], capture_output=True, text=True)
        if tried.returncode != 0:
            return f"nothing can be mounted: {tried.stderr.strip()}"
        subprocess.run(["umount", directory], check=True)
    return None


class Power:
    """Disks of so many MiB each, and images of what cuts left of them."""

    def __init__(self, *mib):
        self.home = Path(tempfile.mkdtemp(prefix="kp-"))
        self.files = self.home / "fuse"
        self.files.mkdir()
        self.mounts = []
        # File systems that the check of a boot had to mend before they could be mounted.
        self.repaired = 0
        self.disks = [f"disk-{n}.img" for n in range(len(mib))]
        self.process = subprocess.Popen(
            [str(cutting_disk()), str(self.files), *map(str, mib)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        try:
            assert self.process.stdout.readline(), "the cutting disk did not start"
            for disk in self.disks:
                with Attached(self, disk) as device:
                    run("mkfs.ext4", "-q", "-b", "4096", "-E", "lazy_itable_init=0,lazy_journal_init=0", "-J", "size=8", device)
        except BaseException:
            self.close()
            raise

    def command(self, *words):
        """One command to the disks; gives its answer."""
        print(*words, file=self.process.stdin, flush=True)
        answer = json.loads(self.process.stdout.readline())
        assert "error" not in answer, (words, answer)
        return answer

    def cut(self, mode, seed, of=None, after=0):
        """What a power cut of all the disks would leave, at once or at the `after`th write from now: (files, what the disks
        say of it)."""
        answer = self.command("cut", ",".join(of or self.disks), mode, seed, after)
        return answer["files"], answer

    def mounted(self, files=None):
        """Mounts images; `with` gives the directories."""
        return Mounted(self, files or self.disks)

    def remove(self, files):
        for file in files:
            self.command("remove", file)

    def counts(self, files):
        """How much was done on these disks: writes, discards, flushes."""
        counts = [self.command("counts", file) for file in files]
        return {what: sum(count[what] for count in counts) for what in counts[0]}

    def close(self):
        for mount in reversed(list(self.mounts)):
            mount.close()
        self.process.stdin.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        subprocess.run(["umount", "-l", str(self.files)], capture_output=True)
        for directory in (self.files, self.home):
            directory.rmdir()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Attached:
    """A loop device on an image."""

    def __init__(self, power, file):
        self.path, self.device = power.files / file, None

    def __enter__(self):
        self.device = run("losetup", "--find", "--show", "--direct-io=on", self.path).stdout.decode().strip()
        return self.device

    def __exit__(self, *_):
        if self.device is not None:
            run("losetup", "--detach", self.device)


class Mounted:
    """The file systems of images. Mounting replays their journals, as after any power cut."""

    def __init__(self, power, files):
        self.power, self.files = power, files
        self.held = []  # (device, directory)
        self.seconds = 0.0

    def __enter__(self):
        self.power.mounts.append(self)
        began = time.monotonic()
        try:
            for file in self.files:
                directory = self.power.home / file.removesuffix(".img")
                directory.mkdir()
                attached = Attached(self.power, file)
                self.held.append((attached, directory))
                self.mount(attached.__enter__(), directory)
        except BaseException:
            self.close()
            raise
        self.seconds = time.monotonic() - began
        return [directory for _, directory in self.held]

    def mount(self, device, directory):
        """Mounts; where the cut has torn ext4's own superblock, which has two sectors, after the check of a boot."""
        mount = ["mount", "-t", "ext4", "-o", "noatime,discard", device, str(directory)]
        if subprocess.run(mount, capture_output=True).returncode == 0:
            return
        checked = subprocess.run(["e2fsck", "-y", device], capture_output=True, text=True)
        assert checked.returncode in (0, 1), f"e2fsck of {device}: exit {checked.returncode}\n{checked.stdout}{checked.stderr}"
        self.power.repaired += 1
        run(*mount)

    def __exit__(self, *_):
        self.close()

    def close(self):
        if self in self.power.mounts:
            self.power.mounts.remove(self)
        while self.held:
            attached, directory = self.held.pop()
            # A server that has just been killed may still be on its way out.
            for _ in range(100):
                if not os.path.ismount(directory) or subprocess.run(["umount", directory], capture_output=True).returncode == 0:
                    break
                time.sleep(0.02)
            else:
                run("umount", "-l", directory)
            attached.__exit__()
            directory.rmdir()
