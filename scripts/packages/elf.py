"""What a program asks of the machine that it runs on, as `readelf` tells it."""

import re
import subprocess
from pathlib import Path

MACHINES = {"Advanced Micro Devices X86-64": "x86_64", "AArch64": "aarch64"}


class Program:
    """A dynamically linked program: its machine, the libraries it needs, and the symbols by version of glibc."""

    def __init__(self, path: Path):
        self.path = path
        machine = re.search(r"^\s*Machine:\s*(.*\S)", readelf("-h", path), re.M)
        self.machine = MACHINES.get(machine.group(1)) if machine else None
        if not self.machine:
            raise SystemExit(f"{path}: not a program for one of {', '.join(MACHINES.values())}")
        self.libraries = re.findall(r"\(NEEDED\).*\[(.*)\]", readelf("-d", path))
        self.symbols = re.findall(r"\bUND (\S+)@GLIBC_([0-9.]+)", readelf("--dyn-syms", path))

    @property
    def glibc(self) -> str:
        """The oldest glibc that it runs on."""
        return max((version for _, version in self.symbols), key=number, default="2.2.5")

    def newer_than(self, version: str) -> list[str]:
        """The symbols that a glibc of this version has not, each with its own."""
        return [f"{name} (GLIBC_{its})" for name, its in self.symbols if number(its) > number(version)]


def number(version: str) -> tuple[int, ...]:
    """A version that can be compared."""
    return tuple(map(int, version.split(".")))


def readelf(option: str, path: Path) -> str:
    done = subprocess.run(["readelf", "-W", option, path], capture_output=True, text=True, env={"PATH": "/usr/bin:/bin", "LC_ALL": "C"})
    if done.returncode != 0 or "Error" in done.stderr:
        raise SystemExit(f"{path}: not a program: {done.stderr.strip()}")
    return done.stdout
