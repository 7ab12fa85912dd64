"""Stores of older releases: this one starts on each, keeps what is needed to go back, and goes back. The archives in
tests/fixtures/stores were written by the programs of their day (`old_stores.py`)."""
import hashlib
import json

import pytest
from harness import error_code, payload
from old_stores import account_of, cameras_of, content, names, unpack

NOW = 2


@pytest.fixture(params=names())
def old(request, new_server):
    """A server on a store of another day, not started, and what is in it."""
    server = new_server(start=False, storage__volume_size="8MiB")
    return server, unpack(request.param, server)


def everything_is_there(server, told):
    account = account_of(told, server)
    assert account.space()[1] == told["free"]
    for sub, camera in cameras_of(told, account):
        files = camera["files"]
        assert {key: size for (_, key), size in sub.listing().items()} == {key: file["size"] for key, file in files.items()}
        for key, file in files.items():
            assert sub.get(file["bucket"], key) == content(file["size"], file["seed"]), key
        found = sub.search(type=0)[1] + sub.search(type=1)[1]
        assert {f.FileName: f.LockFlag for f in found} == {key: int(file["locked"]) for key, file in files.items()}
    assert server.json("index", "check")["violations"] == []
    assert server.json("scrub")["damaged"] == []


def files_of(directory):
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in directory.iterdir() if p.suffix in (".redb", ".kdj")}


def test_an_older_store_is_looked_at_before_and_everything_is_there_after(old):
    server, told = old
    before = {p: p.read_bytes() for p in server.data.rglob("*") if p.is_file() and p.name != "lock"}
    looked = server.json("upgrade", "--check")
    assert looked["found"]["index"] == told["format"] and looked["writes"][0] == NOW
    assert looked["changes_format"] is (told["format"] < NOW)
    assert looked["problems"] == [] and looked["running"] is None
    assert {p: p.read_bytes() for p in before} == before, "a look changes nothing"

    server.start()
    everything_is_there(server, told)
    looked = server.json("upgrade")
    assert looked["running"] and looked["found"]["index"] == NOW and looked["changes_format"] is False
    account = account_of(told, server)
    for sub, camera in cameras_of(told, account):
        key = next(key for key, file in camera["files"].items() if not file["locked"])
        sub.put(sub.record, "new.mp4", payload(1000, "new"))
        assert sub.get(sub.record, "new.mp4") == payload(1000, "new")
        if any(file["locked"] for file in camera["files"].values()):
            locked = next(key for key, file in camera["files"].items() if file["locked"])
            assert error_code(sub.boto().put_object, Bucket=sub.record, Key=locked, Body=b"x") == (403, "AccessDenied")
        sub.lock(key)
    assert account.open_sub_account(1).ak
    server.restart()
    assert server.json("index", "check")["violations"] == []


def test_the_index_of_an_older_store_can_be_made_anew(old):
    server, told = old
    server.json("index", "rebuild")
    server.start()
    everything_is_there(server, told)


def test_what_a_change_of_format_keeps_puts_the_older_store_back(old):
    server, told = old
    if told["format"] == NOW:
        done = server.run("upgrade", "back")
        assert done.returncode != 0 and "no start has changed a format here" in done.stderr
        assert not list(server.data.glob("before-format-*"))
        return
    journals = server.data / "volumes" / "journal"
    before = {**files_of(server.data), **files_of(journals)}
    server.start()
    [copy] = server.data.glob(f"before-format-{NOW}-*")
    assert files_of(copy).keys() == before.keys()
    sub, _ = cameras_of(told, account_of(told, server))[0]
    sub.put(sub.record, "since.mp4", payload(2000, "since"))
    done = server.run("upgrade", "back")
    assert done.returncode != 0 and "the server is running" in done.stderr
    server.stop()

    done = server.run("upgrade", "back")
    assert done.returncode != 0 and "changes came after the copy" in done.stderr and "--force" in done.stderr
    report = server.json("upgrade", "back", "--force")
    assert report["copy"]["index"] == told["format"] and report["changes_since"] > 0
    now = {**files_of(server.data), **files_of(journals)}
    assert now == files_of(copy)
    # The journal is as it was to the byte; redb marks a file that it has opened, so the index is held by what it says.
    same = {name for name in before if name.endswith(".kdj")}
    assert same and {name: before[name] for name in same} == {name: now[name] for name in same}
    assert all(path.endswith(".newer") for path in report["kept_aside"])
    looked = server.json("upgrade", "--check")
    assert looked["found"]["index"] == told["format"] and looked["changes_format"] is True
    # The release before is not at hand; this one finds the store as it was, and the upload of since in its volume.
    server.start()
    sub, camera = cameras_of(told, account_of(told, server))[0]
    assert sub.get(sub.record, "since.mp4") == payload(2000, "since")
    assert {key for _, key in sub.listing()} == {*camera["files"], "since.mp4"}
    assert server.json("index", "check")["violations"] == []


def test_a_copy_that_has_rotted_puts_nothing_back(old):
    server, told = old
    if told["format"] == NOW:
        return
    server.start()
    server.stop()
    [copy] = server.data.glob(f"before-format-{NOW}-*")
    index = copy / "index.redb"
    rotten = bytearray(index.read_bytes())
    rotten[5000] ^= 1
    index.write_bytes(rotten)
    before = files_of(server.data)
    done = server.run("upgrade", "back", "--force")
    assert done.returncode != 0 and "index.redb" in done.stderr and "nothing was" in done.stderr
    assert files_of(server.data) == before
    manifest = json.loads((copy / "manifest.json").read_text())
    manifest["copy"]["files"][0]["name"] = "../elsewhere"
    (copy / "manifest.json").write_text(json.dumps(manifest))
    done = server.run("upgrade", "back", "--force")
    assert done.returncode != 0 and "there is no copy" in done.stderr


def test_a_store_of_the_future_is_refused_in_words(new_server):
    server = new_server()
    server.stop()
    [journal] = (server.data / "volumes" / "journal").glob("*.kdj")
    with open(journal, "r+b") as file:
        file.seek(8)
        file.write((99).to_bytes(2, "big"))
    done = server.run("upgrade", "--check", "--json")
    assert done.returncode == 1
    [problem] = json.loads(done.stdout)["problems"]
    assert "journal version 99" in problem and "run the release that wrote them" in problem
