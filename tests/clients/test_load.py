"""Crowds: thousands that say nothing, descriptors that run out, readers that stall, floods of requests; and good clients among them."""

import json
import os
import random
import re
import resource
import socket
import struct
import subprocess
import sys
import threading
import time

import pytest
import requests

import crowd
import sigv4
from crowd import Crowd, Good
from harness import HERE, KIB, MIB, REGION, eventually, payload, read_reply, settled
from slow_cameras import cpu_seconds, memory, open_files


def signed(sub, method, key, headers=None, payload=sigv4.UNSIGNED):
    """The head of a signed request, for whoever sends it by hand."""
    host = "%s:%d" % sub.server.address("s3")
    target, told = sigv4.signed(method, host, f"/{sub.record}/{key}", {}, {}, b"", sub.ak, sub.sk, REGION, payload=payload)
    return sigv4.head(method, target, {**told, **(headers or {})})


def metric(server, name, labels='plane="s3"'):
    """One number of `/metrics`, over a connection of its own."""
    text = requests.get(f"http://{server.listen['metrics']}/metrics", timeout=10).text
    return float(re.search(rf"^{name}{{{labels}}} (\S+)$", text, re.M)[1])


def descriptors(server):
    return len(os.listdir(f"/proc/{server.process.pid}/fd"))


@pytest.fixture(scope="module", autouse=True)
def three_thousand():
    """The crowd of the last test, from the first on."""
    plan = {"connections": 3000, "kinds": "silent,kept,half,drip", "work": 2, "wait-for-the-cut": 0, "settle": 0}
    options = [word for name, value in plan.items() for word in (f"--{name}", str(value))]
    # What is held for the next burst is given back after a second instead of ten.
    environment = {**os.environ, "_RJEM_MALLOC_CONF": "background_thread:true,dirty_decay_ms:1000"}
    process = subprocess.Popen([sys.executable, HERE / "crowd.py", *options], stdout=subprocess.PIPE, text=True, env=environment)
    yield process
    process.kill()
    process.wait()


# --- those that say nothing --------------------------------------------------------------------------------


def held(report, per_connection):
    """What a crowd's report says that it must not."""
    found = []
    if report.failures or report.unanswered:
        found.append(f"{report.unanswered} and {report.failures[:3]}: good clients were not served")
    if report.bytes_per_connection > per_connection:
        found.append(f"a connection that rests holds {report.bytes_per_connection} bytes")
    if report.rss_after:
        left = min(report.rss_after.values()) - report.rss_worked
        if left > max(8 * MIB, 0.25 * (report.rss_peak - report.rss_worked)):
            found.append(f"{left / MIB:.0f} MiB of {(report.rss_peak - report.rss_worked) / MIB:.0f} were not given back")
    return found


@pytest.mark.long
@pytest.mark.timeout(600)
def test_ten_thousand_that_say_nothing_are_cut_in_time(new_server):
    server = new_server()
    plan = crowd.Plan(connections=9999)
    report = crowd.run(plan, server, server.open_account(10_000))
    print(report)
    assert held(report, 6 * KIB) == []
    for kind, limit in (("half", crowd.HEAD_TIME), ("silent", crowd.IDLE_TIME), ("kept", crowd.IDLE_TIME)):
        count, soonest, latest = report.cut[kind]
        assert count == 3333 and limit - 2 < soonest, f"{count} {kind} were cut after {soonest} to {latest} s"


def test_who_has_said_nothing_for_longest_makes_room(new_server):
    server = new_server(s3__max_connections=40)
    sub = server.open_account(1000).open_sub_account(100)
    sub.put(sub.record, "here", b"1")
    many = Crowd(server.address("s3"), signed(sub, "GET", "here"))
    many.join("kept", 20)
    many.tend(10, lambda: all(m.answer for m in many.there.values()))
    good = Good([sub])
    many.join("silent", 100)
    many.tend(10, lambda: len(many.gone) >= 80 and len(good.waits) > 20)
    good.stop()
    assert good.failures == [] and len(good.waits) > 0
    # Those with an answer fell silent first, but count as quiet ten seconds later than they are.
    assert [m.kind for m in many.gone[:20]] == ["silent"] * 20, "who was served leaves later"
    assert metric(server, "kandian_http_connections_made_room_total") >= 80
    many.disperse()


# --- descriptors used up -----------------------------------------------------------------------------------


def test_a_thousand_clients_and_256_descriptors_leave_a_box_that_works(new_server):
    """Cameras go on, a new volume is made, and operators get in by every way that they have."""
    open_files(4000)
    server = new_server(start=False, storage__volume_size="8MiB")
    server.before = ["prlimit", "--nofile=256:256"]
    server.start()
    sub = server.open_account(10_000).open_sub_account(1000)
    volumes = server.data / "volumes"
    made = len(list(volumes.iterdir()))
    many = Crowd(server.address("s3"), signed(sub, "GET", "here"))
    good = Good([sub])
    many.join("silent", 500)
    many.join("kept", 250)
    many.join("half", 250)
    for plane in ("soap", "portal", "metrics"):
        strangers = Crowd(server.address(plane), b"")
        strangers.join("silent", 100)
        many.gone += strangers.gone
        many.tend(0.1)
    for n in range(4):
        sub.put(sub.record, f"big {n}", payload(19 * MIB, n))
    assert len(list(volumes.iterdir())) > made, "a volume was made"
    assert descriptors(server) < 256
    assert server.json("status")
    assert requests.get(f"http://{server.listen['metrics']}/healthz", timeout=10).status_code == 200
    assert requests.get(f"http://{server.listen['portal']}/", timeout=10).status_code == 200
    assert sub.free_space() > 0, "the platform gets in"
    cpu, began = cpu_seconds(server.process.pid), time.monotonic()
    good.stop()
    many.tend(2)
    assert cpu_seconds(server.process.pid) - cpu < 0.5 * (time.monotonic() - began), "it spins"
    assert good.failures == [] and len(good.waits) > 20
    many.disperse()


def test_when_the_descriptors_really_run_out_the_box_neither_spins_nor_forgets_its_clients(new_server):
    server = new_server()
    pid = server.process.pid
    sub = server.open_account(10_000).open_sub_account(1000)
    sub.put(sub.record, "here", b"1")
    before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    good = Good([sub])
    eventually(lambda: good.waits, what="a good client at work")
    many = Crowd(server.address("s3"), signed(sub, "GET", "here"))
    many.join("kept", 20)
    many.tend(5, lambda: all(m.answer for m in many.there.values()))
    # Fewer than are open now: not even the place that somebody leaves can be taken at once.
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (descriptors(server) - 5, before[1]))
    late = Crowd(server.address("s3"), signed(sub, "GET", "here"))
    late.join("kept", 60)
    eventually(lambda: b"cannot accept a connection" in server.log.read_bytes(), what="a refusal of the kernel")
    cpu, began = cpu_seconds(pid), time.monotonic()
    late.tend(2)
    many.tend(1)
    assert cpu_seconds(pid) - cpu < 0.6 * (time.monotonic() - began), "it spins"
    assert many.gone, "who says nothing makes room"
    resource.prlimit(pid, resource.RLIMIT_NOFILE, before)
    late.tend(10, lambda: all(m.answer for m in late.there.values()))
    assert all(m.answer.startswith(b"HTTP/1.1 200") for m in late.there.values()), "who waited is served"
    good.stop()
    assert good.failures == [] and len(good.waits) > 20
    assert metric(server, "kandian_http_accept_failures_total") > 0
    assert sub.get(sub.record, "here") == b"1"
    many.disperse()
    late.disperse()


# --- readers and writers -----------------------------------------------------------------------------------


def disk_used(server):
    return sum(file.stat().st_blocks * 512 for file in (server.data / "volumes").iterdir())


def test_readers_that_stall_hold_little_are_cut_and_give_back_what_they_hold(new_server):
    server = new_server(s3__idle_timeout="2s")
    account = server.open_account(10_000)
    sub = account.open_sub_account(1000)
    size = 64 * MIB
    data = payload(size, "film")
    sub.put(sub.record, "film", data)
    begin = disk_used(server)
    rss = memory(server.process.pid)[0]
    stalled = []
    for _ in range(60):
        s = socket.create_connection(server.address("s3"), timeout=30)
        s.sendall(signed(sub, "GET", "film"))
        assert s.recv(12) == b"HTTP/1.1 200"
        stalled.append(s)
    good = Good([sub])
    # One that takes a little and again a little, slowly: it moves, so it is kept.
    slow = socket.create_connection(server.address("s3"), timeout=30)
    slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * KIB)
    slow.sendall(signed(sub, "GET", "film", {"range": f"bytes=0-{20 * MIB - 1}"}))
    grown = memory(server.process.pid)[0] - rss
    admin = server.wire(*account.admin())
    assert admin.delete(sub.record, "film").status == 204
    taken, began = 0, time.monotonic()
    while time.monotonic() - began < 5:
        taken += len(slow.recv(16 * KIB))
        time.sleep(0.02)

    def moves_until_the_stalled_are_cut():
        nonlocal taken
        if taken < 19 * MIB:
            taken += len(slow.recv(16 * KIB))
        return metric(server, "kandian_http_connections") <= 5  # the slow one, the good one, those who ask

    eventually(moves_until_the_stalled_are_cut, what="the stalled cut")
    rest = taken
    while chunk := slow.recv(MIB):
        rest += len(chunk)
        if rest >= 20 * MIB:
            break
    good.stop()
    assert good.failures == [] and len(good.waits) > 20
    assert rest >= 20 * MIB, f"a slow reader was cut after {rest} bytes"
    assert grown < 60 * 2 * MIB, f"60 readers hold {grown / MIB:.0f} MiB"
    for s in stalled + [slow]:
        s.close()
    eventually(lambda: disk_used(server) < begin - size // 2, 30, what="the film's space given back")


def test_a_flood_of_requests_in_a_pipeline_is_answered_in_order_and_fills_no_memory(server):
    """40 MB of answers that nobody takes: requests wait in the kernel, and are not worked off into memory."""
    sub = server.open_account(100).open_sub_account(10)
    for n in range(10):
        sub.put(sub.record, f"{n}", b"%d" % n * 10_000)
    asks = [signed(sub, "GET", f"{n}") for n in range(10)]
    rss, count = memory(server.process.pid)[0], 4000

    def answered():
        return metric(server, "kandian_http_requests_total", labels='plane="s3",status="2xx"')

    before = answered()
    s = socket.create_connection(server.address("s3"), timeout=30)
    sender = threading.Thread(target=lambda: [s.sendall(asks[n % 10]) for n in range(count)])
    sender.start()
    worked_off = settled(answered) - before
    assert 0 < worked_off < count, "requests were served although no answer was taken"
    assert memory(server.process.pid)[0] - rss < 120 * MIB
    stream = s.makefile("rb")
    for n in range(count):
        assert stream.readline() == b"HTTP/1.1 200 OK\r\n", n
        length = None
        while (line := stream.readline()) != b"\r\n":
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        assert stream.read(length) == b"%d" % (n % 10) * 10_000, n
    sender.join()
    s.close()


def test_who_leaves_at_whatever_point_leaves_nothing_behind(server):
    """FIN, RST and half-closed, after every so many bytes of every kind of request, read and unread."""
    sub = server.open_account(1000).open_sub_account(100)
    sub.put(sub.record, "there", payload(2 * MIB, "there"))
    body = payload(40 * KIB, "body")
    requests_ = {
        "put": signed(sub, "PUT", "new", {"content-length": str(len(body))}) + body,
        "waits to be told to go on": signed(sub, "PUT", "new", {"content-length": str(len(body)), "expect": "100-continue"}) + body,
        "get": signed(sub, "GET", "there"),
        "refused": signed(sub, "PUT", "new", {"content-length": str(len(body)), "x-amz-unsigned": "1"}) + body,
        "nonsense": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + body,
    }
    chance = random.Random("leaving")
    for kind, data in requests_.items():
        head = data.find(b"\r\n\r\n") + 4
        points = {0, 1, head // 2, head - 1, head, len(data) - 1, len(data)} | {chance.randrange(len(data)) for _ in range(5)}
        for point in sorted(p for p in points if 0 <= p <= len(data)):
            for leave in ("FIN", "RST", "half"):
                s = socket.create_connection(server.address("s3"), timeout=20)
                s.sendall(data[:point])
                if chance.random() < 0.3 and point == len(data):
                    s.recv(1000)
                if leave == "RST":
                    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                elif leave == "half":
                    try:
                        s.shutdown(socket.SHUT_WR)
                    except OSError:
                        pass  # cut already
                s.close()
    eventually(lambda: metric(server, "kandian_http_connections") <= 1, 30, what="all connections gone")
    eventually(lambda: sub.view()["reserved_bytes"] == 0, what="no reservation left")
    names = {key for _, key in sub.listing()}
    assert names <= {"there", "new"} and sub.get(sub.record, "there") == payload(2 * MIB, "there")
    if "new" in names:
        assert sub.get(sub.record, "new") == body
    s = socket.create_connection(server.address("s3"), timeout=20)
    s.sendall(signed(sub, "GET", "there", {"range": "bytes=0-9"}))
    assert read_reply(s).status == 206
    s.close()


def test_three_thousand_that_say_nothing_disturb_nobody_and_leave_nothing_behind(three_thousand):
    """Last, because it runs beside the others: it waits most of the time."""
    said, _ = three_thousand.communicate(timeout=120)
    print(said)
    report = crowd.Report(**json.loads(said[said.index("\n{\n") :]))
    assert held(report, 6 * KIB) == []
    assert report.good_requests > 20
    for kind in crowd.HEADS:
        count, soonest, latest = report.cut[kind]
        assert count == 750 and soonest > crowd.HEAD_TIME - 1, f"{kind} heads were cut after {soonest} to {latest} s"
    assert "silent" not in report.cut and "kept" not in report.cut, "nobody is cut before the time"
