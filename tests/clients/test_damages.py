"""Damage at rest, and files that are not there: nothing wrong is served, a scrub finds all, a start refuses in words."""

import shutil
import subprocess

import pytest

from damages import Hurt, Store, damages
from harness import BINARY, payload


@pytest.mark.timeout(120)
def test_of_some_hundred_damages_no_wrong_byte_leaves_and_one_scrub_finds_every_one():
    report = damages(240, seed=20261125, cold=24)
    print(report)
    assert report["damages"] >= 240 and len(report["kinds"]) > 20


def test_the_harness_sees_a_wrong_byte_and_a_damage_that_no_scrub_finds():
    store = Store(1, small=30, large=10, parts=1)
    try:
        wire, key = store.sub.wire(), "small/3"
        right = store.bodies[key]
        store.bodies[key] = bytes([right[0] ^ 1]) + right[1:]
        with pytest.raises(AssertionError, match="other bytes"):
            store.read_all(wire, [key])
        store.bodies[key] = right
        # Claimed and not done: what the scrub does not find has to be noticed.
        store.LIVE = (lambda _, pool: Hurt("none", {pool.pop()}, payload=False),)
        store.truncated = lambda: [Hurt("none", {key}, payload=False)]
        with pytest.raises(AssertionError, match="scrub: missed"):
            store.round(2)
    finally:
        store.server.discard()


@pytest.fixture
def stopped(new_server):
    """A server with a disk more, two files, stopped in good order; and what it has."""
    server = new_server(start=False)
    server.settings["storage.volumes"] = f'["{server.home}/one","{server.home}/two"]'
    (server.home / "one").mkdir()
    (server.home / "two").mkdir()
    server.start()
    sub = server.open_account(10).open_sub_account(5)
    bodies = {f"k{n}": payload(9000 + n, n) for n in range(6)}
    for key, body in bodies.items():
        sub.put(sub.record, key, body)
    server.stop()
    return server, sub, bodies


def refused(server):
    """What `serve` says and ends with."""
    done = server.run("serve", timeout=20)
    said = done.stdout + done.stderr
    assert done.returncode == 1 and "panicked" not in said, said
    return said


def test_a_file_that_is_missing_or_cut_is_named_and_the_store_is_never_begun_anew(stopped):
    server, sub, bodies = stopped
    one, two, data = server.home / "one", server.home / "two", server.data
    away = server.home / "away"

    def without(path, words):
        path.rename(away)
        assert words in refused(server), words
        away.rename(path)

    without(one / "kandian-disk", "kandian-disk")
    without(two / "kandian-disk", "kandian-disk")
    without(data / "master.key", "master.key")
    without(one / "journal", "journal")
    without(data / "index.redb", "kandian index rebuild")
    # A disk that is not mounted: the directory is there, and empty.
    two.rename(away)
    two.mkdir()
    assert "is it mounted" in refused(server)
    two.rmdir()
    away.rename(two)
    key = data / "master.key"
    whole = key.read_bytes()
    for cut in (b"", whole[: len(whole) // 2]):
        key.write_bytes(cut)
        assert "master.key" in refused(server)
    key.write_bytes(whole)
    (data / "index.redb").unlink()
    server.cli("index", "rebuild")
    server.start()
    assert {key: sub.get(sub.record, key) for key in bodies} == bodies
    server.check_is_clean()


def test_a_volume_that_is_missing_costs_its_own_files_only_and_is_told_of(stopped):
    server, sub, bodies = stopped
    volume = next((server.home / "one").glob("*.kdv"))
    volume.unlink()
    server.start()
    wire, lost = sub.wire(), 0
    for key, body in bodies.items():
        reply = wire.get(sub.record, key)
        assert (reply.status, reply.body) == (200, body) or reply.status == 500, (key, reply.status)
        lost += reply.status == 500
    assert 0 < lost < len(bodies)
    assert len(server.json("scrub", code=1)["damaged"]) == lost
    assert server.json("index", "check", code=1)["violations"]


def test_two_processes_on_one_store_the_second_refuses_though_it_has_a_data_directory_of_its_own(stopped, new_server):
    server, sub, bodies = stopped
    # A copy of the data directory: the same index, the same key, the same disks.
    other = new_server(start=False)
    shutil.copytree(server.data, other.data)
    other.settings["storage.volumes"] = server.settings["storage.volumes"]
    server.start()
    second = subprocess.run(
        [str(BINARY), *server.globals(), "serve"], cwd=server.home, capture_output=True, text=True, timeout=20
    )
    assert second.returncode == 1 and "running" in second.stderr + second.stdout
    assert "another kandian process" in refused(other)
    done = other.run("index", "rebuild")
    assert done.returncode != 0 and "another kandian process" in done.stderr
    assert {key: sub.get(sub.record, key) for key in bodies} == bodies
    sub.put(sub.record, "more", b"x")
    server.stop()
    server.start()
    server.check_is_clean()
