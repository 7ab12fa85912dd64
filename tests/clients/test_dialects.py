"""The dialects of signatures that firmware and old SDKs speak, by hand: who sends what is in the comments."""

import base64
import datetime
import hashlib
import hmac
import re
import socket
import urllib.parse
import xml.etree.ElementTree as ET

import pytest

import sigv2
import sigv4
from harness import KIB, MIB, REGION, Server, Wire, aws, payload, raw, read_reply, run, tool, url_get

ODD = "2014/03/28/录像 1+2%&<>'()!*~é😀.mp4"
DOMAIN = "oos.example"


@pytest.fixture(scope="module")
def server():
    """With a domain: `bucket.oos.example` is how a named endpoint is called."""
    s = Server(s3__domain=DOMAIN)
    s.start()
    yield s
    s.discard()


@pytest.fixture(scope="module")
def account(server):
    return server.open_account(100_000)


@pytest.fixture
def sub(account):
    return account.open_sub_account(100)


def host(sub):
    return "%s:%d" % sub.server.address("s3")


def send(sub, method, target, headers, body=b""):
    headers = {**headers, "connection": "close"}
    if body or method in ("PUT", "POST"):
        headers.setdefault("content-length", str(len(body)))
    reply = raw(sub.server.address("s3"), sigv4.head(method, target, headers) + body)
    assert reply is not None, "the connection ended without an answer"
    return reply


def v2(sub, method, path, body=b"", keys=None, **how):
    ak, sk = keys or (sub.ak, sub.sk)
    return send(sub, method, *sigv2.signed(method, how.pop("host", host(sub)), path, ak, sk, **how), body)


def v4(sub, method, path, body=b"", query=None, headers=None, **how):
    target, signed = sigv4.signed(method, how.pop("host", host(sub)), path, query or {}, dict(headers or {}), body, sub.ak, sub.sk, REGION, **how)
    return send(sub, method, target, signed, body)


def names(reply):
    assert reply.status == 200, reply
    return [e.findtext("Key") for e in ET.fromstring(re.sub(rb' xmlns="[^"]*"', b"", reply.body, count=1)).iter("Contents")]


# --- V2: which resource, which date ------------------------------------------------------------------------

DATES = {
    "x-amz-date GMT": ("x-amz-date", sigv2.gmt),  # libs3, the OOS SDKs
    "x-amz-date +0000": ("x-amz-date", sigv2.zero),  # s3cmd
    "x-amz-date ISO": ("x-amz-date", sigv2.basic),
    "Date GMT": ("date", sigv2.gmt),  # s3curl, s3fs, boto3
    "Date +0000": ("date", sigv2.zero),
}


@pytest.mark.parametrize("date", DATES)
@pytest.mark.parametrize("dialect", ["as sent", "decoded"])  # the OOS SDKs sign the path with its escapes undone
def test_v2_objects_in_every_dialect(sub, date, dialect):
    path = f"/{sub.record}/{ODD}"
    how = {"date": DATES[date], "sign_path": path if dialect == "decoded" else None}
    data = payload(10 * KIB, date + dialect)
    md5 = base64.b64encode(hashlib.md5(data).digest()).decode()
    headers = {"content-type": "video/mp4", "content-md5": md5, "x-amz-meta-a": "1", "x-amz-storage-class": "STANDARD"}
    assert v2(sub, "PUT", path, data, headers=headers, **how).status == 200
    got = v2(sub, "GET", path, **how)
    assert (got.status, got.body, got.headers["content-type"], got.headers["x-amz-meta-a"]) == (200, data, "video/mp4", "1")
    assert v2(sub, "GET", path, headers={"range": "bytes=-5"}, **how).body == data[-5:]
    overridden = v2(sub, "GET", path, query={"response-content-type": "text/x a+b"}, **how)
    assert (overridden.body, overridden.headers["content-type"]) == (data, "text/x a+b")
    assert sub.listing() == {(sub.record, ODD): len(data)}
    assert v2(sub, "DELETE", path, **how).code == "AccessDenied"
    assert v2(sub, "DELETE", path, keys=sub.account.admin(), **how).status == 204
    assert v2(sub, "GET", path, **how).code == "NoSuchKey"


@pytest.mark.parametrize("date", DATES)
@pytest.mark.parametrize("dialect", ["/{}", "/{}/"])  # the OOS SDKs sign a bucket as `/bucket/`, whatever they send
def test_v2_buckets_in_every_dialect(sub, date, dialect):
    for key in ("a/1", "b"):
        sub.put(sub.record, key, b"x")
    how = {"date": DATES[date], "sign_path": dialect.format(sub.record)}
    for path in (f"/{sub.record}", f"/{sub.record}/"):
        if path.endswith("/") and not dialect.endswith("/"):
            continue  # nobody takes a slash away
        assert names(v2(sub, "GET", path, query={"prefix": "a", "max-keys": "100"}, **how)) == ["a/1"]
        assert b"<LocationConstraint" in v2(sub, "GET", path, query={"location": None}, **how).body
        assert v2(sub, "GET", path, query={"uploads": None}, **how).status == 200
    assert v2(sub, "GET", "/", date=DATES[date]).status == 200


def test_v2_sub_resources_are_signed(sub):
    """What changes the meaning of a request cannot be added to one that another has signed."""
    path = f"/{sub.record}/k"
    sub.put(sub.record, "k", b"unharmed")
    for query in ({"acl": None}, {"legal-hold": None}, {"uploads": None}, {"uploadId": "x"}, {"versionId": "null"}, {"response-content-type": "text/html"}, {"tagging": None}):
        reply = v2(sub, "GET", path, query=query, sign_query={})
        assert (reply.status, reply.code) == (403, "SignatureDoesNotMatch"), query
    assert v2(sub, "GET", path, query={"x-id": "GetObject", "vendor": "1"}).body == b"unharmed", "what says nothing is not signed"
    assert v2(sub, "PUT", path, b"<x/>", query={"acl": None}).code == "NotImplemented"
    assert v2(sub, "PUT", path, b"<x/>", query={"acl": None}, sign_query={}).code == "SignatureDoesNotMatch"
    assert sub.get(sub.record, "k") == b"unharmed"


def test_v2_multipart_by_libs3(sub):
    path, pieces = f"/{sub.record}/{ODD}", [payload(5 * MIB, 1), payload(77, 2)]
    upload = ET.fromstring(v2(sub, "POST", path, query={"uploads": None}, headers={"content-type": "video/mp4"}).body).findtext("{*}UploadId")
    tags = [v2(sub, "PUT", path, piece, query={"partNumber": n, "uploadId": upload}).headers["etag"] for n, piece in enumerate(pieces, 1)]
    body = "".join(f"<Part><PartNumber>{n}</PartNumber><ETag>{tag}</ETag></Part>" for n, tag in enumerate(tags, 1))
    done = v2(sub, "POST", path, f"<CompleteMultipartUpload>{body}</CompleteMultipartUpload>".encode(), query={"uploadId": upload})
    assert done.status == 200 and b"<ETag>" in done.body, done
    got = v2(sub, "GET", path)
    assert (got.body, got.headers["content-type"]) == (b"".join(pieces), "video/mp4")


def test_v2_deletes_many_by_md5(sub):
    for key in (ODD, "b"):
        sub.put(sub.record, key, b"x")
    inner = "".join(f"<Object><Key>{k.replace('&', '&amp;').replace('<', '&lt;')}</Key></Object>" for k in (ODD, "b"))
    body = f"<Delete>{inner}</Delete>".encode()
    headers = {"content-md5": base64.b64encode(hashlib.md5(body).digest()).decode()}
    camera = v2(sub, "POST", f"/{sub.record}", body, query={"delete": None}, headers=headers)
    assert camera.status == 200 and camera.body.count(b"AccessDenied") == 2
    assert len(sub.listing()) == 2
    done = v2(sub, "POST", f"/{sub.record}", body, query={"delete": None}, headers=headers, sign_path=f"/{sub.record}/", keys=sub.account.admin())
    assert done.status == 200 and done.body.count(b"<Deleted>") == 2
    assert sub.listing() == {}


def test_v2_copies_by_s3fs_and_the_oos_sdk(sub):
    sub.put(sub.record, ODD, b"v", ContentType="video/mp4")
    for number, source in enumerate((f"/{sub.record}/{sigv2.encode_path(ODD)}", f"{sub.record}/{sigv2.encode_path(ODD)}", f"/{sub.record}/{urllib.parse.quote(ODD, safe='')}")):
        reply = v2(sub, "PUT", f"/{sub.picture}/{number}", headers={"x-amz-copy-source": source})
        assert reply.status == 200 and b"<ETag>" in reply.body, (source, reply)
        assert sub.get(sub.picture, f"{number}") == b"v"


V2_REFUSED = {
    "another key": ({"sign_path": "/{}/other"}, "SignatureDoesNotMatch"),
    "an old x-amz-date": ({"when": -16, "date": DATES["x-amz-date GMT"]}, "RequestTimeTooSkewed"),
    "an old Date": ({"when": -16, "date": DATES["Date +0000"]}, "RequestTimeTooSkewed"),
    "an early ISO date": ({"when": 16, "date": DATES["x-amz-date ISO"]}, "RequestTimeTooSkewed"),
    "a date that is none": ({"date": ("date", lambda when: "yesterday")}, "AccessDenied"),
    "a session token": ({"headers": {"x-amz-security-token": "abc"}}, "InvalidToken"),
    "chunks that need V4": ({"headers": {"x-amz-content-sha256": "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"}}, "InvalidArgument"),
    "the hash of something else": ({"headers": {"x-amz-content-sha256": hashlib.sha256(b"other").hexdigest()}}, "XAmzContentSHA256Mismatch"),
    "the MD5 of something else": ({"headers": {"content-md5": base64.b64encode(hashlib.md5(b"other").digest()).decode()}}, "BadDigest"),
}  # fmt: skip


@pytest.mark.parametrize("name", V2_REFUSED)
def test_v2_refusals_store_nothing(sub, name):
    how, wanted = V2_REFUSED[name]
    how = dict(how)
    if "when" in how:
        how["when"] = sigv4.now() + datetime.timedelta(minutes=how["when"])
    if "sign_path" in how:
        how["sign_path"] = how["sign_path"].format(sub.record)
    reply = v2(sub, "PUT", f"/{sub.record}/k", b"body", **how)
    assert reply.code == wanted, reply
    assert sub.listing() == {} and sub.view()["reserved_bytes"] == 0


def test_v2_headers_are_folded_as_http_says(sub):
    """`x-amz-meta-a` twice is one header with a comma, in the signature and in what is kept."""
    when = sigv4.now()
    text = sigv2.string_to_sign("PUT", {"x-amz-date": sigv2.gmt(when), "x-amz-meta-a": "1,2  3"}, "", f"/{sub.record}/k")
    head = (
        f"PUT /{sub.record}/k HTTP/1.1\r\nHost: {host(sub)}\r\nX-Amz-Date: {sigv2.gmt(when)}\r\nX-AMZ-Meta-A:  1 \r\nx-amz-meta-a: 2  3\t\r\n"
        f"Authorization: AWS {sub.ak}:{sigv2.signature(sub.sk, text)}\r\nContent-Length: 4\r\n\r\n"
    )
    assert raw(sub.server.address("s3"), head.encode() + b"body").status == 200
    assert sub.boto().head_object(Bucket=sub.record, Key="k")["Metadata"] == {"a": "1,2  3"}


# --- V2 in the query ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("dialect", ["as sent", "decoded"])
def test_v2_presigned_urls(sub, dialect):
    path, data = f"/{sub.record}/{ODD}", payload(10 * KIB, "presigned")
    sign_path = path if dialect == "decoded" else None

    def ask(method, body=b"", headers=None, **how):
        target = sigv2.presigned(method, path, sub.ak, sub.sk, sign_path=sign_path, headers=headers, **how)
        return send(sub, method, target, {"host": host(sub), **(headers or {})}, body)

    assert ask("PUT", data, {"content-type": "image/jpeg", "x-amz-meta-a": "1"}).status == 200
    assert ask("GET").body == data
    assert ask("HEAD").headers["x-amz-meta-a"] == "1"
    assert ask("GET", headers={"range": "bytes=1-3"}).body == data[1:4]
    got = ask("GET", query={"response-content-disposition": 'attachment; filename="录.mp4"'})
    assert got.body == data and got.headers["content-disposition"].startswith("attachment")
    assert ask("DELETE").code == "AccessDenied"
    expired = ask("GET", expires=-1)
    assert (expired.status, expired.code) == (403, "AccessDenied") and b"expired" in expired.body
    # A type that was not signed, a method, a parameter that was not.
    target = sigv2.presigned("PUT", path, sub.ak, sub.sk)
    assert send(sub, "PUT", target, {"host": host(sub), "content-type": "text/html"}, b"x").code == "SignatureDoesNotMatch"
    assert send(sub, "GET", target, {"host": host(sub)}).code == "SignatureDoesNotMatch"
    assert send(sub, "PUT", target + "&acl", {"host": host(sub)}, b"x").code == "SignatureDoesNotMatch"
    assert send(sub, "PUT", target, {"host": host(sub), "x-amz-copy-source": f"/{sub.record}/k"}).code == "SignatureDoesNotMatch"
    assert send(sub, "PUT", re.sub(r"Expires=\d+", "Expires=4102444800", target), {"host": host(sub)}, b"x").code == "SignatureDoesNotMatch"
    assert send(sub, "PUT", re.sub(r"&Expires=\d+", "", target), {"host": host(sub)}, b"x").code == "AccessDenied"
    assert send(sub, "PUT", re.sub(r"&Signature=[^&]+", "", target), {"host": host(sub)}, b"x").code == "AccessDenied"
    assert sub.get(sub.record, ODD) == data


def test_v2_signatures_whose_plus_was_not_escaped(sub):
    """Base64 has `+`; cheap firmware copies it into the query as it is."""
    sub.put(sub.record, "k", b"v")
    for second in range(200):
        target = sigv2.presigned("GET", f"/{sub.record}/k", sub.ak, sub.sk, expires=600 + second)
        if "%2B" in target:
            break
    assert "%2B" in target
    assert send(sub, "GET", target.replace("%2B", "+").replace("%3D", "=").replace("%2F", "/"), {"host": host(sub)}).body == b"v"


# --- V4: what is signed, and how it is written -------------------------------------------------------------


def test_v4_signs_what_the_oos_sdk_signs(sub):
    headers = {"content-type": "video/mp4", "user-agent": "oos-sdk/1.0  (two  blanks)", "content-md5": base64.b64encode(hashlib.md5(b"body").digest()).decode()}
    assert v4(sub, "PUT", f"/{sub.record}/{ODD}", b"body", headers=headers, payload=None).status == 200
    got = v4(sub, "GET", f"/{sub.record}/{ODD}", headers={"user-agent": "x"})
    assert (got.body, got.headers["content-type"]) == (b"body", "video/mp4")
    target, signed = sigv4.signed("PUT", host(sub), f"/{sub.record}/{ODD}", {}, {"content-type": "video/mp4"}, b"", sub.ak, sub.sk, REGION)
    assert send(sub, "PUT", target, {**signed, "content-type": "text/html"}, b"x").code == "SignatureDoesNotMatch"
    assert sub.get(sub.record, ODD) == b"body"


WRITTEN = {
    "no blank behind the commas": lambda a: a.replace(", ", ","),  # libs3 4, s3curl
    "many blanks": lambda a: a.replace(", ", " ,   ").replace("AWS4-HMAC-SHA256 ", "AWS4-HMAC-SHA256    "),
    "parts in another order": lambda a: re.sub(r"^(\S+) (\S+), (\S+), (\S+)$", r"\1 \4, \3, \2", a),
}


@pytest.mark.parametrize("form", WRITTEN)
def test_v4_headers_however_they_are_written(sub, form):
    target, headers = sigv4.signed("PUT", host(sub), f"/{sub.record}/k", {}, {}, b"body", sub.ak, sub.sk, REGION, payload=None)
    changed = WRITTEN[form](headers["authorization"])
    assert changed != headers["authorization"]
    assert send(sub, "PUT", target, {**headers, "authorization": changed}, b"body").status == 200
    assert sub.get(sub.record, "k") == b"body"


ESCAPES = {
    "lower case": lambda path: re.sub("%[0-9A-F]{2}", lambda m: m.group().lower(), path),
    "as little as possible": lambda path: path.replace("%28", "(").replace("%29", ")").replace("%21", "!").replace("%2A", "*").replace("%27", "'").replace("%2B", "+"),
    "tilde too": lambda path: path.replace("~", "%7E"),  # Java's URLEncoder
}


@pytest.mark.parametrize("form", ESCAPES)
def test_v4_paths_however_they_are_escaped(sub, form):
    """The canonical path is made of the decoded one, so how a client escapes what it sends does not matter."""
    data = form.encode()
    target, headers = sigv4.signed("PUT", host(sub), f"/{sub.record}/{ODD}", {}, {}, data, sub.ak, sub.sk, REGION, payload=None)
    sent = ESCAPES[form](target)
    assert sent != target
    assert send(sub, "PUT", sent, headers, data).status == 200
    assert sub.listing() == {(sub.record, ODD): len(data)}
    assert sub.get(sub.record, ODD) == data


def test_v4_dates_in_the_date_header(sub):
    """The old form of V4: no x-amz-date, the time in `Date`."""
    when = sigv4.now()
    headers = {"host": host(sub), "date": sigv2.gmt(when), "x-amz-content-sha256": sigv4.UNSIGNED}
    canonical = sigv4.canonical("PUT", f"/{sub.record}/k", {}, headers, sorted(headers), sigv4.UNSIGNED)
    signature = hmac.new(sigv4.signing_key(sub.sk, f"{when:%Y%m%d}", REGION), sigv4.string_to_sign(when, REGION, canonical).encode(), hashlib.sha256).hexdigest()
    headers["authorization"] = f"AWS4-HMAC-SHA256 Credential={sub.ak}/{sigv4.scope(when, REGION)}, SignedHeaders={';'.join(sorted(headers))}, Signature={signature}"
    assert send(sub, "PUT", f"/{sub.record}/k", headers, b"body").status == 200


def test_v4_queries_are_signed_sorted_and_escaped(sub):
    for key in ("a b/1", "a+b/1", "录/1"):
        sub.put(sub.record, key, b"x")
    for prefix, wanted in (("a b", ["a b/1"]), ("a+b", ["a+b/1"]), ("录", ["录/1"]), ("a", ["a b/1", "a+b/1"])):
        query = {"prefix": prefix, "list-type": "2", "delimiter": "", "max-keys": "100"}
        target, headers = sigv4.signed("GET", host(sub), f"/{sub.record}", query, {}, b"", sub.ak, sub.sk, REGION)
        path, _, text = target.partition("?")
        pieces = text.split("&")
        assert names(send(sub, "GET", f"{path}?{'&'.join(reversed(pieces))}", headers)) == wanted
    target, headers = sigv4.signed("GET", host(sub), f"/{sub.record}", {"location": ""}, {}, b"", sub.ak, sub.sk, REGION)
    assert send(sub, "GET", target.replace("location=", "location"), headers).status == 200, "a name without `=`"


def davix(sub, method, path, body=b"", query=None, **headers):
    """davix signs everything in the query, and sends Expect."""
    target = sigv4.presigned(method, host(sub), path, sub.ak, sub.sk, REGION, query=query)
    return send(sub, method, target, {"host": host(sub), **headers}, body)


def test_v4_in_the_query_for_everything(sub):
    path, data = f"/{sub.record}/{ODD}", payload(300 * KIB, "davix")
    assert davix(sub, "PUT", path, data).status == 200
    assert davix(sub, "HEAD", path).headers["content-length"] == str(len(data))
    assert davix(sub, "GET", path, range="bytes=7-11").body == data[7:12]
    assert names(davix(sub, "GET", f"/{sub.record}/", query={"delimiter": "/", "prefix": "2014/03/28/"})) == [ODD]
    assert davix(sub, "DELETE", path).code == "AccessDenied"
    assert davix(sub, "PUT", f"/{sub.record}/k", b"x", **{"x-amz-copy-source": path}).code == "AccessDenied", "a header that the URL does not cover"
    assert sub.listing() == {(sub.record, ODD): len(data)}


# --- credentials in two places, headers that came twice ----------------------------------------------------


def header_of(version, sub):
    if version == "V4":
        return sigv4.signed("PUT", host(sub), f"/{sub.record}/k", {}, {}, b"", sub.ak, sub.sk, REGION)[1]
    return sigv2.signed("PUT", host(sub), f"/{sub.record}/k", sub.ak, sub.sk)[1]


def target_of(version, sub):
    if version == "V4":
        return sigv4.presigned("PUT", host(sub), f"/{sub.record}/k", sub.ak, sub.sk, REGION)
    return sigv2.presigned("PUT", f"/{sub.record}/k", sub.ak, sub.sk)


@pytest.mark.parametrize("header", ["V2", "V4"])
@pytest.mark.parametrize("query", ["V2", "V4"])
def test_credentials_in_header_and_query_are_refused(sub, header, query):
    reply = send(sub, "PUT", target_of(query, sub), header_of(header, sub), b"body")
    assert (reply.status, reply.code) == (400, "InvalidArgument")
    assert sub.listing() == {}


def test_two_kinds_of_credentials_in_the_query_are_refused(sub):
    target = target_of("V4", sub) + "&" + target_of("V2", sub).partition("?")[2]
    reply = send(sub, "PUT", target, {"host": host(sub)}, b"body")
    assert (reply.status, reply.code) == (400, "InvalidArgument")
    assert sub.listing() == {}


@pytest.mark.parametrize("name", ["authorization", "x-amz-date", "x-amz-content-sha256", "host", "content-length"])
@pytest.mark.parametrize("other", ["the same", "another"])
def test_headers_that_came_twice_are_refused(sub, name, other):
    target, headers = sigv4.signed("PUT", host(sub), f"/{sub.record}/k", {}, {}, b"body", sub.ak, sub.sk, REGION, payload=None)
    headers["content-length"] = "4"
    again = headers[name] if other == "the same" else {"content-length": "5", "host": "elsewhere"}.get(name, headers[name][:-1] + "0")
    for first, second in ((headers[name], again), (again, headers[name])):
        lines = [f"{k}: {v}" for k, v in headers.items() if k != name] + [f"{name}: {first}", f"{name}: {second}"]
        head = f"PUT {target} HTTP/1.1\r\n" + "\r\n".join(lines) + "\r\n\r\n"
        reply = raw(sub.server.address("s3"), head.encode() + b"body")
        assert reply.status == 400 or (name, other) == ("content-length", "the same"), reply
        if name != "content-length":  # which the parser of HTTP refuses by itself
            assert reply.code == "InvalidRequest", reply
    assert sub.listing() in ({}, {(sub.record, "k"): 4} if (name, other) == ("content-length", "the same") else {})


@pytest.mark.parametrize("name", ["AWSAccessKeyId", "Signature", "Expires", "X-Amz-Signature", "X-Amz-Credential", "X-Amz-Expires", "X-Amz-Date", "X-Amz-SignedHeaders"])
def test_parameters_that_came_twice_are_refused(sub, name):
    target = target_of("V4" if name.startswith("X-") else "V2", sub)
    value = re.search(rf"[?&]{name}=([^&]+)", target).group(1)
    reply = send(sub, "PUT", f"{target}&{name}={value}", {"host": host(sub)}, b"body")
    assert 400 <= reply.status < 404 and reply.code in ("InvalidArgument", "AuthorizationQueryParametersError"), reply
    assert sub.listing() == {}


@pytest.mark.parametrize("version", ["V2", "V4"])
@pytest.mark.parametrize("where", ["header", "query"])
def test_session_tokens_are_invalid_wherever_they_are(sub, version, where):
    """ONVIF cameras may be configured with one. It is never a 500, and never ignored."""
    token = "FQoGZXIvYXdzEJr//////////wEaD"
    if where == "header" and version == "V4":
        reply = v4(sub, "PUT", f"/{sub.record}/k", b"body", headers={"x-amz-security-token": token})
    elif where == "header":
        reply = v2(sub, "PUT", f"/{sub.record}/k", b"body", headers={"x-amz-security-token": token})
    elif version == "V4":
        target = sigv4.presigned("PUT", host(sub), f"/{sub.record}/k", sub.ak, sub.sk, REGION, query={"X-Amz-Security-Token": token})
        reply = send(sub, "PUT", target, {"host": host(sub)}, b"body")
    else:
        target = sigv2.presigned("PUT", f"/{sub.record}/k", sub.ak, sub.sk, headers={"x-amz-security-token": token}) + f"&x-amz-security-token={urllib.parse.quote(token, safe='')}"
        reply = send(sub, "PUT", target, {"host": host(sub)}, b"body")
    assert (reply.status, reply.code) == (400, "InvalidToken"), reply
    assert sub.listing() == {}


# --- the bucket in the host ---------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["{}." + DOMAIN, "{}." + DOMAIN + ":9000", "{}." + DOMAIN.upper()])
def test_a_named_endpoint_has_the_bucket_in_the_host(sub, form):
    """The OOS SDKs know no path style for a name; ONVIF cameras may be given either."""
    name, data = form.format(sub.record), payload(10 * KIB, form)
    for dialect in (f"/{sub.record}/{sigv2.encode_path(ODD)}", f"/{sub.record}/{ODD}"):
        assert v2(sub, "PUT", f"/{ODD}", data, host=name, sign_path=dialect).status == 200, dialect
        assert v2(sub, "GET", f"/{ODD}", host=name, sign_path=dialect).body == data
    assert names(v2(sub, "GET", "/", host=name, sign_path=f"/{sub.record}/", query={"max-keys": "100"})) == [ODD]
    assert v2(sub, "GET", "/", host=name, sign_path="/").code == "SignatureDoesNotMatch"
    assert v4(sub, "GET", f"/{ODD}", host=name).body == data
    assert v4(sub, "PUT", "/v4", b"v", host=name, payload=None).status == 200
    assert names(v4(sub, "GET", "/", host=name, query={"list-type": "2"})) == [ODD, "v4"]
    assert names(v4(sub, "GET", f"/{sub.record}", host=DOMAIN)) == [ODD, "v4"], "the bare domain has path style"
    target = sigv2.presigned("GET", "/v4", sub.ak, sub.sk, sign_path=f"/{sub.record}/v4")
    assert send(sub, "GET", target, {"host": name}).body == b"v"
    target = sigv4.presigned("GET", name, "/v4", sub.ak, sub.sk, REGION)
    assert send(sub, "GET", target, {"host": name}).body == b"v"
    assert send(sub, "GET", target, {"host": f"{sub.picture}.{DOMAIN}"}).code == "SignatureDoesNotMatch"
    assert sub.listing() == {(sub.record, ODD): len(data), (sub.record, "v4"): 1}


# --- what the rows of the table send besides ----------------------------------------------------------------


def test_the_oos_sdk(sub):
    """Content-MD5, Expect, a storage class, a rate and a place of the data; lists of 100."""
    md5 = base64.b64encode(hashlib.md5(b"body").digest()).decode()
    headers = {
        "content-md5": md5, "content-type": "video/mp4", "x-amz-storage-class": "STANDARD_IA", "x-amz-limitrate": "rate=100", "x-ctyun-data-location": "type=Local",
        "user-agent": "oos-sdk-php/6.2",
    }  # fmt: skip
    target, signed = sigv2.signed("PUT", host(sub), f"/{sub.record}/{ODD}", sub.ak, sub.sk, headers=headers, sign_path=f"/{sub.record}/{ODD}")
    with socket.create_connection(sub.server.address("s3"), timeout=10) as s:
        s.sendall(sigv4.head("PUT", target, {**signed, "expect": "100-continue", "content-length": "4"}))
        assert s.recv(1000).startswith(b"HTTP/1.1 100 ")
        s.sendall(b"body")
        assert read_reply(s).status == 200
    assert sub.get(sub.record, ODD) == b"body"


def test_an_onvif_camera(sub):
    """One PUT a segment, an empty `_end` object that closes a span, metadata; the type has parameters."""
    kind = 'video/mp4; codecs="avc1.640028,mp4a.40.2"'
    for key, data in (("cam 1/2026-11-23/post/19/46-30.123456Z.0.mp4", payload(50 * KIB, "segment")), ("cam 1/2026-11-23/post/19/46-30.123456Z_end", b"")):
        headers = {"content-type": kind, "x-amz-meta-onvif-recording": "rec 1", "x-amz-meta-onvif-utc": "2026-11-23T19:46:30.123456Z"}
        assert v4(sub, "PUT", f"/{sub.record}/{key}", data, headers=headers, payload=None).status == 200
        head = v4(sub, "HEAD", f"/{sub.record}/{key}")
        assert (head.headers["content-type"], head.headers["content-length"], head.headers["x-amz-meta-onvif-recording"]) == (kind, str(len(data)), "rec 1")
        assert sub.get(sub.record, key) == data
    assert sub.search()[0] == 2


def test_kerberos_agent(sub):
    """minio-go: ten user metadata and a storage class."""
    told = {f"x-amz-meta-{name}": f"value {name}" for name in ("event-timestamp", "event-microseconds", "event-instancename", "event-regioncoordinates", "event-numberofchanges", "event-token", "productid", "publickey", "uploadtime", "sha")}
    assert v4(sub, "PUT", f"/{sub.record}/k", b"body", headers={**told, "x-amz-storage-class": "ONEZONE_IA"}, payload=None).status == 200
    head = v4(sub, "HEAD", f"/{sub.record}/k")
    assert {name: head.headers[name] for name in told} == told


def test_s3fs(sub):
    """Empty objects for directories, HEAD of what is not there, and a copy onto itself for every chmod and rename."""
    mode = {"x-amz-meta-mode": "16877", "x-amz-meta-uid": "0", "x-amz-meta-mtime": "1395993600.5"}
    assert v4(sub, "HEAD", f"/{sub.record}/dir").status == 404
    assert v4(sub, "PUT", f"/{sub.record}/dir/", b"", headers={"content-type": "application/x-directory", **mode}, payload=None).status == 200
    assert v4(sub, "PUT", f"/{sub.record}/dir/file", b"body", headers={"content-type": "video/mp4", **mode}, payload=None).status == 200
    copy = {"x-amz-copy-source": f"/{sub.record}/dir/file", "x-amz-metadata-directive": "REPLACE", "content-type": "video/mp4", **mode, "x-amz-meta-mode": "33188", "x-amz-acl": "private"}
    assert v4(sub, "PUT", f"/{sub.record}/dir/file", b"", headers=copy, payload=None).status == 200
    got = v4(sub, "GET", f"/{sub.record}/dir/file")
    assert (got.body, got.headers["x-amz-meta-mode"], got.headers["x-amz-meta-mtime"]) == (b"body", "33188", "1395993600.5")
    listed = v4(sub, "GET", f"/{sub.record}", query={"delimiter": "/", "prefix": "dir/", "max-keys": "1000"})
    assert names(listed) == ["dir/", "dir/file"]
    assert names(v4(sub, "GET", f"/{sub.record}/", query={"delimiter": "/", "prefix": "", "max-keys": "2"})) == []


def test_aws_cli_copies_what_came_in_parts_and_asks_for_its_tags(sub, tmp_path):
    source, data = tmp_path / "large", payload(18 * MIB, "large")
    source.write_bytes(data)
    aws(sub, "s3", "cp", "--quiet", source, f"s3://{sub.record}/large")
    aws(sub, "s3", "cp", "--quiet", f"s3://{sub.record}/large", f"s3://{sub.picture}/copy 录")
    assert sub.get(sub.picture, "copy 录") == data
    assert re.fullmatch(r'"[0-9a-f]{32}-3"', sub.boto().head_object(Bucket=sub.picture, Key="copy 录")["ETag"])


def s3cmd(sub, *args, keys=None, v2=False, **kw):
    ak, sk = keys or (sub.ak, sub.sk)
    options = ["--config", "/dev/null", "--access_key", ak, "--secret_key", sk, "--host", host(sub), "--host-bucket", host(sub), "--no-ssl", "--region", REGION]
    return run(tool("s3cmd"), *options, *(["--signature-v2"] if v2 else []), *args, **kw)


@pytest.mark.parametrize("v2", [False, True], ids=["v4", "v2"])
def test_s3cmd_asks_signs_and_removes(sub, tmp_path, v2):
    source = tmp_path / "录 1.mp4"
    source.write_bytes(b"value")
    s3cmd(sub, "put", source, f"s3://{sub.record}/{ODD}", "--add-header=x-amz-meta-a:1", v2=v2)
    said = s3cmd(sub, "info", f"s3://{sub.record}/{ODD}", v2=v2).stdout.decode()
    assert re.search(r"File size:\s+5", said) and "x-amz-meta-a" in said
    assert sub.record in s3cmd(sub, "info", f"s3://{sub.record}", v2=v2).stdout.decode()
    url = s3cmd(sub, "signurl", f"s3://{sub.record}/{ODD}", "+60", v2=v2).stdout.decode().strip()
    assert url_get(url).body == b"value", url
    s3cmd(sub, "modify", "--add-header=x-amz-meta-a:2", f"s3://{sub.record}/{ODD}", v2=v2)
    assert sub.boto().head_object(Bucket=sub.record, Key=ODD)["Metadata"]["a"] == "2"
    assert s3cmd(sub, "del", f"s3://{sub.record}/{ODD}", v2=v2, check=False).returncode != 0
    assert sub.get(sub.record, ODD) == b"value"
    s3cmd(sub, "del", "--recursive", "--force", f"s3://{sub.record}/", keys=sub.account.admin(), v2=v2)
    assert sub.listing() == {}


def test_lists_of_an_old_client_go_on_from_the_marker(sub):
    keys = [f"{n:03} 录+" for n in range(250)]
    wire = Wire(sub.server.address("s3"), sub.ak, sub.sk)
    for key in keys:
        assert wire.put(sub.record, key, b"").status == 200
    wire.close()
    found, marker = [], ""
    for _ in range(3):
        page = v2(sub, "GET", f"/{sub.record}", query={"max-keys": "100", "marker": marker}, sign_path=f"/{sub.record}/")
        found += names(page)
        marker = found[-1]
    assert found == keys and b"<IsTruncated>false</IsTruncated>" in page.body
