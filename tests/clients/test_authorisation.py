"""Authenticated is not authorised: every operation of both planes, asked for by nobody, by a neighbour, and by another account."""

import os
import re
import urllib.error
import urllib.request

import pytest

import sigv2
import sigv4
from harness import ROOT, envelope, no_secret_in, post, raw

# Every operation of src/s3/route.rs as (method, path, query, body); `there` is an object, `{upload}` an upload under way.
OPERATIONS = {
    "HeadBucket": ("HEAD", "/{b}", {}),
    "GetBucketLocation": ("GET", "/{b}", {"location": ""}),
    "GetBucketVersioning": ("GET", "/{b}", {"versioning": ""}),
    "DeleteBucket": ("DELETE", "/{b}", {}),
    "DeleteObjects": ("POST", "/{b}", {"delete": ""}),
    "ListObjects": ("GET", "/{b}", {}),
    "ListObjectsV2": ("GET", "/{b}", {"list-type": "2"}),
    "ListObjectVersions": ("GET", "/{b}", {"versions": ""}),
    "ListMultipartUploads": ("GET", "/{b}", {"uploads": ""}),
    "GetObject": ("GET", "/{b}/there", {}),
    "HeadObject": ("HEAD", "/{b}/there", {}),
    "PutObject": ("PUT", "/{b}/there", {}),
    "CopyObject": ("PUT", "/{own}/copy", {}),
    "DeleteObject": ("DELETE", "/{b}/there", {}),
    "GetAcl": ("GET", "/{b}/there", {"acl": ""}),
    "GetObjectAttributes": ("GET", "/{b}/there", {"attributes": ""}),
    "GetObjectTagging": ("GET", "/{b}/there", {"tagging": ""}),
    "GetObjectLegalHold": ("GET", "/{b}/there", {"legal-hold": ""}),
    "PutObjectLegalHold": ("PUT", "/{b}/there", {"legal-hold": ""}),
    "CreateMultipartUpload": ("POST", "/{b}/k", {"uploads": ""}),
    "UploadPart": ("PUT", "/{b}/k", {"uploadId": "{upload}", "partNumber": "1"}),
    "UploadPartCopy": ("PUT", "/{own}/k", {"uploadId": "{mine}", "partNumber": "1"}),
    "CompleteMultipartUpload": ("POST", "/{b}/k", {"uploadId": "{upload}"}),
    "AbortMultipartUpload": ("DELETE", "/{b}/k", {"uploadId": "{upload}"}),
    "ListParts": ("GET", "/{b}/k", {"uploadId": "{upload}"}),
}
# Those that have no bucket of anybody's: they give and make what is the caller's own.
OWN = {"ListBuckets", "CreateBucket"}
FORM = {"PostObject"}  # signed in its own way: test_forged.py
BODIES = {
    "DeleteObjects": b"<Delete><Object><Key>there</Key></Object></Delete>",
    "PutObjectLegalHold": b"<LegalHold><Status>ON</Status></LegalHold>",
    "CompleteMultipartUpload": b"<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>x</ETag></Part></CompleteMultipartUpload>",
    "PutObject": b"harm",
    "UploadPart": b"harm",
}
COPIES = {"CopyObject", "UploadPartCopy"}


@pytest.fixture(scope="module")
def world(server):
    account, other = server.open_account(1000), server.open_account(1000)
    victim, neighbour, stranger = account.open_sub_account(10), account.open_sub_account(10), other.open_sub_account(10)
    victim.put(victim.record, "there", b"unharmed")
    victim.upload = victim.boto().create_multipart_upload(Bucket=victim.record, Key="k")["UploadId"]
    for sub in (neighbour, stranger):
        sub.mine = sub.boto().create_multipart_upload(Bucket=sub.record, Key="k")["UploadId"]
    return victim, neighbour, stranger


def test_the_table_has_every_operation_of_the_plane():
    source = (ROOT / "src" / "s3" / "route.rs").read_text()
    body = re.search(r"^operations! \{(.*?)\n\}", source, re.S | re.M).group(1)
    named = set(re.findall(r"^    (\w+),$", body, re.M))
    assert named == set(OPERATIONS) | OWN | FORM


def asked(name, victim, own, mine):
    method, path, query = OPERATIONS[name]
    path = path.format(b=victim.record, own=own)
    query = {k: v.format(upload=victim.upload, mine=mine) for k, v in query.items()}
    headers = {"x-amz-copy-source": f"/{victim.record}/there"} if name in COPIES else {}
    if name == "GetObjectAttributes":
        headers["x-amz-object-attributes"] = "ETag"
    return method, path, query, BODIES.get(name, b""), headers


def unharmed(victim):
    assert victim.get(victim.record, "there") == b"unharmed"
    assert victim.listing() == {(victim.record, "there"): 8}
    assert victim.boto().get_object_legal_hold(Bucket=victim.record, Key="there")["LegalHold"]["Status"] == "OFF"
    uploads = victim.boto().list_multipart_uploads(Bucket=victim.record)["Uploads"]
    assert [u["UploadId"] for u in uploads] == [victim.upload]
    assert "Parts" not in victim.boto().list_parts(Bucket=victim.record, Key="k", UploadId=victim.upload)


@pytest.mark.parametrize("caller", ["nobody", "a neighbour", "another account's camera", "another account's administrator"])
def test_no_operation_is_done_on_what_is_not_the_callers(world, caller):
    victim, neighbour, stranger = world
    own = neighbour if caller == "a neighbour" else stranger
    keys = stranger.account.admin() if "administrator" in caller else (own.ak, own.sk)
    for name in OPERATIONS:
        method, path, query, body, headers = asked(name, victim, own.record, own.mine)
        if caller == "nobody":
            target = sigv4.encode_path(path) + ("?" + sigv4.encode_query(query) if query else "")
            lines = {"host": "x", **headers, "content-length": str(len(body)), "connection": "close"}
            reply = raw(victim.server.address("s3"), sigv4.head(method, target, lines) + body)
        else:
            wire = victim.server.wire(*keys)
            reply = wire.request(method, path, query, body, headers, payload=None)
            wire.close()
        assert reply.status == 403, (name, reply)
        assert method == "HEAD" or reply.code == "AccessDenied", (name, reply)
        assert b"unharmed" not in reply.body
    for sub in (neighbour, stranger):
        assert sub.listing() == {}
    unharmed(victim)


def test_buckets_are_listed_to_those_whose_they_are(world):
    victim, neighbour, stranger = world
    for sub in world:
        names = {b["Name"] for b in sub.boto().list_buckets()["Buckets"]}
        assert names == {sub.record, sub.picture}
    told = victim.server.boto(*victim.account.admin()).list_buckets()["Buckets"]
    assert {b["Name"] for b in told} == {s.record for s in (victim, neighbour)} | {s.picture for s in (victim, neighbour)}


CALLS = {
    "QueryUserSpace": {},
    "OpenSubAccount": {"StorageSpace": 1},
    "QuerySubAccountSpace": {},
    "ModifySubAccountSpace": {"NewStorageSpace": 2},
    "SetSubAccountSpacePolicy": {"SpaceLoop": 1},
    "SearchSubAccountFiles": {"StartDateTime": "", "EndDateTime": "", "PageNo": 1, "PageSize": 10, "Type": 0},
    "LockSubAccountFile": {"FileName": "there", "LockFlag": 1},
    "ClearSubAccountFiles": {},
    "CloseSubAccount": {},
}


def test_every_operation_of_soap_is_refused_to_who_has_not_its_credentials(world):
    victim, neighbour, stranger = world
    account, other = victim.account, stranger.account
    for name, fields in CALLS.items():
        alone = name in ("QueryUserSpace", "OpenSubAccount")
        keys = {} if alone else {"S3AK": victim.ak, "S3SK": victim.sk}
        tries = {
            1: [{"Account": "", "Password": ""}, {"Account": "nobody", "Password": account.password}, {"Account": victim.ak, "Password": victim.sk}],
            2: [{"Account": account.name, "Password": ""}, {"Account": account.name, "Password": other.name}, {"Account": account.name, "Password": victim.sk}],
        }
        if not alone:
            theirs = {"Account": other.name, "Password": other.password}
            ours = {"Account": account.name, "Password": account.password}
            tries[3] = [theirs, {**ours, "S3AK": ""}, {**ours, "S3AK": "nobody"}, {**ours, "S3AK": stranger.ak, "S3SK": stranger.sk}]
            tries[4] = [{**ours, "S3SK": ""}, {**ours, "S3SK": neighbour.sk}, {**ours, "S3SK": victim.sk.swapcase()}]
        for result, wrong in tries.items():
            for credentials in wrong:
                answer = post(victim.server, envelope(name, {**keys, **credentials, **fields}))
                assert (answer.status, answer.result) == (200, result), (name, credentials, answer)
    unharmed(victim)


def test_the_operation_that_is_authorised_is_the_one_that_is_done(world):
    """The body's first child counts, whatever SOAPAction, Content-Type or a second child say."""
    victim, *_ = world
    fields = {"Account": victim.account.name, "Password": victim.account.password, "S3AK": victim.ak, "S3SK": victim.sk}
    body = envelope("QuerySubAccountSpace", fields)
    second = envelope("CloseSubAccount", fields).partition("<e:Body>")[2].partition("</e:Body>")[0]
    for text in (body, body.replace("</e:Body>", second + "</e:Body>")):
        for action in ('"CloseSubAccount"', "urn:sjkd:video-cloud-storage:v1_2#CloseSubAccount", '"ClearSubAccountFiles"'):
            answer = post(victim.server, text, {"SOAPAction": action, "Content-Type": f"text/xml; action={action}"})
            assert answer.status in (200, 500)
            assert answer.status == 500 or answer.value("TotalSpace") is not None
    unharmed(victim)


def test_v2_can_be_switched_off(new_server):
    sub = new_server(s3__sig_v2="false").open_account(10).open_sub_account(1)
    sub.put(sub.record, "k", b"v4")
    path = f"/{sub.record}/k"
    host = "%s:%d" % sub.server.address("s3")
    for target, headers in (sigv2.signed("GET", host, path, sub.ak, sub.sk), (sigv2.presigned("GET", path, sub.ak, sub.sk), {"host": host})):
        reply = raw(sub.server.address("s3"), sigv4.head("GET", target, {**headers, "connection": "close"}))
        assert (reply.status, reply.code) == (400, "InvalidRequest")
        assert b"AWS4-HMAC-SHA256" in reply.body


def test_what_is_monitored_tells_no_secret_and_no_configuration(world):
    victim, *_ = world
    server = victim.server
    for path in ("/metrics", "/healthz", "/readyz", "/", "/debug/pprof", "/config", "/env"):
        try:
            text = urllib.request.urlopen(f"http://{server.listen['metrics']}{path}").read()
        except urllib.error.HTTPError as error:
            assert error.code == 404
            continue
        no_secret_in(path, text)
        for told in (victim.ak, victim.record, victim.picture, os.environ["PATH"], "storage.volumes", "appliance.toml"):
            assert told.encode() not in text, (path, told)
        # Space is told by account, in /metrics alone.
        assert (victim.account.name.encode() in text) == (path == "/metrics"), path
