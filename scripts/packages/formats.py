"""A .deb by dpkg-deb, an .rpm by rpmbuild, a tarball: each the same bytes for the same contents and SOURCE_DATE_EPOCH."""

import email.utils
import gzip
import hashlib
import io
import os
import shutil
import subprocess
import tarfile
from dataclasses import dataclass
from pathlib import Path

from contents import CONFIGURATION, DATA, Entry
from elf import Program

HERE = Path(__file__).resolve().parent
SUMMARY = "cloud store of shop-watching video (手机看店云存储)"
DESCRIPTION = [
    "The storage half of China Telecom's service for watching a shop from a phone,",
    "by 中国电信手机看店云存储技术规范 V1.2: cameras record into it over S3, the",
    "platform manages it over SOAP, operators and provinces by two portals.",
]
MAINTAINER = os.environ.get("KANDIAN_MAINTAINER", "kandian <kandian@localhost>")
DEB_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
# Library: the package of Debian that has it. The C library comes with a version.
DEB_LIBRARIES = {"libgcc_s.so.1": "libgcc-s1"}
C_LIBRARIES = {"libc.so.6", "libm.so.6", "libdl.so.2", "libpthread.so.0", "librt.so.1", "libutil.so.1", "ld-linux-x86-64.so.2", "ld-linux-aarch64.so.1"}


@dataclass
class Release:
    """What is packaged, and as what."""

    version: str
    revision: str
    program: Program
    epoch: int
    out: Path
    is_quick: bool = False

    @property
    def full(self) -> str:
        return f"{self.version}-{self.revision}"

    @property
    def machine(self) -> str:
        return self.program.machine


def place(entries: list[Entry], tree: Path, epoch: int):
    """Lays the files out below `tree`, everything of one time."""
    shutil.rmtree(tree, ignore_errors=True)
    for entry in entries:
        path = tree / entry.path.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(entry.data)
        path.chmod(entry.mode)
    for path in [tree, *tree.rglob("*")]:
        if path.is_dir():
            path.chmod(0o755)
        os.utime(path, (epoch, epoch))


def deb(release: Release, entries: list[Entry], scratch: Path) -> Path:
    """Files are root's in it: what belongs to kandian is made so by postinst, when there is one."""
    tree = scratch / "deb"
    entries = [*entries, Entry("/usr/share/doc/kandian/changelog.Debian.gz", gzip.compress(changelog(release), 9, mtime=0))]
    place(entries, tree, release.epoch)
    control = tree / "DEBIAN"
    control.mkdir()
    depends = [f"libc6 (>= {release.program.glibc})"]
    for library in release.program.libraries:
        if library in DEB_LIBRARIES:
            depends.append(DEB_LIBRARIES[library])
        elif library not in C_LIBRARIES:
            raise SystemExit(f"{release.program.path} needs {library}: which package of Debian has it? (scripts/packages/formats.py)")
    fields = {
        "Package": "kandian",
        "Version": release.full,
        "Architecture": DEB_ARCHITECTURES[release.machine],
        "Maintainer": MAINTAINER,
        "Installed-Size": str(sum(-(-len(entry.data) // 1024) for entry in entries)),
        "Depends": ", ".join([*sorted(depends), "init-system-helpers (>= 1.52)", "passwd"]),
        "Section": "net",
        "Priority": "optional",
        "Description": "\n ".join([SUMMARY, *DESCRIPTION]),
    }
    (control / "control").write_text("".join(f"{name}: {value}\n" for name, value in fields.items()))
    (control / "conffiles").write_text("".join(f"{entry.path}\n" for entry in entries if entry.is_config))
    sums = [f"{hashlib.md5(entry.data).hexdigest()}  {entry.path.lstrip('/')}\n" for entry in entries if not entry.is_config]
    (control / "md5sums").write_text("".join(sums))
    for name in ["postinst", "postrm", "prerm"]:
        shutil.copyfile(HERE / "deb" / name, control / name)
        (control / name).chmod(0o755)
    for path in [control, *control.iterdir()]:
        if path.is_file() and not path.stat().st_mode & 0o100:
            path.chmod(0o644)
        os.utime(path, (release.epoch, release.epoch))
    control.chmod(0o755)
    target = release.out / f"kandian_{release.full}_{fields['Architecture']}.deb"
    tool(release, "dpkg-deb", "--root-owner-group", "-Zxz", "-z0" if release.is_quick else "-z6", "--build", tree, target)
    return target


def changelog(release: Release) -> bytes:
    """What Debian's policy wants; what has changed is told by the repository."""
    when = email.utils.formatdate(release.epoch)
    return f"kandian ({release.full}) stable; urgency=medium\n\n  * Version {release.version}.\n\n -- {MAINTAINER}  {when}\n".encode()


def rpm(release: Release, entries: list[Entry], scratch: Path) -> Path:
    """What libraries it needs is found by rpmbuild."""
    top = scratch / "rpm"
    place(entries, top / "tree", release.epoch)
    files = []
    for entry in entries:
        kind = "%config(noreplace) " if entry.is_config else "%doc " if entry.path.startswith("/usr/share/doc/") else ""
        files.append(f"{kind}%attr({entry.mode:04o}, root, {entry.group}) {entry.path}")
    files.append(f"%dir %attr(0755, root, root) {Path(CONFIGURATION).parent}")
    files.append(f"%dir %attr(0700, kandian, kandian) {DATA}")
    spec = (HERE / "kandian.spec").read_text()
    for word, value in {
        "@VERSION@": release.version,
        "@RELEASE@": release.revision,
        "@SUMMARY@": SUMMARY,
        "@DESCRIPTION@": "\n".join(DESCRIPTION),
        "@PACKAGER@": MAINTAINER,
        "@TREE@": str(top / "tree"),
        "@FILES@": "\n".join(files),
    }.items():
        spec = spec.replace(word, value)
    (top / "kandian.spec").write_text(spec)
    name = f"kandian-{release.full}.{release.machine}.rpm"
    defines = {
        "_topdir": str(top),
        "_rpmdir": str(release.out),
        "_build_name_fmt": name,
        "_buildhost": "kandian",
        "_build_id_links": "none",
        # What rpm of 2014 can read.
        "_binary_payload": "w0.xzdio" if release.is_quick else "w6.xzdio",
        "use_source_date_epoch_as_buildtime": "1",
        "clamp_mtime_to_source_date_epoch": "1",
    }
    defined = [word for key, value in defines.items() for word in ("--define", f"{key} {value}")]
    tool(release, "rpmbuild", "-bb", "--quiet", "--target", f"{release.machine}-unknown-linux", *defined, top / "kandian.spec")
    return release.out / name


def tarball(release: Release, entries: list[Entry]) -> Path:
    """For `tar -C /`: only files, so that no directory of the system gets another mode."""
    target = release.out / f"kandian-{release.full}.{release.machine}.tar.gz"
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for entry in entries:
            member = tarfile.TarInfo(f"kandian-{release.version}{entry.path}")
            member.size, member.mode, member.mtime = len(entry.data), entry.mode, release.epoch
            member.uname = member.gname = "root"
            tar.addfile(member, io.BytesIO(entry.data))
    target.write_bytes(gzip.compress(packed.getvalue(), 1 if release.is_quick else 9, mtime=release.epoch))
    return target


def tool(release: Release, *command):
    environment = {**os.environ, "SOURCE_DATE_EPOCH": str(release.epoch), "LC_ALL": "C.UTF-8", "TZ": "UTC"}
    done = subprocess.run([str(word) for word in command], env=environment, capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"{command[0]}: exit {done.returncode}\n{done.stdout}{done.stderr}")
