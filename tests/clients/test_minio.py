"""minio-py, which many platforms are written with: what it does, and what it makes of our refusals."""

import datetime
import io
import urllib.parse

import minio
import pytest
import requests
import urllib3
from minio import Minio
from minio.commonconfig import COPY, REPLACE, ComposeSource, CopySource
from minio.datatypes import PostPolicy
from minio.deleteobjects import DeleteObject

from harness import KIB, MIB, REGION, payload

KEY = "2014/03/28/录像 1+2%.mp4"


@pytest.fixture(scope="module")
def account(server):
    return server.open_account(100_000)


@pytest.fixture
def sub(account):
    return account.open_sub_account(200)


def client(sub, ak=None, sk=None, region=REGION):
    """No silent retries: a 500 would be hidden by them."""
    pool = urllib3.PoolManager(retries=False, timeout=30)
    return Minio(urllib.parse.urlsplit(sub.url).netloc, ak or sub.ak, sk or sub.sk, secure=False, region=region, http_client=pool)


def fetched(answer):
    try:
        return answer.read()
    finally:
        answer.close()
        answer.release_conn()


def code(call, *args, **kw):
    """(status, code) of a call that must fail."""
    with pytest.raises(minio.error.S3Error) as caught:
        call(*args, **kw)
    return caught.value.response.status, caught.value.code


class Pipe(io.RawIOBase):
    """A source that gives what it has in odd pieces, and does not know how much it is."""

    def __init__(self, data):
        self.left = memoryview(data)

    def readable(self):
        return True

    def read(self, size=-1):
        size = len(self.left) if size < 0 else min(size, 70_001)
        piece, self.left = bytes(self.left[:size]), self.left[size:]
        return piece


@pytest.mark.parametrize("size", [0, 1, 100 * KIB, 5 * MIB, 12 * MIB + 3])
@pytest.mark.parametrize("known", [True, False], ids=["length known", "length unknown"])
def test_what_is_put_is_got_back(sub, size, known):
    m, data = client(sub), payload(size, f"{size}{known}")
    if known:
        done = m.put_object(sub.record, KEY, io.BytesIO(data), size, "video/mp4", {"recorded-at": "2014-03-28"}, part_size=5 * MIB)
    else:
        done = m.put_object(sub.record, KEY, Pipe(data), -1, "video/mp4", {"recorded-at": "2014-03-28"}, part_size=5 * MIB)
    said = m.stat_object(sub.record, KEY)
    assert (said.size, said.etag, said.content_type) == (size, done.etag, "video/mp4")
    assert said.metadata["x-amz-meta-recorded-at"] == "2014-03-28"
    assert abs(said.last_modified - datetime.datetime.now(datetime.timezone.utc)) < datetime.timedelta(minutes=1)
    assert done.etag.endswith("-3") == (size > 10 * MIB)
    assert fetched(m.get_object(sub.record, KEY)) == data
    if size:
        middle = size // 2
        assert fetched(m.get_object(sub.record, KEY, offset=middle)) == data[middle:]
        assert fetched(m.get_object(sub.record, KEY, offset=middle, length=1)) == data[middle : middle + 1]
    assert sub.view()["reserved_bytes"] == 0


def test_files_and_lists(sub, tmp_path):
    m, names = client(sub), ["a/1", "a/2/3", "b", "中/文 +%&.jpg", "z/"]
    for name in names:
        m.put_object(sub.picture, name, io.BytesIO(name.encode()), len(name.encode()))
    assert [o.object_name for o in m.list_objects(sub.picture, recursive=True)] == sorted(names, key=str.encode)
    assert [o.object_name for o in m.list_objects(sub.picture, recursive=True, use_api_v1=True)] == sorted(names, key=str.encode)
    assert {(o.object_name, o.is_dir) for o in m.list_objects(sub.picture)} == {("a/", True), ("b", False), ("z/", True), ("中/", True)}
    assert [o.object_name for o in m.list_objects(sub.picture, prefix="a/", start_after="a/1", recursive=True)] == ["a/2/3"]
    source, target = tmp_path / "up", tmp_path / "down"
    source.write_bytes(payload(7 * MIB, "file"))
    m.fput_object(sub.record, KEY, str(source), part_size=5 * MIB)
    m.fget_object(sub.record, KEY, str(target))
    assert target.read_bytes() == source.read_bytes()


def test_buckets_are_asked_for(sub, account):
    m = client(sub, region=None)  # asks ?location first
    assert {b.name for b in m.list_buckets()} == {sub.record, sub.picture}
    assert m.bucket_exists(sub.record) and not m.bucket_exists("no-such-bucket-here")
    stranger = account.open_sub_account(1)
    assert code(m.bucket_exists, stranger.record)[0] == 403
    assert code(m.make_bucket, sub.record) == (409, "BucketAlreadyOwnedByYou")
    assert m.get_bucket_versioning(sub.record).status in ("Off", None, "")
    for lacking in (m.get_bucket_policy, m.get_bucket_lifecycle, m.get_bucket_encryption):
        assert code(lacking, sub.record) == (501, "NotImplemented"), lacking


def test_copies_and_what_is_composed_of_several(sub):
    m = client(sub)
    first, second, tail = payload(6 * MIB, "first"), payload(5 * MIB, "second"), b"tail"
    for name, data in (("1", first), ("2", second), ("录 3", tail)):
        m.put_object(sub.record, name, io.BytesIO(data), len(data), "video/mp4", {"camera": name.encode().hex()})
    m.copy_object(sub.picture, "copy", CopySource(sub.record, "录 3"), metadata_directive=COPY)
    said = m.stat_object(sub.picture, "copy")
    assert (said.content_type, said.metadata["x-amz-meta-camera"]) == ("video/mp4", "录 3".encode().hex())
    etag = m.stat_object(sub.record, "录 3").etag
    m.copy_object(sub.picture, "copy", CopySource(sub.record, "录 3", match_etag=etag), metadata={"camera": "new"}, metadata_directive=REPLACE)
    assert m.stat_object(sub.picture, "copy").metadata["x-amz-meta-camera"] == "new"
    assert code(m.copy_object, sub.picture, "copy", CopySource(sub.record, "1", match_etag="0" * 32)) == (412, "PreconditionFailed")
    assert code(m.copy_object, sub.picture, "copy", CopySource(sub.record, "gone")) == (404, "NoSuchKey")
    m.compose_object(sub.record, "all", [ComposeSource(sub.record, "1"), ComposeSource(sub.record, "2", offset=0, length=5 * MIB), ComposeSource(sub.record, "录 3")])
    assert fetched(m.get_object(sub.record, "all")) == first + second + tail
    assert fetched(m.get_object(sub.picture, "copy")) == tail


def test_many_are_removed_by_who_may(sub, account):
    camera, admin = client(sub), client(sub, *account.admin())
    names = [f"{n}/录 <&>" for n in range(30)]
    for name in names:
        camera.put_object(sub.record, name, io.BytesIO(b"x"), 1)
    assert {(e.name, e.code) for e in camera.remove_objects(sub.record, map(DeleteObject, names))} == {(n, "AccessDenied") for n in names}
    assert code(camera.remove_object, sub.record, names[0]) == (403, "AccessDenied")
    assert len(sub.listing()) == 30
    camera.enable_object_legal_hold(sub.record, names[3])
    errors = list(admin.remove_objects(sub.record, map(DeleteObject, [*names, "never was"])))
    assert [(e.name, e.code) for e in errors] == [(names[3], "AccessDenied")]
    assert sub.listing() == {(sub.record, names[3]): 1}
    camera.disable_object_legal_hold(sub.record, names[3])
    admin.remove_object(sub.record, names[3])
    assert sub.listing() == {}


def test_a_legal_hold_is_the_lock_of_the_platform(sub):
    m = client(sub)
    m.put_object(sub.record, KEY, io.BytesIO(b"v"), 1)
    assert not m.is_object_legal_hold_enabled(sub.record, KEY)
    m.enable_object_legal_hold(sub.record, KEY)
    assert m.is_object_legal_hold_enabled(sub.record, KEY)
    assert [f.LockFlag for f in sub.search()[1]] == [1]
    assert code(m.put_object, sub.record, KEY, io.BytesIO(b"w"), 1) == (403, "AccessDenied")
    m.disable_object_legal_hold(sub.record, KEY)
    assert not m.is_object_legal_hold_enabled(sub.record, KEY)
    assert [f.LockFlag for f in sub.search()[1]] == [0]
    m.put_object(sub.record, KEY, io.BytesIO(b"w"), 1, legal_hold=True)
    assert m.is_object_legal_hold_enabled(sub.record, KEY)
    assert code(m.is_object_legal_hold_enabled, sub.record, "gone") == (404, "NoSuchKey")


def test_presigned_urls(sub):
    m, data = client(sub), payload(200 * KIB, "presigned")
    minute = datetime.timedelta(minutes=1)
    assert requests.put(m.presigned_put_object(sub.record, KEY, minute), data=data, timeout=30).status_code == 200
    url = m.presigned_get_object(sub.record, KEY, minute, {"response-content-type": "video/x-test", "response-content-disposition": 'attachment; filename="录.mp4"'})
    answer = requests.get(url, timeout=30)
    assert (answer.content, answer.headers["content-type"]) == (data, "video/x-test")
    assert requests.get(url, headers={"Range": "bytes=-5"}, timeout=30).content == data[-5:]
    assert requests.get(url.replace("x-test", "x-other"), timeout=30).status_code == 403
    assert requests.get(m.presigned_put_object(sub.record, KEY, minute), timeout=30).status_code == 403
    assert requests.head(m.get_presigned_url("HEAD", sub.record, KEY, minute), timeout=30).headers["content-length"] == str(len(data))
    old = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(minutes=2)
    answer = requests.get(m.presigned_get_object(sub.record, KEY, minute, request_date=old), timeout=30)
    assert answer.status_code == 403 and "<Code>AccessDenied</Code>" in answer.text and "expired" in answer.text
    assert requests.delete(m.get_presigned_url("DELETE", sub.record, KEY, minute), timeout=30).status_code == 403
    assert sub.get(sub.record, KEY) == data


def test_a_form_of_its_policy(sub):
    m = client(sub)
    policy = PostPolicy(sub.picture, datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(minutes=1))
    policy.add_starts_with_condition("key", "snap/")
    policy.add_equals_condition("Content-Type", "image/jpeg")
    policy.add_content_length_range_condition(1, 10)
    fields = m.presigned_post_policy(policy)

    def post(key, data, **more):
        form = {**fields, "key": key, "Content-Type": "image/jpeg", **more}
        return requests.post(f"{sub.url}/{sub.picture}", data=form, files={"file": ("x.jpg", data)}, timeout=30)

    assert post("snap/录.jpg", b"jpeg").status_code == 204
    said = m.stat_object(sub.picture, "snap/录.jpg")
    assert (said.size, said.content_type) == (4, "image/jpeg")
    for answer, wanted in [
        (post("other/1", b"jpeg"), "AccessDenied"), (post("snap/1", b"12345678901"), "EntityTooLarge"), (post("snap/1", b""), "EntityTooSmall"),
        (post("snap/1", b"jpeg", **{"Content-Type": "text/html"}), "AccessDenied"),
    ]:  # fmt: skip
        assert f"<Code>{wanted}</Code>" in answer.text, answer.text
    assert sub.listing() == {(sub.picture, "snap/录.jpg"): 4}


def test_its_errors_have_our_codes(sub, account):
    m = client(sub)
    assert code(m.stat_object, sub.record, "gone")[0] == 404
    assert code(m.get_object, sub.record, "gone") == (404, "NoSuchKey")
    assert code(m.get_object, "no-such-bucket-here", "k") == (404, "NoSuchBucket")
    assert code(client(sub, sk="wrong").put_object, sub.record, "k", io.BytesIO(b"v"), 1) == (403, "SignatureDoesNotMatch")
    assert code(client(sub, ak="nobody").put_object, sub.record, "k", io.BytesIO(b"v"), 1) == (403, "InvalidAccessKeyId")
    token = Minio(urllib.parse.urlsplit(sub.url).netloc, sub.ak, sub.sk, "a session", False, REGION)
    assert code(token.put_object, sub.record, "k", io.BytesIO(b"v"), 1) == (400, "InvalidToken")
    small = account.open_sub_account(1)
    assert code(client(small).put_object, small.record, "k", io.BytesIO(bytes(2 * MIB)), 2 * MIB) == (403, "QuotaExceeded")
    # Refused in the middle: what was sent is given back by the client's own abort.
    assert code(client(small).put_object, small.record, "k", Pipe(bytes(20 * MIB)), -1, part_size=5 * MIB) == (403, "QuotaExceeded")
    assert sub.listing() == {} and small.listing() == {}
    assert (small.view()["used_bytes"], small.view()["reserved_bytes"]) == (0, 0)
