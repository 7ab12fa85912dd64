"""Somebody fills the disk to its last byte: what is stored is read, listed, searched, locked, deleted and cleared, uploads
are told why not, the server starts on it after a kill, and goes on by itself once there is room. Real file systems, real
processes; the stranger fills up again whatever comes free."""

import os
import xml.etree.ElementTree as ET

import pytest

from harness import ENV11, KIB, MIB, error_code, eventually, payload, soap
from small_disk import SmallDisk

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")


@pytest.fixture
def box(new_server):
    """A server whose data directory, or index and volumes each, are small disks: `box("ext4", apart=True)`."""
    disks = []

    def make(kind, mib, apart=False):
        server = new_server(start=False, storage__volume_size="8MiB")
        disks.append(SmallDisk(server.data, mib, kind))
        if apart:
            disks.append(SmallDisk(server.home / "volumes", mib, kind))
            server.settings["storage.volumes"] = f'["{server.home}/volumes/kandian"]'
            (server.home / "volumes" / "kandian").mkdir()
        server.start()
        return server, disks[:]

    yield make
    for disk in disks:
        disk.discard()


class Ledger:
    """What was acknowledged, by bucket and key: size and seed."""

    def __init__(self, sub):
        self.sub, self.files = sub, {}

    def put(self, key, size):
        seed = f"{key}/{size}"
        reply = self.sub.wire().put(self.sub.record, key, payload(size, seed))
        if reply.status == 200:
            self.files[key] = size, seed
        return reply

    def forget(self, keys):
        for key in keys:
            del self.files[key]

    def holds(self):
        """Everything is there as it was sent, listed and found, and nothing else."""
        wire = self.sub.wire()
        for key, body in self.files.items():
            reply = wire.get(self.sub.record, key)
            assert (reply.status, reply.body == payload(*body)) == (200, True), key
        assert {k: size for k, (size, _) in wire.listing(self.sub.record).items()} == {
            k: size for k, (size, _) in self.files.items()
        }
        total, found = self.sub.search()
        assert (total, {f.FileName for f in found}) == (len(self.files), set(self.files))


def is_refused_for_want_of_room(reply):
    assert (reply.status, reply.code) == (503, "SlowDown"), reply
    said = ET.fromstring(reply.body).findtext("Message")
    assert "disk is full" in said and "nothing was stored" in said
    assert int(reply.headers["retry-after"]) >= 1
    return True


def fill_until_refused(ledger, disks, number):
    """The stranger fills, again and again; uploads that still find room are acknowledged and kept."""

    def refused():
        for disk in disks:
            disk.fill()
        for _ in range(8):
            reply = ledger.put(f"late/{number}-{len(ledger.files)}", 100 * KIB)
            if reply.status != 200:
                return is_refused_for_want_of_room(reply)
        return False

    eventually(refused, timeout=20, every=0.2, what="no upload was refused")


def metric(server, name):
    import requests

    text = requests.get(f"http://{server.listen['metrics']}/metrics", timeout=10).text
    return float(next(line for line in text.splitlines() if line.startswith(f"{name} ")).split()[1])


@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    ("kind", "apart", "whose"),
    [("ext4", False, "both"), ("tmpfs", False, "both"), ("ext4", True, "index"), ("ext4", True, "volumes")],
)
def test_a_disk_that_a_stranger_has_filled_is_lived_on_started_on_and_left_behind(box, kind, apart, whose):
    server, disks = box(kind, 128, apart)
    full = {"both": disks, "index": disks[:1], "volumes": disks[1:]}[whose]
    account = server.open_account(1000)
    sub, other = account.open_sub_account(60), account.open_sub_account(20)
    ledger, admin = Ledger(sub), account.admin()
    for n in range(24):
        assert ledger.put(f"small/{n:02}", 3000 + n).status == 200
    for n in range(6):
        assert ledger.put(f"large/{n}", 400 * KIB + n).status == 200
    upload = sub.boto().create_multipart_upload(Bucket=sub.record, Key="parts")["UploadId"]
    for n in range(5):
        other.put(other.record, f"{n}", payload(9000, n))

    fill_until_refused(ledger, full, 1)
    status = server.json("status")
    assert "is full" in status["no_room"] or "storage.reserve" in status["no_room"]
    assert "refused: " in server.cli("status") and metric(server, "kandian_uploads_taken") == 0
    camera, of = sub.boto(), {"Bucket": sub.record}
    assert error_code(camera.put_object, **of, Key="large/new", Body=payload(2 * MIB, "large")) == (503, "SlowDown")
    part = {**of, "Key": "parts", "UploadId": upload, "PartNumber": 1}
    assert error_code(camera.upload_part, **part, Body=payload(5 * MIB, "part")) == (503, "SlowDown")
    # What is stored is read, searched, locked; what is not wanted goes; the platform is served.
    ledger.holds()
    wire = server.wire(*admin)
    for n in range(6):
        assert wire.delete(sub.record, f"small/{n:02}").status == 204
        for disk in full:
            disk.fill()
    ledger.forget(f"small/{n:02}" for n in range(6))
    sub.lock("small/10")
    assert sub.wire().delete(sub.record, "small/10").status == 403
    assert other.clear() == 0
    assert other.free_space() == 20 and other.listing() == {}
    assert account.space()[0] == 1000
    ledger.holds()

    # It starts on the full disk, after a kill and after a stop.
    for end in (server.kill, server.stop):
        for disk in full:
            disk.fill()
        end()
        for disk in full:
            disk.fill()
        server.start()
        ledger.holds()
        fill_until_refused(ledger, full, 2)
        assert server.wire(*admin).delete(sub.record, "large/0" if end == server.kill else "large/1").status == 204
        ledger.forget(["large/0" if end == server.kill else "large/1"])

    for disk in full:
        disk.leave()
    eventually(lambda: server.json("status")["no_room"] is None, what="it does not see that there is room again")
    assert ledger.put("again", 3 * MIB).status == 200
    assert metric(server, "kandian_uploads_taken") == 1
    assert "uploads get 503: the disk is full" in server.log.read_text()
    eventually(lambda: "there is room on the disks again" in server.log.read_text(), what="the log does not say so")
    held = server.json("status")["held_back"]
    assert len(held) == 2 and all(h["held_bytes"] == h["bytes"] > 0 for h in held), "it is held back again"
    ledger.holds()
    assert sub.boto().abort_multipart_upload(Bucket=sub.record, Key="parts", UploadId=upload)
    server.check_is_clean()


@pytest.mark.timeout(60)
def test_overwriting_goes_on_on_a_full_disk_and_makes_room_for_uploads(box):
    server, (disk,) = box("ext4", 128)
    sub = server.open_account(1000).open_sub_account(60, loop=True)
    ledger = Ledger(sub)
    for n in range(30):
        assert ledger.put(f"{n:03}", MIB).status == 200
    fill_until_refused(ledger, [disk], 1)
    # 7.5: a smaller space, so that the loop has to give up files, which it writes to do.
    assert sub.result("ModifySubAccountSpace", NewStorageSpace=20) == 0
    eventually(lambda: server.json("status")["no_room"] is None, what="overwriting has made no room")
    for n in range(30, 50):
        # Room of what was overwritten comes back when the index is durable without it: a second later, and quicker uploads come again.
        eventually(lambda n=n: ledger.put(f"{n:03}", MIB).status == 200, what=f"{n} is not taken")
    there = sorted(key for _, key in sub.listing() if not key.startswith("late/"))
    assert there == [f"{n:03}" for n in range(int(there[0]), 50)], "the oldest went, in order"
    assert sub.view()["used_bytes"] <= 20 * MIB
    server.check_is_clean()


@pytest.mark.timeout(60)
def test_a_first_start_on_a_full_disk_is_refused_in_words_and_leaves_nothing_half_made(box, new_server, tmp_path):
    server = new_server(start=False)
    disk = SmallDisk(server.data, 64)
    try:
        disk.fill()
        done = server.run("serve", timeout=20)
        assert done.returncode == 1 and "No space left on device" in done.stdout + done.stderr, done
        disk.leave()
        server.start()
        sub = server.open_account(10).open_sub_account(5)
        sub.put(sub.record, "k", b"v")
        assert sub.get(sub.record, "k") == b"v"
        server.stop()
    finally:
        disk.discard()
