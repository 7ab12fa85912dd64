"""Kills and power cuts by the hundred, under load, with one ledger of what was acknowledged.

    endure.py kills N     SIGKILL at N random moments; the next start is held against the ledger, and goes on. Every so
                          often that start is killed too
    endure.py cuts N      N power cuts on ext4 at random moments under a server that goes on; each image that a cut left is
                          started on and held against the ledger. Every so often the server is killed at the same moment and
                          the image takes its place, or the power is cut once more while the image is being recovered, or
                          the index is thrown away and made anew on the image
    endure.py start FILES seconds until ready with so many files, after a kill and after a cut

`scripts/endure` builds what is needed and runs it. A run prints its seed; `--seed` begins with another.
"""

import argparse
import glob
import json
import os
import random
import signal
import statistics
import sys
import time
from pathlib import Path

import harness
from harness import ROOT, Server
from ledger import Ledger
from load import Load
from power import Power
from verify import Control, World, hold

MODES = ("lose", "keep", "prefix", "subset", "torn", "any")
DISK_MIB = 512
# Every so many cuts, or kills, one of the other kinds.
POWER_OFF, CUT_AGAIN, KILL_AGAIN, REBUILD = 20, 10, 10, 10


def settings():
    """Small volumes, so that some are begun and removed all the time; repeats that come soon."""
    return {"storage__volume_size": "16MiB", "storage__scrub_rate": "2MB", "alerts__first_retry": "200ms", "alerts__max_retry": "2s"}


def place(server, directories):
    """The appliance, which does not run, has its data here: all on one disk, or the volumes on others."""
    server.data = directories[0] / "data"
    if len(directories) > 1:
        server.settings["storage.volumes"] = json.dumps([str(directory / "volumes") for directory in directories[1:]])
    return server


def cpu_seconds(server):
    """What the appliance has computed so far, which does not depend on who else computes on this machine."""
    nanos = 0
    for task in Path(f"/proc/{server.process.pid}/task").iterdir():
        try:
            nanos += int((task / "schedstat").read_text().split()[0])
        except OSError:
            pass  # a thread that has just ended
    return nanos / 1e9


def check_is_clean(server):
    control = Control(server)
    status, report = control.ask("POST", "/index/check")
    control.close()
    assert status == 200 and report["violations"] == [], report
    return report["objects"]


class Tally:
    """What a run came to."""

    def __init__(self, what):
        self.what, self.began = what, time.monotonic()
        self.rounds, self.read, self.files = 0, 0, 0
        self.ready, self.cpu, self.mounts = [], [], []
        self.modes, self.lost, self.torn, self.again, self.off, self.rebuilt = {}, 0, 0, 0, 0, 0

    def started(self, server):
        """Starts an appliance after a failure, and notes how long it took until it was ready."""
        self.ready.append(server.start(timeout=60))
        self.cpu.append(cpu_seconds(server))

    def report(self, ledger):
        ready = sorted(self.ready)
        share = lambda p: ready[min(len(ready) - 1, int(len(ready) * p))]  # noqa: E731
        return {
            "what": self.what,
            "rounds": self.rounds,
            "acknowledged": ledger.acknowledged,
            "seconds": round(time.monotonic() - self.began),
            "ready_p50": round(share(0.5), 3),
            "ready_p99": round(share(0.99), 3),
            "ready_max": round(ready[-1], 3),
            "cpu_until_ready_p50": round(statistics.median(self.cpu), 3),
            "cpu_until_ready_max": round(max(self.cpu), 3),
            **({"mount_p50": round(statistics.median(self.mounts), 3)} if self.mounts else {}),
            "files_seen": self.files,
            "mib_read": self.read >> 20,
            **({"modes": self.modes, "writes_lost": self.lost, "writes_torn": self.torn} if self.modes else {}),
            "again_in_recovery": self.again,
            **({"gone_on_from_the_cut": self.off, "index_rebuilt": self.rebuilt} if self.modes else {}),
        }


class Run:
    """A server under load, and what becomes of it."""

    def __init__(self, seed, server=None, others=None):
        """On this appliance, or a new one; `others` is what the ledger shall know of what was opened on it before."""
        self.dice = random.Random(seed)
        self.server = server or Server(**settings())
        self.server.start()
        self.ledger, self.world = Ledger(), World()
        self.ledger.answered(self.ledger.begin(others or {}))
        self.load = Load(self.ledger, self.world, self.server, [random.Random(f"{seed}/{n}") for n in range(99)])
        self.load.start(self.server)
        self.verified = 0.0

    def hold(self, server, world, since, until, tally, settle=False):
        """Holds a server that was started after the failure against the ledger."""
        found, states, read = hold(self.ledger, world, server, since, until, self.verified, self.dice)
        if settle:
            self.ledger.settle(found, states)
        self.ledger.prune(since)
        self.verified = since
        tally.files += check_is_clean(server)
        tally.read += read
        tally.rounds += 1

    def hold_all(self):
        """Holds the server against the ledger while nobody asks for anything, and reads every byte."""
        now = time.monotonic()
        hold(self.ledger, self.world, self.server, now, now, 0.0, self.dice, sample=1 << 30)
        self.server.check_is_clean()

    def die(self):
        """SIGKILL while clients ask; gives when."""
        self.load.server_may_go = True
        self.server.kill()
        now = time.monotonic()
        self.load.stopped()
        return now

    def go_on(self):
        self.load.mend(self.server)
        self.load.start(self.server)

    def close(self):
        try:
            if self.server.process is not None:
                self.load.server_may_go = True
                self.server.kill()
            self.load.stopped()
        finally:
            self.load.platform.stop()
            self.server.discard()


def say(tally, ledger, every=50):
    if tally.rounds % every == 0:
        print(json.dumps(tally.report(ledger)), flush=True)


def kills(count, seed, pause=(0.05, 0.5), patience=None):
    """`count` times SIGKILL under load."""
    tally = Tally("kills")
    run = Run(seed)
    try:
        while tally.rounds < count and (patience is None or time.monotonic() - tally.began < patience):
            time.sleep(run.dice.uniform(*pause))  # the random moment
            now = run.die()
            if tally.rounds % KILL_AGAIN == KILL_AGAIN // 2:
                run.server.spawn()
                time.sleep(run.dice.uniform(0, 0.15))
                run.server.kill()
                tally.again += 1
            tally.started(run.server)
            run.hold(run.server, run.world.copy(), now, now, tally, settle=True)
            run.go_on()
            say(tally, run.ledger)
        return tally.report(run.ledger)
    finally:
        run.close()


def cuts(count, seed, pause=(0.1, 0.4), patience=None, modes=MODES, disks=1, lie=False, every=(POWER_OFF, CUT_AGAIN, REBUILD)):
    """`count` power cuts under load. `disks`: one for everything, or one for the index and the others for volumes; all lose
    their power at once. `lie`: they forget flushes, as no disk may; then this must fail."""
    tally = Tally("cuts")
    with Power(*[DISK_MIB] * disks) as power:
        home, files = power.mounted(), power.disks
        second = Server(**settings())
        run = Run(seed, place(Server(**settings()), home.__enter__()))
        try:
            if lie:
                power.command("lie", files[0])
            while tally.rounds < count and (patience is None or time.monotonic() - tally.began < patience):
                time.sleep(run.dice.uniform(*pause))
                number = tally.rounds + 1
                off, again = number % every[0] == 0, number % every[1] == every[1] // 2
                mode, lot = run.dice.choice(modes), run.dice.getrandbits(48)
                if off:
                    since = until = run.die()
                    cut, left = power.cut(mode, lot, files)
                else:
                    since = time.monotonic()
                    cut, left = power.cut(mode, lot, files, run.dice.randrange(1, 30))
                    until = time.monotonic()
                run.load.gate.clear()
                world = run.world.copy()
                tally.modes[mode] = tally.modes.get(mode, 0) + 1
                tally.lost, tally.torn = tally.lost + left["lost"], tally.torn + left["torn"]
                if again:
                    cut = cut_again(power, cut, second, run.dice)
                    tally.again += 1
                image = power.mounted(cut)
                if off:
                    # The old disks are not looked at any more; the cut is what the machine finds.
                    home.close()
                    power.remove(files)
                    home, files = image, cut
                    place(run.server, image.__enter__())
                    tally.started(run.server)
                    run.hold(run.server, world, since, until, tally, settle=True)
                    run.go_on()
                    tally.off += 1
                else:
                    with image as directories:
                        tally.started(place(second, directories))
                        try:
                            run.hold(second, world, since, until, tally)
                        finally:
                            second.kill()
                        if number % every[2] == every[2] // 2 + 1:
                            rebuild(run, second, world, since, until)
                            tally.rebuilt += 1
                    power.remove(cut)
                    run.load.gate.set()
                tally.mounts.append(image.seconds)
                run.load.look()
                say(tally, run.ledger)
            return {"disks": disks, "file_systems_checked": power.repaired, **tally.report(run.ledger)}
        finally:
            second.discard()
            run.close()


def rebuild(run, server, world, since, until):
    """The index is lost too: what volumes and journal give back is held against the same moment."""
    (server.data / "index.redb").unlink()
    server.cli("index", "rebuild", timeout=120)
    server.start()
    try:
        hold(run.ledger, world, server, since, until, since, run.dice)
        check_is_clean(server)
    finally:
        server.kill()


def cut_again(power, files, server, dice):
    """Starts on images, cuts the power in the middle of that, and gives the images of this second cut."""
    with power.mounted(files) as directories:
        place(server, directories).spawn()
        last, _ = power.cut(dice.choice(MODES), dice.getrandbits(48), files, dice.randrange(1, 40))
        server.kill()
    power.remove(files)
    return last


def start(count, seed, rounds=5):
    """How long a start takes beside `count` files: after a kill, and after a power cut, both under load."""
    fill = max(glob.glob(str(ROOT / "target" / "*" / "deps" / "fill-*[0-9a-f]")), key=os.path.getmtime)
    with Power(1024 + count // 500) as power, power.mounted() as home:
        server = place(Server(**settings()), home)
        server.start()
        server.open_account(1_000_000, name="filled").open_sub_account(900_000)
        server.stop()
        print(harness.run(fill, server.data, count, timeout=3600).stdout.decode(), end="", flush=True)
        run = Run(seed, server, {("account", "filled"): (1_000_000, 900_000, 1)})
        second, took = Server(**settings()), {"after a kill": [], "after a cut": []}
        try:
            for _ in range(rounds):
                time.sleep(3)
                now = run.die()
                took["after a kill"].append(round(run.server.start(120), 3))
                found, states, _ = hold(run.ledger, run.world.copy(), run.server, now, now, 0.0, run.dice)
                run.ledger.settle(found, states)
                run.go_on()
                time.sleep(3)
                since = time.monotonic()
                files, _ = power.cut(run.dice.choice(MODES), run.dice.getrandbits(48), after=run.dice.randrange(1, 30))
                until, world = time.monotonic(), run.world.copy()
                with power.mounted(files) as directories:
                    took["after a cut"].append(round(place(second, directories).start(120), 3))
                    hold(run.ledger, world, second, since, until, 0.0, run.dice)
                    second.kill()
                power.remove(files)
            return {"files": count, "seconds until ready": took}
        finally:
            second.discard()
            run.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("kills", "cuts", "start"))
    parser.add_argument("count", type=int)
    parser.add_argument("--seed", type=int, default=time.time_ns() % 1_000_000)
    parser.add_argument("--minutes", type=float, help="no round is begun after so long")
    parser.add_argument("--disks", type=int, default=1, help="of cuts: one for everything, or one for the index and others for volumes")
    given = parser.parse_args()
    # Ended from outside it unmounts and detaches what it has mounted and attached, all the same.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    print(f"seed {given.seed}", flush=True)
    if given.what == "start":
        print(json.dumps(start(given.count, given.seed), indent=1))
        return 0
    patience = given.minutes and given.minutes * 60
    if given.what == "kills":
        report = kills(given.count, given.seed, patience=patience)
    else:
        report = cuts(given.count, given.seed, patience=patience, disks=given.disks)
    print(json.dumps(report, indent=1))
    print(f"{report['rounds']} {given.what}, {report['acknowledged']} operations acknowledged: 0 lost, 0 torn, 0 back from the dead")
    return 0 if report["rounds"] >= given.count else 1


if __name__ == "__main__":
    sys.exit(main())
