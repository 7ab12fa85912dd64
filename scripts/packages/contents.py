"""What a package has, and where: one list for all three kinds."""

import gzip
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

DATA = "/var/lib/kandian"
CONFIGURATION = "/etc/kandian/appliance.toml"
DOC = "/usr/share/doc/kandian"
# What operators read; the other pages are for those who have the sources.
PAGES = [
    "billing.md",
    "configuration.md",
    "install.md",
    "install.zh-CN.md",
    "operations.md",
    "portal.md",
    "s3.md",
    "security.md",
    "testers.md",
]
COPYRIGHT = """\
Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: kandian

Files: *
Copyright: 2026 the authors of kandian
License: Apache-2.0
 The text is in /usr/share/common-licenses/Apache-2.0 on Debian, and in LICENSE beside this file.
Comment:
 What others wrote and is linked into the program: THIRD-PARTY-NOTICES.txt and rust-standard-library.html beside this file.
"""


@dataclass
class Entry:
    """A file of a package."""

    path: str
    data: bytes
    mode: int = 0o644
    group: str = "root"
    is_config: bool = False


def contents(root: Path, program: Path, generator: Path, scratch: Path, notices: dict[str, bytes], zsh: str) -> list[Entry]:
    """Everything, sorted by its path. `generator` is a kandian that runs here and writes the man pages; `zsh` is where
    the distribution's zsh looks for completions."""
    entries = [
        Entry("/usr/bin/kandian", program.read_bytes(), 0o755),
        Entry("/usr/lib/systemd/system/kandian.service", (root / "scripts/systemd/kandian.service").read_bytes()),
        # It may name passwords of platforms and files of keys: for the service and for root.
        Entry(CONFIGURATION, configuration(root), 0o640, "kandian", is_config=True),
        Entry(f"{DOC}/copyright", COPYRIGHT.encode()),
    ]
    for name in ["LICENSE", "README.md", "README.zh-CN.md"]:
        entries.append(Entry(f"{DOC}/{name}", (root / name).read_bytes()))
    entries += [Entry(f"{DOC}/docs/{name}", (root / "docs" / name).read_bytes()) for name in PAGES]
    entries += [Entry(f"{DOC}/{name}", text) for name, text in notices.items()]
    shutil.rmtree(scratch, ignore_errors=True)
    run(generator, "generate", "man", scratch)
    for page in sorted(scratch.iterdir()):
        section = page.suffix.removeprefix(".")
        entries.append(Entry(f"/usr/share/man/man{section}/{page.name}.gz", gzip.compress(page.read_bytes(), 9, mtime=0)))
    for shell, path in [
        ("bash", "/usr/share/bash-completion/completions/kandian"),
        ("zsh", zsh),
        ("fish", "/usr/share/fish/vendor_completions.d/kandian.fish"),
    ]:
        entries.append(Entry(path, run(generator, "generate", "completions", shell)))
    return sorted(entries, key=lambda entry: entry.path)


def configuration(root: Path) -> bytes:
    """appliance.toml with the paths of an installed box, so that server and commands agree wherever they are started."""
    text = (root / "appliance.toml").read_text()
    for pattern, new in [
        (r'^data_dir = "data"$', f'data_dir = "{DATA}"'),
        (r'^volumes = \["data/volumes"\]$', f'volumes = ["{DATA}/volumes"]'),
        (r'^# master_key = "data/master.key"$', f'# master_key = "{DATA}/master.key"'),
    ]:
        text, found = re.subn(pattern, new, text, flags=re.M)
        if found != 1:
            raise SystemExit(f"appliance.toml: not one line is {pattern}: scripts/packages/contents.py has to know it")
    return text.encode()


def run(*command) -> bytes:
    done = subprocess.run([str(word) for word in command], capture_output=True)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(map(str, command))}: exit {done.returncode}\n{done.stderr.decode(errors='replace')}")
    return done.stdout
