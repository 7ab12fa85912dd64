"""The command line: what `interface.md` promises to scripts."""

import json
import mmap
import signal
import subprocess

import pytest

from harness import BINARY, KIB, MIB, REGION, envelope, error_code, eventually, payload, post, url_get


@pytest.fixture(scope="module")
def account(server):
    return server.open_account(1000, name="zhejiang")


# --- accounts ----------------------------------------------------------------------------------------------


def test_account_open_answers_all_that_the_platform_needs(server):
    said = server.json("account", "open", "hunan", "--space", 50, "--alert-url", "http://127.0.0.1:9/alerts", "--max-sub-accounts", 3)
    assert set(said) >= {"account", "password", "soap_url", "wsdl_url", "s3_url"}
    assert said["account"] == "hunan" and len(said["password"]) >= 12, "a password is made up"
    assert (said["soap_url"], said["s3_url"]) == (server.soap_url, server.s3_url)
    answer = post(server, envelope("QueryUserSpace", {"Account": "hunan", "Password": said["password"]}))
    assert (answer.result, answer.value("TotalSpace")) == (0, "50")
    again = server.json("account", "open", "hunan2", "--space", 50)
    assert again["password"] != said["password"]
    shown = server.json("account", "show", "hunan")
    assert shown["max_sub_accounts"] == 3 and shown["alert_url"] == "http://127.0.0.1:9/alerts"
    assert said["password"] not in json.dumps(shown) and said["password"] not in server.cli("account", "show", "hunan"), "shown once"


def test_account_open_prints_for_people_too(server):
    text = server.cli("account", "open", "guizhou", "--space", 5, "--password", "Shown-Once-1")
    assert "guizhou" in text and server.soap_url in text and server.s3_url in text


@pytest.mark.parametrize(
    "arguments",
    [
        ["account", "open", "x", "--space", "0"],
        ["account", "open", "x", "--space", "-1"],
        ["account", "open", "x", "--space", "many"],
        ["account", "open", "x"],
        ["account", "open", "", "--space", "1"],
        ["account", "open", "x", "--space", "1", "--alert-url", "ftp://example/x"],
        ["account", "open", "x", "--space", "1", "--alert-url", "nonsense"],
        ["account", "show", "nobody"],
        ["account", "modify", "nobody", "--space", "5"],
        ["account", "close", "nobody"],
        ["sub-account", "list", "nobody"],
        ["sub-account", "show", "AKnobody"],
        ["account", "key", "nobody"],
        ["no-such-command"],
    ],
    ids=lambda a: " ".join(a),
)
def test_errors_go_to_stderr_with_a_non_zero_exit(server, arguments):
    for extra in ([], ["--json"]):
        done = server.run(*arguments, *extra)
        assert done.returncode != 0
        assert done.stdout == ""
        assert done.stderr.strip()
        assert "panicked" not in done.stderr


def test_an_account_opens_once(server, account):
    done = server.run("account", "open", "zhejiang", "--space", 1)
    assert done.returncode != 0 and "exist" in done.stderr
    assert account.space()[0] == 1000


def rows(said, key):
    return said if isinstance(said, list) else said[key]


def test_account_list_and_show(server, account):
    listed = {row["account"]: row for row in rows(server.json("account", "list"), "accounts")}
    shown = server.json("account", "show", "zhejiang")
    assert listed["zhejiang"] == shown
    assert (shown["space_gb"], shown["handed_out_gb"], shown["sub_accounts"]) == (1000, 1000 - shown["free_gb"], shown["sub_accounts"])
    assert "zhejiang" in server.cli("account", "list")
    before = shown
    sub = account.open_sub_account(7)
    sub.put(sub.record, "k", b"four")
    shown = server.json("account", "show", "zhejiang")
    assert shown["free_gb"] == before["free_gb"] - 7
    assert shown["used_bytes"] == before["used_bytes"] + 4
    assert shown["sub_accounts"] == before["sub_accounts"] + 1
    sub.close()


def test_account_modify_changes_what_is_asked_and_nothing_else(server):
    account = server.open_account(10, name="anhui")
    account.open_sub_account(6)
    before = server.json("account", "show", "anhui")
    server.cli("account", "modify", "anhui", "--space", 20)
    assert account.space() == (20, 14)
    done = server.run("account", "modify", "anhui", "--space", 5)
    assert done.returncode != 0 and "6" in done.stderr, "the sum handed out is in the message"
    assert account.space() == (20, 14)
    server.cli("account", "modify", "anhui", "--password", "New-Password-2")
    assert account.result("QueryUserSpace") == 2
    account.password = "New-Password-2"
    assert account.result("QueryUserSpace") == 0
    server.cli("account", "modify", "anhui", "--max-sub-accounts", 1)
    assert account.result("OpenSubAccount", StorageSpace=1) == 4
    server.cli("account", "modify", "anhui", "--alert-url", "http://127.0.0.1:9/a")
    after = server.json("account", "show", "anhui")
    changed = {k for k in after if after[k] != before[k]}
    assert changed == {"space_gb", "free_gb", "max_sub_accounts", "alert_url"}


def test_account_close_closes_all(server):
    account = server.open_account(10, name="hainan")
    sub = account.open_sub_account(3)
    sub.put(sub.record, "k", b"v")
    server.cli("account", "close", "hainan")
    assert account.result("QueryUserSpace") == 1
    assert error_code(sub.boto().get_object, Bucket=sub.record, Key="k") == (403, "InvalidAccessKeyId")
    assert "hainan" not in server.cli("account", "list")


def test_the_administration_key_is_the_same_ever_after(server, account):
    first = server.json("account", "key", "zhejiang")
    assert set(first) >= {"ak", "sk"}
    assert server.json("account", "key", "zhejiang") == first
    admin = server.boto(first["ak"], first["sk"])
    sub = account.open_sub_account(1)
    assert {sub.record, sub.picture} <= {b["Name"] for b in admin.list_buckets()["Buckets"]}
    sub.put(sub.record, "k", b"v")
    assert admin.get_object(Bucket=sub.record, Key="k")["Body"].read() == b"v"


def test_sub_account_list_and_show(server, account):
    subs = [account.open_sub_account(n) for n in (1, 2)]
    subs[0].put(subs[0].record, "rec", b"12345")
    subs[0].put(subs[0].picture, "pic", b"123")
    subs[0].lock("pic")
    listed = {row["ak"]: row for row in rows(server.json("sub-account", "list", "zhejiang"), "sub_accounts")}
    assert {s.ak for s in subs} <= set(listed)
    view = subs[0].view()
    assert listed[subs[0].ak] == view
    expected = {
        "ak": subs[0].ak, "account": "zhejiang", "space_gb": 1, "space_bytes": MIB, "used_bytes": 8, "reserved_bytes": 0, "locked_bytes": 3,
        "recordings": 1, "pictures": 1, "locked_files": 1, "loop": False, "record_bucket": subs[0].record, "picture_bucket": subs[0].picture,
    }  # fmt: skip
    assert {k: view.get(k) for k in expected} == expected
    text = server.cli("sub-account", "show", subs[0].ak)
    assert subs[0].record in text and subs[0].sk not in text and subs[0].sk not in json.dumps(view)


def test_status_on_one_page(server, account):
    said = server.json("status")
    for name in ("version", "accounts", "sub_accounts", "files", "used_bytes", "disks", "alerts_pending"):
        assert name in said, name
    assert said["accounts"] >= 1 and said["disks"][0]["state"] == "ok"
    text = server.cli("status")
    assert said["version"] in text and len(text.splitlines()) < 70


def test_options_go_before_or_after_the_command(server, account):
    for command in (
        ["--data", server.data, "account", "show", "zhejiang", "--json"],
        ["account", "show", "zhejiang", "--json", "--data", server.data],
        ["account", "--data", server.data, "show", "zhejiang", "--json"],
    ):
        done = subprocess.run([BINARY, *command], capture_output=True, timeout=30, cwd=server.home)
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["account"] == "zhejiang"


def test_no_secret_is_in_the_log(server, account):
    sub = account.open_sub_account(1)
    sub.put(sub.record, "k", b"v")
    assert account.result("QueryUserSpace", Password="Wrong-Secret-9") == 2
    [found] = sub.search()[1]
    assert url_get(found.FileUrl).status == 200
    text = server.log.read_text()
    for secret in (account.password, sub.sk, "Wrong-Secret-9", *server.json("account", "key", "zhejiang").values()):
        if secret != server.json("account", "key", "zhejiang")["ak"]:
            assert secret not in text


# --- sub-accounts ------------------------------------------------------------------------------------------


def test_all_that_pages_do_with_a_sub_account_is_done_by_command(server):
    account = server.open_account(50, name="qinghai")
    opened = server.json("sub-account", "open", "qinghai", "--space", 2, "--overwrite", "--name", "收银台", "--place", "西宁")
    ak = opened["ak"]
    assert opened["sk"] and opened["record_bucket"] and opened["picture_bucket"]
    assert server.json("sub-account", "show", ak)["loop"] is True
    found = server.json("sub-account", "find", "收银", "--account", "qinghai")
    assert [(row["ak"], row["place"]) for row in found["rows"]] == [(ak, "西宁")]
    assert server.json("sub-account", "find", "--state", "never", "--account", "qinghai")["total"] == 1
    server.cli("sub-account", "name", ak, "--name", "后门")
    named = server.json("sub-account", "camera", ak)
    assert (named["name"], named["place"]) == ("后门", ""), "what is not given is taken away"
    changed = server.json("sub-account", "modify", ak, "--space", 5, "--at-the-end", "stop")
    assert (changed["space_gb"], changed["loop"]) == (5, False)
    camera = account.open_sub_account(1)
    camera.put(camera.record, "a.mp4", payload(KIB, "a"))
    camera.put(camera.record, "b.mp4", payload(KIB, "b"))
    camera.lock("a.mp4")
    cleared = server.json("sub-account", "clear", camera.ak)
    assert (cleared["recordings"], cleared["locked_files"]) == (1, 1)
    assert server.json("sub-account", "key", camera.ak) == {"ak": camera.ak, "sk": camera.sk}
    server.cli("sub-account", "close", camera.ak)
    gone = server.run("sub-account", "show", camera.ak)
    assert gone.returncode == 1 and gone.stderr.strip()
    assert isinstance(server.json("sub-account", "silent"), list)
    lines = [line["what"] for line in server.json("audit", "list")]
    assert {"OpenSubAccount", "ModifySubAccountSpace", "ClearSubAccountFiles", "CloseSubAccount", "SeeKey"} <= set(lines)


# --- the process -------------------------------------------------------------------------------------------


def test_listen_json_comes_with_readiness_and_goes_at_exit(new_server):
    server = new_server()
    said = json.loads((server.data / "listen.json").read_text())
    assert said["pid"] == server.process.pid
    for plane in ("s3", "soap"):
        host, _, port = said[plane].rpartition(":")
        assert host == "127.0.0.1" and 0 < int(port) < 65536
    server.stop()
    assert not (server.data / "listen.json").exists()


def test_no_command_serves_with_the_appliance_toml_that_is_there(new_server, tmp_path):
    home = new_server(start=False).home
    (home / "appliance.toml").write_text(
        '[storage]\ndata_dir = "here"\nvolumes = ["here/volumes"]\n[s3]\nlisten = "127.0.0.1:0"\nregion = "moon-1"\n'
        '[soap]\nlisten = "127.0.0.1:0"\n[portal]\nlisten = "127.0.0.1:0"\n[metrics]\nlisten = "127.0.0.1:0"\n'
    )
    process = subprocess.Popen([BINARY], cwd=home, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        eventually(lambda: (home / "here" / "listen.json").exists(), 20)
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.wait()


def test_two_servers_on_one_data_directory_are_refused(new_server):
    server = new_server()
    done = server.run("serve", timeout=20)
    assert done.returncode != 0 and done.stderr.strip()
    assert server.open_account(1).space() == (1, 1), "the first one is unharmed"


def test_the_control_socket_and_the_keys_are_for_their_owner_only(new_server):
    import stat

    server = new_server()
    sockets = [p for p in server.data.rglob("*") if stat.S_ISSOCK(p.stat().st_mode)]
    assert sockets and all(stat.S_IMODE(p.stat().st_mode) == 0o600 for p in sockets)
    account = server.open_account(5, password="Plain-Text-Nowhere-1")
    sub = account.open_sub_account(1)
    server.stop()
    for path in server.data.rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            assert b"Plain-Text-Nowhere-1" not in data and sub.sk.encode() not in data, f"{path} holds a secret in clear"


def test_sigterm_lets_an_upload_under_way_finish(new_server):
    import http.client

    import sigv4

    server = new_server()
    sub = server.open_account(50).open_sub_account(20)
    data = payload(4 * MIB, 1)
    host = "%s:%d" % server.address("s3")
    target, headers = sigv4.signed("PUT", host, f"/{sub.record}/k", {}, {}, data, sub.ak, sub.sk, REGION)
    connection = http.client.HTTPConnection(*server.address("s3"), timeout=20)
    connection.putrequest("PUT", target, skip_host=True, skip_accept_encoding=True)
    for name, value in {**headers, "content-length": str(len(data))}.items():
        connection.putheader(name, value)
    connection.endheaders()
    connection.send(data[: 2 * MIB])
    eventually(lambda: sub.view()["reserved_bytes"] > 0)
    server.process.send_signal(signal.SIGTERM)
    eventually(lambda: not can_connect(server), what="no new connections")
    connection.send(data[2 * MIB :])
    answer = connection.getresponse()
    assert answer.status == 200
    answer.read()
    connection.close()
    assert server.process.wait(20) == 0
    server.process = None
    server.start()
    assert sub.get(sub.record, "k") == data


def can_connect(server):
    import socket

    try:
        socket.create_connection(server.address("s3"), timeout=1).close()
        return True
    except OSError:
        return False


def test_without_a_server_commands_work_on_the_closed_store_or_say_so(new_server):
    server = new_server()
    sub = server.open_account(50, name="closed").open_sub_account(5)
    for number in range(5):
        sub.put(sub.record, f"{number}", payload(1000, number))
    server.stop()
    assert server.json("index", "check") == {"objects": 5, "violations": []}
    scrub = server.json("scrub")
    assert (scrub["objects"], scrub["bytes"], scrub["damaged"]) == (5, 5000, [])
    for command in (["account", "list"], ["status"], ["account", "open", "another", "--space", "1"]):
        done = server.run(*command)
        assert done.returncode == 0 or "not running" in done.stderr, done.stderr
    server.start()
    assert server.json("index", "check") == {"objects": 5, "violations": []}
    assert server.json("scrub")["damaged"] == []
    assert sub.get(sub.record, "3") == payload(1000, 3)


# --- configuration -----------------------------------------------------------------------------------------


def config(home, text, *command):
    path = home / "appliance.toml"
    path.write_text(text)
    return subprocess.run([BINARY, "--config", path, *command], capture_output=True, text=True, timeout=30, cwd=home)


def test_a_good_configuration_is_shown_with_its_defaults(tmp_path):
    done = config(tmp_path, '[s3]\nregion = "moon-1"\npresign_ttl = "36h"\n[space]\nwarn_percent = 70\n', "config", "check")
    assert done.returncode == 0, done.stderr
    done = config(tmp_path, '[s3]\nregion = "moon-1"\n', "config", "show", "--json")
    said = json.loads(done.stdout)
    assert said["s3"]["region"] == "moon-1"
    assert said["space"]["overwrite_percent"] == 90 and said["space"]["bytes_per_gb"] == 1 << 30
    done = config(tmp_path, '[s3]\nregion = "moon-1"\n', "config", "show")
    assert "moon-1" in done.stdout and "[space]" in done.stdout
    (tmp_path / "again").mkdir()
    again = config(tmp_path / "again", done.stdout, "config", "check")
    assert again.returncode == 0, f"what is shown can be used: {again.stderr}"


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ('[s3]\nregoin = "x"\n', 2, ["regoin", "region"]),
        ('[s3]\n\n\nlissen = "0.0.0.0:1"\n', 4, ["lissen", "listen"]),
        ("[spaec]\nwarn_percent = 5\n", 1, ["spaec", "space"]),
        ("[space]\nwarn_percent = 101\n", 2, ["warn_percent"]),
        ("[space]\nbytes_per_gb = 0\n", 2, ["bytes_per_gb"]),
        ('[s3]\npresign_ttl = "soon"\n', 2, ["presign_ttl"]),
        ('[s3]\nlisten = "nowhere"\n', 2, ["listen"]),
        ('[storage]\nreserve = "150%"\n', 2, ["reserve"]),
        ('[s3]\nallow_delete = "yes"\n', 2, ["allow_delete"]),
        ("[s3\n", 1, []),
    ],
    ids=lambda v: repr(v) if isinstance(v, str) else "",
)
def test_a_bad_configuration_names_the_line_and_the_nearest_right_key(tmp_path, text, line, words):
    for command in (["config", "check"], ["serve", "--data", str(tmp_path / "data")]):
        done = config(tmp_path, text, *command)
        assert done.returncode != 0
        assert str(line) in done.stderr, done.stderr
        for word in words:
            assert word in done.stderr, done.stderr
    assert not (tmp_path / "data").exists() or not list((tmp_path / "data").rglob("*.redb"))


def test_all_mistakes_are_told_at_once(tmp_path):
    done = config(tmp_path, '[s3]\nregoin = "x"\n[space]\nwarn_percent = 101\n', "config", "check")
    assert done.returncode != 0
    assert "region" in done.stderr and "warn_percent" in done.stderr


def test_set_takes_known_keys_only(tmp_path):
    for setting in ("s3.regoin=x", "nonsense", "space.warn_percent=lots"):
        done = subprocess.run([BINARY, "--set", setting, "config", "check"], capture_output=True, text=True, timeout=30, cwd=tmp_path)
        assert done.returncode != 0 and done.stderr.strip(), setting
    done = subprocess.run([BINARY, "--set", "s3.region=moon-2", "config", "show", "--json"], capture_output=True, text=True, timeout=30, cwd=tmp_path)
    assert json.loads(done.stdout)["s3"]["region"] == "moon-2"


def test_what_differs_from_the_defaults_is_told(tmp_path):
    done = config(tmp_path, "", "config", "diff")
    assert (done.returncode, done.stdout) == (0, "all defaults\n")
    text = '[s3]\nregion = "moon-1"\npublic_url = "http://store.example.cn"\n[storage]\nreserve = "5%"\n'
    done = config(tmp_path, text, "config", "diff", "--json")
    assert json.loads(done.stdout) == {
        "differences": [
            {"key": "s3.public_url", "default": None, "here": "http://store.example.cn"},
            {"key": "s3.region", "default": "kandian", "here": "moon-1"},
        ]
    }
    done = config(tmp_path, text, "config", "diff")
    assert [line.split() for line in done.stdout.splitlines()[1:]] == [["s3.public_url", "not", "set", "http://store.example.cn"], ["s3.region", "kandian", "moon-1"]]
    done = config(tmp_path, text, "config", "diff", "--running", "--data", str(tmp_path / "data"))
    assert done.returncode == 1 and "the server is not running" in done.stderr


def test_what_a_reload_would_do_is_told_and_not_done(new_server):
    server = new_server(start=False)
    file = server.home / "appliance.toml"
    file.write_text('[s3]\nregion = "moon-1"\n')
    server.start()
    assert server.json("config", "diff", "--running") == {"would_apply": [], "needs_restart": []}
    assert server.cli("config", "diff", "--running") == "the running server has what is written\n"
    file.write_text('shutdown_grace = "7s"\n[s3]\nregion = "moon-2"\nclock_skew = "5m"\n')
    pending = {
        "would_apply": [
            {"key": "s3.region", "running": "moon-1", "written": "moon-2"},
            {"key": "s3.clock_skew", "running": "15m", "written": "5m"},
        ],
        "needs_restart": [{"key": "shutdown_grace", "running": "30s", "written": "7s"}],
    }
    for _ in range(2):
        assert server.json("config", "diff", "--running") == pending, "to ask changes nothing"
    report = server.json("config", "reload")
    assert report == {"applied": ["s3.region", "s3.clock_skew"], "needs_restart": ["shutdown_grace"]}
    pending["would_apply"] = []
    assert server.json("config", "diff", "--running") == pending
    file.write_text("[s3]\nregoin = 1\n")
    done = server.run("config", "diff", "--running")
    assert done.returncode == 1 and "did you mean s3.region?" in done.stderr


def test_another_certificate_under_the_same_name_is_pending(new_server, tmp_path):
    def make(name):
        run = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={name}", "-days", "30", "-keyout", str(tmp_path / "key.pem"), "-out", str(tmp_path / "cert.pem")]
        subprocess.run(run, check=True, capture_output=True, timeout=60)
        (tmp_path / "key.pem").chmod(0o600)

    make("one")
    server = new_server(portal__tls__cert=tmp_path / "cert.pem", portal__tls__key=tmp_path / "key.pem")
    assert server.json("config", "diff", "--running") == {"would_apply": [], "needs_restart": []}
    make("two")
    (change,) = server.json("config", "diff", "--running")["would_apply"]
    assert change["key"] == "portal.tls" and change["running"] != change["written"]
    assert server.json("config", "reload")["applied"] == ["portal.tls"]
    assert server.json("config", "diff", "--running") == {"would_apply": [], "needs_restart": []}


# --- damage ------------------------------------------------------------------------------------------------


def test_a_damaged_byte_is_found_named_and_never_served(new_server):
    server = new_server()
    sub = server.open_account(100).open_sub_account(50)
    contents = {f"file-{n}": payload(300 * KIB, f"damage {n}") for n in range(6)}
    for key, data in contents.items():
        sub.put(sub.record, key, data)
    assert server.json("scrub")["damaged"] == []
    server.stop()
    victim = "file-3"
    # Flip one bit in the middle of the payload, wherever the volumes keep it.
    needle, flipped = contents[victim][200_000:200_064], 0
    for path in server.data.rglob("*"):
        if path.is_file() and path.stat().st_size > 0 and path.suffix != ".redb":
            with open(path, "r+b") as file, mmap.mmap(file.fileno(), 0) as volume:
                at = volume.find(needle)
                if at >= 0:
                    volume[at + 10] ^= 1
                    flipped += 1
    assert flipped == 1, "the payload is not in the volumes as it came"
    server.start()
    report = server.json("scrub", code=1)
    assert report["objects"] == 6
    assert [(d["bucket"], d["key"]) for d in report["damaged"]] == [(sub.record, victim)]
    assert report["damaged"][0]["reason"]
    for key, data in contents.items():
        if key != victim:
            assert sub.get(sub.record, key) == data
    got = b""
    try:
        reply = url_get(next(f.FileUrl for f in sub.search()[1] if f.FileName == victim))
        assert reply.status >= 500, "damaged bytes were served as good"
    except Exception as error:  # noqa: BLE001 – requests' own: the transfer was cut
        assert not isinstance(error, AssertionError), error
    try:
        body = sub.boto().get_object(Bucket=sub.record, Key=victim)["Body"]
        while piece := body.read(16 * KIB):
            got += piece
    except Exception as error:  # noqa: BLE001 – botocore's own
        assert not isinstance(error, AssertionError)
    assert len(got) < 300 * KIB and contents[victim].startswith(got), "what comes before the damage is right, and no more comes"
    part = sub.boto().get_object(Bucket=sub.record, Key=victim, Range="bytes=0-999")["Body"].read()
    assert part == contents[victim][:1000], "what is not damaged can be read"
    text = server.run("scrub")
    assert text.returncode == 1 and victim in text.stdout + text.stderr
    sub.put(sub.record, victim, contents[victim])
    assert server.json("scrub")["damaged"] == []
    assert sub.get(sub.record, victim) == contents[victim]


def test_a_lost_index_is_never_taken_for_an_empty_store(new_server):
    server = new_server()
    sub = server.open_account(100).open_sub_account(50)
    sub.put(sub.record, "k", b"v")
    server.stop()
    (server.data / "index.redb").unlink()
    with pytest.raises(AssertionError, match="ended with"):
        server.start(timeout=15)
    server.process = None
    assert "rebuild" in server.log_tail()
    server.cli("index", "rebuild")
    server.start()
    assert sub.get(sub.record, "k") == b"v"


# --- sim platform ------------------------------------------------------------------------------------------


def test_sim_platform_takes_alerts(new_server):
    from harness import free_port

    server = new_server(alerts__first_retry="100ms")
    port = free_port()
    log = server.home / "platform.log"
    with open(log, "wb") as out:
        platform = subprocess.Popen(
            [BINARY, "sim", "platform", "--listen", f"127.0.0.1:{port}", "--json"], cwd=server.home, stdout=out, stderr=subprocess.STDOUT
        )
    try:
        account = server.open_account(10, name="simulated", alert_url=f"http://127.0.0.1:{port}/services/AlertCallback")
        sub = account.open_sub_account(1)
        sub.put(sub.record, "k", payload(MIB * 85 // 100, 1))
        eventually(lambda: sub.ak in log.read_text(), 15, what=lambda: log.read_text())
        eventually(lambda: server.json("status")["alerts_pending"] == 0, 10)
        assert platform.poll() is None
    finally:
        platform.kill()
        platform.wait()
