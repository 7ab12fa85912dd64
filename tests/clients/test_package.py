"""scripts/package: what its packages have, and that a clean Debian runs what they install. docs/install.md is run as it stands there."""

import gzip
import hashlib
import os
import re
import subprocess
import sys
import tarfile
import tomllib

import pytest
import requests

from debian_box import SETTINGS, BootedBox, Box
from harness import BINARY, ROOT, boto, eventually, payload, run

PACKAGE = ROOT / "scripts" / "package"
VERSION = tomllib.loads((ROOT / "Cargo.toml").read_text())["package"]["version"]
MACHINE = os.uname().machine
DEB = {"x86_64": "amd64", "aarch64": "arm64"}[MACHINE]
WORDS = {"VERSION": f"{VERSION}-1", "NEXT": f"{VERSION}-2", "amd64": DEB, "x86_64": MACHINE}
NAMES = {
    "deb": f"kandian_{VERSION}-{{}}_{DEB}.deb",
    "rpm": f"kandian-{VERSION}-{{}}.{MACHINE}.rpm",
    "tarball": f"kandian-{VERSION}-{{}}.{MACHINE}.tar.gz",
}
CONFIGURATION = "/etc/kandian/appliance.toml"
DATA = "/var/lib/kandian"
ZSH = re.compile(r"/usr/share/zsh/[a-z-]+/_kandian")

BLOCK = re.compile(r"<!-- run: ([a-z-]+) -->\n```sh\n(.*?)```", re.S)
PAGE = (ROOT / "docs" / "install.md").read_text()
BLOCKS = dict(BLOCK.findall(PAGE))

# The first of them may make a Debian.
pytestmark = pytest.mark.timeout(900)


def package(*words, env=None, code=0):
    done = subprocess.run(
        [sys.executable, PACKAGE, *map(str, words)],
        env={**os.environ, **(env or {})},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == code, f"exit {done.returncode}\n{done.stdout}{done.stderr}"
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The packages of the program under test, twice: {kind: [first, next]}."""
    out = tmp_path_factory.mktemp("packages")
    asked = [sys.executable, str(PACKAGE), "--quick", "--bin", str(BINARY), "--out", str(out), "--revision"]
    both = [subprocess.Popen([*asked, n], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) for n in "12"]
    for one in both:
        said, _ = one.communicate(timeout=300)
        assert one.returncode == 0, said
    return {kind: [out / name.format(n) for n in "12"] for kind, name in NAMES.items()}


@pytest.fixture
def new_box(made):
    """Makes boxes with the packages in /media, of one kind."""
    boxes = []

    def make(kind, box=Box):
        boxes.append(box(made[kind], WORDS))
        return boxes[-1]

    yield make
    for box in boxes:
        box.end()


@pytest.fixture(scope="module")
def files(made):
    """{kind: {path: (mode, owner, group, SHA-256)}} of the first packages; directories have None for a sum."""
    return {"deb": of_deb(made["deb"][0]), "rpm": of_rpm(made["rpm"][0]), "tarball": of_tar(made["tarball"][0])}


def of_tar(path, strip=f"kandian-{VERSION}"):
    return members(tarfile.open(path), strip)


def members(tar, strip):
    found = {}
    for member in tar:
        data = hashlib.sha256(tar.extractfile(member).read()).hexdigest() if member.isfile() else None
        found[member.name.removeprefix(strip).rstrip("/")] = (member.mode, member.uname, member.gname, data)
    return found


def of_deb(path):
    with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", path], stdout=subprocess.PIPE) as unpacked:
        return members(tarfile.open(fileobj=unpacked.stdout, mode="r|"), ".")


def of_rpm(path):
    found = {}
    for line in run("rpm", "-qp", "--dump", path).stdout.decode().splitlines():
        name, _, _, digest, mode, owner, group, *_ = line.split()
        found[name] = (int(mode, 8) & 0o7777, owner, group, digest if int(mode, 8) & 0o100000 else None)
    return found


def test_every_block_of_the_page_is_run_here_and_the_chinese_page_has_the_same():
    fences = len(re.findall(r"^```sh$", PAGE, re.M))
    assert len(BLOCKS) == fences > 10, "a block without its marker, or two of one name"
    here = open(__file__).read()
    for name in BLOCKS:
        assert f'"{name}"' in here, f"nothing runs {name}"
    twin = (ROOT / "docs" / "install.zh-CN.md").read_text()
    assert BLOCK.findall(twin) == BLOCK.findall(PAGE)
    assert twin.count("```") == PAGE.count("```")


def test_the_three_packages_have_the_same_files(files):
    plain = {}
    for kind, found in files.items():
        plain[kind] = {ZSH.sub("zsh", name): (mode, data) for name, (mode, _, _, data) in found.items() if data}
    # Debian's policy wants one.
    del plain["deb"]["/usr/share/doc/kandian/changelog.Debian.gz"]
    assert plain["deb"] == plain["rpm"] == plain["tarball"]
    assert len(plain["deb"]) > 100, "no man pages?"
    assert "/usr/share/zsh/vendor-completions/_kandian" in files["deb"]
    assert "/usr/share/zsh/site-functions/_kandian" in files["rpm"]
    modes = {mode for name, (mode, _) in plain["deb"].items() if name not in (CONFIGURATION, "/usr/bin/kandian")}
    assert modes == {0o644}
    assert plain["deb"]["/usr/bin/kandian"] == (0o755, hashlib.sha256(BINARY.read_bytes()).hexdigest())
    assert plain["deb"][CONFIGURATION][0] == 0o640
    for kind in ("deb", "tarball"):
        assert {(owner, group) for _, owner, group, _ in files[kind].values()} == {("root", "root")}
    others = {name: found[:3] for name, found in files["rpm"].items() if found[1:3] != ("root", "root")}
    assert others == {CONFIGURATION: (0o640, "root", "kandian"), DATA: (0o700, "kandian", "kandian")}
    assert DATA not in files["deb"], "dpkg would think that recordings are its own"


def test_packages_say_what_they_are_and_need(made):
    fields = run("dpkg-deb", "--info", made["deb"][0]).stdout.decode()
    assert re.search(rf"^ Version: {re.escape(VERSION)}-1$", fields, re.M), fields
    assert re.search(r"^ Depends: .*\blibc6 \(>= 2\.\d+\)", fields, re.M), fields
    assert run("dpkg-deb", "--info", made["deb"][0], "conffiles").stdout.decode().split() == [CONFIGURATION]
    assert run("rpm", "-qpc", made["rpm"][0]).stdout.decode().split() == [CONFIGURATION]
    needs = run("rpm", "-qp", "--requires", made["rpm"][0]).stdout.decode()
    assert "libc.so.6(GLIBC_2." in needs and "/usr/sbin/useradd" in needs
    # noreplace: what an operator wrote is not put aside for ours.
    flags = run("rpm", "-qp", "--qf", "[%{FILENAMES} %{FILEFLAGS:fflags}\n]", made["rpm"][0]).stdout.decode()
    assert f"{CONFIGURATION} cn\n" in flags


@pytest.fixture(scope="module")
def tree(made, tmp_path_factory):
    """What the tarball unpacks to."""
    home = tmp_path_factory.mktemp("tree")
    run("tar", "-C", home, "-xzf", made["tarball"][0], "--strip-components=1")
    return home


def test_unit_and_configuration_agree_with_each_other(tree):
    unit = (tree / "usr/lib/systemd/system/kandian.service").read_text()
    program, *words = re.search(r"^ExecStart=(.*)$", unit, re.M).group(1).split()
    assert (tree / program.lstrip("/")).stat().st_mode & 0o111
    assert words == ["--config", CONFIGURATION, "serve"]
    config = tomllib.loads((tree / CONFIGURATION.lstrip("/")).read_text())
    assert config["storage"]["data_dir"] == DATA == f"/var/lib/{re.search('^StateDirectory=(.*)$', unit, re.M).group(1)}"
    assert config["storage"]["volumes"] == [f"{DATA}/volumes"]
    # All else is the sample.
    sample = tomllib.loads((ROOT / "appliance.toml").read_text())
    sample["storage"].update(config["storage"])
    assert config == sample


def test_every_crate_that_is_linked_has_its_licence_in_the_notices(tree):
    text = (tree / "usr/share/doc/kandian/THIRD-PARTY-NOTICES.txt").read_text()
    head, *texts = text.split(f"\n{'=' * 100}\n")
    under = "\n".join(text.split(f"\n{'-' * 100}\n")[0] for text in texts)
    under = set(re.split(r",\s+|\n", re.sub(r" \(by [^)]*\)", "", under)))
    asked = ["cargo", "tree", "--locked", "--offline", "-e", "normal", "--prefix", "none", "-f", "{p}", "--target", f"{MACHINE}-unknown-linux-gnu"]
    linked = run(*asked, cwd=ROOT).stdout.decode().splitlines()
    linked = {f"{name} {version.lstrip('v')}" for name, version, *_ in (line.split() for line in linked)} - {f"kandian {VERSION}"}
    assert len(linked) > 100
    for crate in linked:
        assert f"\n{crate} " in head, f"{crate} is not in the table"
        assert crate in under, f"{crate} has no text"
    # C that crates bring along.
    assert "Jason Evans" in text, "jemalloc"
    assert "BoringSSL" in text or "OpenSSL" in text, "what ring is made from"
    assert "Standard Library" in (tree / "usr/share/doc/kandian/rust-standard-library.html").read_text(errors="replace")


def test_man_pages_are_set_without_a_warning(tree, tmp_path):
    pages = sorted((tree / "usr/share/man").rglob("*.gz"))
    names = {page.name.removesuffix(".gz") for page in pages}
    assert {"kandian.1", "kandian-account-open.1", "kandian-index-rebuild.1", "appliance.toml.5"} <= names
    assert not [name for name in names if "generate" in name]
    plain = []
    for page in pages:
        plain.append(tmp_path / page.name.removesuffix(".gz"))
        plain[-1].write_bytes(gzip.decompress(page.read_bytes()))
    done = run("groff", "-Kutf8", "-Tutf8", "-man", "-wmac", "-wfont", "-wbreak", "-z", *plain)
    assert done.stderr == b"", done.stderr.decode()
    # What `apropos` finds.
    for page in plain:
        assert run("lexgrog", "-m", page, env={**os.environ, "LC_ALL": "C.UTF-8"}).stdout.decode().startswith(f"{page}: \"{page.stem} - ")
    text = run("man", "-l", tmp_path / "kandian-account-open.1", env={**os.environ, "LC_ALL": "C.UTF-8", "MANWIDTH": "100", "MAN_KEEP_FORMATTING": ""})
    assert "--max-sub-accounts" in text.stdout.decode()


def test_completions_complete(tree, tmp_path):
    script = tree / "usr/share/bash-completion/completions/kandian"
    asked = 'source "$0"; complete -p kandian; COMP_WORDS=(kandian account o) COMP_CWORD=2; _kandian kandian o account; echo "${COMPREPLY[@]}"'
    said = run("bash", "-uec", asked, script).stdout.decode().splitlines()
    assert said[0].startswith("complete ") and "-F _kandian kandian" in said[0] and said[-1] == "open"
    script = tree / "usr/share/fish/vendor_completions.d/kandian.fish"
    said = run("fish", "--no-config", "-c", f"source {script}; complete -C 'kandian account o'", env={**os.environ, "HOME": str(tmp_path)})
    assert said.stdout.decode().split("\t")[0] == "open"
    script = tree / "usr/share/zsh/site-functions/_kandian"
    asked = f"fpath=({script.parent} $fpath); autoload -Uz compinit; compinit -D -u; echo $_comps[kandian]; autoload +X _kandian"
    said = run("zsh", "-fc", asked, env={**os.environ, "HOME": str(tmp_path)})
    assert said.stdout.decode().strip() == "_kandian" and said.stderr == b""


def test_the_same_sources_give_the_same_bytes(tmp_path):
    """With a small program, for speed."""
    sums = []
    for name, zone in [("a", "Asia/Shanghai"), ("b", "America/New_York")]:
        (tmp_path / name).mkdir(mode=0o700)
        env = {"SOURCE_DATE_EPOCH": "1700000000", "TZ": zone, "TMPDIR": str(tmp_path / name)}
        package("--bin", "/bin/true", "--generator", BINARY, "--out", tmp_path / name / "out", env=env)
        sums.append({path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in (tmp_path / name / "out").iterdir()})
    assert len(sums[0]) == 3
    assert sums[0] == sums[1]


def test_what_cannot_be_packaged_is_refused_with_the_reason(tmp_path):
    out = ["--out", tmp_path / "out", "--generator", BINARY]
    # Debian's own programs want Debian's own C library.
    said = package("--bin", "/bin/bash", "--glibc", "2.17", *out, code=1)
    assert re.search(r"/bash does not run on glibc 2\.17, which has not: \w+ \(GLIBC_2\.(?!17)", said), said
    assert "not a program" in package("--bin", ROOT / "appliance.toml", *out, code=1)
    assert "libtinfo" in package("deb", "--bin", "/bin/bash", *out, code=1)
    assert "a whole number" in package("--revision", "1~x", code=1)
    other = {"x86_64": "aarch64", "aarch64": "x86_64"}[MACHINE]
    assert f"is for {MACHINE}, not for {other}" in package("--bin", BINARY, "--target", other, *out, code=1)
    assert not (tmp_path / "out").exists() or not any((tmp_path / "out").iterdir())


# --- installed ---


class Life:
    """What is done with an installed box from outside."""

    def __init__(self, box):
        self.box = box
        self.bodies = {}

    def page(self, name):
        return self.box.block(BLOCKS[name])

    def begins(self):
        """The first start, by the page; an operator, an account, a camera and a recording."""
        box = self.box
        assert "running" in self.page("first-start")
        at = f"http://{box.listen()['portal']}"
        code = re.search(r"setup code: (\S+)", self.page("setup-code")).group(1)
        first = {"code": code, "user": "operator", "password": "correct horse battery"}
        answer = requests.post(f"{at}/setup", data=first, headers={"Origin": at}, allow_redirects=False, timeout=30)
        assert answer.status_code == 303, answer.text
        self.page("first-account")
        self.camera = box.json("sub-account", "open", "jiangsu", "--space", 10)
        self.put("clip 1", payload(300_000, 1))

    def s3(self):
        return boto(f"http://{self.box.listen()['s3']}", self.camera["ak"], self.camera["sk"])

    def put(self, name, body):
        self.s3().put_object(Bucket=self.camera["record_bucket"], Key=name, Body=body)
        self.bodies[name] = body

    def all_there(self):
        for name, body in self.bodies.items():
            assert self.s3().get_object(Bucket=self.camera["record_bucket"], Key=name)["Body"].read() == body, name

    def changes_a_setting(self):
        self.page("settings")
        kept = (self.box.root / CONFIGURATION.lstrip("/")).read_text()
        assert "kandian::s3=debug" in kept
        return kept

    def configuration(self):
        return (self.box.root / CONFIGURATION.lstrip("/")).read_text()

    def recordings_are_left(self):
        assert list((self.box.root / DATA.lstrip("/")).rglob("*.kdv")), "the recordings are gone"
        assert not self.box.runs()
        assert (self.box.root / "run/code").read_text().strip() == "0", "it did not end well"


def test_a_deb_on_a_clean_debian_from_its_installation_to_the_last_recording(new_box):
    box = new_box("deb")
    life = Life(box)
    # Where there is no systemd, as in an image that is being made, nothing is started.
    box.shell(f"apt-get install -y ./{NAMES['deb'].format(1)}")
    assert box.is_enabled() and not box.runs()
    assert box.owner(CONFIGURATION) == "root:kandian:640"
    assert box.owner(DATA) == "kandian:kandian:700"
    assert "left" not in box.shell("apt-get purge -y kandian")
    assert not (box.root / DATA.lstrip("/")).exists() and not box.is_enabled()

    box.boot()
    assert "active (running)" in life.page("deb-install")
    assert "--system daemon-reload" in box.called()
    box.heard("READY=1")
    box.heard("WATCHDOG=1")
    life.begins()
    for path in re.findall(r"^\| `(/[^`]*)`", PAGE, re.M):
        assert (box.root / path.lstrip("/")).exists(), f"the page names {path}"
    assert box.owner(CONFIGURATION) == "root:kandian:640"
    for path in [DATA, f"{DATA}/volumes"]:
        assert box.owner(path) == "kandian:kandian:700"
    assert box.owner("/proc/$(cat /run/pid)").startswith("kandian:kandian:")
    life.page("firewalld")
    life.page("ufw")
    opened = set(re.findall(r"(\d+)/tcp", (box.root / "run/firewall").read_text()))
    shown = tomllib.loads(box.kandian("config", "show"))
    assert opened == {shown[plane]["listen"].rpartition(":")[2] for plane in ("s3", "soap")}
    for plane in ("portal", "metrics"):
        assert shown[plane]["listen"].startswith("127.0.0.1:")

    kept = life.changes_a_setting()
    assert box.owner(CONFIGURATION) == "root:kandian:640"
    before = box.listen()["pid"]
    life.page("deb-upgrade")
    assert box.shell("dpkg-query -W -f '${Version}' kandian") == WORDS["NEXT"]
    assert box.listen()["pid"] != before, "the upgrade did not start the new one"
    assert (box.root / "run/code").exists() is False
    box.heard("READY=1")
    assert life.configuration() == kept
    life.all_there()
    life.put("clip 2", payload(70_000, 2))

    life.page("deb-remove")
    box.heard("STOPPING=1")
    life.recordings_are_left()
    assert life.configuration() == kept
    assert not (box.root / "usr/bin/kandian").exists()
    life.page("deb-install")
    life.all_there()
    said = box.block(BLOCKS["deb-purge"])
    assert f"left in {DATA}" in said, said
    life.recordings_are_left()
    assert not (box.root / "etc/kandian").exists() and not box.is_enabled()
    # Nothing was lost with the configuration.
    life.page("deb-install")
    life.all_there()
    box.shell("apt-get purge -y kandian")
    life.page("forget")
    assert not (box.root / DATA.lstrip("/")).exists()


def test_an_rpm_is_installed_upgraded_and_removed(new_box):
    box = new_box("rpm")
    box.boot()
    life = Life(box)
    assert "active (running)" in life.page("rpm-install")
    assert {"--no-reload preset kandian.service", "daemon-reload"} <= set(box.called())
    assert box.is_enabled()
    life.begins()
    assert box.owner(CONFIGURATION) == "root:kandian:640"
    assert box.owner(DATA) == "kandian:kandian:700"
    kept = life.changes_a_setting()
    before = box.listen()["pid"]
    life.page("rpm-upgrade")
    assert run("rpm", "--root", box.root, "-q", "kandian").stdout.decode().startswith(f"kandian-{WORDS['NEXT']}")
    assert box.listen()["pid"] != before, "the upgrade did not start the new one"
    assert box.is_enabled() and life.configuration() == kept
    life.all_there()
    said = life.page("rpm-remove")
    assert f"left in {DATA}" in said, said
    life.recordings_are_left()
    assert not box.is_enabled()
    assert (box.root / f"{CONFIGURATION.lstrip('/')}.rpmsave").read_text() == kept


def test_a_tarball_is_installed_upgraded_and_removed(new_box):
    box = new_box("tarball")
    box.boot()
    life = Life(box)
    assert "active (running)" in life.page("tarball-install")
    life.begins()
    assert box.owner(CONFIGURATION) == "root:kandian:640"
    assert box.owner("/usr") == "root:root:755"
    kept = life.changes_a_setting()
    before = box.listen()["pid"]
    life.page("tarball-upgrade")
    assert box.listen()["pid"] != before
    assert life.configuration() == kept
    life.all_there()
    life.page("tarball-remove")
    life.recordings_are_left()
    assert not (box.root / "usr/bin/kandian").exists() and not box.is_enabled()
    assert life.configuration() == kept


def test_systemd_itself_starts_watches_and_confines_what_the_package_installs(new_box):
    box = new_box("deb", BootedBox)
    box.boot()
    # Ports that nobody else has, and seconds instead of a minute to find out that it hangs.
    box.drop_in(f"[Service]\nExecStart=\nExecStart=/usr/bin/kandian --config {CONFIGURATION} {SETTINGS} serve\nWatchdogSec=3\n")
    life = Life(box)
    assert "active (running)" in life.page("deb-install")
    life.begins()
    pid = box.told("MainPID")
    status = dict(re.findall(r"^(\w+):\t(.*)$", box.shell(f"cat /proc/{pid}/status"), re.M))
    assert {status[which] for which in ("CapPrm", "CapEff", "CapBnd", "CapAmb")} == {"0" * 16}
    assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")
    assert status["Uid"].split()[0] == box.shell("id -u kandian").strip() != "0"
    # Everything but its own directory is read-only to it, and the page says so of backups.
    box.shell("install -d -o kandian -m 0700 /backup")
    assert "Read-only file system" in box.kandian("backup", "/backup/first", code=1)
    box.kandian("backup", f"{DATA}/first")
    life.changes_a_setting()

    # It hangs: systemd finds out and starts it anew.
    box.shell(f"kill -STOP {pid}")
    eventually(lambda: box.told("NRestarts") == "1" and box.told("ActiveState") == "active", timeout=60, every=0.5)
    assert box.told("MainPID") != pid
    life.all_there()
    pid = box.told("MainPID")
    life.page("deb-upgrade")
    assert box.told("MainPID") != pid and box.told("ActiveState") == "active"
    life.all_there()
    box.shell("systemctl stop kandian")
    assert (box.told("Result"), box.told("ExecMainStatus")) == ("success", "0")
    assert f"left in {DATA}" in life.page("deb-purge")
    assert list((box.root / DATA.lstrip("/")).rglob("*.kdv"))


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_the_program_that_is_built_for_packages_runs_on_glibc_2_17(tmp_path):
    """A build of its own, by zig."""
    package("--fetch")
    asked = [sys.executable, str(PACKAGE), "tarball", "--profile", "acceptance", "--quick", "--out", str(tmp_path)]
    done = subprocess.run(asked, capture_output=True, text=True, timeout=3000)
    assert done.returncode == 0, done.stderr
    run("tar", "-C", tmp_path, "-xzf", done.stdout.split()[-1], "--strip-components=1")
    program = tmp_path / "usr/bin/kandian"
    told = run("objdump", "-T", program).stdout.decode()
    versions = {tuple(map(int, version.split("."))) for version in re.findall(r"GLIBC_([0-9.]+)", told)}
    assert max(versions) <= (2, 17) and len(versions) > 3
    assert run(program, "--version").stdout.decode() == f"kandian {VERSION}\n"
    assert str(ROOT).encode() not in program.read_bytes(), "a path of this machine is in it"
    notices = (tmp_path / "usr/share/doc/kandian/THIRD-PARTY-NOTICES.txt").read_text()
    assert "libunwind" in notices
