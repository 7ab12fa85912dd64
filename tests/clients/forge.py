"""Valid requests of every kind, as values that can be spoiled one place at a time, and what spoils them.

A request is made by `sigv4.py` and `sigv2.py`, which share no line with the appliance. What is listed here is what an
attacker who has seen a request can send, and what one with a key of his own can lie about.
"""

from __future__ import annotations

import base64
import copy
import datetime
import hashlib
import hmac
import json
import re
import zlib
from dataclasses import dataclass, field

import sigv2
import sigv4
from harness import REGION, raw

KEY = "cam 1/录像.mp4"
BODY = b"0123456789abcdef" * 12
CHUNK = 64
DAY = datetime.timedelta(days=1)
CRC = base64.b64encode(zlib.crc32(BODY).to_bytes(4, "big")).decode()


@dataclass
class Request:
    """One request before it is bytes; `headers` and `query` are lists, because a forger may send one twice."""

    method: str
    path: str  # as it is sent
    query: list  # of (name, value) as they are sent; a value may be None
    headers: list  # of (name, value)
    body: bytes = b""
    half_close: bool = False
    chunks: list = field(default_factory=list)  # of (line, data), where the body is made of them
    tail: bytes = b""

    def header(self, name):
        return dict(self.headers)[name]

    def set(self, name, value):
        self.headers = [(k, value if k == name else v) for k, v in self.headers]

    def drop(self, name):
        self.headers = [(k, v) for k, v in self.headers if k != name]

    def add(self, name, value):
        self.headers.append((name, value))

    def sent(self):
        body = self.body
        if self.chunks:
            body = b"".join(line + b"\r\n" + data for line, data in self.chunks) + self.tail
        headers = list(self.headers)
        if self.method not in ("GET", "HEAD") and not any(k == "content-length" for k, _ in headers):
            headers.append(("content-length", str(len(body))))
        query = "&".join(k if v is None else f"{k}={v}" for k, v in self.query)
        head = f"{self.method} {self.path}{'?' + query if query else ''} HTTP/1.1\r\n"
        head += "".join(f"{k}: {v}\r\n" for k, v in headers) + "connection: close\r\n\r\n"
        return head.encode("utf-8", "surrogateescape") + body

    def send(self, sub):
        return raw(sub.server.address("s3"), self.sent(), half_close=self.half_close)


def host(sub):
    return "%s:%d" % sub.server.address("s3")


def request(method, target, headers, body=b""):
    path, _, query = target.partition("?")
    pairs = [(k, v if eq else None) for k, eq, v in (pair.partition("=") for pair in query.split("&") if pair)]
    return Request(method, path, pairs, list(headers.items()), body)


def where(sub, key=KEY, bucket=None):
    return f"/{bucket or sub.record}/{key}"


# --- kinds ---------------------------------------------------------------------------------------------------

EXTRA = {"content-type": "video/mp4", "x-amz-meta-a": "1", "x-amz-storage-class": "STANDARD"}


def v4(sub, method="PUT", *, body=BODY, payload=None, when=None, headers=None, path=None, query=None, region=REGION, keys=None, unsigned=()):
    ak, sk = keys or (sub.ak, sub.sk)
    headers = dict(EXTRA if headers is None and method == "PUT" else headers or {})
    target, signed = sigv4.signed(method, host(sub), path or where(sub), query or {}, headers, body, ak, sk, region, when=when, payload=payload, unsigned=unsigned)
    return request(method, target, signed, body)


def chunked(sub, *, trailer=None, sign=True, **how):
    """In aws-chunked framing, its chunks apart."""
    head, body = sigv4.chunked_put(host(sub), where(sub), how.pop("data", BODY), sub.ak, sub.sk, REGION, chunk=CHUNK, trailer=trailer, sign_chunks=sign, headers=EXTRA, **how)
    lines = head.decode().split("\r\n")
    method, target, _ = lines[0].split(" ")
    made = request(method, target, dict(line.split(": ", 1) for line in lines[1:] if line))
    made.drop("content-length")
    rest = body
    while rest:
        line, _, after = rest.partition(b"\r\n")
        size = int(line.split(b";")[0], 16)
        if size == 0:
            made.chunks.append((line, b""))
            made.tail = after
            break
        made.chunks.append((line, after[: size + 2]))
        rest = after[size + 2 :]
    return made


def presigned(sub, method="PUT", *, headers=None, **how):
    target = sigv4.presigned(method, host(sub), where(sub), sub.ak, sub.sk, REGION, headers=headers, **how)
    return request(method, target, {"host": host(sub), **(headers or {})}, BODY if method == "PUT" else b"")


def v2(sub, method="PUT", **how):
    headers = {**EXTRA, "content-md5": base64.b64encode(hashlib.md5(BODY).digest()).decode()} if method == "PUT" else {}
    target, signed = sigv2.signed(method, host(sub), how.pop("path", where(sub)), sub.ak, sub.sk, headers={**headers, **how.pop("headers", {})}, **how)
    return request(method, target, signed, BODY if method == "PUT" else b"")


def v2_presigned(sub, method="PUT", **how):
    return request(method, sigv2.presigned(method, where(sub), sub.ak, sub.sk, **how), {"host": host(sub)}, BODY if method == "PUT" else b"")


def copied(sub):
    return v4(sub, body=b"", headers={"x-amz-copy-source": f"/{sub.record}/there"})


def many(sub):
    """A deletion of many, by the administration key."""
    body = b"<Delete><Object><Key>there</Key></Object></Delete>"
    md5 = base64.b64encode(hashlib.md5(body).digest()).decode()
    return v4(sub, "POST", body=body, headers={"content-md5": md5}, path=f"/{sub.record}", query={"delete": ""}, keys=sub.account.admin())


KINDS = {
    "v4 hash": lambda sub: v4(sub),
    "v4 unsigned payload": lambda sub: v4(sub, payload=sigv4.UNSIGNED),
    "v4 chunks": lambda sub: chunked(sub),
    "v4 chunks trailer": lambda sub: chunked(sub, trailer=("x-amz-checksum-crc32", CRC)),
    "v4 unsigned trailer": lambda sub: chunked(sub, trailer=("x-amz-checksum-crc32", CRC), sign=False),
    "v4 presigned": lambda sub: presigned(sub, headers={"content-type": "video/mp4", "x-amz-meta-a": "1"}),
    "v2": lambda sub: v2(sub),
    "v2 presigned": lambda sub: v2_presigned(sub),
    "v4 get": lambda sub: v4(sub, "GET", body=b"", path=where(sub, "there")),
    "v4 copy": copied,
    "v4 delete many": many,
}
V4_HEADER = [kind for kind in KINDS if kind.startswith("v4") and kind != "v4 presigned"]

# --- codes ---------------------------------------------------------------------------------------------------

MISMATCH = {(403, "SignatureDoesNotMatch")}
DENIED = {(403, "AccessDenied")}
MALFORMED = {(400, "AuthorizationHeaderMalformed")}
QUERY = {(400, "AuthorizationQueryParametersError")}
ARGUMENT = {(400, "InvalidArgument")}
INVALID = {(400, "InvalidRequest")}
SKEWED = {(403, "RequestTimeTooSkewed")}
UNKNOWN = {(403, "InvalidAccessKeyId")}
TOKEN = {(400, "InvalidToken")}
CUT = {(400, "IncompleteBody")}
HASH = {(400, "XAmzContentSHA256Mismatch")}
DIGEST = {(400, "BadDigest")}
TRAILER = {(400, "MalformedTrailerError")}
HTTP = {(400, None)}
URI = {(400, "InvalidURI")}
SILENT = {None}  # the connection ended: half of a body, and nobody there to read an answer

CASES = []  # (kind, name, make, codes)


def case(kind, name, spoil, codes):
    """A case that spoils a valid request of this kind."""

    def make(sub):
        made = copy.deepcopy(KINDS[kind](sub))
        spoil(made, sub)
        return made

    CASES.append((kind, name, make, codes))


def lie(kind, name, make, codes):
    """A case that is signed as it is, by who has the key."""
    CASES.append((kind, name, make, codes))


def turned(text):
    """The same but for its last letter."""
    return text[:-1] + ("0" if text[-1] != "0" else "1")


# --- headers: each altered, dropped, doubled, not signed ------------------------------------------------------


def headers_of(kind):
    common = ["host", "x-amz-date", "x-amz-content-sha256"]
    more = {
        "v4 get": [],
        "v4 copy": ["x-amz-copy-source"],
        "v4 delete many": ["content-md5"],
        "v4 chunks": [*EXTRA, "content-encoding", "x-amz-decoded-content-length"],
        "v4 chunks trailer": [*EXTRA, "content-encoding", "x-amz-decoded-content-length", "x-amz-trailer"],
        "v4 unsigned trailer": [*EXTRA, "content-encoding", "x-amz-decoded-content-length", "x-amz-trailer"],
    }
    return common + more.get(kind, list(EXTRA))


def altered(name):
    def spoil(made, sub):
        value = made.header(name)
        if name == "x-amz-date":
            value = value[:-3] + ("00Z" if value[-3:-1] != "00" else "01Z")
        elif name == "host":
            value = "127.0.0.1:1"
        else:
            value = turned(value)
        made.set(name, value)

    return spoil


def unsigned_name(made, name):
    """Takes a header out of those that are said to be signed."""
    made.set("authorization", re.sub(rf"(SignedHeaders=|;){name}(;|,)", lambda m: m[1].rstrip(";") + (m[2] if m[1] == ";" or m[2] == "," else ""), made.header("authorization")))


for kind in V4_HEADER:
    for name in headers_of(kind):
        codes = MISMATCH
        if name == "x-amz-content-sha256" and "chunks" in kind or name == "x-amz-content-sha256" and kind in ("v4 unsigned payload", "v4 unsigned trailer"):
            codes = ARGUMENT
        case(kind, f"{name} altered", altered(name), codes | (DIGEST if name == "content-md5" else set()))
        missing = {"x-amz-date": DENIED, "x-amz-content-sha256": INVALID | MISMATCH, "host": HTTP | INVALID | MISMATCH}.get(name, MISMATCH)
        case(kind, f"{name} dropped", lambda made, sub, name=name: made.drop(name), missing)
        twice = INVALID if name in ("host", "x-amz-date", "x-amz-content-sha256") else MISMATCH | INVALID
        case(kind, f"{name} twice", lambda made, sub, name=name: made.add(name, made.header(name)), twice | (HTTP if name == "host" else set()))
        case(kind, f"{name} twice, another first", lambda made, sub, name=name: made.headers.insert(0, (name, turned(made.header(name)))), twice | (HTTP if name == "host" else set()))
        said = DENIED if name.startswith("x-amz-") or name == "host" else MISMATCH
        case(kind, f"{name} said not to be signed", lambda made, sub, name=name: unsigned_name(made, name), said | MALFORMED | MISMATCH)

# --- x-amz-* that nobody has signed -----------------------------------------------------------------------------

ADDED = {
    "x-amz-copy-source": "/{record}/there",
    "x-amz-copy-source-range": "bytes=0-1",
    "x-amz-acl": "public-read",
    "x-amz-grant-full-control": "id=1",
    "x-amz-meta-b": "2",
    "x-amz-object-lock-legal-hold": "ON",
    "x-amz-tagging": "a=b",
    "x-amz-metadata-directive": "REPLACE",
    "x-amz-checksum-crc32": CRC,
    "x-amz-server-side-encryption": "AES256",
    "x-amz-website-redirect-location": "/x",
    "x-amz-expected-bucket-owner": "1",
    "x-amz-bypass-governance-retention": "true",
    "x-amz-mfa": "1 2",
    "x-amz-decoded-content-length": "1",
    "x-amz-trailer": "x-amz-checksum-crc32",
}
for kind in ("v4 hash", "v4 unsigned payload", "v4 chunks", "v4 unsigned trailer", "v4 presigned", "v2", "v2 presigned", "v4 get", "v4 delete many"):
    for name, value in ADDED.items():
        if name in ("x-amz-decoded-content-length", "x-amz-trailer") and "chunks" in kind + "trailer" * ("trailer" in kind):
            continue
        if kind == "v4 unsigned trailer" and name in ("x-amz-decoded-content-length", "x-amz-trailer"):
            continue
        codes = MISMATCH if kind.startswith("v2") else DENIED
        case(kind, f"{name} added", lambda made, sub, name=name, value=value: made.add(name, value.format(record=sub.record)), codes)
    case(kind, "a session token added", lambda made, sub: made.add("x-amz-security-token", "FQoGZXIvYXdzEJr"), TOKEN)

# --- the authorization header of V4 -------------------------------------------------------------------------------


def auth(change):
    return lambda made, sub: made.set("authorization", change(made.header("authorization"), sub))


def credential(change):
    """Changes the parts of the credential: key, day, region, service, terminator."""

    def spoil(made, sub):
        def parts(m):
            return "Credential=" + "/".join(change(m[1].split("/"), sub))

        made.set("authorization", re.sub(r"Credential=([^,]+)", parts, made.header("authorization")))

    return spoil


def day(text, days):
    return f"{datetime.datetime.strptime(text, '%Y%m%d') + datetime.timedelta(days=days):%Y%m%d}"


CREDENTIALS = {
    "the key of nobody": (lambda p, sub: ["AKIAIOSFODNN7EXAMPLE", *p[1:]], UNKNOWN),
    "the key of another camera": (lambda p, sub: [sub.other.ak, *p[1:]], MISMATCH),
    "the key of the administrator": (lambda p, sub: [sub.account.admin()[0], *p[1:]], MISMATCH),
    "the key in another case": (lambda p, sub: [p[0].swapcase(), *p[1:]], UNKNOWN),
    "no key": (lambda p, sub: ["", *p[1:]], MALFORMED | UNKNOWN),
    "the day before": (lambda p, sub: [p[0], day(p[1], -1), *p[2:]], MALFORMED | MISMATCH),
    "the day after": (lambda p, sub: [p[0], day(p[1], 1), *p[2:]], MALFORMED | MISMATCH),
    "a day that is none": (lambda p, sub: [p[0], "20261340", *p[2:]], MALFORMED),
    "no day": (lambda p, sub: [p[0], "", *p[2:]], MALFORMED),
    "another region": (lambda p, sub: [*p[:2], "us-west-9", *p[3:]], MISMATCH),
    "no region": (lambda p, sub: [*p[:2], "", *p[3:]], MALFORMED | MISMATCH),
    "another service": (lambda p, sub: [*p[:3], "ec2", p[4]], MALFORMED),
    "the service in capitals": (lambda p, sub: [*p[:3], "S3", p[4]], MALFORMED),
    "no service": (lambda p, sub: [*p[:3], "", p[4]], MALFORMED),
    "another terminator": (lambda p, sub: [*p[:4], "aws5_request"], MALFORMED),
    "a longer terminator": (lambda p, sub: [*p[:4], "aws4_requestx"], MALFORMED),
    "a part too few": (lambda p, sub: p[:4], MALFORMED),
    "a part too many": (lambda p, sub: [*p, "x"], MALFORMED | MISMATCH | UNKNOWN),
}
AUTHS = {
    "another algorithm": (lambda a, sub: a.replace("AWS4-HMAC-SHA256", "AWS4-HMAC-SHA1"), MALFORMED | ARGUMENT | INVALID),
    "the asymmetric algorithm": (lambda a, sub: a.replace("AWS4-HMAC-SHA256", "AWS4-ECDSA-P256-SHA256"), {(501, "NotImplemented")}),
    "no algorithm": (lambda a, sub: a.replace("AWS4-HMAC-SHA256 ", ""), MALFORMED | ARGUMENT | INVALID),
    "Bearer": (lambda a, sub: "Bearer " + a, MALFORMED | ARGUMENT | INVALID),
    "Basic": (lambda a, sub: "Basic " + base64.b64encode(f"{sub.ak}:{sub.sk}".encode()).decode(), MALFORMED | ARGUMENT | INVALID),
    "nothing": (lambda a, sub: "", MALFORMED | ARGUMENT | INVALID | DENIED),
    "V2 with the same signature": (lambda a, sub: f"AWS {sub.ak}:{a.rpartition('Signature=')[2]}", MISMATCH | DENIED | ARGUMENT | MALFORMED),
    "a signature of zeros": (lambda a, sub: re.sub(r"Signature=\w+", "Signature=" + "0" * 64, a), MISMATCH),
    "a signature's last letter": (lambda a, sub: turned(a), MISMATCH),
    "a signature cut": (lambda a, sub: a[:-1], MALFORMED | MISMATCH),
    "half a signature": (lambda a, sub: a[:-32], MALFORMED | MISMATCH),
    "a longer signature": (lambda a, sub: a + "00", MALFORMED | MISMATCH),
    "no hex": (lambda a, sub: a[:-2] + "zz", MALFORMED | MISMATCH),
    "an empty signature": (lambda a, sub: re.sub(r"Signature=\w+", "Signature=", a), MALFORMED),
    "no signature": (lambda a, sub: re.sub(r", Signature=\w+", "", a), MALFORMED),
    "two signatures": (lambda a, sub: a + ", Signature=" + "0" * 64, MALFORMED),
    "two signatures, the wrong one first": (lambda a, sub: a.replace("Credential=", f"Signature={'0' * 64}, Credential="), MALFORMED),
    "no credential": (lambda a, sub: re.sub(r"Credential=[^,]+, ", "", a), MALFORMED),
    "two credentials": (lambda a, sub: re.sub(r"(Credential=[^,]+, )", r"\1\1", a), MALFORMED),
    "no signed headers": (lambda a, sub: re.sub(r"SignedHeaders=[^,]+, ", "", a), MALFORMED),
    "empty signed headers": (lambda a, sub: re.sub(r"SignedHeaders=[^,]+", "SignedHeaders=", a), MALFORMED | DENIED),
    "two of signed headers": (lambda a, sub: re.sub(r"(SignedHeaders=[^,]+, )", r"\1\1", a), MALFORMED),
    "signed headers backwards": (lambda a, sub: re.sub(r"SignedHeaders=([^,]+)", lambda m: "SignedHeaders=" + ";".join(reversed(m[1].split(";"))), a), MISMATCH | MALFORMED),
    "a signed header twice": (lambda a, sub: a.replace("SignedHeaders=", "SignedHeaders=host;"), MISMATCH | MALFORMED),
    "a signed header that was not sent": (lambda a, sub: a.replace("SignedHeaders=", "SignedHeaders=aaa;"), MISMATCH | DENIED | MALFORMED),
    "one part more": (lambda a, sub: a + ", Extra=1", MALFORMED),
}
for kind in ("v4 hash", "v4 chunks", "v4 unsigned trailer", "v4 get", "v4 delete many"):
    for name, (change, codes) in CREDENTIALS.items():
        if (kind, name) != ("v4 delete many", "the key of the administrator"):  # whose request it is
            case(kind, f"credential: {name}", credential(change), codes)
    for name, (change, codes) in AUTHS.items():
        case(kind, f"authorization: {name}", auth(change), codes)
    case(kind, "authorization dropped", lambda made, sub: made.drop("authorization"), DENIED)
    case(kind, "authorization twice", lambda made, sub: made.add("authorization", made.header("authorization")), INVALID)
    case(kind, "V2 in the query as well", lambda made, sub: made.query.extend(v2_presigned(sub).query), ARGUMENT)
    case(kind, "V4 in the query as well", lambda made, sub: made.query.extend(presigned(sub).query), ARGUMENT)

# --- dates, signed as they are --------------------------------------------------------------------------------------

SKEWS = {"16 min": 960, "an hour": 3600, "a day": 86_400, "a day and a bit": 87_000, "seven days": 604_800, "a year": 31_536_000, "ten years": 315_360_000}
for name, seconds in SKEWS.items():
    for sign, word in ((-1, "old"), (1, "ahead")):
        offset = datetime.timedelta(seconds=sign * seconds)
        for kind, make in (
            ("v4 hash", lambda sub, o=offset: v4(sub, when=sigv4.now() + o)),
            ("v4 get", lambda sub, o=offset: v4(sub, "GET", body=b"", path=where(sub, "there"), when=sigv4.now() + o)),
            ("v2", lambda sub, o=offset: v2(sub, when=sigv4.now() + o)),
        ):
            lie(kind, f"{name} {word}", make, SKEWED)
    lie("v4 presigned", f"made {name} ahead", lambda sub, s=seconds: presigned(sub, when=sigv4.now() + datetime.timedelta(seconds=s)), DENIED | SKEWED)
    lie("v4 presigned", f"over for {name}", lambda sub, s=seconds: presigned(sub, expires=60, when=sigv4.now() - datetime.timedelta(seconds=s)), DENIED)
    lie("v2 presigned", f"over for {name}", lambda sub, s=seconds: v2_presigned(sub, expires=-s), DENIED)

# --- method, path, query ---------------------------------------------------------------------------------------------


def path_to(change):
    def spoil(made, sub):
        made.path = change(made.path, sub)

    return spoil


PATHS = {
    "another key": lambda p, sub: p + "x",
    "the other bucket": lambda p, sub: p.replace(sub.record, sub.picture),
    "another camera's bucket": lambda p, sub: p.replace(sub.record, sub.other.record),
    "a bucket that is not there": lambda p, sub: p.replace(sub.record, "nobodys-bucket"),
    "a slash behind": lambda p, sub: p + "/",
    "two slashes in front of the key": lambda p, sub: p.replace(f"{sub.record}/", f"{sub.record}//"),
    "two slashes in front": lambda p, sub: "/" + p,
    "a dot segment": lambda p, sub: p.replace(f"{sub.record}/", f"{sub.record}/./"),
    "a segment up and back": lambda p, sub: p.replace(f"{sub.record}/", f"{sub.record}/x/../"),
    "up from another bucket": lambda p, sub: f"/{sub.picture}/..{p}",
    "up, escaped": lambda p, sub: f"/{sub.picture}/%2e%2e{p}",
    "an escaped slash behind the bucket": lambda p, sub: p.replace(f"{sub.record}/", f"{sub.record}%2F"),
    "escaped once more": lambda p, sub: p.replace("%", "%25") if "%" in p else p.replace("there", "%2574here"),
    "a NUL": lambda p, sub: p + "%00",
    "half an escape": lambda p, sub: p + "%4",
    "no UTF-8": lambda p, sub: p + "%ff",
    "the bucket in capitals": lambda p, sub: p.replace(sub.record, sub.record.upper()),
}
QUERIES = [("acl", None), ("tagging", None), ("uploads", None), ("uploadId", "x"), ("partNumber", "1"), ("versionId", "null"), ("legal-hold", None), ("response-content-type", "text/html"), ("delete", None)]  # fmt: skip
KEYED = ("v4 hash", "v4 chunks", "v4 presigned", "v2", "v2 presigned", "v4 get")
for kind in KEYED:
    for name, change in PATHS.items():
        # A name with a slash is no bucket's, however it is signed.
        codes = {"a NUL": URI | ARGUMENT, "an escaped slash behind the bucket": MISMATCH | {(404, "NoSuchBucket")}}.get(name, MISMATCH | URI)
        case(kind, f"path: {name}", path_to(change), codes)
    for name, value in QUERIES:
        case(kind, f"query: {name} added", lambda made, sub, pair=(name, value): made.query.append(pair), MISMATCH)
    for method in ("PUT", "GET", "POST", "DELETE", "HEAD", "PATCH"):
        own = "GET" if kind == "v4 get" else "PUT"
        if method != own:

            def spoil(made, sub, method=method):
                made.method = method
                if method in ("GET", "HEAD"):
                    made.body, made.chunks = b"", []

            codes = MISMATCH if method != "HEAD" else {(403, None)}
            case(kind, f"method: {method}", spoil, codes | ({(405, "MethodNotAllowed")} if method == "PATCH" else set()))

# --- bodies of whole requests -----------------------------------------------------------------------------------------


def body_of(change, half_close=False):
    def spoil(made, sub):
        made.body, made.half_close = change(made.body), half_close

    return spoil


def length_lies(by):
    def spoil(made, sub):
        made.add("content-length", str(len(made.body) + by))
        made.half_close = True

    return spoil


BODIES = {
    "one bit": lambda b: bytes([b[0] ^ 1]) + b[1:],
    "its last byte": lambda b: b[:-1] + b"!",
    "a byte less": lambda b: b[:-1],
    "a byte more": lambda b: b + b"0",
    "empty": lambda b: b"",
    "another of the same length": lambda b: b[::-1],
}
for name, change in BODIES.items():
    case("v4 hash", f"body: {name}", body_of(change), HASH)
    case("v2", f"body: {name}", body_of(change), DIGEST)
    case("v4 delete many", f"body: {name}", body_of(change), HASH | DIGEST)
for kind in ("v4 hash", "v4 unsigned payload", "v4 presigned", "v2", "v2 presigned"):
    case(kind, "a body that ends early", length_lies(1), CUT | SILENT)
for kind in ("v4 hash", "v2"):
    case(kind, "a body that begins late", length_lies(-1), HASH | DIGEST)
for name, value in (("twice", "1, 1"), ("negative", "-1"), ("signed", "+192"), ("hex", "0xc0"), ("empty", ""), ("words", "many"), ("endless", "9" * 30)):
    case("v4 hash", f"content-length {name}", lambda made, sub, value=value: made.add("content-length", value), HTTP)
case("v4 hash", "content-length and transfer-encoding", lambda made, sub: made.headers.extend([("content-length", str(len(BODY))), ("transfer-encoding", "chunked")]), HTTP)

# --- the parameters of presigned URLs ---------------------------------------------------------------------------------


def parameter(name, change):
    def spoil(made, sub):
        made.query = [(k, change(v) if k == name else v) for k, v in made.query]

    return spoil


def without(name):
    def spoil(made, sub):
        made.query = [(k, v) for k, v in made.query if k != name]

    return spoil


V4_PARAMETERS = ["X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Date", "X-Amz-Expires", "X-Amz-SignedHeaders", "X-Amz-Signature"]
for name in V4_PARAMETERS:
    case("v4 presigned", f"{name} altered", parameter(name, turned), MISMATCH | QUERY | DENIED)
    case("v4 presigned", f"{name} dropped", without(name), QUERY | DENIED)
    case("v4 presigned", f"{name} empty", parameter(name, lambda v: ""), QUERY | DENIED)
    case("v4 presigned", f"{name} without a value", parameter(name, lambda v: None), QUERY | DENIED)
    case("v4 presigned", f"{name} twice", lambda made, sub, name=name: made.query.append((name, dict(made.query)[name])), QUERY | ARGUMENT)
    case("v4 presigned", f"{name} twice, another first", lambda made, sub, name=name: made.query.insert(0, (name, "1")), QUERY | ARGUMENT)
    case("v4 presigned", f"{name} in small letters as well", lambda made, sub, name=name: made.query.append((name.lower(), "1")), MISMATCH | QUERY | ARGUMENT)
for name in ("AWSAccessKeyId", "Expires", "Signature"):
    wrong = {"AWSAccessKeyId": UNKNOWN, "Expires": MISMATCH | DENIED, "Signature": MISMATCH | ARGUMENT}[name]
    case("v2 presigned", f"{name} altered", parameter(name, lambda v: v.replace("%3D", "")[:-1] + ("A" if v[-1] != "A" else "B") if not v.isdigit() else str(int(v) + 1)), wrong | DENIED)
    case("v2 presigned", f"{name} dropped", without(name), DENIED)
    case("v2 presigned", f"{name} empty", parameter(name, lambda v: ""), DENIED | UNKNOWN | MISMATCH)
    case("v2 presigned", f"{name} twice", lambda made, sub, name=name: made.query.append((name, dict(made.query)[name])), ARGUMENT)
    case("v2 presigned", f"{name} twice, another first", lambda made, sub, name=name: made.query.insert(0, (name, "1")), ARGUMENT)
for value in ("0", "-1", "604801", "999999999999", "99999999999999999999999", "abc", "", "600 ", " 600", "+600", "0x10", "600.0", "6e2", "６００", "600,600"):
    lie("v4 presigned", f"expires {value!r}", lambda sub, value=value: presigned(sub, expires=value), QUERY | DENIED)
for value in ("-1", "0", "abc", "", "+4102444800", "0x7fffffff", "1e10", "99999999999999999999999", "4102444800.5"):

    def never(sub, value=value):
        path = where(sub)
        text = sigv2.string_to_sign("PUT", {}, value, sigv4.encode_path(path))
        query = {"AWSAccessKeyId": sub.ak, "Expires": value, "Signature": sigv2.signature(sub.sk, text)}
        return request("PUT", f"{sigv4.encode_path(path)}?{sigv2.encode_query(query)}", {"host": host(sub)}, BODY)

    lie("v2 presigned", f"expires {value!r}", never, DENIED)
for name, (change, codes) in CREDENTIALS.items():

    def spoil(made, sub, change=change):
        made.query = [(k, "%2F".join(change(v.split("%2F"), sub)) if k == "X-Amz-Credential" else v) for k, v in made.query]

    codes = (codes - MALFORMED) | (QUERY | DENIED if codes & MALFORMED else set())
    case("v4 presigned", f"credential: {name}", spoil, codes)
for name in ("content-type", "x-amz-meta-a"):
    case("v4 presigned", f"{name} altered", altered(name), MISMATCH)
    case("v4 presigned", f"{name} dropped", lambda made, sub, name=name: made.drop(name), MISMATCH | DENIED)
case("v4 presigned", "host altered", altered("host"), MISMATCH)
case("v4 presigned", "V4 in the header as well", lambda made, sub: made.headers.extend(v for v in v4(sub).headers if v[0] not in dict(made.headers)), ARGUMENT)
case("v4 presigned", "V2 in the header as well", lambda made, sub: made.add("authorization", v2(sub).header("authorization")), ARGUMENT)
case("v2 presigned", "V2 in the header as well", lambda made, sub: made.add("authorization", v2(sub).header("authorization")), ARGUMENT)
case("v2 presigned", "V4 in the query as well", lambda made, sub: made.query.extend(presigned(sub).query), ARGUMENT)
case("v2 presigned", "a type that was not signed", lambda made, sub: made.add("content-type", "text/html"), MISMATCH)
case("v2 presigned", "a digest that was not signed", lambda made, sub: made.add("content-md5", "1B2M2Y8AsgTpgAmY7PhCfg=="), MISMATCH)
lie("v4 presigned", "host not signed", lambda sub: unsigned_host(sub), QUERY | DENIED | MISMATCH)


def unsigned_host(sub):
    when = sigv4.now()
    query = {
        "X-Amz-Algorithm": "AWS4-HMAC-SHA256", "X-Amz-Credential": f"{sub.ak}/{sigv4.scope(when, REGION)}", "X-Amz-Date": sigv4.stamp(when),
        "X-Amz-Expires": "600", "X-Amz-SignedHeaders": "x-amz-meta-a",
    }  # fmt: skip
    text = sigv4.string_to_sign(when, REGION, sigv4.canonical("PUT", where(sub), query, {"x-amz-meta-a": "1"}, ["x-amz-meta-a"], sigv4.UNSIGNED))
    signature = hmac.new(sigv4.signing_key(sub.sk, f"{when:%Y%m%d}", REGION), text.encode(), hashlib.sha256).hexdigest()
    target = f"{sigv4.encode_path(where(sub))}?{sigv4.encode_query(query)}&X-Amz-Signature={signature}"
    return request("PUT", target, {"host": host(sub), "x-amz-meta-a": "1"}, BODY)


# --- V2 in the header -----------------------------------------------------------------------------------------------------

for name in (*EXTRA, "content-md5", "x-amz-date"):
    if name == "x-amz-date":
        case("v2", "x-amz-date a second later", lambda made, sub: made.set("x-amz-date", sigv2.gmt(sigv4.now() + datetime.timedelta(seconds=2))), MISMATCH)
    else:
        case("v2", f"{name} altered", altered(name), MISMATCH)
    case("v2", f"{name} dropped", lambda made, sub, name=name: made.drop(name), MISMATCH if name != "x-amz-date" else DENIED)
    case("v2", f"{name} twice", lambda made, sub, name=name: made.add(name, made.header(name)), MISMATCH | INVALID)
V2_AUTHS = {
    "the key of nobody": (lambda a, sub: a.replace(sub.ak, "AKIAIOSFODNN7EXAMPLE"), UNKNOWN),
    "the key of another camera": (lambda a, sub: a.replace(sub.ak, sub.other.ak), MISMATCH),
    "another signature": (lambda a, sub: a[:-2] + ("A=" if a[-2] != "A" else "E="), MISMATCH),
    "half a signature": (lambda a, sub: a[:-14], MISMATCH | ARGUMENT | INVALID),
    "no Base64": (lambda a, sub: a[:-5] + "*****", MISMATCH | ARGUMENT | INVALID),
    "hex": (lambda a, sub: a.rpartition(":")[0] + ":" + base64.b64decode(a.rpartition(":")[2]).hex(), MISMATCH | ARGUMENT | INVALID),
    "an empty signature": (lambda a, sub: a.rpartition(":")[0] + ":", MISMATCH | ARGUMENT | INVALID),
    "no colon": (lambda a, sub: a.replace(":", ""), ARGUMENT | INVALID),
    "V3": (lambda a, sub: a.replace("AWS ", "AWS3 "), ARGUMENT | INVALID | MALFORMED),
    "V4's word": (lambda a, sub: a.replace("AWS ", "AWS4-HMAC-SHA256 "), MALFORMED),
}
for name, (change, codes) in V2_AUTHS.items():
    case("v2", f"authorization: {name}", auth(change), codes)
case("v2", "authorization dropped", lambda made, sub: made.drop("authorization"), DENIED)
case("v2", "authorization twice", lambda made, sub: made.add("authorization", made.header("authorization")), INVALID)
case("v2", "V2 in the query as well", lambda made, sub: made.query.extend(v2_presigned(sub).query), ARGUMENT)
case("v2", "V4 in the query as well", lambda made, sub: made.query.extend(presigned(sub).query), ARGUMENT)
for form, name in ((lambda when: "yesterday", "a word"), (lambda when: "", "nothing"), (lambda when: f"{when:%Y-%m-%d}", "a day"), (lambda when: "0", "a number")):
    lie("v2", f"x-amz-date is {name}", lambda sub, form=form: v2(sub, date=("x-amz-date", form)), DENIED)

# --- chunks ---------------------------------------------------------------------------------------------------------------


def lines(made):
    return [line for line, _ in made.chunks]


def swap_signatures(made, sub):
    (a, one), (b, two), *rest = made.chunks
    a, b = a.split(b"=")[0] + b"=" + b.split(b"=")[1], b.split(b"=")[0] + b"=" + a.split(b"=")[1]
    made.chunks = [(a, one), (b, two), *rest]


def swap_data(made, sub):
    (a, one), (b, two), *rest = made.chunks
    one, two = b"X" * 64 + b"\r\n", two
    made.chunks = [(a, one), (b, two), *rest]


def move_border(made, sub):
    """The same bytes, cut elsewhere."""
    (a, one), (b, two), *rest = made.chunks
    a, b = b"3f" + a[2:], b"41" + b[2:]
    made.chunks = [(a, one[:63] + b"\r\n"), (b, one[63:64] + two), *rest]


def line_of(number, change):
    def spoil(made, sub):
        line, data = made.chunks[number]
        made.chunks[number] = (change(line), data)

    return spoil


def at(number, made_of):
    def spoil(made, sub):
        made.chunks[number : number + 1] = made_of(made.chunks[number])

    return spoil


def no_end(made, sub):
    made.chunks, made.tail = made.chunks[:-1], b""


FRAMES = {
    "signatures exchanged": (swap_signatures, MISMATCH),
    "the data of a chunk altered": (swap_data, MISMATCH),
    "chunks in another order": (lambda made, sub: made.chunks.insert(0, made.chunks.pop(1)), MISMATCH),
    "a chunk left out": (lambda made, sub: made.chunks.pop(1), MISMATCH | CUT),
    "a chunk twice": (lambda made, sub: made.chunks.insert(1, made.chunks[0]), MISMATCH),
    "a border moved": (move_border, MISMATCH),
    "two chunks made one": (lambda made, sub: made.chunks.__setitem__(slice(0, 2), [(b"80" + made.chunks[0][0][2:], made.chunks[0][1][:-2] + made.chunks[1][1])]), MISMATCH),
    "no final chunk": (no_end, CUT | INVALID),
    "only the final chunk": (lambda made, sub: made.chunks.__delitem__(slice(0, -1)), MISMATCH | CUT),
    "the first signature is the request's": (lambda made, sub: line_of(0, lambda line: b"40;chunk-signature=" + made.header("authorization").rpartition("=")[2].encode())(made, sub), MISMATCH),
    "the final signature wrong": (line_of(-1, lambda line: line[:-1] + (b"0" if line[-1:] != b"0" else b"1")), MISMATCH),
    "a signature too short": (line_of(0, lambda line: line[:-1]), MISMATCH | INVALID),
    "an empty signature": (line_of(0, lambda line: b"40;chunk-signature="), MISMATCH | INVALID),
    "no signature": (line_of(0, lambda line: b"40"), MISMATCH | INVALID),
    "another extension": (line_of(0, lambda line: b"40;ignored=1"), MISMATCH | INVALID),
    "a size with a sign": (line_of(0, lambda line: b"+" + line), INVALID),
    "a size with a prefix": (line_of(0, lambda line: b"0x" + line), INVALID),
    "a negative size": (line_of(0, lambda line: b"-" + line), INVALID),
    "an endless size": (line_of(0, lambda line: b"f" * 16 + line), INVALID),
    "a size one too large": (line_of(0, lambda line: b"41" + line[2:]), MISMATCH | INVALID),
    "a size one too small": (line_of(0, lambda line: b"3f" + line[2:]), MISMATCH | INVALID),
    "no size": (line_of(0, lambda line: line[2:]), INVALID),
    "an endless line": (line_of(0, lambda line: line + b"x" * 70_000), INVALID | MISMATCH),
    "no end of line behind a chunk": (at(0, lambda chunk: [(chunk[0], chunk[1][:-2])]), INVALID | MISMATCH),
    "something behind the end": (lambda made, sub: setattr(made, "tail", made.tail + b"more"), INVALID | CUT | TRAILER),
    "a chunk behind the end": (lambda made, sub: setattr(made, "tail", made.tail + made.chunks[0][0] + b"\r\n" + made.chunks[0][1]), INVALID | CUT | TRAILER),
    "not framed at all": (lambda made, sub: (setattr(made, "body", BODY), setattr(made, "chunks", []))[0], INVALID | CUT),
}
for kind in ("v4 chunks", "v4 chunks trailer"):
    for name, (spoil, codes) in FRAMES.items():
        case(kind, f"frame: {name}", spoil, codes)
for name in ("no final chunk", "a size with a sign", "a size with a prefix", "a negative size", "an endless size", "no size", "an endless line", "no end of line behind a chunk", "not framed at all", "a chunk left out", "the data of a chunk altered", "something behind the end"):  # fmt: skip
    spoil, codes = FRAMES[name]
    codes = (codes - MISMATCH) | (CUT | DIGEST if codes & MISMATCH else set())
    case("v4 unsigned trailer", f"frame: {name}", spoil, codes)

for kind, how in (("v4 chunks", {}), ("v4 chunks trailer", {"trailer": ("x-amz-checksum-crc32", CRC)}), ("v4 unsigned trailer", {"trailer": ("x-amz-checksum-crc32", CRC), "sign": False})):
    for name, value in (("one more", len(BODY) + 1), ("one less", len(BODY) - 1), ("nothing", 0), ("far more", 10 * len(BODY)), ("negative", -1), ("words", "all"), ("empty", ""), ("a sign", f"+{len(BODY)}"), ("endless", "9" * 30)):
        lie(kind, f"decoded length: {name}", lambda sub, how=how, value=value: chunked(sub, decoded=value, **how), CUT | INVALID | ARGUMENT | {(400, "EntityTooLarge"), (403, "QuotaExceeded"), (411, "MissingContentLength")})
OTHER = base64.b64encode(zlib.crc32(b"other").to_bytes(4, "big")).decode()
for kind, sign in (("v4 chunks trailer", True), ("v4 unsigned trailer", False)):
    lie(kind, "trailer: a sum that is another's", lambda sub, sign=sign: chunked(sub, trailer=("x-amz-checksum-crc32", OTHER), sign=sign), DIGEST)
    for name, value in (("no Base64", "****"), ("too short", "AA=="), ("empty", ""), ("of another kind", base64.b64encode(hashlib.sha256(BODY).digest()).decode())):
        lie(kind, f"trailer: {name}", lambda sub, sign=sign, value=value: chunked(sub, trailer=("x-amz-checksum-crc32", value), sign=sign), DIGEST | INVALID | TRAILER)
    lie(kind, "trailer: one that is not known", lambda sub, sign=sign: chunked(sub, trailer=("x-amz-checksum-md4", "AAAA"), sign=sign), {(400, "InvalidRequest"), (501, "NotImplemented"), (400, "MalformedTrailerError"), (400, "InvalidArgument")})
    case(kind, "trailer: left out", lambda made, sub: setattr(made, "tail", b"\r\n"), TRAILER | MISMATCH | INVALID)
    case(kind, "trailer: nothing at all", lambda made, sub: setattr(made, "tail", b""), CUT | TRAILER | INVALID | MISMATCH)
    case(kind, "trailer: altered", lambda made, sub: setattr(made, "tail", made.tail.replace(CRC.encode(), OTHER.encode())), DIGEST | MISMATCH)
    case(kind, "trailer: another name", lambda made, sub: setattr(made, "tail", made.tail.replace(b"crc32", b"sha1", 1)), TRAILER | MISMATCH | INVALID | DIGEST)
    case(kind, "trailer: twice", lambda made, sub: setattr(made, "tail", made.tail.split(b"\r\n")[0] + b"\r\n" + made.tail), TRAILER | MISMATCH | INVALID)
    if sign:  # where nothing of it is signed, what nobody has announced is not looked at
        case(kind, "trailer: one more", lambda made, sub: setattr(made, "tail", b"x-amz-meta-z:1\r\n" + made.tail), TRAILER | MISMATCH | INVALID)
    case(kind, "trailer: endless", lambda made, sub: setattr(made, "tail", b"x-amz-meta-z:" + b"1" * 70_000 + b"\r\n" + made.tail), TRAILER | MISMATCH | INVALID)
case("v4 chunks trailer", "trailer: its signature altered", lambda made, sub: setattr(made, "tail", re.sub(rb"(trailer-signature:)....", rb"\g<1>0000", made.tail)), MISMATCH)
case("v4 chunks trailer", "trailer: its signature left out", lambda made, sub: setattr(made, "tail", re.sub(rb"x-amz-trailer-signature:\w+\r\n", b"", made.tail)), MISMATCH | TRAILER)
case("v4 chunks trailer", "trailer: its signature is a chunk's", lambda made, sub: setattr(made, "tail", re.sub(rb"(trailer-signature:)\w+", rb"\g<1>" + made.chunks[-1][0].rpartition(b"=")[2], made.tail)), MISMATCH)
for name in ("STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD", "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD-TRAILER", "STREAMING-UNSIGNED-PAYLOAD", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-trailer", "streaming-aws4-hmac-sha256-payload", "unsigned-payload", "UNSIGNED", "", "0" * 63, "g" * 64, "0" * 65):  # fmt: skip
    lie("v4 hash", f"payload kind {name[:50]!r}", lambda sub, name=name: v4(sub, payload=name), ARGUMENT | INVALID | HASH | {(501, "NotImplemented")})

# --- forms -----------------------------------------------------------------------------------------------------------------


def form(sub, version, *, key="form/1", conditions=None, minutes=10, more=(), fields=None, file=BODY, order="last", bucket=None, sign_with=None):
    """A form as a browser sends it. `fields` changes those that go out, after the signature was made."""
    until = sigv4.now() + datetime.timedelta(minutes=minutes)
    when, ak, sk = sigv4.now(), sub.ak, sign_with or sub.sk
    rules = [{"bucket": sub.record}, ["starts-with", "$key", "form/"], ["content-length-range", 1, 4096], *(conditions or [])]
    out = {"key": key}
    if version == "v4":
        out |= {"x-amz-algorithm": "AWS4-HMAC-SHA256", "x-amz-credential": f"{ak}/{sigv4.scope(when, REGION)}", "x-amz-date": sigv4.stamp(when)}
        rules += [{name: out[name]} for name in ("x-amz-algorithm", "x-amz-credential", "x-amz-date")]
    policy = base64.b64encode(json.dumps({"expiration": until.strftime("%Y-%m-%dT%H:%M:%SZ"), "conditions": rules}).encode()).decode()
    out["policy"] = policy
    if version == "v4":
        out["x-amz-signature"] = hmac.new(sigv4.signing_key(sk, f"{when:%Y%m%d}", REGION), policy.encode(), hashlib.sha256).hexdigest()
    else:
        out |= {"AWSAccessKeyId": ak, "signature": sigv2.signature(sk, policy)}
    pairs = list((fields(dict(out), sub) if fields else out).items()) + list(more)
    part = lambda name, value: f'--B\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()  # noqa: E731
    blob = b'--B\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\n' + file + b"\r\n"
    said = b"".join(part(name, value) for name, value in pairs)
    body = (blob + said if order == "first" else said + blob) + b"--B--\r\n"
    return Request("POST", f"/{bucket or sub.record}", [], [("host", host(sub)), ("content-type", "multipart/form-data; boundary=B")], body)


def without_field(name):
    return lambda fields, sub: {k: v for k, v in fields.items() if k != name}


def with_field(name, change):
    return lambda fields, sub: {k: change(v, sub) if k == name else v for k, v in fields.items()}


POLICY = {(400, "InvalidPolicyDocument")}
FORM = {(400, "MalformedPOSTRequest")}
for version in ("v2", "v4"):
    kind = f"{version} form"
    KINDS[kind] = lambda sub, version=version: form(sub, version)
    own = ["AWSAccessKeyId", "signature"] if version == "v2" else ["x-amz-algorithm", "x-amz-credential", "x-amz-date", "x-amz-signature"]
    for name in ("policy", *own):
        lie(kind, f"{name} altered", lambda sub, v=version, n=name: form(sub, v, fields=with_field(n, lambda value, _: ("B" if value[0] not in "Bb" else "C") + value[1:])), MISMATCH | UNKNOWN | ARGUMENT)
        lie(kind, f"{name} dropped", lambda sub, v=version, n=name: form(sub, v, fields=without_field(n)), ARGUMENT | DENIED)
        lie(kind, f"{name} empty", lambda sub, v=version, n=name: form(sub, v, fields=with_field(n, lambda value, _: "")), ARGUMENT | DENIED | MISMATCH | UNKNOWN)
    lie(kind, "signed with another's key", lambda sub, v=version: form(sub, v, sign_with=sub.other.sk), MISMATCH)
    lie(kind, "policy in another case", lambda sub, v=version: form(sub, v, fields=with_field("policy", lambda value, _: value.swapcase())), MISMATCH)
    lie(kind, "policy of another", lambda sub, v=version: form(sub, v, fields=with_field("policy", lambda value, _: base64.b64encode(b'{"expiration": "2099-01-01T00:00:00Z", "conditions": []}').decode())), MISMATCH)
    lie(kind, "over", lambda sub, v=version: form(sub, v, minutes=-1), DENIED | POLICY)
    lie(kind, "over for a year", lambda sub, v=version: form(sub, v, minutes=-525_600), DENIED | POLICY)
    lie(kind, "a key that is not allowed", lambda sub, v=version: form(sub, v, key="there"), DENIED | POLICY)
    lie(kind, "a key that goes up", lambda sub, v=version: form(sub, v, key="../form/1"), DENIED | POLICY)
    lie(kind, "a key that is not allowed, afterwards", lambda sub, v=version: form(sub, v, fields=with_field("key", lambda *_: "there")), DENIED | POLICY)
    lie(kind, "no key", lambda sub, v=version: form(sub, v, fields=without_field("key")), ARGUMENT)
    lie(kind, "two keys", lambda sub, v=version: form(sub, v, more=[("key", "there")]), ARGUMENT | FORM | DENIED)
    lie(kind, "another bucket", lambda sub, v=version: form(sub, v, bucket=sub.picture), DENIED)
    lie(kind, "another camera's bucket", lambda sub, v=version: form(sub, v, bucket=sub.other.record), DENIED)
    lie(kind, "metadata that is not allowed", lambda sub, v=version: form(sub, v, more=[("x-amz-meta-b", "1")]), DENIED)
    lie(kind, "a redirect that is not allowed", lambda sub, v=version: form(sub, v, more=[("success_action_redirect", "http://evil.example/")]), DENIED)
    lie(kind, "an access that is not allowed", lambda sub, v=version: form(sub, v, more=[("acl", "public-read")]), DENIED)
    lie(kind, "a type that is not allowed", lambda sub, v=version: form(sub, v, more=[("Content-Type", "text/html")]), DENIED)
    lie(kind, "a session token", lambda sub, v=version: form(sub, v, more=[("x-amz-security-token", "abc")]), TOKEN | DENIED)
    lie(kind, "larger than it may be", lambda sub, v=version: form(sub, v, file=b"x" * 4097), {(400, "EntityTooLarge")})
    lie(kind, "smaller than it may be", lambda sub, v=version: form(sub, v, file=b""), {(400, "EntityTooSmall")})
    lie(kind, "fields behind the file", lambda sub, v=version: form(sub, v, order="first"), ARGUMENT | FORM | DENIED)
    lie(kind, "two signatures of two kinds", lambda sub, v=version: form(sub, v, more=list({"v2": {"x-amz-signature": "0" * 64}, "v4": {"AWSAccessKeyId": sub.ak, "signature": "x"}}[v].items())), ARGUMENT)
    for name, rule in (("a rule that is not kept", {"x-amz-meta-a": "1"}), ("an operator that is none", ["ends-with", "$key", "1"]), ("a range that is none", ["content-length-range", 9, 1]), ("no rule at all", 7)):
        lie(kind, f"policy: {name}", lambda sub, v=version, rule=rule: form(sub, v, conditions=[rule]), DENIED | POLICY | {(400, "EntityTooLarge")})
    for name, cut in (("in its file", -20), ("in its fields", 200), ("before its end", -6)):
        lie(kind, f"ends {name}", lambda sub, v=version, cut=cut: cut_off(form(sub, v), cut), FORM | CUT | ARGUMENT | DENIED)


def cut_off(made, at):
    made.body = made.body[:at]
    return made
