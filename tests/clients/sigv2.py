"""AWS Signature V2 by hand, in the dialects that clients made of it.

Written from Amazon's description, on purpose without a line shared with the appliance or with botocore.
"""

import base64
import hmac
import time
import urllib.parse

from sigv4 import encode_path, now

# What a client of 2014 puts behind the resource; responses' headers as well.
SUB_RESOURCES = (
    "acl", "delete", "legal-hold", "lifecycle", "location", "logging", "notification", "partNumber", "policy", "requestPayment", "response-cache-control",
    "response-content-disposition", "response-content-encoding", "response-content-language", "response-content-type", "response-expires", "tagging",
    "torrent", "uploadId", "uploads", "versionId", "versioning", "versions", "website",
)  # fmt: skip


def gmt(when):
    return when.strftime("%a, %d %b %Y %H:%M:%S GMT")


def zero(when):
    return when.strftime("%a, %d %b %Y %H:%M:%S +0000")


def basic(when):
    return when.strftime("%Y%m%dT%H%M%SZ")


def encode_query(query):
    return "&".join(k if v is None else f"{k}={urllib.parse.quote(str(v), safe='-_.~')}" for k, v in query.items())


def resource(path, query):
    """`path` as it shall be signed, and the sub-resources behind it, their values not encoded."""
    found = sorted((k, v) for k, v in query.items() if k in SUB_RESOURCES)
    return path + ("?" + "&".join(k if v in (None, "") else f"{k}={v}" for k, v in found) if found else "")


def string_to_sign(method, headers, date, what):
    lines = [method, headers.get("content-md5", ""), headers.get("content-type", ""), date]
    lines += [f"{name}:{value}" for name, value in sorted(headers.items()) if name.startswith("x-amz-")]
    return "\n".join([*lines, what])


def signature(sk, text):
    return base64.b64encode(hmac.new(sk.encode(), text.encode(), "sha1").digest()).decode()


def signed(method, host, path, ak, sk, *, query=None, headers=None, date=("x-amz-date", gmt), when=None, sign_path=None, sign_query=None):
    """A request signed in its header: (request target, headers). `path` is not encoded; `sign_path` is what is signed of it,
    if not the path as it is sent; `date` is the header and its form; `sign_query` are the parameters that are known to the signer."""
    query, when = query or {}, when or now()
    headers = {"host": host, **{k.lower(): v for k, v in (headers or {}).items()}}
    name, form = date
    headers[name] = form(when)
    what = resource(encode_path(path) if sign_path is None else sign_path, query if sign_query is None else sign_query)
    text = string_to_sign(method, headers, "" if "x-amz-date" in headers else headers["date"], what)
    headers["authorization"] = f"AWS {ak}:{signature(sk, text)}"
    return encode_path(path) + (f"?{encode_query(query)}" if query else ""), headers


def presigned(method, path, ak, sk, *, expires=600, query=None, headers=None, sign_path=None):
    """A presigned request target. `headers` are what will be sent besides, and is signed."""
    query, until = dict(query or {}), int(time.time()) + expires
    what = resource(encode_path(path) if sign_path is None else sign_path, query)
    text = string_to_sign(method, {k.lower(): v for k, v in (headers or {}).items()}, str(until), what)
    query.update({"AWSAccessKeyId": ak, "Expires": until, "Signature": signature(sk, text)})
    return f"{encode_path(path)}?{encode_query(query)}"
