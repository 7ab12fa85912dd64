"""AWS Signature V4 by hand, for requests that no client library would send.

Written from Amazon's description, on purpose without a line shared with the appliance or with botocore.
"""

import datetime
import hashlib
import hmac
import urllib.parse

UNSIGNED = "UNSIGNED-PAYLOAD"
EMPTY = hashlib.sha256(b"").hexdigest()


def now():
    return datetime.datetime.now(datetime.timezone.utc)


def stamp(when):
    return when.strftime("%Y%m%dT%H%M%SZ")


def encode_path(path):
    return urllib.parse.quote(path, safe="/-_.~")


def encode_query(query):
    quote = lambda text: urllib.parse.quote(str(text), safe="-_.~")  # noqa: E731
    return "&".join(f"{k}={v}" for k, v in sorted((quote(k), quote(v)) for k, v in query.items()))


def mac(key, text):
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


def signing_key(sk, day, region):
    return mac(mac(mac(mac(b"AWS4" + sk.encode(), day), region), "s3"), "aws4_request")


def scope(when, region):
    return f"{when:%Y%m%d}/{region}/s3/aws4_request"


def string_to_sign(when, region, canonical):
    return "\n".join(["AWS4-HMAC-SHA256", stamp(when), scope(when, region), hashlib.sha256(canonical.encode()).hexdigest()])


def canonical(method, path, query, headers, names, payload_hash):
    lines = "".join(f"{n}:{' '.join(str(headers[n]).split())}\n" for n in names)
    return "\n".join([method, encode_path(path), encode_query(query), lines, ";".join(names), payload_hash])


def signed(method, host, path, query, headers, body, ak, sk, region, *, when=None, payload=UNSIGNED, unsigned=()):
    """A request signed in its header: (request target, headers). `payload`: what x-amz-content-sha256 says; None hashes the body."""
    when = when or now()
    if payload is None:
        payload = hashlib.sha256(body).hexdigest()
    headers = {k.lower(): v for k, v in headers.items()}
    headers.setdefault("host", host)
    headers.setdefault("x-amz-date", stamp(when))
    headers.setdefault("x-amz-content-sha256", payload)
    names = sorted(n for n in headers if n not in ("connection", "expect", "content-length", "transfer-encoding", *unsigned))
    text = string_to_sign(when, region, canonical(method, path, query, headers, names, payload))
    signature = hmac.new(signing_key(sk, f"{when:%Y%m%d}", region), text.encode(), hashlib.sha256).hexdigest()
    headers["authorization"] = (
        f"AWS4-HMAC-SHA256 Credential={ak}/{scope(when, region)}, SignedHeaders={';'.join(names)}, Signature={signature}"
    )
    target = encode_path(path) + (f"?{encode_query(query)}" if query else "")
    return target, headers


def presigned(method, host, path, ak, sk, region, *, expires=600, when=None, query=None, headers=None):
    """A presigned request target (path and query)."""
    when = when or now()
    headers = {"host": host, **{k.lower(): v for k, v in (headers or {}).items()}}
    names = sorted(headers)
    query = {
        **(query or {}),
        "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
        "X-Amz-Credential": f"{ak}/{scope(when, region)}",
        "X-Amz-Date": stamp(when),
        "X-Amz-Expires": str(expires),
        "X-Amz-SignedHeaders": ";".join(names),
    }
    text = string_to_sign(when, region, canonical(method, path, query, headers, names, UNSIGNED))
    signature = hmac.new(signing_key(sk, f"{when:%Y%m%d}", region), text.encode(), hashlib.sha256).hexdigest()
    return f"{encode_path(path)}?{encode_query(query)}&X-Amz-Signature={signature}"


def head(method, target, headers):
    """The request head as bytes."""
    return (f"{method} {target} HTTP/1.1\r\n" + "".join(f"{k}: {v}\r\n" for k, v in headers.items()) + "\r\n").encode()


def chunk_signature(key, when, region, previous, piece):
    """The signature of one chunk, chained to the one before (the request's own for the first)."""
    lines = ["AWS4-HMAC-SHA256-PAYLOAD", stamp(when), scope(when, region), previous, EMPTY, hashlib.sha256(piece).hexdigest()]
    return hmac.new(key, "\n".join(lines).encode(), hashlib.sha256).hexdigest()


def chunked_put(
    host, path, body, ak, sk, region, *, chunk=64 * 1024, trailer=None, sign_chunks=True, spoil_chunk=None, decoded=None,
    spoil_trailer_signature=False, omit_final=False, headers=None,
):  # fmt: skip
    """A PUT in aws-chunked framing as (head, body bytes).

    `trailer`: (name, value) of a trailing checksum. `spoil_chunk`: the number of a chunk whose signature is made wrong.
    `decoded`: what x-amz-decoded-content-length says, if not the truth. `omit_final`: leave the closing chunk out.
    """
    when = now()
    kind = {
        (True, False): "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
        (True, True): "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
        (False, True): "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
    }[sign_chunks, trailer is not None]
    headers = {
        "content-encoding": "aws-chunked",
        "x-amz-decoded-content-length": str(len(body) if decoded is None else decoded),
        **(headers or {}),
    }
    if trailer:
        headers["x-amz-trailer"] = trailer[0]
    target, headers = signed("PUT", host, path, {}, headers, b"", ak, sk, region, when=when, payload=kind)
    key = signing_key(sk, f"{when:%Y%m%d}", region)
    previous = headers["authorization"].rpartition("Signature=")[2]
    pieces = [body[i : i + chunk] for i in range(0, len(body), chunk)] + ([] if omit_final else [b""])
    out = bytearray()
    for number, piece in enumerate(pieces):
        if sign_chunks:
            previous = chunk_signature(key, when, region, previous, piece)
            shown = previous if spoil_chunk != number else ("0" if previous[0] != "0" else "1") + previous[1:]
            out += f"{len(piece):x};chunk-signature={shown}\r\n".encode()
        else:
            out += f"{len(piece):x}\r\n".encode()
        if piece:
            out += piece + b"\r\n"
    if not omit_final:
        if trailer:
            line = f"{trailer[0]}:{trailer[1]}\n"
            out += f"{trailer[0]}:{trailer[1]}\r\n".encode()
            if sign_chunks:
                text = "\n".join(
                    ["AWS4-HMAC-SHA256-TRAILER", stamp(when), scope(when, region), previous, hashlib.sha256(line.encode()).hexdigest()]
                )
                signature = hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
                if spoil_trailer_signature:
                    signature = "0" * 64
                out += f"x-amz-trailer-signature:{signature}\r\n".encode()
        out += b"\r\n"
    headers["content-length"] = str(len(out))
    return head("PUT", target, headers), bytes(out)
