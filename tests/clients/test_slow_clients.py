"""Cameras on bad lines: those that crawl, those that stop, those that hang up behind the last byte or before it."""

import asyncio
import base64
import fcntl
import socket
import struct
import termios
import time
import zlib

import pytest

import sigv4
import slow_cameras
from harness import KIB, MIB, REGION, Server, eventually, payload, read_reply

# Long enough that a busy test machine keeps the pauses between two pieces well below it.
IDLE = 3.0


# --- slow ones and stalled ones ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def impatient():
    """An appliance on which no byte may stay away for longer than three seconds."""
    s = Server(s3__idle_timeout=f"{IDLE:.0f}s")
    s.start()
    yield s
    s.discard()


def request(sub, key, body, kind, size=None):
    """A PUT as (head, body on the wire)."""
    host = "%s:%d" % sub.server.address("s3")
    if kind == "aws-chunked":
        head, framed = sigv4.chunked_put(host, f"/{sub.record}/{key}", body, sub.ak, sub.sk, REGION, chunk=8 * KIB)
        return head, framed
    target, headers = sigv4.signed("PUT", host, f"/{sub.record}/{key}", {}, {}, body, sub.ak, sub.sk, REGION, payload=None if kind == "hash" else sigv4.UNSIGNED)
    if kind == "chunked":
        headers["transfer-encoding"] = "chunked"
        body = b"".join(b"%x\r\n%b\r\n" % (len(body[i : i + 999]), body[i : i + 999]) for i in range(0, len(body), 999)) + b"0\r\n\r\n"
    else:
        headers["content-length"] = str(len(body) if size is None else size)
    return sigv4.head("PUT", target, headers), body


KINDS = ("length", "hash", "chunked", "aws-chunked")


async def upload(sub, key, body, kind, *, pieces, pause, stop_after=None):
    """Sends a body in pieces with pauses; gives (status or None, code, seconds from the last byte to the end of it)."""
    head, framed = request(sub, key, body, kind)
    reader, writer = await asyncio.open_connection(*sub.server.address("s3"))
    try:
        writer.write(head)
        size = -(-len(framed) // pieces)
        for number, at in enumerate(range(0, len(framed), size)):
            if number == stop_after:
                break
            writer.write(framed[at : at + size])
            await writer.drain()
            if at + size < len(framed) and number + 1 != stop_after:
                await asyncio.sleep(pause)
        last = time.monotonic()
        answer = b""
        while True:
            data = await asyncio.wait_for(reader.read(65536), 30)
            answer += data
            if not data or b"</Error>" in answer or (answer.startswith(b"HTTP/1.1 200") and b"\r\n\r\n" in answer):
                break
        ended = time.monotonic() - last
    except ConnectionError:
        return None, None, time.monotonic() - last
    finally:
        writer.close()
    if not answer:
        return None, None, ended
    code = answer.partition(b"<Code>")[2].partition(b"</Code>")[0].decode()
    return int(answer[9:12]), code or None, ended


def test_those_that_crawl_are_kept_those_that_stop_are_cut_and_others_are_served(impatient):
    account = impatient.open_account(100_000)
    crawling, stalled, good = (account.open_sub_account(1000) for _ in range(3))
    bodies = {f"{n:03}": payload(16_000 + n, n) for n in range(300)}
    free = stalled.free_space()
    lowest = []

    async def everything():
        crawls = [
            asyncio.create_task(upload(crawling, key, body, KINDS[n % 4], pieces=10, pause=IDLE * 0.4 if n % 10 == 0 else 0.4))
            for n, (key, body) in enumerate(bodies.items())
        ]
        stops = [
            asyncio.create_task(upload(stalled, f"{n:03}", bytes(MIB), KINDS[n % 4], pieces=16, pause=0.1, stop_after=1 + n % 8)) for n in range(100)
        ]
        served = asyncio.create_task(asyncio.to_thread(work, good, 4 * IDLE))
        while not all(task.done() for task in stops):
            lowest.append(await asyncio.to_thread(stalled.free_space))
            await asyncio.sleep(0.2)
        return await asyncio.gather(*crawls), await asyncio.gather(*stops), await served

    crawled, stopped, waits = asyncio.run(everything())
    assert {answer[:2] for answer in crawled} == {(200, None)}
    assert crawling.listing() == {(crawling.record, key): len(body) for key, body in bodies.items()}
    for key in list(bodies)[::7]:
        assert crawling.get(crawling.record, key) == bodies[key], key
    assert {answer[:2] for answer in stopped} <= {(400, "RequestTimeout"), (None, None)}
    assert (400, "RequestTimeout") in {answer[:2] for answer in stopped}, "who still listens is told why"
    for _, _, waited in stopped:
        assert IDLE * 0.9 < waited < IDLE + 6, f"cut after {waited:.1f} s"
    assert min(lowest) < free - 20, "an upload under way has taken its room"
    eventually(lambda: stalled.free_space() == free, what="the room given back")
    view = stalled.view()
    assert (view["used_bytes"], view["reserved_bytes"]) == (0, 0) and stalled.listing() == {}
    assert crawling.view()["reserved_bytes"] == 0
    assert len(waits) > 20 and max(waits) < IDLE, f"others waited for {max(waits):.1f} s"
    assert impatient.check_is_clean() == 300 + len(waits)


def work(sub, seconds):
    """A camera on a good line: how long each of its uploads took, read back."""
    wire, waits, until = sub.wire(), [], time.monotonic() + seconds
    while time.monotonic() < until:
        data, began = payload(50 * KIB, len(waits)), time.monotonic()
        assert wire.put(sub.record, f"{len(waits)}", data).status == 200
        assert wire.get(sub.record, f"{len(waits)}").body == data
        waits.append(time.monotonic() - began)
        time.sleep(0.1)
    wire.close()
    return waits


def test_a_connection_between_two_pictures_may_rest_for_longer_than_a_body(impatient):
    sub = impatient.open_account(10).open_sub_account(1)
    wire = sub.wire()
    assert wire.put(sub.record, "1", b"1").status == 200
    before = wire.connection.sock.getsockname()
    time.sleep(IDLE + 1)
    assert wire.put(sub.record, "2", b"2").status == 200
    assert wire.connection.sock.getsockname() == before, "on the same connection"
    wire.close()


@pytest.mark.long
@pytest.mark.timeout(900)
def test_five_thousand_cameras_at_once_fit_into_memory(new_server):
    plan = slow_cameras.Plan()
    report = slow_cameras.run(plan, new_server())
    print(report)
    assert report.wrong(plan) == []


# --- those that leave --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def account(server):
    return server.open_account(100_000)


@pytest.fixture
def sub(account):
    return account.open_sub_account(500)


def all_is_taken(s):
    """Whether the server's kernel has acknowledged everything that was sent."""
    return struct.unpack("i", fcntl.ioctl(s, termios.TIOCOUTQ, bytes(4)))[0] == 0


def close(s):
    """A FIN, with the answer unread."""
    s.close()


def reset(s):
    """A RST once everything has arrived, as a watchdog reboots a camera."""
    eventually(lambda: all_is_taken(s), what="everything sent")
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    s.close()


def half(s):
    """A FIN, and the connection left open for a while."""
    s.shutdown(socket.SHUT_WR)
    time.sleep(0.05)
    s.close()


LEAVES = {"FIN": close, "RST": reset, "half closed": half}


def trailer(body):
    return "x-amz-checksum-crc32", base64.b64encode(zlib.crc32(body).to_bytes(4, "big")).decode()


def in_http_chunks(head, framed):
    """As over TLS: aws-chunked inside HTTP chunks, without a length."""
    lines = [line for line in head.split(b"\r\n") if not line.startswith(b"content-length")]
    lines.insert(1, b"transfer-encoding: chunked")
    return b"\r\n".join(lines), b"%x\r\n%b\r\n0\r\n\r\n" % (len(framed), framed)


def signed_chunks(sub, key, body):
    return request(sub, key, body, "aws-chunked")


def unsigned_trailer(sub, key, body):
    host = "%s:%d" % sub.server.address("s3")
    return sigv4.chunked_put(host, f"/{sub.record}/{key}", body, sub.ak, sub.sk, REGION, sign_chunks=False, trailer=trailer(body))


WHOLE = {
    "length": lambda *a: request(*a, "length"),
    "hash": lambda *a: request(*a, "hash"),
    "signed chunks": signed_chunks,
    "unsigned trailer": unsigned_trailer,
    "unsigned trailer in HTTP chunks": lambda *a: in_http_chunks(*unsigned_trailer(*a)),
}
SIZES = (0, 1, 100 * KIB, 3 * MIB)


@pytest.mark.parametrize("leave", LEAVES)
@pytest.mark.parametrize("kind", WHOLE)
def test_who_leaves_behind_the_last_byte_has_stored(sub, kind, leave):
    wanted = {}
    for size in SIZES:
        for number in range(3):
            key, body = f"{size}/{number}", payload(size, f"{size}{number}")
            head, framed = WHOLE[kind](sub, key, body)
            s = socket.create_connection(sub.server.address("s3"), timeout=20)
            if number:  # in one piece, and the last byte by itself
                s.sendall(head + framed)
            else:
                s.sendall((head + framed)[:-1])
                eventually(lambda s=s: all_is_taken(s), what="all but the last byte")
                s.sendall((head + framed)[-1:])
            LEAVES[leave](s)
            wanted[key] = body
    eventually(lambda: len(sub.listing()) == len(wanted), what=lambda: f"{len(wanted)} files; there are {sub.listing()}")
    for key, body in wanted.items():
        assert sub.get(sub.record, key) == body, key
    eventually(lambda: sub.view()["reserved_bytes"] == 0, what="no reservation left")


def test_a_body_in_http_chunks_is_whole_with_its_last_chunk(sub):
    """ffmpeg closes behind it. A reset there cannot be told from a broken line, so that it promises nothing."""
    for leave in (close, half):
        body = payload(300 * KIB, leave.__name__)
        head, framed = request(sub, leave.__name__, body, "chunked")
        s = socket.create_connection(sub.server.address("s3"), timeout=20)
        s.sendall(head + framed)
        leave(s)
        eventually(lambda body=body, leave=leave: (sub.record, leave.__name__) in sub.listing(), what=lambda: sub.listing())
        assert sub.get(sub.record, leave.__name__) == body


CUTS = {
    "length": WHOLE["length"], "hash": WHOLE["hash"], "signed chunks": signed_chunks, "unsigned trailer": unsigned_trailer,
    "unsigned trailer in HTTP chunks": WHOLE["unsigned trailer in HTTP chunks"], "HTTP chunks": lambda *a: request(*a, "chunked"),
}  # fmt: skip


@pytest.mark.parametrize("leave", LEAVES)
@pytest.mark.parametrize("kind", CUTS)
def test_who_leaves_before_the_last_byte_has_stored_nothing(sub, kind, leave):
    sub.put(sub.record, "k", b"unharmed")
    head, framed = CUTS[kind](sub, "k", payload(100 * KIB, kind))
    for missing in (1, 2, 40, len(framed) // 2, len(framed)):
        s = socket.create_connection(sub.server.address("s3"), timeout=20)
        s.sendall(head + framed[: len(framed) - missing])
        if missing != 2:  # at once, and after it has been looked at
            eventually(lambda: sub.view()["reserved_bytes"] > 0 or missing == len(framed), what="the upload under way")
        LEAVES[leave](s)
    eventually(lambda: sub.view()["reserved_bytes"] == 0, what="the reservations given back")
    assert sub.listing() == {(sub.record, "k"): 8}
    assert sub.get(sub.record, "k") == b"unharmed"
    assert sub.view()["used_bytes"] == 8


@pytest.mark.parametrize("kind", ["length", "chunked", "aws-chunked"])
def test_what_a_stop_of_the_server_cuts_is_not_taken_for_whole(new_server, kind):
    """A stop waits for uploads as long as it was told to, and cuts what is not done then."""
    server = new_server(shutdown_grace="1s")
    sub = server.open_account(10).open_sub_account(5)
    sub.put(sub.record, "k", b"unharmed")
    body = payload(100 * KIB, kind)
    (cut, framed), (done, whole) = request(sub, "k", body, kind), request(sub, "done", body, kind)
    with socket.create_connection(server.address("s3"), timeout=20) as s, socket.create_connection(server.address("s3"), timeout=20) as t:
        s.sendall(cut + framed[: len(framed) // 2])
        t.sendall(done + whole[: len(whole) // 2])
        eventually(lambda: sub.view()["reserved_bytes"] >= len(body), what="the uploads under way")
        process, server.process = server.process, None
        process.terminate()
        time.sleep(0.3)
        t.sendall(whole[len(whole) // 2 :])
        assert read_reply(t).status == 200
        assert process.wait(20) == 0
    server.start()
    assert sub.listing() == {(sub.record, "k"): 8, (sub.record, "done"): len(body)}
    assert sub.get(sub.record, "k") == b"unharmed" and sub.get(sub.record, "done") == body
    view = sub.view()
    assert (view["used_bytes"], view["reserved_bytes"]) == (8 + len(body), 0)


@pytest.mark.parametrize("leave", ["FIN", "half closed"])
def test_who_leaves_after_asking_for_something_gets_it_done(sub, leave):
    """Completing, copying, locking and deleting are done whether anybody waits for the answer or not."""
    client = sub.boto()
    data = payload(200 * KIB, "work")
    sub.put(sub.record, "source", data)
    sub.put(sub.record, "gone", data)
    upload_id = client.create_multipart_upload(Bucket=sub.record, Key="parts")["UploadId"]
    tag = client.upload_part(Bucket=sub.record, Key="parts", UploadId=upload_id, PartNumber=1, Body=data)["ETag"]
    host = "%s:%d" % sub.server.address("s3")
    admin = sub.account.admin()

    def ask(method, key, query=None, body=b"", headers=None, keys=(sub.ak, sub.sk)):
        target, signed = sigv4.signed(method, host, f"/{sub.record}/{key}", query or {}, headers or {}, body, *keys, REGION, payload=None)
        s = socket.create_connection(sub.server.address("s3"), timeout=20)
        s.sendall(sigv4.head(method, target, {**signed, "content-length": str(len(body))}) + body)
        LEAVES[leave](s)

    complete = f"<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>{tag}</ETag></Part></CompleteMultipartUpload>".encode()
    ask("POST", "parts", {"uploadId": upload_id}, complete)
    ask("PUT", "copy", headers={"x-amz-copy-source": f"/{sub.record}/source"})
    ask("PUT", "source", {"legal-hold": ""}, b"<LegalHold><Status>ON</Status></LegalHold>")
    ask("DELETE", "gone", keys=admin)
    wanted = {(sub.record, key): len(data) for key in ("source", "parts", "copy")}
    eventually(lambda: sub.listing() == wanted, what=lambda: sub.listing())
    eventually(lambda: client.head_object(Bucket=sub.record, Key="source").get("ObjectLockLegalHoldStatus") == "ON", what="the lock")
    assert sub.get(sub.record, "parts") == data and sub.get(sub.record, "copy") == data
