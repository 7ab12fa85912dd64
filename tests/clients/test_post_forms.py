"""POST forms, held to what ceph's suite asks of them: the policy's every rule, and what comes of a form."""

import base64
import datetime
import hashlib
import hmac
import json
import re

import pytest
import requests

from harness import MIB, payload


@pytest.fixture(scope="module")
def sub(server):
    return server.open_account(1000).open_sub_account(100)


def until(minutes=5):
    moment = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(minutes=minutes)
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"


def signed(sub, policy, key_id="AWSAccessKeyId", policy_field="policy"):
    """Fields of the second signature for a policy, a document or its text."""
    text = policy if isinstance(policy, str) else json.dumps(policy)
    encoded = base64.b64encode(text.encode())
    signature = base64.b64encode(hmac.new(sub.sk.encode(), encoded, "sha1").digest()).decode()
    return {key_id: sub.ak, policy_field: encoded.decode(), "signature": signature}


def usual(sub, *more):
    """A policy as ceph's suite writes it."""
    conditions = [
        {"bucket": sub.record},
        ["starts-with", "$key", "foo"],
        {"acl": "private"},
        ["starts-with", "$Content-Type", "text/plain"],
        ["content-length-range", 0, 1024],
        *more,
    ]
    return {"expiration": until(), "conditions": conditions}


def post(sub, fields, file=b"bar", filename="foo.txt", headers=None):
    parts = [(name, (None, value)) for name, value in fields.items()]
    url = f"{sub.url}/{sub.record}"
    return requests.post(url, files=[*parts, ("file", (filename, file))], headers=headers, allow_redirects=False, timeout=20)


def code(answer):
    found = re.search("<Code>(.*)</Code>", answer.text)
    return answer.status_code, found.group(1) if found else ""


PLAIN = {"acl": "private", "Content-Type": "text/plain"}


def test_what_a_form_may_say(sub):
    get = sub.boto().get_object
    fields = {"key": "foo.txt", **PLAIN}
    assert post(sub, {**fields, **signed(sub, usual(sub))}).status_code == 204
    assert get(Bucket=sub.record, Key="foo.txt")["Body"].read() == b"bar"
    # No type of its own.
    bare = {"expiration": until(), "conditions": [{"bucket": sub.record}, ["starts-with", "$key", "foo"], {"acl": "private"}]}
    assert post(sub, {"key": "foo-bare", "acl": "private", **signed(sub, bare)}).status_code == 204
    # Names of fields, operators and conditions in any case.
    odd = {
        "expiration": until(),
        "conditions": [
            {"bUcKeT": sub.record},
            ["StArTs-WiTh", "$KeY", "foo"],
            {"AcL": "private"},
            ["StArTs-WiTh", "$CoNtEnT-TyPe", "text/plain"],
            ["content-length-range", 0, 1024],
        ],
    }
    said = {"kEy": "foo-case", "aCl": "private", "Content-Type": "text/plain"}
    assert post(sub, {**said, **signed(sub, odd, "aWSAccessKeyId", "pOLICy")}).status_code == 204
    assert get(Bucket=sub.record, Key="foo-case")["Body"].read() == b"bar"
    # The name that the browser sent.
    assert post(sub, {**PLAIN, "key": "foo-${filename}", **signed(sub, usual(sub))}, filename="x.txt").status_code == 204
    assert get(Bucket=sub.record, Key="foo-x.txt")["Body"].read() == b"bar"
    # A dollar is a dollar.
    dollar = usual(sub)
    dollar["conditions"][1] = ["starts-with", "$key", "\\$foo"]
    assert post(sub, {**PLAIN, "key": "\\$foo.txt", **signed(sub, dollar)}).status_code == 204
    assert get(Bucket=sub.record, Key="\\$foo.txt")["Body"].read() == b"bar"
    # What is to be ignored, and what is kept.
    assert post(sub, {**fields, "x-ignore-foo": "bar", **signed(sub, usual(sub))}).status_code == 204
    meta = usual(sub, ["starts-with", "$x-amz-meta-foo", "bar"])
    assert post(sub, {**fields, "x-amz-meta-foo": "barclamp", **signed(sub, meta)}).status_code == 204
    assert get(Bucket=sub.record, Key="foo.txt")["Metadata"] == {"foo": "barclamp"}
    # Larger than any buffer.
    large = usual(sub)
    large["conditions"][4] = ["content-length-range", 0, 5 * MIB]
    body = payload(3 * MIB, "large form")
    assert post(sub, {**fields, "key": "foo-large", **signed(sub, large)}, body).status_code == 204
    assert get(Bucket=sub.record, Key="foo-large")["Body"].read() == body


@pytest.mark.parametrize(("wanted", "status"), [("200", 200), ("201", 201), ("204", 204), ("404", 204), ("", 204)])
def test_a_form_is_answered_as_it_asks(sub, wanted, status):
    policy = usual(sub, ["starts-with", "$success_action_status", ""])
    answer = post(sub, {"key": "foo.txt", **PLAIN, "success_action_status": wanted, **signed(sub, policy)})
    assert answer.status_code == status, answer.text
    assert answer.headers["etag"] == f'"{hashlib.md5(b"bar").hexdigest()}"'
    if status == 201:
        assert "<Key>foo.txt</Key>" in answer.text and f"<Bucket>{sub.record}</Bucket>" in answer.text
    else:
        assert answer.content == b""


def test_a_form_sends_the_browser_on(sub):
    tag = hashlib.md5(b"bar").hexdigest()
    for field in ("success_action_redirect", "redirect"):
        policy = usual(sub, ["eq", f"${field}", "http://127.0.0.1:9/done"])
        said = {"key": "foo.txt", **PLAIN, field: "http://127.0.0.1:9/done"}
        answer = post(sub, {**said, **signed(sub, policy)})
        assert answer.status_code == 303
        assert answer.headers["location"] == f"http://127.0.0.1:9/done?bucket={sub.record}&key=foo.txt&etag=%22{tag}%22"


def without(policy, name):
    return {k: v for k, v in policy.items() if k != name}


def renamed(policy, name):
    return {(k.upper() if k == name else k): v for k, v in policy.items()}


def with_range(policy, *numbers):
    policy["conditions"][4] = ["content-length-range", *numbers]
    return policy


REFUSED = {
    "expired": (lambda s: {**usual(s), "expiration": until(-1)}, {}, (403, "AccessDenied")),
    "a date that is none": (lambda s: {**usual(s), "expiration": str(datetime.datetime.now())}, {}, (400, "InvalidPolicyDocument")),
    "no expiration": (lambda s: without(usual(s), "expiration"), {}, (400, "InvalidPolicyDocument")),
    "EXPIRATION": (lambda s: renamed(usual(s), "expiration"), {}, (400, "InvalidPolicyDocument")),
    "no conditions": (lambda s: without(usual(s), "conditions"), {}, (400, "InvalidPolicyDocument")),
    "CONDITIONS": (lambda s: renamed(usual(s), "conditions"), {}, (400, "InvalidPolicyDocument")),
    "an empty condition": (lambda s: {"expiration": until(), "conditions": [{}]}, {}, (400, "InvalidPolicyDocument")),
    "no JSON": (lambda s: "{", {}, (400, "InvalidPolicyDocument")),
    "half a range": (lambda s: with_range(usual(s), 0), {}, (400, "InvalidPolicyDocument")),
    "a negative range": (lambda s: with_range(usual(s), -1, 0), {}, (400, "InvalidPolicyDocument")),
    "too large": (lambda s: with_range(usual(s), 0, 0), {}, (400, "EntityTooLarge")),
    "too small": (lambda s: with_range(usual(s), 512, 1000), {}, (400, "EntityTooSmall")),
    "no bucket": (lambda s: {**usual(s), "conditions": usual(s)["conditions"][1:]}, {}, (403, "AccessDenied")),
    "another bucket": (lambda s: {**usual(s), "conditions": [{"bucket": s.picture}, *usual(s)["conditions"][1:]]}, {}, (403, "AccessDenied")),
    "another key": (usual, {"key": "bar.txt"}, (403, "AccessDenied")),
    "another type": (usual, {"Content-Type": "text/html"}, (403, "AccessDenied")),
    "an uncovered field": (usual, {"x-amz-meta-foo": "bar"}, (403, "AccessDenied")),
    "a missing field": (lambda s: usual(s, ["starts-with", "$x-amz-meta-foo", "bar"]), {}, (403, "AccessDenied")),
    "a value that is not empty": (lambda s: usual(s, ["eq", "$x-amz-meta-foo", ""]), {"x-amz-meta-foo": "barclamp"}, (403, "AccessDenied")),
    "a form for another bucket": (usual, {"bucket": "another-bucket"}, (403, "AccessDenied")),
    "no key": (usual, {"key": None}, (400, "InvalidArgument")),
    "an ACL that we lack": (lambda s: usual(s, {"acl": "public-read"}), {"acl": "public-read"}, (403, "AccessDenied")),
    "no signature": (usual, {"signature": None}, (400, "InvalidArgument")),
    "no access key": (usual, {"AWSAccessKeyId": None}, (400, "InvalidArgument")),
    "no policy": (usual, {"policy": None}, (400, "InvalidArgument")),
    "another signature": (usual, {"signature": base64.b64encode(b"x" * 20).decode()}, (403, "SignatureDoesNotMatch")),
    "another access key": (usual, {"AWSAccessKeyId": "nobody"}, (403, "InvalidAccessKeyId")),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_form_that_breaks_a_rule_is_refused_and_stores_nothing(sub, case):
    policy, change, wanted = REFUSED[case]
    key = f"foo-{case}"
    fields = {"key": key, **PLAIN, **signed(sub, policy(sub)), **change}
    answer = post(sub, {k: v for k, v in fields.items() if v is not None})
    assert code(answer) == wanted, answer.text
    assert key not in {k for _, k in sub.listing()}


def test_the_files_digest_may_be_a_field(sub):
    digest = lambda data: base64.b64encode(hashlib.md5(data).digest()).decode()  # noqa: E731
    policy = usual(sub, ["starts-with", "$Content-MD5", ""])
    for key, said, wanted in [
        ("foo-right", digest(b"bar"), (204, "")),
        ("foo-wrong", digest(b"baz"), (400, "BadDigest")),
        ("foo-none", "nonsense", (400, "InvalidDigest")),
    ]:
        answer = post(sub, {"key": key, **PLAIN, "Content-MD5": said, **signed(sub, policy)})
        assert code(answer) == wanted, (key, answer.text)
        assert ((sub.record, key) in sub.listing()) == (wanted[0] == 204)
    sums = usual(sub, ["starts-with", "$x-amz-checksum-sha256", ""])
    for key, said, wanted in [("foo-sum", b"bar", (204, "")), ("foo-sum-wrong", b"baz", (400, "BadDigest"))]:
        value = base64.b64encode(hashlib.sha256(said).digest()).decode()
        answer = post(sub, {"key": key, **PLAIN, "x-amz-checksum-sha256": value, **signed(sub, sums)})
        assert code(answer) == wanted, (key, answer.text)


def test_the_forms_own_digest_is_checked_too(sub):
    """`Content-MD5` of the request is that of the whole form."""
    parts = [(name, (None, value)) for name, value in {"key": "foo-whole", **PLAIN, **signed(sub, usual(sub))}.items()]
    made = requests.Request("POST", f"{sub.url}/{sub.record}", files=[*parts, ("file", ("x", b"bar"))]).prepare()
    for said, wanted in [(made.body + b"x", (400, "BadDigest")), (made.body, (204, ""))]:
        made.headers["Content-MD5"] = base64.b64encode(hashlib.md5(said).digest()).decode()
        with requests.Session() as session:
            assert code(session.send(made, timeout=20)) == wanted
        assert ((sub.record, "foo-whole") in sub.listing()) == (wanted[0] == 204)
    made.headers["Content-MD5"] = "nonsense"
    with requests.Session() as session:
        assert code(session.send(made, timeout=20)) == (400, "InvalidDigest")
