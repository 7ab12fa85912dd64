"""A clean Debian, as debootstrap makes it, to install packages into: a root of its own on this machine.

In a `Box` no init runs. `systemctl` is a stand-in that starts the service by the unit which the package installed: as its
user, without a capability, from its directory, with a socket for what the service manager is told. In a `BootedBox` systemd
runs, in namespaces of its own, and does all that the unit says; that wants a machine where it may.
"""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import urllib.parse
from pathlib import Path

import pytest

from harness import CACHE, eventually, run

SUITE = "bookworm"
MIRROR = os.environ.get("KANDIAN_DEBIAN_MIRROR", "http://deb.debian.org/debian")
CLEAN = CACHE / f"debian-{SUITE}-{os.uname().machine}.tar"

SYSTEMCTL = r"""#!/bin/sh
# As much of it as packages and docs/install.md call.
unit=/usr/lib/systemd/system/kandian.service
wanted=/etc/systemd/system/multi-user.target.wants/kandian.service
told() { sed -n "s/^$1=//p" $unit | tail -n 1; }
as_its_user() { exec setpriv --reuid "$(told User)" --regid "$(told Group)" --init-groups --no-new-privs --bounding-set=-all --inh-caps=-all "$@"; }
active() { [ -f /run/pid ] && [ ! -f /run/code ]; }
start() {
    active && return 0
    [ -f $unit ] || { echo "Unit kandian.service could not be found." >&2; return 5; }
    state=/var/lib/$(told StateDirectory)
    install -d -o "$(told User)" -g "$(told Group)" -m "$(told StateDirectoryMode)" "$state"
    rm -f /run/code /run/pid
    : >/run/notified
    # A second instead of the minute of the unit, so that a test sees it.
    [ -z "$(told WatchdogSec)" ] || export WATCHDOG_USEC=1000000
    (
        cd "$(told WorkingDirectory)" && umask "$(told UMask)" || exit
        NOTIFY_SOCKET=/run/notify as_its_user $(told ExecStart) $(cat /run/settings) &
        echo $! >/run/pid
        wait $!
        echo $? >/run/code
    ) >>/run/kandian.log 2>&1 </dev/null &
    for _ in $(seq 1200); do
        # Type=notify: it has started when it says so.
        ! grep -q READY=1 /run/notified || return 0
        [ ! -f /run/code ] || { tail /run/kandian.log >&2; return 1; }
        sleep 0.05
    done
    return 1
}
stop() {
    active || return 0
    kill -TERM "$(cat /run/pid)"
    for _ in $(seq 1200); do
        [ ! -f /run/code ] || return 0
        sleep 0.05
    done
    return 1
}
echo "$*" >>/run/called
# Debian's presets enable everything; it asks for that as this.
case $* in *" --preset-mode=enable-only preset kandian.service") set -- enable kandian.service ;; esac
now= words=
for word; do
    case $word in --now) now=1 ;; -*) ;; *) words="$words $word" ;; esac
done
set -- $words
case $1 in
daemon-reload | preset) ;;
start) start ;;
stop) stop ;;
restart) stop && start ;;
try-restart) ! active || { stop && start; } ;;
reload) (as_its_user $(told ExecReload)) ;;
enable) mkdir -p "${wanted%/*}" && ln -sfn $unit $wanted && { [ -z "$now" ] || start; } ;;
disable) rm -f $wanted && { [ -z "$now" ] || stop; } ;;
is-enabled) [ -L $wanted ] && echo enabled ;;
is-active) active ;;
status) active && echo "Active: active (running)" ;;
*) echo "systemctl $*: not known to the stand-in" >&2; exit 1 ;;
esac
"""
STANDINS = {
    "usr/bin/systemctl": SYSTEMCTL,
    "usr/bin/journalctl": "#!/bin/sh\ncat /run/kandian.log\n",
    "usr/sbin/ufw": '#!/bin/sh\necho "ufw $*" >>/run/firewall\n',
    "usr/sbin/firewall-cmd": '#!/bin/sh\necho "firewall-cmd $*" >>/run/firewall\n',
}
# Ports that nobody else has; what the unit and the configuration say holds otherwise.
SETTINGS = " ".join(f"--set {plane}.listen=127.0.0.1:0" for plane in ["s3", "soap", "portal", "metrics"])


def clean_debian():
    """The tarball of a clean Debian; made once, of a mirror. Skips where that cannot be."""
    if os.geteuid() != 0:
        pytest.skip("only root can change into another root")
    if subprocess.run(["unshare", "--mount", "true"], capture_output=True).returncode != 0:
        pytest.skip("this machine lets nobody have mounts of his own")
    if not CLEAN.exists():
        if not reachable(MIRROR):
            pytest.skip(f"{MIRROR} is not reached, and {CLEAN.name} is not there from an earlier run")
        CACHE.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="kd-") as home:
            run("debootstrap", "--variant=minbase", "--include=systemd", SUITE, f"{home}/root", MIRROR, timeout=800)
            run("tar", "-C", f"{home}/root", "--exclude=./var/cache/apt/archives/*.deb", "-cf", f"{CLEAN}.part", ".", timeout=100)
        os.replace(f"{CLEAN}.part", CLEAN)
    return CLEAN


def reachable(url):
    at = urllib.parse.urlsplit(url)
    try:
        socket.create_connection((at.hostname, at.port or 80), timeout=10).close()
        return True
    except OSError:
        return False


class Box:
    """A clean Debian with packages in /media."""

    def __init__(self, packages, words):
        # Short, because sockets live below it.
        self.home = Path(tempfile.mkdtemp(prefix="kd-"))
        self.root = self.home / "r"
        self.root.mkdir()
        self.words = words
        run("tar", "-C", self.root, "-xf", clean_debian())
        (self.root / "run/settings").write_text(SETTINGS)
        for package in packages:
            shutil.copy(package, self.root / "media")
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(self.root / "run/notify"))
        (self.root / "run/notify").chmod(0o666)
        threading.Thread(target=self.hear, daemon=True).start()

    def boot(self):
        """From now on there is a systemd that runs, for all that packages see of it."""
        for path, text in STANDINS.items():
            (self.root / path).write_text(text)
            (self.root / path).chmod(0o755)
        (self.root / "run/systemd/system").mkdir(parents=True)

    def hear(self):
        """Writes down what the service manager is told."""
        while True:
            try:
                said = self.socket.recv(4096)
            except OSError:
                return
            with open(self.root / "run/notified", "ab") as heard:
                heard.write(said + b"\n")

    # --- hands ---

    def shell(self, script, code=0):
        """Runs it in there as root, in /media; gives what it printed, on either stream."""
        inside = 'mount -t proc proc "$0/proc" && exec chroot "$0" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/ LANG=C.UTF-8 DEBIAN_FRONTEND=noninteractive bash -ec "cd /media; $1"'
        asked = ["unshare", "--mount", "sh", "-c", inside, str(self.root), script]
        done = subprocess.run(asked, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=150)
        assert done.returncode == code, f"{script}: exit {done.returncode}\n{done.stdout}\n{self.log()[-3000:]}"
        return done.stdout

    def block(self, text):
        """Runs a block of docs/install.md as it stands there; `dnf` is this machine's rpm."""
        for word, value in self.words.items():
            text = re.sub(rf"(?<![A-Za-z]){word}(?![A-Za-z])", value, text)
        said, lines = "", []
        for line in [*text.splitlines(), "dnf"]:
            if not line.startswith("dnf"):
                lines.append(line)
                continue
            said += self.shell("\n".join(lines)) if lines else ""
            lines = []
            said += self.rpm(line.split()[1:])
        return said

    def rpm(self, words):
        if not words:
            return ""
        action, package = words[0], words[-1]
        # What it depends on is Debian's here, of which rpm knows nothing.
        asked = {"install": ["-U", "--nodeps", self.root / "media" / package], "remove": ["-e", package]}[action]
        done = run("rpm", "--root", self.root, *asked)
        return (done.stdout + done.stderr).decode()

    def kandian(self, *words, code=0):
        """A command as docs/install.md gives them."""
        return self.shell(f"cd /etc/kandian && runuser -u kandian -- kandian {' '.join(map(str, words))}", code)

    def json(self, *words):
        return json.loads(self.kandian(*words, "--json"))

    # --- eyes ---

    def log(self):
        log = self.root / "run/kandian.log"
        return log.read_text(errors="replace") if log.exists() else ""

    def listen(self):
        return json.loads((self.root / "var/lib/kandian/listen.json").read_text())

    def runs(self):
        return (self.root / "run/pid").exists() and not (self.root / "run/code").exists()

    def is_enabled(self):
        return (self.root / "etc/systemd/system/multi-user.target.wants/kandian.service").is_symlink()

    def heard(self, word):
        """Waits until the service manager was told this since the last start."""
        notified = self.root / "run/notified"
        eventually(lambda: word in notified.read_text().splitlines(), what=lambda: f"{word}; heard: {notified.read_text()}")

    def called(self):
        """What systemctl was called with; forgets it."""
        called = self.root / "run/called"
        said = called.read_text().splitlines() if called.exists() else []
        called.unlink(missing_ok=True)
        return said

    def owner(self, path):
        """user:group:mode of a path."""
        return self.shell(f"stat -c %U:%G:%a {path}").strip()

    def end(self):
        if self.runs():
            subprocess.run(["kill", "-9", (self.root / "run/pid").read_text().strip()], check=False, stderr=subprocess.DEVNULL)
            eventually(lambda: not self.runs())
        self.socket.close()
        if not os.environ.get("KANDIAN_TEST_KEEP"):
            shutil.rmtree(self.home, ignore_errors=True)


BOOT = r"""
R=$0
mount --bind "$R" "$R"
mount -t proc proc "$R/proc"
# This machine's kernel is not for it to set up.
mount --bind "$R/proc/sys" "$R/proc/sys"
mount -o remount,ro,bind "$R/proc/sys"
mount -t sysfs -o ro sysfs "$R/sys"
mount -t tmpfs tmpfs "$R/run"
mount -t tmpfs tmpfs "$R/tmp"
if [ -f /sys/fs/cgroup/cgroup.controllers ]; then
    mount -t cgroup2 cgroup2 "$R/sys/fs/cgroup"
else
    mount -t tmpfs tmpfs "$R/sys/fs/cgroup"
    mkdir "$R/sys/fs/cgroup/systemd"
    mount -t cgroup -o none,name=systemd cgroup "$R/sys/fs/cgroup/systemd"
fi
mkdir "$R/old"
cd "$R"
pivot_root . old
umount -l /old
exec /usr/bin/env -i container=other PATH=/usr/sbin:/usr/bin:/sbin:/bin /lib/systemd/systemd
"""


class BootedBox(Box):
    """A clean Debian with its own systemd."""

    process = group = init = None

    def boot(self):
        """Starts systemd, in a group of its own; skips where this machine lets nobody do so."""
        unified = Path("/sys/fs/cgroup/cgroup.controllers").exists()
        self.group = Path("/sys/fs/cgroup") / ("" if unified else "systemd") / self.home.name
        try:
            self.group.mkdir()
        except OSError as error:
            self.group = None
            pytest.skip(f"systemd wants a control group of its own: {error}")
        asked = 'echo $$ >"$0/cgroup.procs" && exec unshare -m -p -u -i -C --fork --kill-child bash -ec "$1" "$2"'
        console = open(self.home / "console", "wb")
        self.process = subprocess.Popen(
            ["bash", "-c", asked, str(self.group), BOOT, str(self.root)], stdin=subprocess.DEVNULL, stdout=console, stderr=console
        )
        try:
            eventually(self.is_up, timeout=60, every=0.2)
        except AssertionError:
            pytest.skip(f"systemd does not start here: {(self.home / 'console').read_text(errors='replace')[-500:]}")

    def is_up(self):
        assert self.process.poll() is None, "the init ended"
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        if not children:
            return False
        self.init = int(children[0])
        return self.enter("systemctl is-system-running").stdout.strip() in ("running", "degraded")

    def enter(self, script):
        inside = ["nsenter", "-t", str(self.init), "-m", "-p", "-u", "-i", "env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/"]
        inside += ["LANG=C.UTF-8", "DEBIAN_FRONTEND=noninteractive", "bash", "-ec", f"cd /media; {script}"]
        return subprocess.run(inside, cwd="/", stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=150)

    def shell(self, script, code=0):
        done = self.enter(script)
        assert done.returncode == code, f"{script}: exit {done.returncode}\n{done.stdout}\n{self.enter('journalctl -n 50 --no-pager').stdout}"
        return done.stdout

    def drop_in(self, text):
        """What an operator would add by `systemctl edit kandian`."""
        directory = self.root / "etc/systemd/system/kandian.service.d"
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "test.conf").write_text(text)

    def told(self, what):
        """A property of the unit as systemd sees it."""
        return self.shell(f"systemctl show -P {what} kandian").strip()

    def end(self):
        if self.process:
            # The init's end is that of all its processes.
            os.kill(self.init or self.process.pid, signal.SIGKILL)
            self.process.wait(30)
        if self.group:
            eventually(self.group_is_gone, what="the control group is empty")
        super().end()

    def group_is_gone(self):
        for directory, _, _ in os.walk(self.group, topdown=False):
            try:
                os.rmdir(directory)
            except OSError:
                return False
        return True
