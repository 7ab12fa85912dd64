"""curl with `--aws-sigv4`, which shell scripts and small devices use instead of a library, and with presigned URLs."""

import hashlib
import re
import subprocess
import tempfile
import time

import pytest

import sigv2
import sigv4
from harness import KIB, MIB, REGION, payload, quote, run, tool

ODD = "2014/03/28/录像 1+2%.mp4"


@pytest.fixture(scope="module")
def account(server):
    return server.open_account(100_000)


@pytest.fixture
def sub(account):
    return account.open_sub_account(100)


def url(sub, key=None, bucket=None, query=""):
    path = f"/{bucket or sub.record}" + (f"/{quote(key).replace('%2F', '/')}" if key else "")
    return sub.url + path + query


def curl(*args, data=None):
    """(status, headers, body) of one request."""
    with tempfile.NamedTemporaryFile() as heads:
        command = [tool("curl"), "-sS", "--max-time", "60", "-D", heads.name, "-o", "-", "-w", "\nstatus %{http_code}", *map(str, args)]
        done = subprocess.run(command, input=data, capture_output=True, timeout=90)
        said = heads.read().decode().lower()
    body, _, status = done.stdout.rpartition(b"\nstatus ")
    assert done.returncode == 0, (done.returncode, done.stderr, done.stdout[:500])
    # Of the answers, 100 Continue among them, the last.
    last = said.rstrip().rpartition("\r\n\r\n")[2]
    headers = dict(line.split(": ", 1) for line in last.split("\r\n") if ": " in line)
    return int(status), headers, b"" if "-I" in args else body


def signed(sub, *args, keys=None, payload="UNSIGNED-PAYLOAD", **kw):
    """7.88 leaves x-amz-content-sha256 to its caller."""
    ak, sk = keys or (sub.ak, sub.sk)
    told = ["-H", f"x-amz-content-sha256: {payload}"] if payload else []
    return curl("--aws-sigv4", f"aws:amz:{REGION}:s3", "--user", f"{ak}:{sk}", *told, *args, **kw)


def code(answer):
    found = re.search(rb"<Code>(.*?)</Code>", answer[2])
    return answer[0], found.group(1).decode() if found else None


@pytest.mark.parametrize("size", [0, 1, 100 * KIB, 9 * MIB])
@pytest.mark.parametrize("hashed", [False, True], ids=["unsigned", "hash"])
def test_a_file_goes_up_and_comes_back(sub, tmp_path, size, hashed):
    source, data = tmp_path / "up", payload(size, size)
    source.write_bytes(data)
    kind = hashlib.sha256(data).hexdigest() if hashed else "UNSIGNED-PAYLOAD"
    # An empty file has no length of its own with -T; a length of 0 is said by hand.
    more = ["-H", "Content-Length: 0", "-X", "PUT"] if size == 0 else ["-T", source]
    status, headers, body = signed(sub, *more, "-H", "Content-Type: video/mp4", "-H", "x-amz-meta-a: b c", url(sub, ODD), payload=kind)
    assert (status, headers["etag"]) == (200, f'"{hashlib.md5(data).hexdigest()}"'), body
    status, headers, body = signed(sub, url(sub, ODD))
    assert (status, body) == (200, data)
    assert (headers["content-type"], headers["x-amz-meta-a"]) == ("video/mp4", "b c")
    status, headers, body = signed(sub, "-I", url(sub, ODD))
    assert (status, headers["content-length"], body) == (200, str(size), b"")
    assert sub.listing() == {(sub.record, ODD): size}


@pytest.mark.parametrize("size", [0, 1, 3 * MIB + 1])
def test_a_pipe_goes_up_in_chunks_without_a_length(sub, size):
    data = payload(size, size)
    status, _, body = signed(sub, "-T", "-", url(sub, ODD), data=data)
    assert status == 200, body
    assert sub.get(sub.record, ODD) == data
    assert sub.view()["used_bytes"] == size and sub.view()["reserved_bytes"] == 0


def test_a_pipe_that_is_too_much_is_refused_and_gives_its_room_back(account):
    sub = account.open_sub_account(2)
    sub.put(sub.record, "there", payload(MIB, 1))
    answer = signed(sub, "-T", "-", url(sub, "k"), data=payload(2 * MIB, 2))
    assert code(answer) == (403, "QuotaExceeded")
    assert sub.listing() == {(sub.record, "there"): MIB}
    assert sub.view()["reserved_bytes"] == 0


def test_ranges_and_conditions(sub):
    data = payload(1000, "ranges")
    etag = sub.put(sub.record, "k", data)["ETag"]
    for text, wanted in (("0-0", data[:1]), ("10-19", data[10:20]), ("990-", data[990:]), ("-7", data[-7:]), ("5-99999", data[5:])):
        status, headers, body = signed(sub, "-r", text, url(sub, "k"))
        assert (status, body, headers["content-length"]) == (206, wanted, str(len(wanted))), text
    assert code(signed(sub, "-r", "1000-", url(sub, "k"))) == (416, "InvalidRange")
    assert signed(sub, "-r", "0-1", "-H", 'If-Range: "other"', url(sub, "k"))[::2] == (200, data)
    assert signed(sub, "-H", f"If-None-Match: {etag}", url(sub, "k"))[0] == 304
    assert code(signed(sub, "-H", 'If-Match: "other"', url(sub, "k"))) == (412, "PreconditionFailed")
    assert code(signed(sub, "-T", "-", "-H", "If-None-Match: *", url(sub, "k"), data=b"x")) == (412, "PreconditionFailed")
    assert sub.get(sub.record, "k") == data


def test_a_download_goes_on_where_it_broke(sub, tmp_path):
    data = payload(5 * MIB, "resume")
    sub.put(sub.record, "k", data)
    target = tmp_path / "down"
    target.write_bytes(data[: 2 * MIB + 3])
    run(tool("curl"), "-sSf", "-C", "-", "-o", target, "--aws-sigv4", f"aws:amz:{REGION}:s3", "--user", f"{sub.ak}:{sub.sk}", "-H", "x-amz-content-sha256: UNSIGNED-PAYLOAD", url(sub, "k"))
    assert target.read_bytes() == data


def test_lists_and_deletions(sub, account):
    for key in ("a/1", "a/2", "b"):
        sub.put(sub.record, key, b"x")
    status, _, body = signed(sub, url(sub, query="?list-type=2&prefix=a%2F"))
    assert status == 200 and re.findall(b"<Key>(.*?)</Key>", body) == [b"a/1", b"a/2"]
    status, _, body = signed(sub, sub.url + "/")
    assert status == 200 and sub.record.encode() in body and sub.picture.encode() in body
    assert code(signed(sub, "-X", "DELETE", url(sub, "b"))) == (403, "AccessDenied")
    assert sub.get(sub.record, "b") == b"x"
    assert signed(sub, "-X", "DELETE", url(sub, "b"), keys=account.admin())[0] == 204
    assert sub.listing() == {(sub.record, "a/1"): 1, (sub.record, "a/2"): 1}


def test_what_is_refused(sub, account):
    stranger = account.open_sub_account(1)
    for answer, wanted in [
        (signed(sub, "-T", "-", url(sub, "k"), keys=(sub.ak, "wrong"), data=b"x"), (403, "SignatureDoesNotMatch")),
        (signed(sub, "-T", "-", url(sub, "k"), keys=("nobody", sub.sk), data=b"x"), (403, "InvalidAccessKeyId")),
        (signed(sub, "-T", "-", url(sub, "k"), payload=hashlib.sha256(b"y").hexdigest(), data=b"x"), (400, "XAmzContentSHA256Mismatch")),
        (signed(sub, "-T", "-", url(sub, "k"), payload=None, data=b"x"), (400, "InvalidRequest")),
        (signed(sub, "-T", "-", url(sub, "k", bucket=stranger.record), data=b"x"), (403, "AccessDenied")),
        (signed(sub, "-T", "-", "-H", "x-amz-acl: public-read", url(sub, "k"), data=b"x"), (501, "NotImplemented")),
        (curl("-T", "-", url(sub, "k"), data=b"x"), (403, "AccessDenied")),
        (curl("--user", f"{sub.ak}:{sub.sk}", "-T", "-", url(sub, "k"), data=b"x"), (400, "InvalidArgument")),
        (signed(sub, url(sub, "gone")), (404, "NoSuchKey")),
    ]:
        assert code(answer) == wanted, answer
    assert sub.listing() == {} and stranger.listing() == {} and sub.view()["reserved_bytes"] == 0


def presign(version, sub, method, key, **how):
    if version == "V4":
        host = "%s:%d" % sub.server.address("s3")
        return sub.url + sigv4.presigned(method, host, f"/{sub.record}/{key}", sub.ak, sub.sk, REGION, **how)
    return sub.url + sigv2.presigned(method, f"/{sub.record}/{key}", sub.ak, sub.sk, **how)


@pytest.mark.parametrize("version", ["V2", "V4"])
def test_presigned_urls(sub, tmp_path, version):
    data = payload(3 * MIB, version)
    source = tmp_path / "up"
    source.write_bytes(data)
    assert curl("-T", source, presign(version, sub, "PUT", ODD))[0] == 200
    assert curl(presign(version, sub, "GET", ODD))[::2] == (200, data)
    assert curl("-r", "-10", presign(version, sub, "GET", ODD))[::2] == (206, data[-10:])
    assert curl("-I", presign(version, sub, "HEAD", ODD))[1]["content-length"] == str(len(data))
    assert curl("-T", "-", presign(version, sub, "PUT", "pipe"), data=data)[0] == 200
    assert sub.get(sub.record, "pipe") == data
    assert code(curl(presign(version, sub, "PUT", ODD))) == (403, "SignatureDoesNotMatch")
    assert code(curl("-X", "DELETE", presign(version, sub, "DELETE", ODD))) == (403, "AccessDenied")
    assert code(curl("-T", source, presign(version, sub, "PUT", "late", expires=-1) if version == "V2" else expired(sub))) == (403, "AccessDenied")
    assert sub.listing() == {(sub.record, ODD): len(data), (sub.record, "pipe"): len(data)}


def expired(sub):
    url = presign("V4", sub, "PUT", "late", expires=1)
    time.sleep(2.1)  # seconds are the unit of the date as well
    return url


def test_a_form(sub):
    said = sub.boto().generate_presigned_post(sub.picture, "form/${filename}", ExpiresIn=60, Fields={"success_action_status": "201"}, Conditions=[["starts-with", "$key", "form/"], {"success_action_status": "201"}])
    fields = [item for name, value in said["fields"].items() for item in ("-F", f"{name}={value}")]
    status, headers, body = curl(*fields, "-F", "file=@-;filename=录 1.jpg;type=image/jpeg", said["url"], data=b"jpeg")
    assert status == 201 and b"<Key>form/\xe5\xbd\x95 1.jpg</Key>" in body, (headers, body)
    assert sub.get(sub.picture, "form/录 1.jpg") == b"jpeg"
