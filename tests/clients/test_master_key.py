"""The master key is exchanged while everything is served, on a closed store, and across a kill; the audit log is verified
where there is no store."""

import os
import stat
import threading

import pytest

from harness import eventually


@pytest.fixture
def elsewhere(tmp_path):
    """Where a key can lie that is not on the disks of the store."""
    (tmp_path / "usb").mkdir()
    return tmp_path / "usb" / "kandian.key"


def test_the_key_is_exchanged_while_cameras_upload_and_the_platform_asks(new_server, elsewhere):
    server = new_server(storage__master_key=elsewhere)
    account = server.open_account(1000)
    subs = [account.open_sub_account(10) for _ in range(5)]
    admin = account.admin()
    first = server.json("key", "show")
    assert first["file"] == str(elsewhere) and not first["exchange_under_way"]
    assert not (server.data / "master.key").exists()
    assert stat.S_IMODE(elsewhere.stat().st_mode) == 0o600
    stop, failed = threading.Event(), []

    def camera(sub):
        n = 0
        while not stop.is_set():
            try:
                sub.put(sub.record, f"{n}", b"x" * 1000)
                assert sub.get(sub.record, f"{n}") == b"x" * 1000
            except Exception as error:  # noqa: BLE001  (told below)
                failed.append(error)
                return
            n += 1

    threads = [threading.Thread(target=camera, args=(sub,)) for sub in subs]
    for thread in threads:
        thread.start()
    before = elsewhere.read_bytes()
    for _ in range(3):
        done = server.json("key", "rotate")
        assert done["secrets"] == 7 and done["old"] != done["new"]
        subs.append(account.open_sub_account(1))
        subs[-1].close()
    stop.set()
    for thread in threads:
        thread.join()
    assert failed == []
    assert elsewhere.read_bytes() != before and stat.S_IMODE(elsewhere.stat().st_mode) == 0o600
    assert os.listdir(elsewhere.parent) == [elsewhere.name]
    assert server.json("key", "show")["id"] == done["new"] != first["id"]
    assert account.admin() == admin
    lines = eventually(lambda: [e for e in server.json("audit", "list") if e["what"] == "RotateMasterKey"])
    assert len(lines) == 3 and lines[0]["target"] == f"{done['old']} to {done['new']}"
    # A restart, a lost index, and a closed store.
    server.stop()
    assert server.json("key", "rotate")["secrets"] == 7
    (server.data / "index.redb").unlink()
    server.cli("index", "rebuild")
    server.start()
    assert account.admin() == admin and account.space()[0] == 1000
    assert server.json("sub-account", "show", subs[0].ak)["ak"] == subs[0].ak
    subs[0].put(subs[0].record, "after", b"y")
    assert subs[0].get(subs[0].record, "after") == b"y"


def test_a_server_that_is_killed_amid_an_exchange_starts_and_goes_on(new_server):
    server = new_server()
    account = server.open_account(100_000)
    subs = [account.open_sub_account(1) for _ in range(100)]
    key = server.data / "master.key"
    for _ in range(2):
        asked = threading.Thread(target=lambda: server.run("key", "rotate"))
        asked.start()
        eventually(lambda: (server.data / "master.key.next").exists() or not asked.is_alive(), every=0.001)
        server.kill()
        asked.join()
        server.start()
        assert key.exists()
        for sub in (subs[0], subs[50], subs[-1]):
            assert sub.call("QuerySubAccountSpace").Result == 0
            sub.put(sub.record, "k", b"x")
    server.cli("key", "rotate")
    assert not (server.data / "master.key.next").exists()
    assert all(sub.result("QuerySubAccountSpace") == 0 for sub in subs[::10])


def test_a_key_that_is_not_there_is_told_and_never_made_anew(new_server, elsewhere):
    server = new_server(storage__master_key=elsewhere)
    server.open_account(10)
    server.stop()
    away = elsewhere.rename(elsewhere.with_suffix(".away"))
    done = server.run("serve", timeout=30)
    assert done.returncode != 0 and str(elsewhere) in done.stderr and "missing" in done.stderr
    assert not elsewhere.exists()
    away.rename(elsewhere)
    server.start()


def test_the_audit_log_is_exported_and_verified_where_there_is_no_store(new_server, tmp_path):
    server = new_server()
    account = server.open_account(1000)
    for _ in range(20):
        account.space()
    server.cli("key", "rotate")
    eventually(lambda: len([e for e in server.json("audit", "list") if e["what"] == "QueryUserSpace"]) == 20)
    file = tmp_path / "audit.jsonl"
    file.write_text(server.cli("audit", "export", "--chain"))
    assert server.json("audit", "verify")["broken_at"] is None
    server.stop()
    other = new_server(start=False)
    assert not other.data.exists()
    told = other.json("audit", "verify", "--file", file)
    assert told["broken_at"] is None and not told["cut_off"] and told["lines"] > 20
    lines = file.read_text().splitlines(keepends=True)
    for name, changed in {
        "a line is missing": lines[:5] + lines[6:],
        "the end is missing": lines[:-3],
        "a line says something else": [line.replace(account.name, "nobody", 1) if n == 7 else line for n, line in enumerate(lines)],
        "two have changed places": [*lines[:5], lines[6], lines[5], *lines[7:]],
    }.items():
        file.write_text("".join(changed))
        told = other.json("audit", "verify", "--file", file, code=1)
        assert told["broken_at"] is not None or told["cut_off"], name
    file.write_text("number,time\n")
    assert other.run("audit", "verify", "--file", file).returncode == 1
    assert not other.data.exists(), "nothing was made"
