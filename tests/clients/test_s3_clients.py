"""The camera's side: what real S3 clients send, and what only a broken or a hostile one would."""

import base64
import datetime
import hashlib
import hmac
import http.client
import json
import os
import re
import socket
import urllib.parse
import xml.etree.ElementTree as ET
import zlib
from types import SimpleNamespace

import pytest
from boto3.s3.transfer import TransferConfig

import sigv4
from harness import (
    KIB,
    MIB,
    REGION,
    aws,
    aws_environment,
    error_code,
    eventually,
    payload,
    raw,
    read_reply,
    run,
    tool,
    url_get,
)

SIZES = {"0 bytes": 0, "1 byte": 1, "64 KiB": 64 * KIB, "8 MiB": 8 * MIB, "64 MiB": 64 * MIB}


@pytest.fixture(scope="module")
def account(server):
    return server.open_account(1_000_000)


@pytest.fixture(scope="module")
def sub(account):
    return account.open_sub_account(4000)


@pytest.fixture
def fresh(account):
    """A sub-account of a test's own."""
    return account.open_sub_account(50)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A file of each size, with its bytes."""
    home = tmp_path_factory.mktemp("files")
    made = {}
    for name, size in SIZES.items():
        path = home / name.replace(" ", "-")
        path.write_bytes(payload(size, name))
        made[name] = path
    return made


# --- round trips -------------------------------------------------------------------------------------------


def boto_round_trip(signature):
    def trip(sub, source, target, key):
        client = sub.boto(signature)
        config = TransferConfig(multipart_threshold=16 * MIB, multipart_chunksize=8 * MIB, max_concurrency=4)
        client.upload_file(str(source), sub.record, key, Config=config)
        client.download_file(sub.record, key, str(target), Config=config)

    return trip


def aws_round_trip(sub, source, target, key):
    aws(sub, "s3", "cp", "--quiet", source, f"s3://{sub.record}/{key}")
    aws(sub, "s3", "cp", "--quiet", f"s3://{sub.record}/{key}", target)


def s3cmd(sub, *args, v2=False, **kw):
    host = urllib.parse.urlsplit(sub.url).netloc
    options = [
        "--config", os.devnull, "--access_key", sub.ak, "--secret_key", sub.sk, "--host", host, "--host-bucket", host,
        "--no-ssl", "--region", REGION, "--no-progress", "--multipart-chunk-size-mb", "15",
    ]  # fmt: skip
    return run(tool("s3cmd"), *options, *(["--signature-v2"] if v2 else []), *args, **kw)


def s3cmd_round_trip(v2):
    def trip(sub, source, target, key):
        s3cmd(sub, "put", source, f"s3://{sub.record}/{key}", v2=v2)
        s3cmd(sub, "get", "--force", f"s3://{sub.record}/{key}", target, v2=v2)

    return trip


def rclone(sub, *args, v2=False, **kw):
    env = {
        **{k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "RCLONE_"))},
        "RCLONE_CONFIG": os.devnull,
        "RCLONE_CONFIG_K_TYPE": "s3",
        "RCLONE_CONFIG_K_PROVIDER": "Other",
        "RCLONE_CONFIG_K_ACCESS_KEY_ID": sub.ak,
        "RCLONE_CONFIG_K_SECRET_ACCESS_KEY": sub.sk,
        "RCLONE_CONFIG_K_ENDPOINT": sub.url,
        "RCLONE_CONFIG_K_REGION": REGION,
        "RCLONE_CONFIG_K_V2_AUTH": "true" if v2 else "false",
        "RCLONE_CONFIG_K_UPLOAD_CUTOFF": "16Mi",
        "RCLONE_CONFIG_K_CHUNK_SIZE": "8Mi",
        "RCLONE_RETRIES": "1",
        "RCLONE_LOW_LEVEL_RETRIES": "1",
    }
    return run(tool("rclone"), *args, env=env, **kw)


def rclone_round_trip(v2):
    def trip(sub, source, target, key):
        rclone(sub, "copyto", source, f"k:{sub.record}/{key}", v2=v2)
        rclone(sub, "copyto", f"k:{sub.record}/{key}", target, v2=v2)
        assert rclone(sub, "check", source.parent, f"k:{sub.record}/{os.path.dirname(key)}", "--include", f"/{source.name}", "--one-way", v2=v2)

    return trip


def curl(*args, **kw):
    return run(tool("curl"), "-sS", "-o", "-", "-w", "\n%{http_code}", *args, **kw).stdout.rpartition(b"\n")


def curl_round_trip(signature):
    """Presigned by boto3, carried by curl: what a phone's player and a browser do."""

    def trip(sub, source, target, key):
        client = sub.boto(signature)
        where = {"Bucket": sub.record, "Key": key}
        up = client.generate_presigned_url("put_object", Params=where, ExpiresIn=600)
        down = client.generate_presigned_url("get_object", Params=where, ExpiresIn=600)
        assert ("X-Amz-Signature" in up) == (signature == "s3v4"), up
        # curl -T of an empty file sends no length at all; --data-binary does for every size, but adds a type that V2 signs.
        body, _, status = curl("-X", "PUT", "-H", "Content-Type:", "--data-binary", f"@{source}", up)
        assert status == b"200", (status, body)
        body, _, status = curl("-f", down)
        assert status == b"200"
        target.write_bytes(body)

    return trip


CLIENTS = {
    "aws-cli": aws_round_trip,
    "boto3 V4": boto_round_trip("s3v4"),
    "boto3 V2": boto_round_trip("s3"),
    "s3cmd V4": s3cmd_round_trip(False),
    "s3cmd V2": s3cmd_round_trip(True),
    "rclone V4": rclone_round_trip(False),
    "rclone V2": rclone_round_trip(True),
    "curl, presigned V4": curl_round_trip("s3v4"),
    "curl, presigned V2": curl_round_trip("s3"),
}


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("client", CLIENTS)
def test_every_client_gets_back_what_it_stored(sub, files, tmp_path, client, size):
    key = f"round trip/{client}/{files[size].name}"
    target = tmp_path / "back"
    CLIENTS[client](sub, files[size], target, key)
    assert target.read_bytes() == files[size].read_bytes()
    head = sub.boto().head_object(Bucket=sub.record, Key=key)
    assert head["ContentLength"] == SIZES[size]
    etag = head["ETag"].strip('"')
    assert etag == hashlib.md5(files[size].read_bytes()).hexdigest() or re.fullmatch(r"[0-9a-f]{32}-\d+", etag)
    sub.account.server.boto(*sub.account.admin()).delete_object(Bucket=sub.record, Key=key)


def test_a_multipart_upload_by_hand(fresh):
    client, bucket, key = fresh.boto(), fresh.record, "by/hand.mp4"
    data = payload(5 * MIB + 5 * MIB + 77, "parts")
    pieces = [data[: 5 * MIB], data[5 * MIB : 10 * MIB], data[10 * MIB :]]
    upload = client.create_multipart_upload(Bucket=bucket, Key=key, ContentType="video/mp4", Metadata={"recorded-at": "2014"})["UploadId"]
    tags = {}
    for number in (3, 1, 2):
        tags[number] = client.upload_part(Bucket=bucket, Key=key, UploadId=upload, PartNumber=number, Body=pieces[number - 1])["ETag"]
        assert tags[number].strip('"') == hashlib.md5(pieces[number - 1]).hexdigest()
    assert [u["UploadId"] for u in client.list_multipart_uploads(Bucket=bucket)["Uploads"]] == [upload]
    assert [(p["PartNumber"], p["Size"]) for p in client.list_parts(Bucket=bucket, Key=key, UploadId=upload)["Parts"]] == [
        (1, 5 * MIB), (2, 5 * MIB), (3, 77),
    ]  # fmt: skip
    assert error_code(client.head_object, Bucket=bucket, Key=key)[0] == 404, "nothing is seen before it is complete"
    good = [{"PartNumber": n, "ETag": tags[n]} for n in (1, 2, 3)]

    def complete(parts):
        return client.complete_multipart_upload(Bucket=bucket, Key=key, UploadId=upload, MultipartUpload={"Parts": parts})

    assert error_code(lambda: complete([good[1], good[0]])) == (400, "InvalidPartOrder")
    assert error_code(lambda: complete([{"PartNumber": 1, "ETag": '"%s"' % ("0" * 32)}])) == (400, "InvalidPart")
    assert error_code(lambda: complete([{"PartNumber": 9, "ETag": tags[1]}])) == (400, "InvalidPart")
    assert error_code(lambda: complete([good[2], {"PartNumber": 4, "ETag": tags[1]}])) == (400, "InvalidPart")
    etag = complete(good)["ETag"]
    digests = b"".join(hashlib.md5(piece).digest() for piece in pieces)
    assert etag.strip('"') == f"{hashlib.md5(digests).hexdigest()}-3"
    assert complete(good)["ETag"] == etag, "completing twice is answered alike"
    got = client.get_object(Bucket=bucket, Key=key)
    assert got["Body"].read() == data
    assert got["ContentType"] == "video/mp4" and got["Metadata"] == {"recorded-at": "2014"}
    for first, last in ((5 * MIB - 1, 5 * MIB), (10 * MIB - 10, 10 * MIB + 76)):
        part = client.get_object(Bucket=bucket, Key=key, Range=f"bytes={first}-{last}")
        assert part["Body"].read() == data[first : last + 1]
    assert fresh.view()["used_bytes"] == len(data)


def test_an_aborted_multipart_upload_gives_its_room_back(fresh):
    client = fresh.boto()
    upload = client.create_multipart_upload(Bucket=fresh.record, Key="k")["UploadId"]
    client.upload_part(Bucket=fresh.record, Key="k", UploadId=upload, PartNumber=1, Body=payload(MIB, 1))
    view = fresh.view()
    assert view["used_bytes"] + view["reserved_bytes"] == MIB, "stored parts count"
    client.abort_multipart_upload(Bucket=fresh.record, Key="k", UploadId=upload)
    view = fresh.view()
    assert view["used_bytes"] + view["reserved_bytes"] == 0
    assert error_code(client.list_parts, Bucket=fresh.record, Key="k", UploadId=upload) == (404, "NoSuchUpload")
    assert error_code(client.upload_part, Bucket=fresh.record, Key="k", UploadId=upload, PartNumber=1, Body=b"") == (404, "NoSuchUpload")
    small = client.create_multipart_upload(Bucket=fresh.record, Key="k")["UploadId"]
    parts = [
        {"PartNumber": n, "ETag": client.upload_part(Bucket=fresh.record, Key="k", UploadId=small, PartNumber=n, Body=b"x")["ETag"]}
        for n in (1, 2)
    ]
    assert error_code(
        client.complete_multipart_upload, Bucket=fresh.record, Key="k", UploadId=small, MultipartUpload={"Parts": parts}
    ) == (400, "EntityTooSmall")  # fmt: skip


def test_copies_stay_in_the_sub_account(fresh, sub):
    client = fresh.boto()
    data = payload(200 * KIB, "copy")
    fresh.put(fresh.record, "a b+c%.mp4", data, Metadata={"k": "v"}, ContentType="video/mp4")
    client.copy_object(Bucket=fresh.picture, Key="copy", CopySource={"Bucket": fresh.record, "Key": "a b+c%.mp4"})
    got = client.get_object(Bucket=fresh.picture, Key="copy")
    assert (got["Body"].read(), got["Metadata"], got["ContentType"]) == (data, {"k": "v"}, "video/mp4")
    client.copy_object(
        Bucket=fresh.picture, Key="copy", CopySource={"Bucket": fresh.picture, "Key": "copy"}, MetadataDirective="REPLACE", Metadata={"k": "w"}
    )
    got = client.get_object(Bucket=fresh.picture, Key="copy")
    assert (got["Body"].read(), got["Metadata"]) == (data, {"k": "w"})
    sub.put(sub.record, "theirs", b"secret")
    theirs = {"Bucket": sub.record, "Key": "theirs"}
    assert error_code(client.copy_object, Bucket=fresh.record, Key="stolen", CopySource=theirs) == (403, "AccessDenied")
    assert (fresh.record, "stolen") not in fresh.listing()


def test_a_copy_onto_itself_and_the_conditions_of_its_source(fresh):
    client, where = fresh.boto(), {"Bucket": fresh.record, "Key": "k"}
    etag = fresh.put(fresh.record, "k", b"v")["ETag"]
    assert error_code(client.copy_object, **where, CopySource=where) == (400, "InvalidRequest")
    target = {"Bucket": fresh.record, "Key": "target", "CopySource": where}
    assert error_code(client.copy_object, **target, CopySourceIfMatch='"x"') == (412, "PreconditionFailed")
    assert error_code(client.copy_object, **target, CopySourceIfNoneMatch=etag) == (412, "PreconditionFailed")
    assert error_code(client.copy_object, **{**target, "CopySource": {**where, "Key": "gone"}}) == (404, "NoSuchKey")
    answer = client.copy_object(**target, CopySourceIfMatch=etag, ChecksumAlgorithm="SHA256", ObjectLockLegalHoldStatus="ON")
    assert answer["CopyObjectResult"]["ETag"] == etag
    assert answer["CopyObjectResult"]["ChecksumSHA256"] == base64.b64encode(hashlib.sha256(b"v").digest()).decode()
    assert client.get_object_legal_hold(Bucket=fresh.record, Key="target")["LegalHold"]["Status"] == "ON"
    assert error_code(client.copy_object, **target) == (403, "AccessDenied")
    assert fresh.listing() == {(fresh.record, "k"): 1, (fresh.record, "target"): 1}


def test_parts_are_copied_by_range(fresh):
    client = fresh.boto()
    data = payload(11 * MIB, "parts")
    fresh.put(fresh.record, "whole", data)
    where = {"Bucket": fresh.picture, "Key": "k"}
    upload = client.create_multipart_upload(**where)["UploadId"]
    source = {"Bucket": fresh.record, "Key": "whole"}
    part = {**where, "UploadId": upload, "CopySource": source}
    first = client.upload_part_copy(**part, PartNumber=1, CopySourceRange=f"bytes=0-{6 * MIB - 1}")["CopyPartResult"]["ETag"]
    second = client.upload_part_copy(**part, PartNumber=2, CopySourceRange=f"bytes={6 * MIB}-{11 * MIB - 1}")["CopyPartResult"]["ETag"]
    assert error_code(client.upload_part_copy, **part, PartNumber=3, CopySourceRange=f"bytes=0-{11 * MIB}") == (416, "InvalidRange")
    parts = [{"PartNumber": 1, "ETag": first}, {"PartNumber": 2, "ETag": second}]
    client.complete_multipart_upload(**where, UploadId=upload, MultipartUpload={"Parts": parts})
    assert fresh.get(fresh.picture, "k") == data
    # A copy of what came in parts is one whole, with the MD5 as its tag.
    client.copy_object(Bucket=fresh.picture, Key="one", CopySource=where)
    assert client.head_object(Bucket=fresh.picture, Key="one")["ETag"] == f'"{hashlib.md5(data).hexdigest()}"'


def test_a_copy_takes_its_room(account):
    sub = account.open_sub_account(1)
    sub.put(sub.record, "k", payload(600 * KIB, "k"))
    copy = {"Bucket": sub.record, "CopySource": {"Bucket": sub.record, "Key": "k"}}
    assert error_code(sub.boto().copy_object, **copy, Key="l") == (403, "QuotaExceeded")
    assert sub.listing() == {(sub.record, "k"): 600 * KIB}


# --- lists -------------------------------------------------------------------------------------------------

ODD_KEYS = [
    " leading", "a b", "a+b", "a%b", "a%20b", "a%2Fb", "a/../b", "..", ".", "../../etc/passwd", "a//b", "/a", "//", "a/", "a", "a/b",
    "中文/录像 1.mp4", "\u00e9", "e\u0301", "😀", "a&b<c>\"'", "a?b=c", "a#b", "a;b,c:d@e=f$g!h*i(j)k", "back\\slash", "tilde~", "~", "{}[]|^`",
    "\u0080\u009f", "tab\tkey", "new\nline", "cr\rkey", "x" * 1024, "录" * 341, "trailing ", "con", "2014/03/28/", "-", "%", "+", "%2e%2e",
]  # fmt: skip


@pytest.fixture(scope="module")
def oddities(account):
    sub = account.open_sub_account(10)
    wire = sub.wire()
    for key in ODD_KEYS:
        reply = wire.put(sub.record, key, key.encode())
        assert reply.status == 200, (key, reply)
    return sub


def order(keys):
    return sorted(keys, key=lambda k: k.encode())


def test_odd_keys_are_plain_keys(oddities):
    wire = oddities.wire()
    for key in ODD_KEYS:
        assert wire.get(oddities.record, key).body == key.encode(), key
    assert oddities.view()["recordings"] == len(set(ODD_KEYS))


@pytest.mark.parametrize("signature", ["s3v4", "s3"])
def test_odd_keys_through_boto3(oddities, signature):
    client = oddities.boto(signature)
    for key in ODD_KEYS:
        assert client.get_object(Bucket=oddities.record, Key=key)["Body"].read() == key.encode(), key


@pytest.mark.parametrize("operation", ["list_objects", "list_objects_v2"])
def test_lists_are_in_the_order_of_the_bytes_and_page_without_loss(oddities, operation):
    client = oddities.boto()
    for size in (1, 7, 1000):
        pages = client.get_paginator(operation).paginate(Bucket=oddities.record, PaginationConfig={"PageSize": size})
        keys = [item["Key"] for page in pages for item in page.get("Contents", [])]
        assert keys == order(set(ODD_KEYS)), size


@pytest.mark.parametrize("operation", ["list_objects", "list_objects_v2"])
@pytest.mark.parametrize(("prefix", "delimiter"), [("", "/"), ("a", "/"), ("a/", "/"), ("中", "/"), ("", "文"), ("2014/", "/"), ("a", "b"), ("zz", "/"), ("", "%")])
def test_prefix_and_delimiter(oddities, operation, prefix, delimiter):
    contents, prefixes = set(), set()
    for key in set(ODD_KEYS):
        if key.startswith(prefix):
            head, found, _ = key[len(prefix) :].partition(delimiter)
            (prefixes.add(prefix + head + delimiter) if found else contents.add(key))
    client = oddities.boto()
    for size in (2, 1000):
        pages = list(client.get_paginator(operation).paginate(Bucket=oddities.record, Prefix=prefix, Delimiter=delimiter, PaginationConfig={"PageSize": size}))
        assert [i["Key"] for p in pages for i in p.get("Contents", [])] == order(contents)
        assert [i["Prefix"] for p in pages for i in p.get("CommonPrefixes", [])] == order(prefixes)
        assert all(len(p.get("Contents", [])) + len(p.get("CommonPrefixes", [])) <= size for p in pages)


def listed(wire, bucket, **query):
    reply = wire.request("GET", f"/{bucket}", {k.replace("_", "-"): v for k, v in query.items()})
    assert reply.status == 200, reply
    return ET.fromstring(re.sub(rb' xmlns="[^"]*"', b"", reply.body, count=1))


def test_the_fields_of_a_list(oddities):
    wire, keys = oddities.wire(), order(set(ODD_KEYS))
    v2 = listed(wire, oddities.record, list_type="2", max_keys="5")
    assert v2.findtext("Name") == oddities.record
    assert (v2.findtext("KeyCount"), v2.findtext("MaxKeys"), v2.findtext("IsTruncated")) == ("5", "5", "true")
    assert v2.findtext("NextContinuationToken")
    item = v2.find("Contents")
    assert item.findtext("ETag") == f'"{hashlib.md5(keys[0].encode()).hexdigest()}"'
    assert item.findtext("Size") == str(len(keys[0].encode()))
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", item.findtext("LastModified"))
    after = listed(wire, oddities.record, list_type="2", start_after=keys[4])
    assert [c.findtext("Key") for c in after.iter("Contents")] == keys[5:]
    v1 = listed(wire, oddities.record, marker=keys[4], max_keys="3", encoding_type="url")
    assert [urllib.parse.unquote_plus(c.findtext("Key")) for c in v1.iter("Contents")] == keys[5:8]
    assert v1.findtext("EncodingType") == "url"
    encoded = listed(wire, oddities.record, list_type="2", encoding_type="url", prefix="中文/", delimiter=" ")
    assert encoded.findtext("Prefix").startswith("%E4%B8%AD%E6%96%87")
    none = listed(wire, oddities.record, list_type="2", max_keys="0")
    assert (none.findtext("IsTruncated"), none.findtext("KeyCount")) == ("false", "0")
    for bad in ({"max-keys": "-1"}, {"max-keys": "x"}, {"list-type": "2", "encoding-type": "base64"}):
        reply = wire.request("GET", f"/{oddities.record}", bad)
        assert (reply.status, reply.code) == (400, "InvalidArgument"), bad


@pytest.mark.parametrize("key", ["a\x00b", "a\x01b", "\x1f", "\x0b", "x\ufffe", "x\uffff"])
def test_keys_that_would_break_a_listing_are_refused(fresh, key):
    reply = fresh.wire().put(fresh.record, key, b"x")
    assert reply.status == 400, reply
    assert fresh.listing() == {}


def test_keys_over_1024_bytes_are_refused(fresh):
    reply = fresh.wire().put(fresh.record, "x" * 1025, b"x")
    assert (reply.status, reply.code) == (400, "KeyTooLongError")
    assert fresh.wire().put(fresh.record, "录" * 342, b"x").code == "KeyTooLongError"


# --- what is kept and asked of an object -------------------------------------------------------------------


def test_headers_and_user_metadata_come_back(fresh):
    client = fresh.boto()
    kept = {
        "ContentType": 'video/mp4; codecs="avc1.640028"', "CacheControl": "max-age=60", "ContentDisposition": 'attachment; filename="a.mp4"',
        "ContentEncoding": "identity", "ContentLanguage": "zh-CN", "Metadata": {"recorded-at": "2014-03-28 10:00:00", "camera": "kan-dian 1"},
    }  # fmt: skip
    fresh.put(fresh.record, "k", b"v", **kept)
    for got in (client.head_object(Bucket=fresh.record, Key="k"), client.get_object(Bucket=fresh.record, Key="k")):
        assert {name: got[name] for name in kept} == kept
        assert got["ETag"] == f'"{hashlib.md5(b"v").hexdigest()}"'
    got = client.get_object(Bucket=fresh.record, Key="k", ResponseContentType="text/plain", ResponseContentDisposition="inline")
    assert (got["ContentType"], got["ContentDisposition"]) == ("text/plain", "inline")


def test_conditional_gets(fresh):
    client, where = fresh.boto(), {"Bucket": fresh.record, "Key": "k"}
    fresh.put(fresh.record, "k", b"value")
    head = client.head_object(**where)
    etag, date = head["ETag"], head["LastModified"]
    day = datetime.timedelta(days=1)
    for good in ({"IfMatch": etag}, {"IfMatch": "*"}, {"IfNoneMatch": '"x"'}, {"IfModifiedSince": date - day}, {"IfUnmodifiedSince": date + day}):
        assert client.get_object(**where, **good)["Body"].read() == b"value", good
    for changed in ({"IfMatch": '"x"'}, {"IfUnmodifiedSince": date - day}):
        assert error_code(client.get_object, **where, **changed) == (412, "PreconditionFailed"), changed
    for same in ({"IfNoneMatch": etag}, {"IfNoneMatch": "*"}, {"IfModifiedSince": date}):
        assert error_code(client.get_object, **where, **same)[0] == 304, same


def test_conditional_puts(fresh):
    client, where = fresh.boto(), {"Bucket": fresh.record, "Key": "k"}
    first = client.put_object(**where, Body=b"1", IfNoneMatch="*")["ETag"]
    assert error_code(client.put_object, **where, Body=b"2", IfNoneMatch="*") == (412, "PreconditionFailed")
    assert fresh.get(fresh.record, "k") == b"1"
    assert error_code(client.put_object, **where, Body=b"3", IfMatch='"%s"' % ("0" * 32)) == (412, "PreconditionFailed")
    client.put_object(**where, Body=b"4", IfMatch=first)
    assert fresh.get(fresh.record, "k") == b"4"


def test_a_replaced_object_counts_once(fresh):
    for size in (1000, 10, 100_000, 0):
        fresh.put(fresh.record, "k", payload(size, size))
        assert fresh.get(fresh.record, "k") == payload(size, size)
        assert fresh.view()["used_bytes"] == size


def test_legal_hold_is_the_lock(fresh):
    client, where = fresh.boto(), {"Bucket": fresh.record, "Key": "k"}
    fresh.put(fresh.record, "k", b"v")
    assert client.get_object_legal_hold(**where)["LegalHold"]["Status"] == "OFF"
    client.put_object_legal_hold(**where, LegalHold={"Status": "ON"})
    assert [f.LockFlag for f in fresh.search()[1]] == [1]
    assert error_code(client.put_object, **where, Body=b"w") == (403, "AccessDenied")
    fresh.lock("k", 0)
    assert client.get_object_legal_hold(**where)["LegalHold"]["Status"] == "OFF"
    client.put_object(**where, Body=b"w", ObjectLockLegalHoldStatus="ON")
    assert client.head_object(**where)["ObjectLockLegalHoldStatus"] == "ON"
    assert fresh.clear() == 5


def test_deletion_is_for_the_administration_key(server, account, fresh):
    fresh.put(fresh.record, "k", b"v")
    assert error_code(fresh.boto().delete_object, Bucket=fresh.record, Key="k") == (403, "AccessDenied")
    assert fresh.get(fresh.record, "k") == b"v"
    admin = server.boto(*account.admin())
    assert {fresh.record, fresh.picture} <= {b["Name"] for b in admin.list_buckets()["Buckets"]}
    admin.delete_object(Bucket=fresh.record, Key="k")
    admin.delete_object(Bucket=fresh.record, Key="k")
    assert fresh.listing() == {}
    for number in range(20):
        fresh.put(fresh.picture, f"{number}", b"x")
    fresh.lock("7")
    report = admin.delete_objects(Bucket=fresh.picture, Delete={"Objects": [{"Key": f"{n}"} for n in range(25)]})
    assert len(report["Deleted"]) == 24
    assert [(e["Key"], e["Code"]) for e in report["Errors"]] == [("7", "AccessDenied")]
    assert fresh.listing() == {(fresh.picture, "7"): 1}


def test_cameras_may_delete_where_the_operator_allows_it(new_server):
    server = new_server(s3__allow_delete="true")
    sub = server.open_account(10).open_sub_account(5)
    sub.put(sub.record, "k", b"v")
    sub.boto().delete_object(Bucket=sub.record, Key="k")
    assert sub.listing() == {} and sub.view()["used_bytes"] == 0


# --- checksums ---------------------------------------------------------------------------------------------


def b64(data):
    return base64.b64encode(data).decode()


CHECKSUMS = {
    "x-amz-checksum-crc32": lambda d: b64(zlib.crc32(d).to_bytes(4, "big")),
    "x-amz-checksum-sha1": lambda d: b64(hashlib.sha1(d).digest()),
    "x-amz-checksum-sha256": lambda d: b64(hashlib.sha256(d).digest()),
    "x-amz-checksum-crc32c": lambda d: b64(crc32c(d).to_bytes(4, "big")),
    "x-amz-checksum-crc64nvme": lambda d: b64(crc64nvme(d).to_bytes(8, "big")),
}


def reflected_crc(data, polynomial, bits):
    mask = (1 << bits) - 1
    crc = mask
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (polynomial if crc & 1 else 0)
    return crc ^ mask


def crc32c(data):
    return reflected_crc(data, 0x82F63B78, 32)


def crc64nvme(data):
    return reflected_crc(data, 0x9A6C9329AC4BC9B5, 64)


def test_our_checksums_are_those_of_the_catalogue():
    assert crc32c(b"123456789") == 0xE3069283
    assert crc64nvme(b"123456789") == 0xAE8B14860A799888


@pytest.mark.parametrize("name", CHECKSUMS)
def test_a_checksum_in_the_header_is_verified_and_kept(fresh, name):
    wire, data = fresh.wire(), payload(3000, name)
    good = CHECKSUMS[name](data)
    assert wire.put(fresh.record, "k", data, headers={name: good}).status == 200
    head = wire.request("HEAD", f"/{fresh.record}/k", headers={"x-amz-checksum-mode": "ENABLED"})
    assert head.headers.get(name) == good
    reply = wire.put(fresh.record, "bad", data, headers={name: CHECKSUMS[name](data + b"x")})
    assert (reply.status, reply.code) == (400, "BadDigest")
    assert wire.put(fresh.record, "bad", data, headers={name: "!!"}).status == 400
    assert fresh.listing() == {(fresh.record, "k"): 3000}


def test_content_md5_is_verified(fresh):
    wire, data = fresh.wire(), payload(100 * KIB, "md5")
    good = b64(hashlib.md5(data).digest())
    assert wire.put(fresh.record, "k", data, headers={"Content-MD5": good}).status == 200
    reply = wire.put(fresh.record, "bad", data, headers={"Content-MD5": b64(hashlib.md5(b"other").digest())})
    assert (reply.status, reply.code) == (400, "BadDigest")
    reply = wire.put(fresh.record, "bad", data, headers={"Content-MD5": "not base64!"})
    assert (reply.status, reply.code) == (400, "InvalidDigest")
    reply = wire.put(fresh.record, "k", b"replaced?", headers={"Content-MD5": good})
    assert (reply.status, reply.code) == (400, "BadDigest")
    assert fresh.get(fresh.record, "k") == data, "a refused replacement replaces nothing"
    assert fresh.listing() == {(fresh.record, "k"): len(data)}
    view = fresh.view()
    assert (view["used_bytes"], view["reserved_bytes"]) == (len(data), 0)


# --- signatures and bodies: what is refused, and that nothing is stored for it -------------------------------


def v4(sub, method="PUT", key="k", body=b"body", headers=None, **sign):
    """A signed request as (target, headers), to be spoiled."""
    host = "%s:%d" % sub.server.address("s3")
    target, signed = sigv4.signed(method, host, f"/{sub.record}/{key}", {}, dict(headers or {}), body, sub.ak, sub.sk, REGION, **sign)
    if body or method == "PUT":
        signed["content-length"] = str(len(body))
    return target, signed


def send(sub, target, headers, body=b"body", method="PUT", **kw):
    return raw(sub.server.address("s3"), sigv4.head(method, target, headers) + body, **kw)


def ago(**delta):
    return sigv4.now() - datetime.timedelta(**delta)


def replaced(name, change):
    def spoil(sub):
        target, headers = v4(sub)
        headers[name] = change(headers[name])
        return send(sub, target, headers)

    return spoil


def without_authorization(sub):
    target, headers = v4(sub)
    del headers["authorization"]
    return send(sub, target, headers)


def unknown_key(sub):
    target, headers = v4(SimpleNamespace(**{**vars(sub), "server": sub.server, "ak": "AKnobodyknows"}))
    return send(sub, target, headers)


def header_and_query(sub):
    _, headers = v4(sub)
    target = sigv4.presigned("PUT", headers["host"], f"/{sub.record}/k", sub.ak, sub.sk, REGION)
    return send(sub, target, headers)


def unsigned_extra_header(sub):
    target, headers = v4(sub)
    headers["x-amz-meta-added"] = "by somebody else"
    return send(sub, target, headers)


def doubled_header(sub):
    target, headers = v4(sub)
    head = sigv4.head("PUT", target, headers).replace(b"\r\n\r\n", f"\r\nauthorization: {headers['authorization']}\r\n\r\n".encode())
    return raw(sub.server.address("s3"), head + b"body")


def no_host_signed(sub):
    target, headers = v4(sub, unsigned=("host",))
    return send(sub, target, headers)


def presigned_with(**options):
    def spoil(sub):
        host = "%s:%d" % sub.server.address("s3")
        target = sigv4.presigned("PUT", host, f"/{sub.record}/k", sub.ak, sub.sk, REGION, **options)
        return send(sub, target, {"host": host, "content-length": "4"})

    return spoil


def presigned_tampered(sub):
    host = "%s:%d" % sub.server.address("s3")
    target = sigv4.presigned("PUT", host, f"/{sub.record}/other", sub.ak, sub.sk, REGION).replace("/other?", "/k?")
    return send(sub, target, {"host": host, "content-length": "4"})


def presigned_v2(expires, tamper=False):
    def spoil(sub):
        url = sub.boto("s3").generate_presigned_url("put_object", Params={"Bucket": sub.record, "Key": "k"}, ExpiresIn=expires)
        url = url.replace("/k?", "/k2?") if tamper else url
        parts = urllib.parse.urlsplit(url)
        return send(sub, f"{parts.path}?{parts.query}", {"host": parts.netloc, "content-length": "4"})

    return spoil


def v2_header(authorization, date=None):
    def spoil(sub):
        host = "%s:%d" % sub.server.address("s3")
        when = date() if date else datetime.datetime.now(datetime.timezone.utc)
        stamp = when.strftime("%a, %d %b %Y %H:%M:%S GMT")
        text = f"PUT\n\n\n{stamp}\n/{sub.record}/k"
        import hmac

        signature = b64(hmac.new(sub.sk.encode(), text.encode(), hashlib.sha1).digest())
        headers = {"host": host, "date": stamp, "authorization": authorization(sub.ak, signature), "content-length": "4"}
        return send(sub, f"/{sub.record}/k", headers)

    return spoil


def literal_hash_of_other_bytes(sub):
    target, headers = v4(sub, payload=hashlib.sha256(b"other").hexdigest())
    return send(sub, target, headers)


def odd_payload_kind(sub):
    target, headers = v4(sub, payload="STREAMING-SOMETHING-ELSE")
    return send(sub, target, headers)


def session_token(sub):
    target, headers = v4(sub, headers={"x-amz-security-token": "abc"})
    return send(sub, target, headers)


BODY = payload(200 * KIB, "chunks")


def chunked(body=BODY, **options):
    def spoil(sub):
        host = "%s:%d" % sub.server.address("s3")
        head, framed = sigv4.chunked_put(host, f"/{sub.record}/k", body, sub.ak, sub.sk, REGION, **options)
        return raw(sub.server.address("s3"), head + framed)

    return spoil


CRC = ("x-amz-checksum-crc32", CHECKSUMS["x-amz-checksum-crc32"](BODY))
WRONG_CRC = ("x-amz-checksum-crc32", CHECKSUMS["x-amz-checksum-crc32"](BODY + b"x"))

REFUSED = {
    "no credentials": (without_authorization, 403, "AccessDenied"),
    "another scheme": (replaced("authorization", lambda a: "Bearer abc"), 400, "InvalidArgument"),
    "garbage after the algorithm": (replaced("authorization", lambda a: "AWS4-HMAC-SHA256 garbage"), 400, "AuthorizationHeaderMalformed"),
    "no Signature": (replaced("authorization", lambda a: a.rpartition(", Signature")[0]), 400, "AuthorizationHeaderMalformed"),
    "a broken scope": (replaced("authorization", lambda a: a.replace("/s3/aws4_request", "")), 400, "AuthorizationHeaderMalformed"),
    "the scope of another service": (replaced("authorization", lambda a: a.replace("/s3/", "/ec2/")), 400, "AuthorizationHeaderMalformed"),
    "an unknown key": (unknown_key, 403, "InvalidAccessKeyId"),
    "a tampered signature": (replaced("authorization", lambda a: a[:-4] + ("0000" if a[-4:] != "0000" else "1111")), 403, "SignatureDoesNotMatch"),
    "a tampered path": (lambda s: send(s, f"/{s.record}/k2", v4(s)[1]), 403, "SignatureDoesNotMatch"),
    "a tampered query": (lambda s: send(s, v4(s)[0] + "?x=y", v4(s)[1]), 403, "SignatureDoesNotMatch"),
    "another method": (lambda s: send(s, *v4(s, method="GET", body=b"body")), 403, "SignatureDoesNotMatch"),
    "a tampered signed header": (replaced("host", lambda h: "elsewhere:1"), 403, "SignatureDoesNotMatch"),
    "a date 16 minutes ago": (lambda s: send(s, *v4(s, when=ago(minutes=16))), 403, "RequestTimeTooSkewed"),
    "a date in 16 minutes": (lambda s: send(s, *v4(s, when=ago(minutes=-16))), 403, "RequestTimeTooSkewed"),
    "an unreadable date": (replaced("x-amz-date", lambda d: "yesterday"), 403, "AccessDenied"),
    "header and query credentials": (header_and_query, 400, "InvalidArgument"),
    "an x-amz header that is not signed": (unsigned_extra_header, 403, "AccessDenied"),
    "host not signed": (no_host_signed, None, None),
    "Authorization twice": (doubled_header, 400, None),
    "presigned and expired": (presigned_with(expires=60, when=ago(seconds=90)), 403, "AccessDenied"),
    "presigned for 0 seconds": (presigned_with(expires=0), 403, "AccessDenied"),
    "presigned for over a week": (presigned_with(expires=604801), 403, "AccessDenied"),
    "presigned for soon": (presigned_with(expires="soon"), 400, "AuthorizationQueryParametersError"),
    "presigned, path tampered": (presigned_tampered, 403, "SignatureDoesNotMatch"),
    "V2 presigned and expired": (presigned_v2(-60), 403, "AccessDenied"),
    "V2 presigned, path tampered": (presigned_v2(60, tamper=True), 403, "SignatureDoesNotMatch"),
    "V2, tampered": (v2_header(lambda ak, s: f"AWS {ak}:{b64(b'0' * 20)}"), 403, "SignatureDoesNotMatch"),
    "V2, unknown key": (v2_header(lambda ak, s: f"AWS nobody:{s}"), 403, "InvalidAccessKeyId"),
    "V2, 16 minutes ago": (v2_header(lambda ak, s: f"AWS {ak}:{s}", lambda: ago(minutes=16)), 403, "RequestTimeTooSkewed"),
    "V2, malformed": (v2_header(lambda ak, s: f"AWS {ak}"), 400, None),
    "a session token": (session_token, None, "InvalidToken"),
    "the hash of other bytes": (literal_hash_of_other_bytes, 400, "XAmzContentSHA256Mismatch"),
    "an unknown kind of payload": (odd_payload_kind, 400, None),
    "a bad first chunk signature": (chunked(spoil_chunk=0), 403, "SignatureDoesNotMatch"),
    "a bad middle chunk signature": (chunked(spoil_chunk=2), 403, "SignatureDoesNotMatch"),
    "a bad last chunk signature": (chunked(spoil_chunk=4), 403, "SignatureDoesNotMatch"),
    "a decoded length too large": (chunked(decoded=len(BODY) + 1), 400, "IncompleteBody"),
    "a decoded length too small": (chunked(decoded=len(BODY) - 1), 400, None),
    "a wrong trailer": (chunked(trailer=WRONG_CRC), 400, "BadDigest"),
    "a wrong trailer, chunks unsigned": (chunked(trailer=WRONG_CRC, sign_chunks=False), 400, "BadDigest"),
    "a trailer with a bad signature": (chunked(trailer=CRC, spoil_trailer_signature=True), 403, "SignatureDoesNotMatch"),
    "no closing chunk": (chunked(omit_final=True), 400, None),
    "no closing chunk, unsigned": (chunked(omit_final=True, trailer=CRC, sign_chunks=False), 400, None),
}  # fmt: skip


@pytest.fixture(scope="module")
def target(account):
    sub = account.open_sub_account(20)
    sub.put(sub.record, "k", b"unharmed")
    return sub


@pytest.mark.parametrize("name", REFUSED)
def test_refused_with_the_right_code_and_nothing_is_stored(target, name):
    attack, status, code = REFUSED[name]
    reply = attack(target)
    assert reply is not None, "the connection ended without an answer"
    assert 400 <= reply.status < 500
    if status:
        assert (reply.status, reply.code) == (status, code or reply.code), reply.body
    elif code:
        assert reply.code == code, reply.body
    assert reply.code, reply.body
    assert reply.headers.get("x-amz-request-id")
    assert target.sk.encode() not in reply.body
    assert target.listing() == {(target.record, "k"): 8}
    assert target.get(target.record, "k") == b"unharmed"
    view = target.view()
    assert (view["used_bytes"], view["reserved_bytes"]) == (8, 0)


@pytest.mark.parametrize(
    "options",
    [{}, {"trailer": CRC}, {"trailer": CRC, "sign_chunks": False}, {"chunk": 8 * KIB}, {"chunk": 200 * KIB}],
    ids=["signed", "signed with trailer", "unsigned with trailer", "small chunks", "one chunk"],
)
def test_good_chunked_uploads_are_stored(fresh, options):
    reply = chunked(**options)(fresh)
    assert reply.status == 200, reply
    got = fresh.boto().get_object(Bucket=fresh.record, Key="k")
    assert got["Body"].read() == BODY
    assert got.get("ContentEncoding") in (None, ""), "aws-chunked is not kept"


def test_aws_chunked_is_stripped_from_the_content_encoding(fresh):
    assert chunked(headers={"content-encoding": "gzip,aws-chunked"})(fresh).status == 200
    assert fresh.wire().request("HEAD", f"/{fresh.record}/k").headers["content-encoding"] == "gzip"


def test_aws_chunked_inside_http_chunks_without_a_length(fresh):
    """What boto3, aws-cli and the JavaScript SDK send over TLS."""
    host = "%s:%d" % fresh.server.address("s3")
    head, framed = sigv4.chunked_put(host, f"/{fresh.record}/k", BODY, fresh.ak, fresh.sk, REGION, trailer=CRC, sign_chunks=False)
    head = re.sub(rb"\r\ncontent-length: \d+", b"\r\ntransfer-encoding: chunked", head)
    body = b"".join(b"%x\r\n%b\r\n" % (len(framed[i : i + 9999]), framed[i : i + 9999]) for i in range(0, len(framed), 9999)) + b"0\r\n\r\n"
    assert raw(fresh.server.address("s3"), head + body).status == 200
    assert fresh.get(fresh.record, "k") == BODY


def test_a_plain_chunked_body_without_a_length_is_stored(fresh):
    """What ffmpeg and GStreamer send."""
    target, headers = v4(fresh)
    del headers["content-length"]
    headers["transfer-encoding"] = "chunked"
    data = payload(100_000, "stream")
    body = b"".join(b"%x\r\n%b\r\n" % (len(data[i : i + 1000]), data[i : i + 1000]) for i in range(0, len(data), 1000)) + b"0\r\n\r\n"
    assert send(fresh, target, headers, body).status == 200
    assert fresh.get(fresh.record, "k") == data


@pytest.mark.parametrize("kind", ["with a length", "in HTTP chunks"])
def test_a_body_that_is_cut_stores_nothing(fresh, kind):
    fresh.put(fresh.record, "k", b"unharmed")
    target, headers = v4(fresh)
    if kind == "with a length":
        headers["content-length"] = "100000"
        body = b"x" * 50_000
    else:
        del headers["content-length"]
        headers["transfer-encoding"] = "chunked"
        body = b"c350\r\n" + b"x" * 50_000 + b"\r\n"
    reply = send(fresh, target, headers, body, half_close=True)
    assert reply is None or (reply.status, reply.code) == (400, "IncompleteBody")
    with socket.create_connection(fresh.server.address("s3")) as s:  # and one that just goes away
        s.sendall(sigv4.head("PUT", target, headers) + body)
    eventually(lambda: fresh.view()["reserved_bytes"] == 0, what="the reservation given back")
    assert fresh.listing() == {(fresh.record, "k"): 8}
    assert fresh.get(fresh.record, "k") == b"unharmed"


def test_an_upload_whose_client_leaves_after_the_last_byte_is_kept(fresh):
    """ffmpeg and cheap firmware close without reading the answer."""
    data = payload(300 * KIB, "gone")
    for number in range(10):
        target, headers = v4(fresh, key=f"{number}", body=data)
        with socket.create_connection(fresh.server.address("s3")) as s:
            s.sendall(sigv4.head("PUT", target, headers) + data)
    eventually(lambda: len(fresh.listing()) == 10, what=lambda: fresh.listing())
    for number in range(10):
        assert fresh.get(fresh.record, f"{number}") == data


def first_answer(sub, size, key="new"):
    """Sends the head of a PUT with Expect: 100-continue; gives the first answer, and the socket."""
    target, headers = v4(sub, key=key)
    headers.update({"content-length": str(size), "expect": "100-continue"})
    s = socket.create_connection(sub.server.address("s3"), timeout=10)
    s.sendall(sigv4.head("PUT", target, headers))
    return s


def test_expect_100_continue_is_refused_before_the_body_where_it_is_full(account):
    sub = account.open_sub_account(1)
    with first_answer(sub, 4) as s:
        assert s.recv(1000).startswith(b"HTTP/1.1 100")
        s.sendall(b"body")
        assert read_reply(s).status == 200
    sub.put(sub.record, "full", payload(sub.bytes - 4, 1))
    with first_answer(sub, 1000) as s:
        reply = read_reply(s)
        assert (reply.status, reply.code) == (403, "QuotaExceeded")
    sub.lock("full")
    with first_answer(sub, 4, key="full") as s:
        reply = read_reply(s)
        assert (reply.status, reply.code) == (403, "AccessDenied")


def test_a_refused_connection_stays_usable_or_is_closed_but_never_out_of_step(account):
    sub = account.open_sub_account(1)
    sub.put(sub.record, "full", payload(sub.bytes, 1))
    connection = http.client.HTTPConnection(*sub.server.address("s3"), timeout=10)
    for _ in range(5):
        target, headers = v4(sub, key="new", body=b"x" * 70_000)
        connection.request("PUT", target, body=b"x" * 70_000, headers=headers)
        answer = connection.getresponse()
        assert answer.status == 403 and b"<Code>QuotaExceeded</Code>" in answer.read()
        target, headers = v4(sub, method="GET", key="full", body=b"")
        connection.request("GET", target, headers=headers)
        answer = connection.getresponse()
        assert answer.status == 200 and answer.read() == payload(sub.bytes, 1)
    connection.close()


# --- whose it is -------------------------------------------------------------------------------------------


def test_other_buckets_are_denied_and_unknown_ones_unknown(server, account, fresh, sub):
    stranger = server.open_account(5).open_sub_account(1)
    sub.put(sub.record, "theirs", b"secret")
    client = fresh.boto()
    for bucket in (sub.record, sub.picture, stranger.record):
        for call, kw in (
            (client.put_object, {"Key": "x", "Body": b"x"}), (client.get_object, {"Key": "theirs"}), (client.list_objects_v2, {}),
            (client.list_objects, {}), (client.create_multipart_upload, {"Key": "x"}), (client.delete_object, {"Key": "theirs"}),
        ):  # fmt: skip
            assert error_code(call, Bucket=bucket, **kw) == (403, "AccessDenied"), (bucket, call.__name__)
        assert error_code(client.head_bucket, Bucket=bucket)[0] == 403
    assert {b["Name"] for b in client.list_buckets()["Buckets"]} == {fresh.record, fresh.picture}
    assert error_code(client.put_object, Bucket="no-such-bucket-here", Key="x", Body=b"x") == (404, "NoSuchBucket")
    assert error_code(client.list_objects_v2, Bucket="no-such-bucket-here") == (404, "NoSuchBucket")
    assert error_code(client.get_object, Bucket=fresh.record, Key="no such key") == (404, "NoSuchKey")
    admin = server.boto(*account.admin())
    assert error_code(admin.get_object, Bucket=stranger.record, Key="x") == (403, "AccessDenied")
    assert sub.get(sub.record, "theirs") == b"secret"


def test_small_talk_that_clients_need(fresh):
    client = fresh.boto()
    client.head_bucket(Bucket=fresh.record)
    assert client.get_bucket_location(Bucket=fresh.record)["LocationConstraint"] == REGION
    assert error_code(client.head_object, Bucket=fresh.record, Key="nope")[0] == 404


@pytest.mark.parametrize("sub_resource", ["acl", "tagging", "torrent", "renameObject", "encryption", "restore", "retention"])
def test_sub_resources_of_objects_that_are_not_there_are_501_and_harm_nothing(fresh, sub_resource):
    fresh.put(fresh.record, "k", b"unharmed")
    reply = fresh.wire().request("PUT", f"/{fresh.record}/k", {sub_resource: ""}, b"<x/>")
    assert (reply.status, reply.code) == (501, "NotImplemented"), reply
    assert fresh.get(fresh.record, "k") == b"unharmed"
    assert fresh.listing() == {(fresh.record, "k"): 8}


@pytest.mark.parametrize("sub_resource", ["acl", "policy", "tagging", "encryption", "website", "lifecycle", "replication", "versioning"])
def test_sub_resources_of_buckets_that_are_not_there_are_501(fresh, sub_resource):
    reply = fresh.wire().request("PUT", f"/{fresh.record}", {sub_resource: ""}, b"<x/>")
    assert (reply.status, reply.code) == (501, "NotImplemented"), reply


def test_a_client_may_not_take_a_public_acl_and_may_say_private(fresh):
    client = fresh.boto()
    client.put_object(Bucket=fresh.record, Key="a", Body=b"a", ACL="private", StorageClass="STANDARD_IA")
    assert error_code(client.put_object, Bucket=fresh.record, Key="b", Body=b"b", ACL="public-read") == (501, "NotImplemented")
    assert fresh.listing() == {(fresh.record, "a"): 1}


def test_region_of_the_scope_does_not_matter(fresh):
    for region in ("us-east-1", "cn-north-1", "kandian", ""):
        if not region:
            continue
        host = "%s:%d" % fresh.server.address("s3")
        target, headers = sigv4.signed("PUT", host, f"/{fresh.record}/{region}", {}, {}, b"x", fresh.ak, fresh.sk, region)
        assert send(fresh, target, {**headers, "content-length": "1"}, b"x").status == 200


def test_anonymous_reads_are_denied(fresh):
    fresh.put(fresh.record, "k", b"v")
    for path in ("", f"/{fresh.record}", f"/{fresh.record}/k"):
        reply = url_get(fresh.server.s3_url + path)
        assert (reply.status, reply.code) == (403, "AccessDenied")


def test_a_browser_can_post_a_form(fresh):
    import requests

    said = fresh.boto().generate_presigned_post(fresh.picture, "form/${filename}", ExpiresIn=60, Conditions=[["starts-with", "$key", "form/"]])
    answer = requests.post(said["url"], data=said["fields"], files={"file": ("x.jpg", b"jpeg")}, timeout=10)
    assert answer.status_code in (200, 201, 204), answer.text
    assert fresh.get(fresh.picture, "form/x.jpg") == b"jpeg"


def test_a_page_may_read_across_origins(fresh):
    fresh.put(fresh.record, "k", b"v")
    [found] = fresh.search()[1]
    reply = url_get(found.FileUrl, {"Origin": "https://shop.example"})
    assert reply.headers.get("access-control-allow-origin") in ("*", "https://shop.example")
    flight = url_get(found.FileUrl, {"Origin": "https://shop.example", "Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": "range"}, method="OPTIONS")
    assert flight.status in (200, 204) and "GET" in flight.headers["access-control-allow-methods"]


def form(fresh, fields, file=b"jpeg", bucket=None, extra=()):
    import requests

    parts = [(name, (None, value)) for name, value in fields.items()]
    return requests.post(f"{fresh.url}/{bucket or fresh.picture}", files=[*parts, ("file", ("x.jpg", file)), *extra], timeout=10)


def v2_form(fresh, fields, conditions=None, minutes=5, spoil=False):
    until = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(minutes=minutes)
    conditions = [{"bucket": fresh.picture}, *({k: v} for k, v in fields.items())] if conditions is None else conditions
    policy = base64.b64encode(json.dumps({"expiration": f"{until:%Y-%m-%dT%H:%M:%SZ}", "conditions": conditions}).encode())
    signature = base64.b64encode(hmac.new(fresh.sk.encode(), policy + b"x" * spoil, "sha1").digest()).decode()
    return {**fields, "AWSAccessKeyId": fresh.ak, "policy": policy.decode(), "signature": signature}


def test_a_form_of_the_second_signature_stores_what_it_says(fresh):
    fields = {"key": "a b/录.jpg", "Content-Type": "image/jpeg", "x-amz-meta-k": "v", "success_action_status": "201"}
    answer = form(fresh, v2_form(fresh, fields))
    assert answer.status_code == 201, answer.text
    assert "<Key>a b/录.jpg</Key>" in answer.content.decode()
    got = fresh.boto().get_object(Bucket=fresh.picture, Key="a b/录.jpg")
    assert (got["Body"].read(), got["ContentType"], got["Metadata"]) == (b"jpeg", "image/jpeg", {"k": "v"})
    import requests

    fields = {"key": "r", "success_action_redirect": "http://127.0.0.1:9/done?a=1"}
    parts = [(n, (None, v)) for n, v in v2_form(fresh, fields).items()]
    answer = requests.post(f"{fresh.url}/{fresh.picture}", files=[*parts, ("file", ("x", b""))], allow_redirects=False, timeout=10)
    assert answer.status_code == 303 and answer.headers["location"].startswith("http://127.0.0.1:9/done?a=1&bucket="), answer.headers


def test_a_form_that_breaks_a_rule_stores_nothing(fresh, sub):
    key = {"key": "k"}
    bucket = {"bucket": fresh.picture}
    big = payload(3 * MIB, "form")
    for name, answer, wanted in [
        ("expired", form(fresh, v2_form(fresh, key, minutes=-1)), (403, "AccessDenied")),
        ("signature", form(fresh, v2_form(fresh, key, spoil=True)), (403, "SignatureDoesNotMatch")),
        ("no policy", form(fresh, key), (403, "AccessDenied")),
        ("uncovered", form(fresh, {**v2_form(fresh, key), "x-amz-meta-a": "1"}), (403, "AccessDenied")),
        ("other key", form(fresh, {**v2_form(fresh, key), "key": "other"}), (403, "AccessDenied")),
        ("no bucket", form(fresh, v2_form(fresh, key, [key])), (403, "AccessDenied")),
        ("other bucket", form(fresh, v2_form(fresh, key), bucket=fresh.record), (403, "AccessDenied")),
        ("theirs", form(fresh, v2_form(fresh, key, [key, {"bucket": sub.picture}]), bucket=sub.picture), (403, "AccessDenied")),
        ("large", form(fresh, v2_form(fresh, key, [key, bucket, ["content-length-range", 0, MIB]]), big), (400, "EntityTooLarge")),
        ("small", form(fresh, v2_form(fresh, key, [key, bucket, ["content-length-range", 9, MIB]])), (400, "EntityTooSmall")),
        ("no range", form(fresh, v2_form(fresh, key, [key, bucket, ["content-length-range", 0]])), (400, "InvalidPolicyDocument")),
        ("no key", form(fresh, v2_form(fresh, {})), (400, "InvalidArgument")),
        ("what follows the file", form(fresh, v2_form(fresh, key), extra=[("key", (None, "after the file"))]), (204, "")),
    ]:
        code = re.search("<Code>(.*)</Code>", answer.text)
        assert (answer.status_code, code.group(1) if code else "") == wanted, (name, answer.text)
    assert fresh.listing() == {(fresh.picture, "k"): 4}
    assert (sub.picture, "k") not in sub.listing()


def test_a_form_that_is_cut_off_stores_nothing(fresh):
    boundary = b"xyz"
    parts = b"".join(
        b'--%b\r\ncontent-disposition: form-data; name="%b"\r\n\r\n%b\r\n' % (boundary, n.encode(), v.encode()) for n, v in v2_form(fresh, {"key": "k"}).items()
    )
    body = parts + b'--xyz\r\ncontent-disposition: form-data; name="file"; filename="x"\r\n\r\nhalf of it'
    head = f"POST /{fresh.picture} HTTP/1.1\r\nhost: x\r\ncontent-type: multipart/form-data; boundary=xyz\r\ncontent-length: {len(body)}\r\n\r\n"
    reply = raw(fresh.server.address("s3"), head.encode() + body)
    assert (reply.status, reply.code) == (400, "IncompleteBody")
    assert fresh.listing() == {}


def test_a_page_may_not_write_and_sees_errors(fresh):
    url = fresh.boto().generate_presigned_url("get_object", Params={"Bucket": fresh.record, "Key": "gone"})
    reply = url_get(url, {"Origin": "https://shop.example"})
    assert reply.status == 404 and reply.headers.get("access-control-allow-origin") == "*"
    assert "ETag" in reply.headers["access-control-expose-headers"] and "x-amz-request-id" in reply.headers["access-control-expose-headers"]
    assert url_get(url).headers.get("access-control-allow-origin") is None
    flight = url_get(url, {"Origin": "https://shop.example", "Access-Control-Request-Method": "PUT"}, method="OPTIONS")
    assert flight.status == 403 and flight.headers.get("access-control-allow-origin") is None


def test_deletions_of_many_say_what_stayed(account, fresh):
    fresh.put(fresh.record, "k", b"v")
    client = fresh.boto()
    report = client.delete_objects(Bucket=fresh.record, Delete={"Objects": [{"Key": "k"}, {"Key": "l"}]})
    assert [(e["Key"], e["Code"]) for e in report["Errors"]] == [("k", "AccessDenied"), ("l", "AccessDenied")]
    ak, sk = account.admin()
    admin = fresh.server.boto(ak, sk)
    body = b"<Delete><Object><Key>k</Key></Object></Delete>"
    reply = fresh.server.wire(ak, sk).request("POST", f"/{fresh.record}", {"delete": ""}, body)
    assert (reply.status, reply.code) == (400, "InvalidRequest"), reply
    reply = fresh.server.wire(ak, sk).request("POST", f"/{fresh.record}", {"delete": ""}, body, {"content-md5": base64.b64encode(hashlib.md5(b"x").digest()).decode()})
    assert (reply.status, reply.code) == (400, "BadDigest"), reply
    assert error_code(admin.delete_objects, Bucket=fresh.record, Delete={"Objects": [{"Key": f"{n}"} for n in range(1001)]}) == (400, "MalformedXML")
    assert fresh.listing() == {(fresh.record, "k"): 1}
    report = admin.delete_objects(Bucket=fresh.record, Delete={"Quiet": True, "Objects": [{"Key": "k"}, {"Key": "x", "VersionId": "1"}]})
    assert "Deleted" not in report and [(e["Key"], e["Code"]) for e in report["Errors"]] == [("x", "NoSuchVersion")]
    assert fresh.listing() == {}


def test_a_bucket_stays(account, fresh):
    assert error_code(fresh.boto().delete_bucket, Bucket=fresh.record) == (403, "AccessDenied")
    assert s3cmd(fresh, "rb", f"s3://{fresh.record}", check=False).returncode != 0
    ak, sk = account.admin()
    assert error_code(fresh.server.boto(ak, sk).delete_bucket, Bucket=fresh.record) == (403, "AccessDenied")
    fresh.put(fresh.record, "k", b"v")


@pytest.mark.parametrize("v2", [False, True], ids=["v4", "v2"])
def test_tools_move_by_copying(account, fresh, tmp_path, v2):
    """rclone's server-side move and s3cmd's mv, with the key that may delete."""
    ak, sk = account.admin()
    admin = SimpleNamespace(ak=ak, sk=sk, url=fresh.url)
    for name in ("a/1", "a/2"):
        fresh.put(fresh.record, name, payload(100, name))
    rclone(admin, "move", f"k:{fresh.record}/a", f"k:{fresh.picture}/moved", v2=v2)
    assert fresh.listing() == {(fresh.picture, "moved/1"): 100, (fresh.picture, "moved/2"): 100}
    s3cmd(admin, "mv", f"s3://{fresh.picture}/moved/1", f"s3://{fresh.record}/back", v2=v2)
    assert fresh.get(fresh.record, "back") == payload(100, "a/1")
    assert fresh.listing() == {(fresh.picture, "moved/2"): 100, (fresh.record, "back"): 100}


# --- whole trees with the tools ----------------------------------------------------------------------------


def test_aws_cli_syncs_lists_and_presigns(fresh, tmp_path):
    tree = {f"2014/03/{day:02d}/录像 {n}.mp4": payload(1000 * n, f"{day}{n}") for day in (1, 2) for n in (0, 1, 2)}
    for name, data in tree.items():
        path = tmp_path / "up" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        os.utime(path, (1395993600, 1395993600))
    aws(fresh, "s3", "sync", "--quiet", tmp_path / "up", f"s3://{fresh.record}/")
    assert fresh.listing() == {(fresh.record, name): len(data) for name, data in tree.items()}
    said = json.loads(aws(fresh, "s3api", "list-objects-v2", "--bucket", fresh.record, "--prefix", "2014/03/02/", "--output", "json").stdout)
    assert [i["Key"] for i in said["Contents"]] == order(n for n in tree if "/02/" in n)
    aws(fresh, "s3", "sync", "--quiet", f"s3://{fresh.record}/", tmp_path / "down")
    for name, data in tree.items():
        assert (tmp_path / "down" / name).read_bytes() == data
    again = aws(fresh, "s3", "sync", "--dryrun", tmp_path / "up", f"s3://{fresh.record}/").stdout
    assert again == b"", "nothing is left to sync"
    url = aws(fresh, "s3", "presign", f"s3://{fresh.record}/2014/03/01/录像 1.mp4").stdout.decode().strip()
    assert url_get(url).body == tree["2014/03/01/录像 1.mp4"]


def test_an_empty_file_does_not_make_aws_cli_wait(fresh, tmp_path):
    """It asks for 100 Continue and cannot bear a last answer instead of it, if its connection is used again."""
    tree = {"a": b"", "b": b"b", "c": b"", "d": b"d"}
    for name, data in tree.items():
        path = tmp_path / "up" / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)
    settings = tmp_path / "settings"
    settings.write_text("[default]\ns3 =\n    max_concurrent_requests = 1\n")
    env = {**aws_environment(fresh.ak, fresh.sk), "AWS_CONFIG_FILE": str(settings)}
    run(tool("aws"), "--endpoint-url", fresh.url, "s3", "sync", "--quiet", tmp_path / "up", f"s3://{fresh.record}/", env=env, timeout=30)
    assert fresh.listing() == {(fresh.record, name): len(data) for name, data in tree.items()}


def test_rclone_and_s3cmd_list_what_is_there(fresh, tmp_path):
    for name in ("a/1", "a/2", "b"):
        fresh.put(fresh.record, name, payload(10, name))
    for v2 in (False, True):
        names = rclone(fresh, "lsf", "-R", "--files-only", f"k:{fresh.record}", v2=v2).stdout.decode().split()
        assert sorted(names) == ["a/1", "a/2", "b"]
        names = re.findall(r"s3://\S+", s3cmd(fresh, "ls", "-r", f"s3://{fresh.record}", v2=v2).stdout.decode())
        assert sorted(names) == [f"s3://{fresh.record}/{n}" for n in ("a/1", "a/2", "b")]
        s3cmd(fresh, "cp", f"s3://{fresh.record}/b", f"s3://{fresh.picture}/copy", v2=v2)
        assert fresh.get(fresh.picture, "copy") == payload(10, "b")


def test_ffmpeg_records_straight_into_a_presigned_url(fresh):
    url = fresh.boto().generate_presigned_url("put_object", Params={"Bucket": fresh.record, "Key": "live.ts"}, ExpiresIn=600)
    source = ["-f", "lavfi", "-i", "testsrc2=size=320x240:rate=15:duration=3", "-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p"]
    run(tool("ffmpeg"), "-v", "error", *source, "-f", "mpegts", "-method", "PUT", url)
    eventually(lambda: fresh.listing(), what="the recording")
    said = json.loads(run(tool("ffprobe"), "-v", "error", "-of", "json", "-show_format", fresh.search()[1][0].FileUrl).stdout)
    assert abs(float(said["format"]["duration"]) - 3) < 0.3
