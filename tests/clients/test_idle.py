"""What stops moving is cut, whatever kind of body it is, and gives back what it held; what crawls is not."""

import base64
import hmac
import json
import socket
import threading
import time

import pytest

import sigv4
from harness import KIB, MIB, REGION, Server, eventually, payload, read_reply

IDLE = 2.0
BODY = payload(2 * MIB, "idle")


@pytest.fixture(scope="module")
def impatient():
    s = Server(s3__idle_timeout=f"{IDLE:.0f}s")
    s.start()
    yield s
    s.discard()


@pytest.fixture
def sub(impatient):
    return impatient.open_account(1000).open_sub_account(100)


def host(sub):
    return "%s:%d" % sub.server.address("s3")


def unsigned(sub, method, path, query, body, **headers):
    target, made = sigv4.signed(method, host(sub), path, query, {}, body, sub.ak, sub.sk, REGION, payload=sigv4.UNSIGNED)
    return sigv4.head(method, target, {**made, **headers}), body


def plain(sub, key):
    return unsigned(sub, "PUT", f"/{sub.record}/{key}", {}, BODY, **{"content-length": str(len(BODY))})


def chunked(sub, key):
    head, _ = unsigned(sub, "PUT", f"/{sub.record}/{key}", {}, b"", **{"transfer-encoding": "chunked"})
    pieces = (BODY[at : at + 10_000] for at in range(0, len(BODY), 10_000))
    return head, b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


def aws_chunked(sub, key):
    return sigv4.chunked_put(host(sub), f"/{sub.record}/{key}", BODY, sub.ak, sub.sk, REGION, chunk=64 * KIB)


def part(sub, key):
    upload = sub.boto().create_multipart_upload(Bucket=sub.record, Key=key)["UploadId"]
    query = {"partNumber": "1", "uploadId": upload}
    return unsigned(sub, "PUT", f"/{sub.record}/{key}", query, BODY, **{"content-length": str(len(BODY))})


def form(sub, key):
    until = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 600))
    policy = {"expiration": until, "conditions": [{"bucket": sub.record}, {"key": key}]}
    encoded = base64.b64encode(json.dumps(policy).encode())
    signature = base64.b64encode(hmac.new(sub.sk.encode(), encoded, "sha1").digest())
    fields = {"key": key.encode(), "AWSAccessKeyId": sub.ak.encode(), "policy": encoded, "signature": signature}
    body = b"".join(b'--xyz\r\ncontent-disposition: form-data; name="%b"\r\n\r\n%b\r\n' % (n.encode(), v) for n, v in fields.items())
    body += b'--xyz\r\ncontent-disposition: form-data; name="file"; filename="f"\r\n\r\n' + BODY + b"\r\n--xyz--\r\n"
    head = f"POST /{sub.record} HTTP/1.1\r\nhost: {host(sub)}\r\ncontent-type: multipart/form-data; boundary=xyz\r\ncontent-length: {len(body)}\r\n\r\n"
    return head.encode(), body


KINDS = {"plain": plain, "chunked": chunked, "aws-chunked": aws_chunked, "part": part, "form": form}


def send(sub, head, body, pieces, pause, stop_after=None):
    """Sends a body in pieces; gives the reply and the seconds from the last byte to it."""
    size = -(-len(body) // pieces)
    with socket.create_connection(sub.server.address("s3"), timeout=60) as s:
        s.sendall(head)
        for number in range(stop_after or pieces):
            if number:
                time.sleep(pause)
            s.sendall(body[number * size : (number + 1) * size])
        last = time.monotonic()
        reply = read_reply(s)
        return reply, time.monotonic() - last


def all_at_once(work):
    """Runs `work(kind)` for every kind beside the others; gives what each gave."""
    out = {}
    threads = [threading.Thread(target=lambda kind=kind: out.update({kind: work(kind)})) for kind in KINDS]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert out.keys() == KINDS.keys()
    return out


def blocks(server):
    """Bytes of disk that the volumes take."""
    return sum(path.stat().st_blocks * 512 for path in server.data.glob("volumes/*.kdv"))


def test_what_stops_is_cut_and_gives_back_what_it_held(impatient, sub):
    sub.put(sub.record, "there", b"x")
    eventually(lambda: impatient.json("status")["trash"] == 0)
    before = blocks(impatient)
    taken = []
    watching = threading.Event()

    def watch():
        while not watching.wait(0.1):
            taken.append(sub.view()["reserved_bytes"])

    watcher = threading.Thread(target=watch)
    watcher.start()
    requests = {kind: KINDS[kind](sub, kind) for kind in KINDS}
    try:
        cut = all_at_once(lambda kind: send(sub, *requests[kind], 8, 0.05, stop_after=5))
    finally:
        watching.set()
        watcher.join()
    for kind, (reply, waited) in cut.items():
        assert (reply.status, reply.code) == (400, "RequestTimeout"), (kind, reply)
        assert reply.headers["connection"] == "close"
        assert IDLE * 0.9 < waited < IDLE + 5, (kind, waited)
    assert max(taken) > 5 * MIB, "while they were under way they held their room"
    view = eventually(lambda: sub.view()["reserved_bytes"] == 0 and sub.view(), 2)
    assert view["used_bytes"] == 1 and sub.listing() == {(sub.record, "there"): 1}
    eventually(lambda: blocks(impatient) <= before, 5, what=lambda: f"{blocks(impatient)} bytes of disk, before {before}")
    impatient.check_is_clean()


def test_what_crawls_is_kept_however_long_it_takes(impatient, sub):
    requests = {kind: KINDS[kind](sub, kind) for kind in KINDS}
    kept = all_at_once(lambda kind: send(sub, *requests[kind], 6, IDLE * 0.5))
    for kind, (reply, _) in kept.items():
        assert reply.status in (200, 204), (kind, reply)
    for kind in ("plain", "chunked", "aws-chunked", "form"):
        assert sub.get(sub.record, kind) == BODY, kind


def test_a_document_that_stops_is_cut_too(impatient, sub):
    body = b"<Delete><Object><Key>k</Key></Object></Delete>"
    head, body = unsigned(sub, "POST", f"/{sub.record}", {"delete": ""}, body, **{"content-length": str(len(body)), "content-md5": "1B2M2Y8AsgTpgAmY7PhCfg=="})
    reply, waited = send(sub, head, body, 2, 0, stop_after=1)
    assert (reply.status, reply.code) == (400, "RequestTimeout") and waited > IDLE * 0.9
