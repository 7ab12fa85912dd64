"""Disks that fail: EIO on reads, writes and flushes below a real ext4, under the real process. A failed sync is never taken
for one that worked, what reads well is served, and after a restart on a healed disk everything acknowledged is there."""

import subprocess

import pytest

from harness import KIB, MIB, eventually, payload
from power import Power, why_not

pytestmark = pytest.mark.skipif(why_not() is not None, reason=str(why_not()))
INDEX, VOLUMES = "disk-0.img", "disk-1.img"


class Box:
    """A server whose index is on one disk and whose volumes are on another."""

    def __init__(self, power, server):
        self.power, self.server = power, server
        server.settings["storage.scrub_rate"] = "0"

    def on(self, directories):
        index, volumes = directories
        self.server.data = index / "data"
        (volumes / "kandian").mkdir(exist_ok=True)
        self.server.settings["storage.volumes"] = f'["{volumes}/kandian"]'
        self.server.start()


def acknowledged(sub, files, key, size):
    """Puts; whether it was acknowledged, which is then noted."""
    body = payload(size, key)
    try:
        reply = sub.wire().put(sub.record, key, body)
    except OSError:
        return False
    if reply.status == 200:
        files[key] = body
    else:
        assert reply.status in (500, 503), reply
    return reply.status == 200


def all_there(sub, files):
    wire = sub.wire()
    for key, body in files.items():
        reply = wire.get(sub.record, key)
        assert (reply.status, reply.body == body) == (200, True), (key, reply.status)


@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    ("disk", "what", "power_goes"),
    [(VOLUMES, "flushes", True), (VOLUMES, "writes", False), (INDEX, "flushes", False), (INDEX, "writes", True)],
)
def test_after_a_failed_write_or_sync_nothing_more_is_acknowledged_until_a_start_on_a_healed_disk(
    new_server, disk, what, power_goes
):
    server, files = new_server(start=False), {}
    with Power(96, 96) as power:
        box = Box(power, server)
        with power.mounted() as directories:
            box.on(directories)
            sub = server.open_account(1000).open_sub_account(500)
            for n in range(20):
                assert acknowledged(sub, files, f"before/{n}", (2 + n * 20) * KIB)
            power.command("fail", disk, what)
            # At most what was under way is still acknowledged: the index is made durable once a second.
            refused = eventually(
                lambda: not acknowledged(sub, files, f"during/{len(files)}", 200 * KIB), timeout=15, every=0.1, what="it limps on"
            )
            assert refused
            for n in range(5):
                assert not acknowledged(sub, files, f"after/{n}", 9 * KIB), "it was acknowledged after a sync had failed"
            log = server.log.read_text()
            assert "ERROR" in log and "Input/output error" in log or "Read-only file system" in log, log[-2000:]
            assert "panicked" not in log
            if server.process.poll() is None:
                server.process.kill()
            server.process.wait()
            server.process = None
            images = power.cut("lose", 7)[0] if power_goes else power.disks
        power.command("fail", disk, "nothing")
        with power.mounted(images) as directories:
            box.on(directories)
            all_there(sub, files)
            server.check_is_clean()
            assert acknowledged(sub, files, "again", MIB)
            server.stop()
            server.start()
            all_there(sub, files)
            server.stop()


@pytest.mark.timeout(60)
def test_a_disk_that_does_not_read_gives_errors_and_no_bytes_and_what_reads_well_is_served(new_server):
    server, files = new_server(start=False), {}
    with Power(96, 96) as power, power.mounted() as directories:
        Box(power, server).on(directories)
        sub = server.open_account(1000).open_sub_account(500)
        for n in range(8):
            assert acknowledged(sub, files, f"f{n}", 700 * KIB)
        eventually(lambda: server.json("status")["commit_queue"] == 0)
        subprocess.run(["sync"], check=True)
        with open("/proc/sys/vm/drop_caches", "w") as caches:
            caches.write("1")
        all_there(sub, {"f0": files["f0"]})
        power.command("fail", VOLUMES, "reads")
        failed = 0
        for key, body in files.items():
            try:
                reply = sub.wire().get(sub.record, key)
            except OSError:
                failed += 1
                continue
            assert reply.status != 200 or reply.body == body, key
            failed += reply.status != 200
        assert failed >= 6, f"{failed} of 8 reads failed: the disk was not asked"
        all_there(sub, {"f0": files["f0"]})
        power.command("fail", VOLUMES, "nothing")
        all_there(sub, files)
        assert "panicked" not in server.log.read_text()
        server.kill()
