"""`kandian support-bundle`: what is in it, and what is not: no secret ever, and with --redact no name."""

import base64
import hashlib
import hmac
import json
import re
import struct
import tarfile
import time

import pytest
import requests

from harness import error_code, know, payload, quote

MEMBERS = {
    "about.json", "config.toml", "config-diff.json", "doctor.json", "files.csv", "log.txt", "status.json", "metrics.txt",
    "config-pending.json", "audit.json", "alerts.json", "index-check.json",
}  # fmt: skip


def opened(path):
    with tarfile.open(path, "r:gz") as archive:
        assert all(member.name.startswith("kandian-support/") and member.mode == 0o600 for member in archive)
        return {member.name.partition("/")[2]: archive.extractfile(member).read().decode() for member in archive}


def totp(secret):
    counter = struct.pack(">Q", int(time.time()) // 30)
    digest = hmac.new(base64.b32decode(secret + "=" * (-len(secret) % 8)), counter, hashlib.sha1).digest()
    at = digest[-1] & 15
    return f"{(struct.unpack('>I', digest[at : at + 4])[0] & 0x7FFFFFFF) % 1_000_000:06}"


@pytest.fixture(scope="module")
def box(tmp_path_factory):
    """A box with secrets of every kind, and names."""
    from harness import Server

    log = tmp_path_factory.mktemp("log") / "kandian.log"
    server = Server(log__file=log, s3__public_url="http://store.customer.cn:9000")
    server.start()
    secrets = {}
    account = server.open_account(100, name="江苏电信", password="Pass-of-the-province", alert_url="http://user:Alert-Pass@platform.customer.cn:1/x?token=Alert-Token")
    secrets |= {"password": account.password, "alert password": "Alert-Pass", "alert token": "Alert-Token"}
    sub = account.open_sub_account(10)
    admin_ak, admin_sk = account.admin()
    secrets |= {"sk": sub.sk, "admin sk": admin_sk}
    user = "operatress"
    made = server.json("user", "add", user, "--role", "operations")
    secrets["user's password"] = know(server, made["password"])
    session = requests.post(f"{server.base('portal')}/api/v1/session", json={"user": user, "password": made["password"]}, timeout=10).json()
    token = session["token"]
    secrets["session"] = know(server, token)
    api = lambda method, path, **body: requests.request(method, f"{server.base('portal')}/api/v1{path}", headers={"Authorization": f"Bearer {token}"}, json=body or None, timeout=10)  # noqa: E731
    factor = api("POST", "/session/second-factor").json()
    secrets["second factor"] = know(server, factor["secret"])
    confirmed = api("PUT", "/session/second-factor", secret=factor["secret"], code=totp(factor["secret"]))
    assert confirmed.status_code == 200, confirmed.text
    server.boto(sub.ak, sub.sk).put_object(Bucket=sub.record, Key="k", Body=payload(1000, 1))
    own = server.boto(admin_ak, admin_sk)
    own.create_bucket(Bucket="customers-own-bucket")
    # Refusals, so that the log has names in it.
    assert error_code(server.boto(sub.ak, "0" * 40).list_objects_v2, Bucket=sub.record)[1] == "SignatureDoesNotMatch"
    assert error_code(own.list_objects_v2, Bucket="customers-own-bucket", MaxKeys=-1)[1] == "InvalidArgument"
    presigned = server.boto(sub.ak, sub.sk).generate_presigned_url("get_object", {"Bucket": sub.record, "Key": "k"})
    secrets["signature of a url"] = re.search(r"Signature=([^&]+)", presigned).group(1)
    requests.put(presigned, data=b"x", timeout=10)
    key = (server.data / "master.key").read_bytes()
    yield server, account, sub, secrets, key, [account.name, sub.ak, admin_ak, sub.record, sub.picture, "customers-own-bucket", user, "store.customer.cn", "platform.customer.cn"]
    server.stop()
    server.discard()


def no_secret(members, secrets, key):
    whole = "\n".join(members.values())
    for what, secret in secrets.items():
        for form in {secret, quote(secret), base64.b64encode(secret.encode()).decode(), hashlib.sha256(secret.encode()).hexdigest()}:
            assert form not in whole, f"{what} is in the bundle"
    raw = key.strip()
    for form in [raw.hex(), raw.decode("latin-1"), base64.b64encode(raw).decode()]:
        assert form not in whole, "the master key is in the bundle"
    for line in key.decode("latin-1").splitlines():
        assert len(line) < 16 or line not in whole, "a line of the master key's file is in the bundle"


def test_everything_is_in_it_and_no_secret(box, tmp_path):
    server, account, sub, secrets, key, names = box
    file = tmp_path / "bundle.tar.gz"
    said = server.cli("support-bundle", file)
    assert "no secrets" in said and "names are in it" in said
    assert file.stat().st_mode & 0o777 == 0o600
    members = opened(file)
    assert set(members) == MEMBERS
    no_secret(members, secrets, key)
    assert json.loads(members["about.json"])["version"]
    assert 'public_url = "http://store.customer.cn:9000"' in members["config.toml"]
    assert {"key": "log.file", "default": None, "here": str(server.settings["log.file"])} in json.loads(members["config-diff.json"])
    assert json.loads(members["config-pending.json"]) == {"would_apply": [], "needs_restart": []}
    assert any(finding["what"] == "clock" for finding in json.loads(members["doctor.json"])["findings"])
    assert json.loads(members["status.json"])["files"] == 1
    assert "\nkandian_files 1\n" in members["metrics.txt"]
    assert json.loads(members["index-check.json"])["violations"] == []
    assert any(line["what"] == "OpenAccount" for line in json.loads(members["audit.json"]))
    assert re.search(r"volumes,vol-\d+\.kdv,\d+,\d+", members["files.csv"]) and "index.redb" in members["files.csv"]
    assert "SignatureDoesNotMatch" in members["log.txt"] and sub.ak in members["log.txt"]
    for name in [account.name, sub.ak, sub.record]:
        assert any(name in text for text in members.values()), "without --redact the names help"


def test_redacted_it_names_nobody_and_the_same_one_alike(box, tmp_path):
    server, account, sub, secrets, key, names = box
    file = tmp_path / "bundle.tar.gz"
    assert "names are pseudonyms" in server.cli("support-bundle", "--redact", file)
    members = opened(file)
    assert set(members) == MEMBERS
    no_secret(members, secrets, key)
    whole = "\n".join(members.values())
    for name in names:
        assert name not in whole and name.lower() not in whole.lower(), name
    opened_by = [line for line in json.loads(members["audit.json"]) if line["what"] == "OpenAccount"]
    pseudonym = opened_by[0]["target"].split()[0]
    assert re.fullmatch(r"account-\d+", pseudonym)
    assert f'account="{pseudonym}"' in members["metrics.txt"]
    ak = re.search(r"ak=\"?(ak-\d+)", members["log.txt"]).group(1)
    assert ak in members["audit.json"]
    again = tmp_path / "again.tar.gz"
    server.cli("support-bundle", "--redact", "--without-check", again)
    assert json.loads(opened(again)["audit.json"])[-1] == json.loads(members["audit.json"])[-1], "the same names another time"
    assert "index-check.json" not in opened(again)


def test_a_file_that_is_there_is_not_replaced_unasked(box, tmp_path):
    server = box[0]
    file = tmp_path / "bundle.tar.gz"
    file.write_bytes(b"mine")
    done = server.run("support-bundle", file)
    assert done.returncode == 1 and "is there already; --force replaces it" in done.stderr
    assert file.read_bytes() == b"mine"
    server.cli("support-bundle", "--force", "--without-check", file)
    assert set(opened(file)) == MEMBERS - {"index-check.json"}


def test_a_box_that_is_stopped_or_does_not_start_has_its_bundle_too(new_server, tmp_path):
    server = new_server()
    server.open_account(100, name="anhui")
    server.stop()
    file = tmp_path / "stopped.tar.gz"
    server.cli("support-bundle", file)
    members = opened(file)
    assert set(members) == MEMBERS - {"metrics.txt", "config-pending.json"}
    assert json.loads(members["status.json"])["accounts"] == 1
    (server.data / "master.key").rename(server.data / "gone.key")
    file = tmp_path / "broken.tar.gz"
    server.cli("support-bundle", file)
    members = opened(file)
    assert "master.key is missing" in members["store.txt"] and members["doctor.json"]
    done = server.run("support-bundle", "--redact", tmp_path / "no.tar.gz")
    assert done.returncode == 1 and "nothing can be redacted" in done.stderr
    assert not (tmp_path / "no.tar.gz").exists()
    (server.data / "gone.key").rename(server.data / "master.key")
