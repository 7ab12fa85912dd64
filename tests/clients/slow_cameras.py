"""Thousands of cameras that upload slowly and all at once, against one appliance whose memory is watched.

    python tests/clients/slow_cameras.py --connections 5000 --rate 50000 --size 3000000

One asyncio process is all cameras: each has a connection and one PUT signed with V4, and sends at its rate until the last
byte. Most know their length, some also their hash, some send in HTTP chunks and know neither. Nothing may be cut, everything
must be stored as it was sent, and the server's resident memory stays under a bound. `scripts/test --long` runs it too.
"""

import argparse
import asyncio
import hashlib
import json
import os
import random
import resource
import sys
import time
from dataclasses import dataclass, field

import sigv4
from harness import KIB, MIB, REGION, Server, payload, soap

TICK = 0.02
# A camera holds its next piece back while so much of the last ones has not left the process.
HELD_BACK = 64 * KIB
CAMERAS_PER_SUB_ACCOUNT = 50


@dataclass
class Plan:
    """What to run."""

    connections: int = 5000
    rate: int = 50_000
    size: int = 3_000_000
    # A camera writes every so often, as an encoder that has filled a buffer. Half of the work of this process is a write,
    # whatever its length, so that a shorter time needs more cores.
    period: float = 0.64
    ramp: float = 5.0
    sample: int = 200
    rss_limit: int = 600 * MIB


@dataclass
class Report:
    """What came of it."""

    stored: int = 0
    cut: int = 0
    refused: list = field(default_factory=list)
    seconds: float = 0.0
    # What a camera reached of its rate; less where the machine, not the server, was too slow for all of them.
    rate_reached: float = 0.0
    late_pieces: int = 0
    answer_p50: float = 0.0
    answer_max: float = 0.0
    rss_start: int = 0
    rss_peak: int = 0
    rss_anonymous_peak: int = 0
    rss_end: int = 0
    server_cpu_seconds: float = 0.0
    listed: int = 0
    compared: int = 0
    different: list = field(default_factory=list)

    def wrong(self, plan):
        """What breaks the promise, as sentences; empty where it holds."""
        found = []
        if self.cut:
            found.append(f"{self.cut} uploads were cut although bytes moved")
        if self.refused:
            found.append(f"{len(self.refused)} uploads were refused: {self.refused[:3]}")
        if self.stored != plan.connections or self.listed != plan.connections:
            found.append(f"of {plan.connections} uploads {self.stored} were acknowledged and {self.listed} are listed")
        if self.different:
            found.append(f"other bytes came back for {self.different[:3]}")
        if self.compared < min(plan.sample, plan.connections):
            found.append(f"only {self.compared} were compared")
        if self.rss_peak > plan.rss_limit:
            found.append(f"resident memory reached {self.rss_peak / MIB:.0f} MiB, over {plan.rss_limit / MIB:.0f}")
        return found


def open_files(wanted):
    """Raises the limit of open files for this process and the server that it starts."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        assert hard == resource.RLIM_INFINITY or hard >= wanted, f"{wanted} open files are needed, {hard} are allowed"
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def memory(pid):
    """(resident, anonymous) bytes of a process, as the kernel counts them."""
    with open(f"/proc/{pid}/status") as status:
        kib = {name: int(rest.split()[0]) for name, _, rest in (line.partition(":") for line in status) if name in ("VmRSS", "RssAnon")}
    return kib["VmRSS"] * KIB, kib["RssAnon"] * KIB


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat") as stat:
        fields = stat.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Camera(asyncio.Protocol):
    """One connection with one upload."""

    def __init__(self, number, sub, host, body, kind, piece):
        self.number, self.sub, self.host, self.body, self.kind, self.piece = number, sub, host, body, kind, piece
        self.key = f"2014/03/28/camera {number:05}.mp4"
        self.transport = None
        self.sent = 0
        self.late = 0
        self.began_at = self.ended_at = None
        self.answer = b""
        self.answered_at = None
        self.lost = asyncio.get_running_loop().create_future()

    def connection_made(self, transport):
        self.transport = transport
        headers = {"content-type": "video/mp4"}
        payload_hash = hashlib.sha256(self.body).hexdigest() if self.kind == "hash" else sigv4.UNSIGNED
        target, signed = sigv4.signed(
            "PUT", self.host, f"/{self.sub.record}/{self.key}", {}, headers, b"", self.sub.ak, self.sub.sk, REGION, payload=payload_hash
        )
        signed.update({"transfer-encoding": "chunked"} if self.kind == "chunked" else {"content-length": str(len(self.body))})
        transport.write(sigv4.head("PUT", target, signed))

    def step(self):
        """Sends the next piece; whether there is more to send."""
        if self.transport.is_closing() or self.answer:
            return False
        if self.transport.get_write_buffer_size() > HELD_BACK:
            self.late += 1
            return True
        self.began_at = self.began_at or time.monotonic()
        piece = self.body[self.sent : self.sent + self.piece]
        self.sent += len(piece)
        more = self.sent < len(self.body)
        if self.kind == "chunked":
            piece = b"%x\r\n%b\r\n%b" % (len(piece), piece, b"" if more else b"0\r\n\r\n")
        self.transport.write(piece)
        if not more:
            self.ended_at = time.monotonic()
        return more

    def data_received(self, data):
        self.answer += data
        if self.answered_at is None and b"\r\n\r\n" in self.answer:
            self.answered_at = time.monotonic()
            self.transport.close()

    def connection_lost(self, error):
        self.lost.set_result(error)

    @property
    def status(self):
        return int(self.answer[9:12]) if self.answered_at is not None else None


async def film(plan, cameras, address, watch):
    """Connects all cameras, lets each send at its rate, waits for the answers."""
    loop = asyncio.get_running_loop()
    slots = [[] for _ in range(max(1, round(plan.period / TICK)))]

    async def connect():
        for number, camera in enumerate(cameras):
            await loop.create_connection(lambda camera=camera: camera, *address)
            slots[number % len(slots)].append(camera)
            if number % 20 == 0:
                await asyncio.sleep(plan.ramp * 20 / len(cameras))

    connecting = asyncio.create_task(connect())
    began, turn = time.monotonic(), 0
    patience = plan.ramp + 4 * plan.size / plan.rate + 60
    while not connecting.done() or any(slots):
        slots[turn % len(slots)] = [camera for camera in slots[turn % len(slots)] if camera.step()]
        turn += 1
        if turn % round(1 / TICK) == 0:
            watch()
        wait = began + turn * TICK - time.monotonic()
        assert time.monotonic() - began < patience, "the uploads take four times as long as their rate says"
        await asyncio.sleep(max(wait, 0))
    await connecting
    await asyncio.wait([camera.lost for camera in cameras], timeout=60)
    watch()
    return time.monotonic() - began


def run(plan, server):
    """Runs `plan` against a started `server` whose GB is 1 MiB."""
    open_files(plan.connections + 1000)
    account = server.open_account(1_000_000)
    count = -(-plan.connections // CAMERAS_PER_SUB_ACCOUNT)
    # Twice what they send: an upload that does not know its length reserves ahead.
    space = 2 * -(-plan.size * CAMERAS_PER_SUB_ACCOUNT // MIB) + CAMERAS_PER_SUB_ACCOUNT
    subs = [Handle(soap(account, "OpenSubAccount", StorageSpace=space)) for _ in range(count)]
    pool = memoryview(payload(max(32 * MIB, 2 * plan.size), "cameras"))
    address = server.address("s3")
    piece = max(1, round(plan.rate * plan.period))
    pid = server.process.pid
    report = Report()

    def watch():
        resident, anonymous = memory(pid)
        report.rss_peak = max(report.rss_peak, resident)
        report.rss_anonymous_peak = max(report.rss_anonymous_peak, anonymous)

    async def everything():
        cameras = []
        for number in range(plan.connections):
            at = number * 7919 % (len(pool) - plan.size)
            kind = "hash" if number % 10 < 2 else "chunked" if number % 10 == 2 else "length"
            camera = Camera(number, subs[number // CAMERAS_PER_SUB_ACCOUNT], "%s:%d" % address, pool[at : at + plan.size], kind, piece)
            cameras.append(camera)
        report.seconds = await film(plan, cameras, address, watch)
        return cameras

    report.rss_start = memory(pid)[0]
    cpu = cpu_seconds(pid)
    cameras = asyncio.run(everything())
    report.server_cpu_seconds = cpu_seconds(pid) - cpu
    report.rss_end = memory(pid)[0]

    report.stored = sum(c.status == 200 for c in cameras)
    report.cut = sum(c.status is None for c in cameras)
    report.refused = [c.answer.decode(errors="replace") for c in cameras if c.status not in (None, 200)]
    report.late_pieces = sum(c.late for c in cameras)
    times = sorted(c.ended_at - c.began_at for c in cameras if c.ended_at)
    if times:
        report.rate_reached = plan.size / times[len(times) // 2]
    waits = sorted(c.answered_at - c.ended_at for c in cameras if c.status == 200)
    if waits:
        report.answer_p50, report.answer_max = waits[len(waits) // 2], waits[-1]

    names = {(c.sub.record, c.key): c for c in cameras}
    for sub in subs:
        for key, (size, _) in server.wire(sub.ak, sub.sk).listing(sub.record).items():
            report.listed += (sub.record, key) in names and size == plan.size
    for camera in random.Random("sample").sample(cameras, min(plan.sample, len(cameras))):
        reply = server.wire(camera.sub.ak, camera.sub.sk).get(camera.sub.record, camera.key)
        report.compared += 1
        if reply.status != 200 or reply.body != camera.body:
            report.different.append(camera.key)
    return report


class Handle:
    """A sub-account as the answer of OpenSubAccount tells it."""

    def __init__(self, answer):
        assert answer.result == 0, answer.text
        self.ak, self.sk, self.record = answer.value("S3AK"), answer.value("S3SK"), answer.value("S3RecordBucket")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, of in Plan.__dataclass_fields__.items():
        parser.add_argument("--" + name.replace("_", "-"), type=type(of.default), default=of.default)
    plan = Plan(**vars(parser.parse_args()))
    open_files(plan.connections + 1000)
    server = Server()
    try:
        server.start()
        report = run(plan, server)
    finally:
        server.discard()
    shown = {**vars(report), "refused": len(report.refused), "different": len(report.different)}
    print(json.dumps(shown, indent=1))
    for sentence in report.wrong(plan):
        print(sentence, file=sys.stderr)
    return 1 if report.wrong(plan) else 0


if __name__ == "__main__":
    sys.exit(main())
