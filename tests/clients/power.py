"""A disk whose power can be cut: `examples/cutting_disk` below a loop device with ext4 on it."""

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
    """The disk, and images of what cuts left of it."""

    def __init__(self, mib):
        self.home = Path(tempfile.mkdtemp(prefix="kp-"))
        self.files = self.home / "fuse"
        self.files.mkdir()
        self.mounts = []
        self.process = subprocess.Popen(
            [str(cutting_disk()), str(self.files), str(mib)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        try:
            assert self.process.stdout.readline(), "the cutting disk did not start"
            with Attached(self, "disk.img") as device:
                run("mkfs.ext4", "-q", "-b", "4096", "-E", "lazy_itable_init=0,lazy_journal_init=0", "-J", "size=8", device)
        except BaseException:
            self.close()
            raise

    def command(self, *words):
        """One command to the disk; gives its answer."""
        print(*words, file=self.process.stdin, flush=True)
        answer = json.loads(self.process.stdout.readline())
        assert "error" not in answer, (words, answer)
        return answer

    def cut(self, mode, seed, of="disk.img", after=0):
        """What a power cut would leave, at once or at the `after`th write from now: (file, what the disk says of it)."""
        answer = self.command("cut", of, mode, seed, after)
        return answer["file"], answer

    def mounted(self, file="disk.img"):
        """Mounts an image; `with` gives the directory."""
        return Mounted(self, file)

    def remove(self, file):
        self.command("remove", file)

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
        self.path = power.files / file

    def __enter__(self):
        self.device = run("losetup", "--find", "--show", "--direct-io=on", self.path).stdout.decode().strip()
        return self.device

    def __exit__(self, *_):
        run("losetup", "--detach", self.device)


class Mounted:
    """An image's file system. Mounting replays its journal, as after any power cut."""

    def __init__(self, power, file):
        self.power, self.file = power, file
        self.directory = power.home / file.removesuffix(".img")
        self.attached = Attached(power, file)

    def __enter__(self):
        self.directory.mkdir()
        began = time.monotonic()
        device = self.attached.__enter__()
        try:
            run("mount", "-t", "ext4", "-o", "noatime,discard", device, self.directory)
        except AssertionError:
            self.attached.__exit__()
            self.directory.rmdir()
            raise
        self.seconds = time.monotonic() - began
        self.power.mounts.append(self)
        return self.directory

    def __exit__(self, *_):
        self.close()

    def close(self):
        if self not in self.power.mounts:
            return
        self.power.mounts.remove(self)
        # A server that has just been killed may still be on its way out.
        for _ in range(100):
            if subprocess.run(["umount", str(self.directory)], capture_output=True).returncode == 0:
                break
            time.sleep(0.02)
        else:
            run("umount", "-l", self.directory)
        self.attached.__exit__()
        self.directory.rmdir()
