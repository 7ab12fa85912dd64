"""Small real file systems, and the stranger who fills them."""

import errno
import os
import subprocess
from pathlib import Path

MIB = 1 << 20


class SmallDisk:
    """A file system of its own at `path`: ext4 in a file by a loop device, or tmpfs. Needs root."""

    def __init__(self, path, mib, kind="ext4"):
        self.path, self.image = Path(path), None
        self.path.mkdir(parents=True, exist_ok=True)
        if kind == "tmpfs":
            mount = ["-t", "tmpfs", "-o", f"size={mib}m,nr_inodes=4096", "none"]
        else:
            self.image = Path(f"{path}.img")
            with open(self.image, "wb") as image:
                image.truncate(mib * MIB)
            # Nothing is kept for root: that is who runs this.
            subprocess.run(["mkfs.ext4", "-q", "-m", "0", str(self.image)], check=True, timeout=60)
            mount = ["-o", "loop", str(self.image)]
        subprocess.run(["mount", *mount, str(self.path)], check=True, timeout=60)
        self.stranger = self.path / "somebody-elses.log"

    def fill(self):
        """The stranger writes until not one byte more has room."""
        with open(self.stranger, "ab", buffering=0) as file:
            at = file.tell()
            for step in (64 * MIB, 8 * MIB, MIB, 64 << 10, 4096):
                while True:
                    try:
                        os.posix_fallocate(file.fileno(), at, step)
                        at += step
                    except OSError as error:
                        assert error.errno == errno.ENOSPC, error
                        break
            for size in (4096, 1):
                try:
                    while True:
                        file.write(b"x" * size)
                except OSError as error:
                    assert error.errno == errno.ENOSPC, error
            os.fsync(file.fileno())

    def leave(self):
        """The stranger takes everything with him."""
        self.stranger.unlink()

    def free(self):
        stat = os.statvfs(self.path)
        return stat.f_bavail * stat.f_frsize

    def discard(self):
        subprocess.run(["umount", "-l", str(self.path)], timeout=60, check=False)
        if self.image is not None:
            self.image.unlink(missing_ok=True)
