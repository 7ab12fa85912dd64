"""Third-party notices: the full licence texts of what is linked into the program.

They are made when a package is, of Cargo.lock and of the sources that cargo has fetched: a file in the repository would
be one that lags behind Cargo.lock, and 400 kB that nobody reads there. What says that every crate is in it is the test.
"""

import json
import os
import re
import subprocess
from pathlib import Path

NAMES = re.compile(r"(licen[sc]e|copying|copyright|notice|unlicense)", re.I)
NOT_LINKED = {"benches", "examples", "tests", "test"}
NOT_TEXTS = {".rs", ".py", ".html", ".toml", ".json"}
TITLE = "Third-party notices"


def linked(root: Path, cargo: str, triple: str) -> list[dict]:
    """The crates of the program, sorted: not those of tests and of builds. Derive macros are among them."""
    asked = [cargo, "metadata", "--locked", "--offline", "--format-version", "1", "--filter-platform", triple]
    done = subprocess.run(asked, cwd=root, capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"{done.stderr.strip()}\nthe crates are not here: scripts/package --fetch")
    known = json.loads(done.stdout)
    packages = {package["id"]: package for package in known["packages"]}
    nodes = {node["id"]: node for node in known["resolve"]["nodes"]}
    own = known["resolve"]["root"]
    seen, to_see = set(), [own]
    while to_see:
        one = to_see.pop()
        if one not in seen:
            seen.add(one)
            deps = nodes[one]["deps"]
            to_see += [dep["pkg"] for dep in deps if any(kind["kind"] is None for kind in dep["dep_kinds"])]
    seen.remove(own)
    return sorted((packages[one] for one in seen), key=lambda package: (package["name"], package["version"]))


def files(directory: Path) -> list[Path]:
    """The files with licence texts below a crate."""
    found = []
    for where, dirs, names in os.walk(directory):
        dirs[:] = sorted(name for name in dirs if name not in NOT_LINKED)
        found += [Path(where, name) for name in sorted(names) if NAMES.match(name) and Path(name).suffix not in NOT_TEXTS]
    return found


def apache(root: Path) -> str:
    return (root / "LICENSE").read_text()


class Texts:
    """Licence texts, each once, with those who are under it."""

    def __init__(self):
        self.by_words = {}

    def add(self, who: str, text: str):
        _, whose = self.by_words.setdefault(" ".join(text.split()), (text, []))
        if who not in whose:
            whose.append(who)

    def lines(self):
        for text, whose in self.by_words.values():
            yield "=" * 100
            yield from wrapped(whose)
            yield "-" * 100
            yield text.strip("\n").replace("\r\n", "\n")
            yield ""


def wrapped(words: list[str]) -> list[str]:
    lines = [""]
    for word in words:
        if lines[-1] and len(lines[-1]) + len(word) > 96:
            lines.append("")
        lines[-1] += f"{', ' if lines[-1] else ''}{word}"
    return lines


def write(root: Path, cargo: str, triple: str, version: str, zig: Path | None) -> bytes:
    """The notices of a program for one target; `zig` is where zig lies, where that linked it."""
    crates = linked(root, cargo, triple)
    texts, table = Texts(), []
    for crate in crates:
        who = f"{crate['name']} {crate['version']}"
        table.append(f"{who:40} {crate['license'] or 'see below':40} {crate['repository'] or ''}".rstrip())
        directory = Path(crate["manifest_path"]).parent
        found = files(directory)
        for file in found:
            texts.add(who, file.read_text(errors="replace"))
        if not found:
            # One that forgot to ship its text.
            if "Apache-2.0" not in (crate["license"] or ""):
                raise SystemExit(f"{who}: its sources have no licence text, and it is not under Apache-2.0")
            texts.add(f"{who} (by {', '.join(crate['authors']) or 'its authors'})", apache(root))
    if zig:
        for part, name in [("compiler-rt of zig", "LICENSE"), ("libunwind", "lib/libunwind/LICENSE.TXT"), ("start files of glibc", "lib/libc/glibc/LICENSES")]:
            table.append(f"{part:40} {'see below':40} https://ziglang.org")
            texts.add(part, (zig / name).read_text())
    head = [
        f"{TITLE} of kandian {version} for {triple}",
        "",
        "kandian itself is under the Apache License 2.0. These are linked into the program, each under the licence beside it;",
        "the texts follow. The standard library of Rust is linked too: rust-standard-library.html beside this file has its.",
        "",
        *table,
        "",
    ]
    return "\n".join([*head, *texts.lines()]).encode()


def standard_library() -> bytes:
    """The notices of Rust's standard library, as its makers give them with the compiler."""
    sysroot = subprocess.run(["rustc", "--print", "sysroot"], check=True, capture_output=True, text=True).stdout.strip()
    page = Path(sysroot, "share", "doc", "rust", "COPYRIGHT-library.html")
    if not page.is_file():
        raise SystemExit(f"{page} is not there: the notices of Rust's standard library come with rustup's toolchains")
    return page.read_bytes()
