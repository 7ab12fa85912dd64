"""The two S3 stacks of Rust: object_store (through obstore) and OpenDAL. Pipelines, databases and gateways stand on them."""

import datetime
import hashlib
import os

import obstore
import opendal
import opendal.exceptions
import pytest
from obstore.exceptions import AlreadyExistsError, BaseError, GenericError, PermissionDeniedError, PreconditionError
from obstore.store import S3Store

from harness import KIB, MIB, REGION, payload, url_get

KEY = "2014/03/28/录像 1.mp4"


@pytest.fixture(scope="module")
def account(server):
    return server.open_account(100_000)


@pytest.fixture
def sub(account):
    return account.open_sub_account(200)


@pytest.fixture(autouse=True)
def nobody_else(monkeypatch):
    """Both look for credentials in the environment."""
    for name in [n for n in os.environ if n.startswith("AWS_")]:
        monkeypatch.delenv(name)


def store(sub, bucket=None, keys=None, **config):
    ak, sk = keys or (sub.ak, sub.sk)
    return S3Store(
        bucket or sub.record, endpoint=sub.url, access_key_id=ak, secret_access_key=sk, region=REGION, virtual_hosted_style_request=False,
        client_options={"allow_http": True}, retry_config={"max_retries": 0}, **config,
    )  # fmt: skip


def operator(sub, bucket=None, keys=None, **config):
    ak, sk = keys or (sub.ak, sub.sk)
    return opendal.Operator(
        "s3", bucket=bucket or sub.record, endpoint=sub.url, access_key_id=ak, secret_access_key=sk, region=REGION,
        disable_config_load="true", disable_ec2_metadata="true", **config,
    )  # fmt: skip


def names(store, prefix=None):
    return [found["path"] for page in obstore.list(store, prefix) for found in page]


# --- object_store ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 1, 300 * KIB, 12 * MIB + 1])
@pytest.mark.parametrize("config", [{}, {"unsigned_payload": True}, {"checksum_algorithm": "SHA256"}], ids=["hash", "unsigned", "checksum"])
def test_obstore_gets_back_what_it_put(sub, size, config):
    s, data = store(sub, **config), payload(size, size)
    done = obstore.put(s, KEY, data, attributes={"Content-Type": "video/mp4", "camera": "1"})
    said = obstore.head(s, KEY)
    assert (said["size"], said["e_tag"]) == (size, done["e_tag"])
    got = obstore.get(s, KEY)
    assert bytes(got.bytes()) == data
    assert (got.attributes["Content-Type"], got.attributes["camera"]) == ("video/mp4", "1")
    if size > 1:
        assert bytes(obstore.get_range(s, KEY, start=size - 10, end=size)) == data[-10:]
        pieces = obstore.get_ranges(s, KEY, starts=[0, size // 2, size - 5], lengths=[7, 9, 5])
        assert [bytes(p) for p in pieces] == [data[:7], data[size // 2 : size // 2 + 9], data[-5:]]
        assert bytes(obstore.get(s, KEY, options={"range": {"suffix": 3}}).bytes()) == data[-3:]
        assert bytes(obstore.get(s, KEY, options={"range": {"offset": size - 4}}).bytes()) == data[-4:]
    assert sub.view()["used_bytes"] == size and sub.view()["reserved_bytes"] == 0


def test_obstore_streams_in_parts_and_gives_up_cleanly(sub):
    s, data = store(sub), payload(17 * MIB, "stream")
    obstore.put(s, KEY, (data[at : at + 999_999] for at in range(0, len(data), 999_999)), chunk_size=6 * MIB, max_concurrency=3)
    assert obstore.head(s, KEY)["e_tag"].strip('"').endswith("-3")
    assert bytes(obstore.get(s, KEY).bytes()) == data

    def breaks():
        yield bytes(7 * MIB)
        raise RuntimeError("the camera is gone")

    with pytest.raises((RuntimeError, BaseError)):
        obstore.put(s, "broken", breaks(), chunk_size=5 * MIB)
    assert names(s) == [KEY]


def test_obstore_creates_once_and_updates_what_it_knows(sub):
    s = store(sub)
    first = obstore.put(s, KEY, b"1", mode="create")
    with pytest.raises(AlreadyExistsError):
        obstore.put(s, KEY, b"2", mode="create")
    assert sub.get(sub.record, KEY) == b"1"
    second = obstore.put(s, KEY, b"3", mode={"e_tag": first["e_tag"]})
    with pytest.raises(PreconditionError):
        obstore.put(s, KEY, b"4", mode={"e_tag": first["e_tag"]})
    assert second["e_tag"].strip('"') == hashlib.md5(b"3").hexdigest()
    assert sub.get(sub.record, KEY) == b"3"
    with pytest.raises(PreconditionError):
        obstore.get(s, KEY, options={"if_match": first["e_tag"]})
    assert bytes(obstore.get(s, KEY, options={"if_none_match": first["e_tag"]}).bytes()) == b"3"


def test_obstore_lists_copies_renames_and_deletes(sub, account):
    s, admin = store(sub), store(sub, keys=account.admin())
    for name in ("a/1", "a/2/3", "b+c d", "录/像"):
        obstore.put(s, name, name.encode())
    assert names(s) == ["a/1", "a/2/3", "b+c d", "录/像"]
    assert names(s, "a") == ["a/1", "a/2/3"]
    level = obstore.list_with_delimiter(s, "a")
    assert (level["common_prefixes"], [o["path"] for o in level["objects"]]) == (["a/2"], ["a/1"])
    after = [found["path"] for page in obstore.list(s, offset="a/2/3") for found in page]
    assert after == ["b+c d", "录/像"]
    obstore.copy(s, "录/像", "copy 像")
    assert bytes(obstore.get(s, "copy 像").bytes()) == "录/像".encode()
    with pytest.raises((PermissionDeniedError, GenericError)):
        obstore.rename(s, "a/1", "a/9")  # a camera may copy, and not delete
    obstore.rename(admin, "a/1", "z")
    with pytest.raises((PermissionDeniedError, GenericError)):
        obstore.delete(s, ["a/2/3", "b+c d"])
    assert set(names(s)) == {"a/2/3", "a/9", "b+c d", "copy 像", "z", "录/像"}
    obstore.delete(admin, ["a/2/3", "b+c d", "never was", "录/像"])
    obstore.delete(admin, "z")
    assert names(s) == ["a/9", "copy 像"]


def test_obstore_signs_urls_and_knows_our_errors(sub, account):
    s, minute = store(sub), datetime.timedelta(minutes=1)
    obstore.put(s, KEY, b"value")
    assert url_get(obstore.sign(s, "GET", KEY, minute)).body == b"value"
    assert url_get(obstore.sign(s, "GET", KEY, minute), method="PUT").code == "SignatureDoesNotMatch"
    with pytest.raises(FileNotFoundError):
        obstore.head(s, "gone")
    with pytest.raises(FileNotFoundError):
        obstore.get(s, "gone")
    with pytest.raises(PermissionDeniedError):
        obstore.get(store(sub, keys=(sub.ak, "wrong")), KEY)
    stranger = account.open_sub_account(1)
    with pytest.raises(PermissionDeniedError):
        obstore.put(store(sub, bucket=stranger.record), "k", b"v")
    with pytest.raises(PermissionDeniedError):
        obstore.put(store(stranger), "k", bytes(2 * MIB), use_multipart=False)
    assert stranger.listing() == {} and stranger.view()["reserved_bytes"] == 0


# --- OpenDAL -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("size", "config"),
    [
        (0, {}), (1, {}), (300 * KIB, {}), (12 * MIB + 1, {}),
        *((size, {"checksum_algorithm": "crc32c"}) for size in (0, 1, 300 * KIB, 12 * MIB + 1)),
        (300 * KIB, {"checksum_algorithm": "md5"}),  # which it does not do for parts
    ],
)  # fmt: skip
def test_opendal_reads_what_it_wrote(sub, size, config):
    o, data = operator(sub, **config), payload(size, size)
    o.write(KEY, data, content_type="video/mp4", cache_control="no-store", user_metadata={"camera": "1"}, chunk=5 * MIB)
    said = o.stat(KEY)
    assert (said.content_length, said.content_type) == (size, "video/mp4")
    assert said.etag.strip('"').endswith("-3") == (size > 10 * MIB)
    assert o.read(KEY) == data
    if size > 1:
        assert o.read(KEY, offset=size - 10, size=10) == data[-10:]
        assert o.read(KEY, offset=size // 2, chunk=MIB, concurrent=3) == data[size // 2 :]
    assert sub.boto().head_object(Bucket=sub.record, Key=KEY)["Metadata"] == {"camera": "1"}
    assert sub.view()["used_bytes"] == size and sub.view()["reserved_bytes"] == 0


def test_opendal_writes_piece_by_piece_and_seeks(sub):
    o, data = operator(sub), payload(11 * MIB, "pieces")
    with o.open(KEY, "wb") as file:
        for at in range(0, len(data), 700_001):
            file.write(data[at : at + 700_001])
    with o.open(KEY, "rb") as file:
        file.seek(-1000, 2)
        assert file.read() == data[-1000:]
        file.seek(5 * MIB)
        assert file.read(17) == data[5 * MIB : 5 * MIB + 17]
    assert sub.get(sub.record, KEY) == data


def test_opendal_does_not_write_over_what_is_there(sub):
    o = operator(sub)
    o.write(KEY, b"1", if_not_exists=True)
    with pytest.raises(opendal.exceptions.ConditionNotMatch):
        o.write(KEY, b"2", if_not_exists=True)
    etag = o.stat(KEY).etag
    with pytest.raises(opendal.exceptions.ConditionNotMatch):
        o.write(KEY, b"3", if_match='"%s"' % ("0" * 32))
    assert o.read(KEY) == b"1"
    o.write(KEY, b"4", if_match=etag)
    assert o.read(KEY) == b"4"
    with pytest.raises(opendal.exceptions.ConditionNotMatch):
        o.read(KEY, if_match=etag)


@pytest.mark.parametrize("v1", ["false", "true"], ids=["list v2", "list v1"])
def test_opendal_lists_copies_and_deletes(sub, account, v1):
    o = operator(sub, disable_list_objects_v2=v1)
    for name in ("a/1", "a/2/3", "b+c d", "录/像"):
        o.write(name, name.encode())
    assert [e.path for e in o.list("/", recursive=True)] == ["a/1", "a/2/3", "b+c d", "录/像"]
    assert {e.path for e in o.list("a/")} - {"a/"} == {"a/1", "a/2/"}
    o.copy("录/像", "copy 像")
    assert o.read("copy 像") == "录/像".encode()
    with pytest.raises((opendal.exceptions.PermissionDenied, opendal.exceptions.Unexpected)):
        o.remove_all("a/")
    assert len(sub.listing()) == 5
    admin = operator(sub, keys=account.admin(), disable_list_objects_v2=v1)
    admin.remove_all("a/")
    admin.delete("b+c d")
    admin.delete("never was")
    assert [e.path for e in o.list("/", recursive=True)] == ["copy 像", "录/像"]
    assert not o.exists("b+c d") and o.exists("录/像")


def test_opendal_knows_our_errors(sub, account):
    o = operator(sub)
    for call in (o.stat, o.read):
        with pytest.raises(opendal.exceptions.NotFound):
            call("gone")
    with pytest.raises(opendal.exceptions.PermissionDenied):
        operator(sub, keys=(sub.ak, "wrong")).write("k", b"v")
    stranger = account.open_sub_account(1)
    with pytest.raises(opendal.exceptions.PermissionDenied):
        operator(sub, bucket=stranger.record).read("k")
    small = operator(stranger)
    with pytest.raises((opendal.exceptions.PermissionDenied, opendal.exceptions.Unexpected)):
        small.write("k", bytes(12 * MIB), chunk=5 * MIB)
    assert stranger.listing() == {} and stranger.view()["reserved_bytes"] == 0
