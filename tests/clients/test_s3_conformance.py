"""What S3 has said since ceph's suite was packaged: checksums of parts and of what they make, conditions of writing and
deleting, versions of what has none, attributes; and what every answer must have. By an administration key, in buckets
of its own."""

import base64
import hashlib
import io
import zlib

import boto3.s3.transfer
import pytest
import requests
from botocore.exceptions import ClientError

from harness import MIB, boto, error_code, payload

PART = 5 * MIB
LONG_AGO = "Thu, 01 Jan 2015 00:00:00 GMT"


@pytest.fixture(scope="module")
def account(server):
    return server.open_account(4000)


@pytest.fixture(scope="module")
def keys(account):
    return account.admin()


@pytest.fixture(scope="module")
def s3(server, keys):
    # A checksum goes along only where a test asks for one.
    return boto(server.s3_url, *keys, request_checksum_calculation="when_required", response_checksum_validation="when_required")


@pytest.fixture(scope="module")
def default_s3(server, keys):
    """As a program of today has it that configures nothing."""
    return boto(server.s3_url, *keys)


@pytest.fixture
def bucket(s3, request):
    name = "conform-" + hashlib.sha256(request.node.nodeid.encode()).hexdigest()[:20]
    s3.create_bucket(Bucket=name)
    return name


@pytest.fixture
def wire(server, keys, account):
    from harness import Wire

    wire = Wire(server.address("s3"), *keys)
    yield wire
    wire.close()


# --- checksums ---------------------------------------------------------------------------------------------


def reflected_crc(data, modulus, bits):
    """A CRC by the book, so that nothing of the server's is believed."""
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = (byte >> 1) ^ (modulus if byte & 1 else 0)
        table.append(byte)
    ones = (1 << bits) - 1
    crc = ones
    for byte in data:
        crc = table[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    return (crc ^ ones).to_bytes(bits // 8, "big")


SUMS = {
    "CRC32": lambda data: zlib.crc32(data).to_bytes(4, "big"),
    "CRC32C": lambda data: reflected_crc(data, 0x82F63B78, 32),
    "CRC64NVME": lambda data: reflected_crc(data, 0x9A6C9329AC4BC9B5, 64),
    "SHA1": lambda data: hashlib.sha1(data).digest(),
    "SHA256": lambda data: hashlib.sha256(data).digest(),
}


def sum_of(algorithm, data):
    return base64.b64encode(SUMS[algorithm](data)).decode()


def test_the_second_implementation_is_right():
    wanted = {"CRC32": "cbf43926", "CRC32C": "e3069283", "CRC64NVME": "ae8b14860a799888"}
    assert {name: SUMS[name](b"123456789").hex() for name in wanted} == wanted



@pytest.mark.parametrize(
    "algorithm, covers, said",
    [
        ("CRC32", "COMPOSITE", True),
        ("CRC32", "COMPOSITE", False),
        ("CRC32", "FULL_OBJECT", True),
        ("CRC32C", "COMPOSITE", True),
        ("CRC32C", "FULL_OBJECT", True),
        ("CRC64NVME", "FULL_OBJECT", True),
        ("CRC64NVME", "FULL_OBJECT", False),
        ("SHA1", "COMPOSITE", True),
        ("SHA256", "COMPOSITE", False),
    ],
)
def test_a_multipart_upload_has_the_checksum_that_it_was_begun_with(s3, bucket, algorithm, covers, said):
    field = f"Checksum{algorithm}"
    bodies = [payload(PART, f"{algorithm}1"), payload(3000, f"{algorithm}2")]
    sums = [sum_of(algorithm, body) for body in bodies]
    if covers == "COMPOSITE":
        digests = b"".join(base64.b64decode(one) for one in sums)
        whole = f"{sum_of(algorithm, digests)}-2"
    else:
        whole = sum_of(algorithm, b"".join(bodies))
    where = {"Bucket": bucket, "Key": "k"}
    begun = s3.create_multipart_upload(**where, ChecksumAlgorithm=algorithm, **({"ChecksumType": covers} if said else {}))
    assert (begun["ChecksumAlgorithm"], begun["ChecksumType"]) == (algorithm, covers)
    upload = {**where, "UploadId": begun["UploadId"]}
    listed = s3.list_multipart_uploads(Bucket=bucket)["Uploads"]
    assert [(u["ChecksumAlgorithm"], u["ChecksumType"]) for u in listed] == [(algorithm, covers)]

    other = "SHA1" if algorithm != "SHA1" else "CRC32"
    wrong = {f"Checksum{other}": sum_of(other, bodies[1])}
    assert error_code(s3.upload_part, **upload, PartNumber=2, Body=bodies[1], **wrong) == (400, "InvalidRequest")
    wrong = {field: sum_of(algorithm, b"something else")}
    assert error_code(s3.upload_part, **upload, PartNumber=2, Body=bodies[1], **wrong) == (400, "BadDigest")
    assert "Parts" not in s3.list_parts(**upload)

    first = s3.upload_part(**upload, PartNumber=1, Body=bodies[0], **{field: sums[0]})
    # Of the second nothing is said: the server sums it by the algorithm of its upload.
    second = s3.upload_part(**upload, PartNumber=2, Body=bodies[1])
    assert [first[field], second[field]] == sums
    listed = s3.list_parts(**upload)
    assert (listed["ChecksumAlgorithm"], listed["ChecksumType"]) == (algorithm, covers)
    assert [part[field] for part in listed["Parts"]] == sums

    etags = [first["ETag"], second["ETag"]]
    bare = [{"PartNumber": n + 1, "ETag": etag} for n, etag in enumerate(etags)]
    full = [{**part, field: one} for part, one in zip(bare, sums)]
    done = {"MultipartUpload": {"Parts": full}}
    swapped = [{**part, field: one} for part, one in zip(bare, reversed(sums))]
    assert error_code(s3.complete_multipart_upload, **upload, MultipartUpload={"Parts": swapped}) == (400, "InvalidPart")
    for bad in ("bad", sum_of(algorithm, b"x"), whole + "-9"):
        assert error_code(s3.complete_multipart_upload, **upload, **done, **{field: bad}) == (400, "BadDigest"), bad
    assert error_code(s3.complete_multipart_upload, **upload, **done, MpuObjectSize=1) == (400, "InvalidRequest")
    another = "COMPOSITE" if covers == "FULL_OBJECT" else "FULL_OBJECT"
    assert error_code(s3.complete_multipart_upload, **upload, **done, ChecksumType=another) == (400, "InvalidRequest")
    if covers == "COMPOSITE":
        without = {"MultipartUpload": {"Parts": bare}}
        assert error_code(s3.complete_multipart_upload, **upload, **without) == (400, "InvalidRequest")
        assert error_code(s3.complete_multipart_upload, **upload, **without, **{field: "bad"}) == (400, "BadDigest")
    assert error_code(s3.head_object, **where)[0] == 404

    size = sum(map(len, bodies))
    call = {**upload, **done, field: whole, "ChecksumType": covers, "MpuObjectSize": size}
    completed = s3.complete_multipart_upload(**call)
    assert (completed[field], completed["ChecksumType"]) == (whole, covers)
    again = s3.complete_multipart_upload(**call)
    assert (again["ETag"], again[field]) == (completed["ETag"], whole)

    assert field not in s3.head_object(**where)
    head = s3.head_object(**where, ChecksumMode="ENABLED")
    assert (head[field], head["ChecksumType"]) == (whole, covers)
    got = s3.get_object(**where, ChecksumMode="ENABLED")
    assert got[field] == whole and got["Body"].read() == b"".join(bodies)
    assert field not in s3.get_object(**where, ChecksumMode="ENABLED", Range="bytes=0-9")
    for number, (body, one) in enumerate(zip(bodies, sums), 1):
        part = s3.get_object(**where, PartNumber=number, ChecksumMode="ENABLED")
        assert (part[field], part["ChecksumType"], part["PartsCount"]) == (one, covers, 2)
        assert part["Body"].read() == body
    told = s3.get_object_attributes(**where, ObjectAttributes=["Checksum", "ObjectParts", "ObjectSize"])
    assert told["Checksum"] == {field: whole, "ChecksumType": covers}
    assert told["ObjectSize"] == size
    assert [part[field] for part in told["ObjectParts"]["Parts"]] == sums

    # A copy is put whole: it has the algorithm, over its bytes.
    copied = s3.copy_object(Bucket=bucket, Key="copy", CopySource=where)["CopyObjectResult"]
    assert copied[field] == sum_of(algorithm, b"".join(bodies))
    head = s3.head_object(Bucket=bucket, Key="copy", ChecksumMode="ENABLED")
    assert (head[field], head["ChecksumType"]) == (copied[field], "FULL_OBJECT")


@pytest.mark.parametrize(
    "asked",
    [
        {"ChecksumAlgorithm": "CRC64NVME", "ChecksumType": "COMPOSITE"},
        {"ChecksumAlgorithm": "SHA256", "ChecksumType": "FULL_OBJECT"},
        {"ChecksumType": "FULL_OBJECT"},
        {"ChecksumAlgorithm": "SHA512"},
    ],
    ids=str,
)
def test_a_checksum_that_cannot_be_is_refused_when_an_upload_is_begun(s3, bucket, asked):
    assert error_code(s3.create_multipart_upload, Bucket=bucket, Key="k", **asked) == (400, "InvalidRequest")
    assert "Uploads" not in s3.list_multipart_uploads(Bucket=bucket)


def test_an_upload_that_says_nothing_has_the_checksum_of_its_parts(default_s3, s3, bucket):
    # boto3 sums each part by CRC32 of its own accord, and names none when it completes.
    bodies = [payload(PART, 1), payload(10, 2)]
    for client, field, algorithm in ((default_s3, "ChecksumCRC32", "CRC32"), (s3, "ChecksumCRC64NVME", "CRC64NVME")):
        upload = {"Bucket": bucket, "Key": algorithm}
        upload["UploadId"] = client.create_multipart_upload(**upload)["UploadId"]
        parts = []
        for number, body in enumerate(bodies, 1):
            parts.append({"PartNumber": number, "ETag": client.upload_part(**upload, PartNumber=number, Body=body)["ETag"]})
        completed = client.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts})
        assert (completed[field], completed["ChecksumType"]) == (sum_of(algorithm, b"".join(bodies)), "FULL_OBJECT")
        assert default_s3.get_object(Bucket=bucket, Key=algorithm)["Body"].read() == b"".join(bodies)


# The other two need a library of botocore's that signs in another way.
@pytest.mark.parametrize("algorithm", [None, "CRC32", "SHA1", "SHA256"])
def test_managed_transfers_come_back_whole_with_each_checksum(default_s3, bucket, algorithm):
    data = payload(2 * PART + 77, algorithm)
    config = boto3.s3.transfer.TransferConfig(multipart_threshold=PART, multipart_chunksize=PART)
    extra = {"ChecksumAlgorithm": algorithm} if algorithm else {}
    default_s3.upload_fileobj(io.BytesIO(data), bucket, "k", ExtraArgs=extra, Config=config)
    out = io.BytesIO()
    default_s3.download_fileobj(bucket, "k", out, Config=config)
    assert out.getvalue() == data
    head = default_s3.head_object(Bucket=bucket, Key="k", ChecksumMode="ENABLED")
    assert head[f"Checksum{algorithm or 'CRC32'}"]
    assert head["ETag"].endswith('-3"')


def test_a_whole_object_checksum_of_a_managed_transfer_is_held_against_the_parts(default_s3, bucket):
    data = payload(PART + 9, "full")
    config = boto3.s3.transfer.TransferConfig(multipart_threshold=PART, multipart_chunksize=PART)
    right = {"ChecksumCRC32": sum_of("CRC32", data)}
    default_s3.upload_fileobj(io.BytesIO(data), bucket, "k", ExtraArgs=right, Config=config)
    head = default_s3.head_object(Bucket=bucket, Key="k", ChecksumMode="ENABLED")
    assert (head["ChecksumCRC32"], head["ChecksumType"]) == (right["ChecksumCRC32"], "FULL_OBJECT")
    wrong = {"ChecksumCRC32": sum_of("CRC32", b"another")}
    with pytest.raises(Exception, match="BadDigest"):
        default_s3.upload_fileobj(io.BytesIO(data), bucket, "wrong", ExtraArgs=wrong, Config=config)
    assert error_code(default_s3.head_object, Bucket=bucket, Key="wrong")[0] == 404


def test_a_copied_part_is_summed_as_its_upload_wants(s3, bucket):
    data = payload(PART + 100, "source")
    s3.put_object(Bucket=bucket, Key="source", Body=data)
    where = {"Bucket": bucket, "Key": "k"}
    upload = {**where, "UploadId": s3.create_multipart_upload(**where, ChecksumAlgorithm="SHA256")["UploadId"]}
    source = {"CopySource": {"Bucket": bucket, "Key": "source"}}
    parts = []
    for number, (first, last) in enumerate(((0, PART - 1), (PART, PART + 99)), 1):
        copied = s3.upload_part_copy(**upload, **source, PartNumber=number, CopySourceRange=f"bytes={first}-{last}")["CopyPartResult"]
        assert copied["ChecksumSHA256"] == sum_of("SHA256", data[first : last + 1])
        parts.append({"PartNumber": number, "ETag": copied["ETag"], "ChecksumSHA256": copied["ChecksumSHA256"]})
    beyond = {"PartNumber": 3, "CopySourceRange": f"bytes=0-{PART + 100}"}
    assert error_code(s3.upload_part_copy, **upload, **source, **beyond) == (416, "InvalidRange")
    completed = s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts})
    assert completed["ChecksumSHA256"].endswith("-2")
    assert s3.get_object(**where)["Body"].read() == data


def test_a_part_that_is_named_twice_is_the_one_named_last(s3, bucket):
    where = {"Bucket": bucket, "Key": "k"}
    upload = {**where, "UploadId": s3.create_multipart_upload(**where)["UploadId"]}
    old = s3.upload_part(**upload, PartNumber=1, Body=b"old")["ETag"]
    new = s3.upload_part(**upload, PartNumber=1, Body=b"new")["ETag"]
    assert error_code(s3.complete_multipart_upload, **upload, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": old}]}) == (400, "InvalidPart")
    s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": old}, {"PartNumber": 1, "ETag": new}]})
    assert s3.get_object(**where)["Body"].read() == b"new"


def test_a_part_that_is_not_there_is_refused(s3, bucket):
    s3.put_object(Bucket=bucket, Key="whole", Body=b"body")
    assert s3.get_object(Bucket=bucket, Key="whole", PartNumber=1)["Body"].read() == b"body"
    assert error_code(s3.get_object, Bucket=bucket, Key="whole", PartNumber=2) == (400, "InvalidPart")
    for bad in (0, 10_001):
        assert error_code(s3.get_object, Bucket=bucket, Key="whole", PartNumber=bad) == (400, "InvalidArgument")


# --- conditions --------------------------------------------------------------------------------------------


def put_whole(s3, where, **condition):
    return s3.put_object(**where, Body=b"abc", **condition)


def put_in_parts(s3, where, **condition):
    upload = {**where, "UploadId": s3.create_multipart_upload(**where)["UploadId"]}
    part = {"PartNumber": 1, "ETag": s3.upload_part(**upload, PartNumber=1, Body=b"abc")["ETag"]}
    return s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": [part]}, **condition)


@pytest.mark.parametrize("put", [put_whole, put_in_parts])
def test_a_write_happens_only_where_its_condition_holds(s3, bucket, put):
    where = {"Bucket": bucket, "Key": "k"}
    refused = lambda **condition: error_code(put, s3=s3, where=where, **condition)  # noqa: E731
    # Nothing is there.
    assert refused(IfMatch="*") == (404, "NoSuchKey")
    assert refused(IfMatch="badetag") == (404, "NoSuchKey")
    etag = put(s3, where, IfNoneMatch="*")["ETag"]
    # Something is.
    assert refused(IfNoneMatch="*") == (412, "PreconditionFailed")
    assert refused(IfNoneMatch=etag) == (412, "PreconditionFailed")
    assert refused(IfMatch="badetag") == (412, "PreconditionFailed")
    before = s3.head_object(**where)["LastModified"]
    put(s3, where, IfNoneMatch="badetag")
    put(s3, where, IfMatch=etag)
    put(s3, where, IfMatch="*")
    assert s3.head_object(**where)["LastModified"] >= before
    s3.delete_object(**where)
    put(s3, where, IfNoneMatch=etag)


def test_a_deletion_happens_only_where_its_condition_holds(s3, bucket):
    where = {"Bucket": bucket, "Key": "k"}
    etag = s3.put_object(**where, Body=b"abc")["ETag"]
    at = s3.head_object(**where)["LastModified"]
    for wrong in ({"IfMatch": "badetag"}, {"IfMatchSize": 4}, {"IfMatchLastModifiedTime": LONG_AGO}, {"IfMatch": etag, "IfMatchSize": 9}):
        assert error_code(s3.delete_object, **where, **wrong) == (412, "PreconditionFailed"), wrong
    assert s3.get_object(**where)["Body"].read() == b"abc"
    for right in ({"IfMatch": etag}, {"IfMatch": "*"}, {"IfMatchSize": 3}, {"IfMatchLastModifiedTime": None, "IfMatch": etag, "IfMatchSize": 3}):
        if "IfMatchLastModifiedTime" in right:
            # That of the file that is there now.
            right["IfMatchLastModifiedTime"] = at
        s3.delete_object(**where, **right)
        assert error_code(s3.head_object, **where)[0] == 404, right
        # Of what is not there nothing is asked.
        s3.delete_object(**where, **right)
        etag = s3.put_object(**where, Body=b"abc")["ETag"]
        at = s3.head_object(**where)["LastModified"]


def test_a_deletion_of_many_holds_each_against_its_own_condition(s3, bucket):
    made = {name: s3.put_object(Bucket=bucket, Key=name, Body=name.encode())["ETag"] for name in ("a", "bb", "ccc", "stays", "late")}
    objects = [
        {"Key": "a", "ETag": made["a"]},
        {"Key": "bb", "Size": 2},
        {"Key": "ccc", "LastModifiedTime": s3.head_object(Bucket=bucket, Key="ccc")["LastModified"]},
        {"Key": "stays", "ETag": made["a"]},
        {"Key": "late", "LastModifiedTime": "2015-01-01T00:00:00Z"},
        {"Key": "never", "Size": 7},
    ]
    answer = s3.delete_objects(Bucket=bucket, Delete={"Objects": objects})
    assert sorted(one["Key"] for one in answer["Deleted"]) == ["a", "bb", "ccc", "never"]
    assert {one["Key"]: one["Code"] for one in answer["Errors"]} == {"stays": "PreconditionFailed", "late": "PreconditionFailed"}
    assert [one["Key"] for one in s3.list_objects_v2(Bucket=bucket)["Contents"]] == ["late", "stays"]


def test_a_lock_outlives_every_way_of_deleting(s3, bucket):
    where = {"Bucket": bucket, "Key": "k"}
    etag = s3.put_object(**where, Body=b"evidence", ObjectLockLegalHoldStatus="ON")["ETag"]
    assert s3.head_object(**where)["ObjectLockLegalHoldStatus"] == "ON"
    assert s3.get_object_legal_hold(**where)["LegalHold"] == {"Status": "ON"}
    assert error_code(s3.delete_object, **where) == (403, "AccessDenied")
    assert error_code(s3.delete_object, **where, VersionId="null") == (403, "AccessDenied")
    assert error_code(s3.delete_object, **where, IfMatch=etag) == (403, "AccessDenied")
    assert error_code(s3.put_object, **where, Body=b"forged") == (403, "AccessDenied")
    answer = s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "k", "VersionId": "null"}]}, BypassGovernanceRetention=True)
    assert [(one["Key"], one["VersionId"], one["Code"]) for one in answer["Errors"]] == [("k", "null", "AccessDenied")]
    assert error_code(s3.delete_bucket, Bucket=bucket) == (409, "BucketNotEmpty")
    assert s3.get_object(**where)["Body"].read() == b"evidence"
    s3.put_object_legal_hold(**where, LegalHold={"Status": "OFF"})
    assert "ObjectLockLegalHoldStatus" not in s3.head_object(**where)
    s3.delete_object(**where)
    s3.delete_bucket(Bucket=bucket)


# --- lists -------------------------------------------------------------------------------------------------


def test_each_file_is_its_only_version(s3, bucket):
    names = ["a", "b/1", "b/2", "c d", "录像/1.mp4"]
    etags = {name: s3.put_object(Bucket=bucket, Key=name, Body=name.encode())["ETag"] for name in names}
    whole = s3.list_object_versions(Bucket=bucket)
    assert [(v["Key"], v["VersionId"], v["IsLatest"], v["ETag"]) for v in whole["Versions"]] == [(n, "null", True, etags[n]) for n in names]
    assert "DeleteMarkers" not in whole
    seen, marker = [], {}
    for _ in range(len(names) + 1):
        page = s3.list_object_versions(Bucket=bucket, MaxKeys=1, **marker)
        seen += [v["Key"] for v in page["Versions"]]
        if not page["IsTruncated"]:
            break
        marker = {"KeyMarker": page["NextKeyMarker"], "VersionIdMarker": page["NextVersionIdMarker"]}
    assert seen == names
    grouped = s3.list_object_versions(Bucket=bucket, Delimiter="/", Prefix="b")
    assert ([p["Prefix"] for p in grouped["CommonPrefixes"]], grouped.get("Versions")) == (["b/"], None)
    # As suites and consoles clean up.
    doomed = [{"Key": v["Key"], "VersionId": v["VersionId"]} for v in whole["Versions"]]
    answer = s3.delete_objects(Bucket=bucket, Delete={"Objects": doomed})
    assert sorted((d["Key"], d["VersionId"]) for d in answer["Deleted"]) == sorted((n, "null") for n in names)
    assert "Versions" not in s3.list_object_versions(Bucket=bucket)


def test_a_list_gives_back_what_was_asked_in_every_page(s3, bucket):
    for name in ("a+b", "a b", "a%b", "x"):
        s3.put_object(Bucket=bucket, Key=name)
    for listing in (s3.list_objects, s3.list_objects_v2):
        for prefix in ("\n", "a ", "a+", "a%", "录"):
            page = listing(Bucket=bucket, Prefix=prefix)
            # botocore undoes the encoding of a prefix in version 2 only.
            shown = prefix if listing == s3.list_objects_v2 else prefix.replace("%", "%25").replace("+", "%2B")
            assert page["Prefix"] == shown, listing
            assert [one["Key"] for one in page.get("Contents", [])] == sorted(n for n in ("a+b", "a b", "a%b") if n.startswith(prefix))
    empty = s3.list_objects_v2(Bucket=bucket, ContinuationToken="")
    assert (empty["ContinuationToken"], empty["KeyCount"], empty["IsTruncated"]) == ("", 4, False)
    assert error_code(s3.list_objects_v2, Bucket=bucket, ContinuationToken="nonsense")[0] == 400


def test_a_list_is_as_good_unordered_but_not_grouped(wire, s3, bucket):
    s3.put_object(Bucket=bucket, Key="k")
    assert wire.request("GET", f"/{bucket}", {"allow-unordered": "true"}).status == 200
    grouped = wire.request("GET", f"/{bucket}", {"allow-unordered": "true", "delimiter": "/"})
    assert (grouped.status, grouped.code) == (400, "InvalidArgument")


def test_uploads_and_parts_come_in_pages(s3, bucket):
    uploads = sorted((key, s3.create_multipart_upload(Bucket=bucket, Key=key)["UploadId"]) for key in ("a", "a", "d/x", "d/y", "e"))
    seen, marker = [], {}
    for _ in range(len(uploads) + 1):
        page = s3.list_multipart_uploads(Bucket=bucket, MaxUploads=2, **marker)
        seen += [(u["Key"], u["UploadId"]) for u in page.get("Uploads", [])]
        if not page["IsTruncated"]:
            break
        marker = {"KeyMarker": page["NextKeyMarker"], "UploadIdMarker": page["NextUploadIdMarker"]}
    assert seen == uploads
    grouped = s3.list_multipart_uploads(Bucket=bucket, Delimiter="/")
    assert [p["Prefix"] for p in grouped["CommonPrefixes"]] == ["d/"]
    key, upload = uploads[-1]
    etags = {n: s3.upload_part(Bucket=bucket, Key=key, UploadId=upload, PartNumber=n, Body=str(n).encode())["ETag"] for n in (1, 2, 7, 10000)}
    seen, after = [], 0
    for _ in range(len(etags) + 1):
        page = s3.list_parts(Bucket=bucket, Key=key, UploadId=upload, MaxParts=1, PartNumberMarker=after)
        seen += [(p["PartNumber"], p["ETag"], p["Size"]) for p in page["Parts"]]
        if not page["IsTruncated"]:
            break
        after = page["NextPartNumberMarker"]
    assert seen == [(n, etag, len(str(n))) for n, etag in etags.items()]
    for key, upload in uploads:
        s3.abort_multipart_upload(Bucket=bucket, Key=key, UploadId=upload)
    assert "Uploads" not in s3.list_multipart_uploads(Bucket=bucket)


def test_attributes_tell_parts_in_pages_and_nothing_that_was_not_asked(s3, bucket):
    where = {"Bucket": bucket, "Key": "k"}
    upload = {**where, "UploadId": s3.create_multipart_upload(**where)["UploadId"]}
    sizes = [PART, PART, 5]
    parts = [{"PartNumber": n, "ETag": s3.upload_part(**upload, PartNumber=n, Body=bytes(size))["ETag"]} for n, size in enumerate(sizes, 1)]
    etag = s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts})["ETag"].strip('"')
    told = s3.get_object_attributes(**where, ObjectAttributes=["ETag", "ObjectParts", "StorageClass", "ObjectSize"], MaxParts=1, PartNumberMarker=1)
    assert (told["ETag"], told["StorageClass"], told["ObjectSize"]) == (etag, "STANDARD", sum(sizes))
    assert "Checksum" not in told and told["LastModified"] == s3.head_object(**where)["LastModified"]
    page = told["ObjectParts"]
    assert (page["TotalPartsCount"], page["PartNumberMarker"], page["NextPartNumberMarker"], page["MaxParts"]) == (3, 1, 2, 1)
    assert page["IsTruncated"] is True and [(p["PartNumber"], p["Size"]) for p in page["Parts"]] == [(2, PART)]
    rest = s3.get_object_attributes(**where, ObjectAttributes=["ObjectParts"], PartNumberMarker=2)["ObjectParts"]
    assert rest["IsTruncated"] is False and [(p["PartNumber"], p["Size"]) for p in rest["Parts"]] == [(3, 5)]
    s3.put_object(Bucket=bucket, Key="whole", Body=b"abc")
    told = s3.get_object_attributes(Bucket=bucket, Key="whole", ObjectAttributes=["ObjectParts", "ObjectSize"])
    assert "ObjectParts" not in told and told["ObjectSize"] == 3
    assert error_code(s3.get_object_attributes, Bucket=bucket, Key="none", ObjectAttributes=["ETag"]) == (404, "NoSuchKey")
    assert error_code(s3.get_object_attributes, Bucket=bucket, Key="whole", ObjectAttributes=["Color"]) == (400, "InvalidArgument")


def test_the_access_list_is_read_and_never_written(wire, s3, bucket, keys):
    s3.put_object(Bucket=bucket, Key="k", Body=b"kept")
    for acl in (s3.get_bucket_acl(Bucket=bucket), s3.get_object_acl(Bucket=bucket, Key="k")):
        assert acl["Owner"]["ID"] == keys[0]
        assert [(g["Grantee"]["ID"], g["Permission"]) for g in acl["Grants"]] == [(keys[0], "FULL_CONTROL")]
    assert error_code(s3.get_object_acl, Bucket=bucket, Key="none") == (404, "NoSuchKey")
    assert error_code(s3.put_bucket_acl, Bucket=bucket, ACL="public-read") == (501, "NotImplemented")
    assert error_code(s3.put_object_acl, Bucket=bucket, Key="k", ACL="private") == (501, "NotImplemented")
    bad = wire.request("PUT", f"/{bucket}", {"acl": ""}, headers={"x-amz-acl": "public-ready"})
    assert (bad.status, bad.code) == (400, "InvalidArgument")
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"kept"


# --- what holds of every request ---------------------------------------------------------------------------

LACKING = ["acl", "tagging", "retention", "torrent", "restore", "select&select-type=2", "renameObject", "encryption", "append"]


@pytest.mark.parametrize("sub", LACKING)
def test_a_sub_resource_that_is_lacking_does_not_touch_the_object(wire, s3, bucket, sub):
    s3.put_object(Bucket=bucket, Key="k", Body=b"kept")
    query = dict(one.partition("=")[::2] for one in sub.split("&"))
    for method in ("PUT", "DELETE", "POST"):
        reply = wire.request(method, f"/{bucket}/k", query, body=b"<x/>")
        assert (reply.status, reply.code) == (501, "NotImplemented"), method
        assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"kept"


def test_every_answer_has_its_number_and_every_error_says_where(wire, s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    etag = s3.head_object(Bucket=bucket, Key="k")["ETag"]
    asked = [
        ("GET", f"/{bucket}/k", {}, {}, 200, None),
        ("GET", f"/{bucket}/k", {}, {"if-none-match": etag}, 304, None),
        ("GET", f"/{bucket}/k", {}, {"if-match": '"x"'}, 412, "PreconditionFailed"),
        ("GET", f"/{bucket}/k", {}, {"range": "bytes=9-"}, 416, "InvalidRange"),
        ("GET", f"/{bucket}/none", {}, {}, 404, "NoSuchKey"),
        ("GET", f"/{bucket}/k", {"versionId": "other"}, {}, 404, "NoSuchVersion"),
        ("GET", f"/{bucket}", {"policy": ""}, {}, 501, "NotImplemented"),
        ("GET", "/nobodys-bucket-is-this/k", {}, {}, 404, "NoSuchBucket"),
        ("PUT", f"/{bucket}/k", {}, {"content-md5": "bad"}, 400, "InvalidDigest"),
        ("DELETE", f"/{bucket}/none", {}, {}, 204, None),
        ("POST", f"/{bucket}/k", {}, {}, 405, "MethodNotAllowed"),
    ]
    numbers = set()
    for method, path, query, headers, status, code in asked:
        reply = wire.request(method, path, query, headers=headers)
        assert (reply.status, reply.code) == (status, code), (method, path, headers)
        number = reply.headers["x-amz-request-id"]
        numbers.add(number)
        if code:
            text = reply.body.decode()
            assert f"<RequestId>{number}</RequestId>" in text and "<HostId>" in text, text
            assert f"<Resource>{path}</Resource>" in text, text
            assert reply.headers["content-type"] == "application/xml"
    assert len(numbers) == len(asked)


def test_a_checksum_counts_in_a_header_and_not_in_a_query(s3, wire, bucket):
    # A presigner that sums nothing puts the checksum of nothing into its URL.
    url = s3.generate_presigned_url("put_object", {"Bucket": bucket, "Key": "k", "ChecksumCRC32": "AAAAAA=="}, ExpiresIn=60)
    if "x-amz-checksum-crc32" not in url.lower().partition("?")[2]:
        pytest.fail("the presigner has changed: it does not hoist checksums any more")
    signed = dict(p.partition("=")[::2] for p in url.partition("?")[2].split("&")).get("X-Amz-SignedHeaders", "")
    headers = {"x-amz-checksum-crc32": "AAAAAA=="} if "checksum" in signed else {}
    reply = requests.put(url, data=b"something", headers=headers, timeout=20)
    assert reply.status_code == (400 if headers else 200), reply.text
    wrong = wire.put(bucket, "k2", b"something", headers={"x-amz-checksum-crc32": "AAAAAA=="})
    assert (wrong.status, wrong.code) == (400, "BadDigest")


@pytest.mark.parametrize("life, status", [(0, 403), (-7, 403), (604_801, 403), (604_800, 200), (60, 200)])
def test_a_presigned_url_lives_for_a_week_at_most(s3, bucket, life, status):
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    url = s3.generate_presigned_url("get_object", {"Bucket": bucket, "Key": "k"}, ExpiresIn=life)
    assert requests.get(url, timeout=20).status_code == status


def test_who_expects_another_owner_gets_and_changes_nothing(s3, bucket, keys):
    where = {"Bucket": bucket, "Key": "k"}
    owner = s3.list_buckets()["Owner"]["ID"]
    assert owner == keys[0]
    s3.put_object(**where, Body=b"kept", ExpectedBucketOwner=owner)
    for call, more in ((s3.put_object, {"Body": b"x"}), (s3.get_object, {}), (s3.delete_object, {})):
        assert error_code(call, **where, **more, ExpectedBucketOwner=owner + "x") == (403, "AccessDenied")
    source = {"CopySource": where, "ExpectedSourceBucketOwner": owner + "x"}
    assert error_code(s3.copy_object, Bucket=bucket, Key="copy", **source) == (403, "AccessDenied")
    s3.copy_object(Bucket=bucket, Key="copy", CopySource=where, ExpectedSourceBucketOwner=owner, ExpectedBucketOwner=owner)
    assert s3.get_object(Bucket=bucket, Key="copy")["Body"].read() == b"kept"


@pytest.mark.parametrize("value", ["bad", "AAAAAA", ""])
def test_what_is_no_checksum_matches_nothing(wire, s3, bucket, value):
    reply = wire.put(bucket, "k", b"x", headers={"x-amz-checksum-crc32": value})
    assert (reply.status, reply.code) == (400, "BadDigest")
    assert error_code(s3.head_object, Bucket=bucket, Key="k")[0] == 404


@pytest.mark.parametrize(
    "headers",
    [
        {"x-amz-server-side-encryption": "AES256"},
        {"x-amz-server-side-encryption-customer-key": "AAAA"},
        {"x-amz-server-side-encryption-context": "e30="},
        {"x-amz-tagging": "a=b"},
        {"x-amz-acl": "public-read"},
        {"x-amz-grant-read": "id=x"},
        {"x-amz-object-lock-mode": "GOVERNANCE"},
        {"x-amz-website-redirect-location": "/x"},
    ],
    ids=lambda headers: next(iter(headers)),
)
def test_what_cannot_be_had_is_not_stored_without(wire, s3, bucket, headers):
    reply = wire.put(bucket, "k", b"secret", headers=headers)
    assert (reply.status, reply.code) == (501, "NotImplemented")
    begun = wire.request("POST", f"/{bucket}/k", {"uploads": ""}, headers=headers)
    assert (begun.status, begun.code) == (501, "NotImplemented")
    if "encryption" in next(iter(headers)):
        upload = s3.create_multipart_upload(Bucket=bucket, Key="k")["UploadId"]
        part = wire.request("PUT", f"/{bucket}/k", {"uploadId": upload, "partNumber": "1"}, b"secret", headers)
        assert (part.status, part.code) == (501, "NotImplemented")
        read = wire.get(bucket, "other", headers=headers)
        assert (read.status, read.code) == (400, "InvalidRequest")
    with pytest.raises(ClientError):
        s3.head_object(Bucket=bucket, Key="k")
