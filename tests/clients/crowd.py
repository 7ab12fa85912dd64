"""Thousands of connections on which nothing or next to nothing is said, against one appliance whose memory is watched.

    python tests/clients/crowd.py --connections 10000

A third says nothing, a third has had one request answered and keeps the connection, a third has sent half a head. Meanwhile
cameras on good lines work: their requests must go on as if nobody else were there. Who sent half a head is cut after
10 seconds, who says nothing after 60. Then all hang up, and the memory is given back. One process is the whole crowd, by
epoll. `scripts/test` runs a smaller one, `scripts/test --long` this.
"""

import argparse
import json
import select
import socket
import sys
import threading
import time
from dataclasses import dataclass, field

import sigv4
from harness import KIB, REGION, Server, payload
from slow_cameras import cpu_seconds, memory, open_files

KINDS = ("silent", "kept", "half")
# Whose heads are not whole.
HEADS = ("half", "drip")
# Connections from one address, well below what the system has ports for.
PER_ADDRESS = 15_000
HEAD_TIME, IDLE_TIME = 10, 60


@dataclass(eq=False)
class Member:
    """One connection of the crowd."""

    kind: str
    socket: socket.socket
    since: float
    answer: bytes = b""
    ended: float = None

    @property
    def lived(self):
        """Seconds from the last that was said to the end."""
        return self.ended - self.since


class Crowd:
    """Connections from one process to one address."""

    def __init__(self, address, request):
        self.address, self.request = address, request
        self.poll = select.epoll()
        self.there, self.gone = {}, []
        self.came = 0
        self.dripped = time.monotonic()

    def join(self, kind, count):
        """`count` more of a kind: `silent`, `kept` (one request), `half` (half a head) or `drip` (a byte a second)."""
        for _ in range(count):
            s = socket.socket()
            s.settimeout(30)
            s.bind((f"127.0.0.{2 + self.came // PER_ADDRESS}", 0))
            s.connect(self.address)
            self.came += 1
            if kind == "kept":
                s.sendall(self.request)
            elif kind == "half":
                s.sendall(self.request[: len(self.request) // 2])
            elif kind == "drip":
                s.sendall(self.request[:1])
            s.setblocking(False)
            member = Member(kind, s, time.monotonic())
            self.there[s.fileno()] = member
            self.poll.register(s, select.EPOLLIN | select.EPOLLRDHUP)
            if self.came % 50 == 0:
                self.tend(0)

    def tend(self, seconds, until=lambda: False):
        """Reads what comes and sees who is cut, for so long or until something is so."""
        deadline = time.monotonic() + seconds
        while True:
            if time.monotonic() - self.dripped > 1:
                self.drip()
            for fd, _ in self.poll.poll(max(0, min(0.2, deadline - time.monotonic())), 1000):
                self.hear(self.there[fd])
            if until() or time.monotonic() >= deadline:
                return

    def drip(self):
        """One more byte from each that drips."""
        self.dripped = time.monotonic()
        for member in [m for m in self.there.values() if m.kind == "drip"]:
            try:
                member.socket.send(b"a")
            except OSError:
                self.leave(member)

    def hear(self, member):
        try:
            data = member.socket.recv(64 * KIB)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if data:
            member.answer += data
            member.since = time.monotonic()
        else:
            self.leave(member)

    def leave(self, member):
        member.ended = time.monotonic()
        self.there.pop(member.socket.fileno())
        self.poll.unregister(member.socket)
        member.socket.close()
        self.gone.append(member)

    def count(self, kind):
        return sum(m.kind == kind for m in self.there.values())

    def disperse(self):
        """Everybody hangs up."""
        for member in list(self.there.values()):
            self.poll.unregister(member.socket)
            member.socket.close()
        self.there.clear()


class Good:
    """Cameras on good lines: each uploads and reads back, on a connection of its own, until `stop`."""

    def __init__(self, subs, pause=0.02):
        self.waits, self.failures, self.again = [], [], 0
        self.stopped = threading.Event()
        self.threads = [threading.Thread(target=self.work, args=(sub, n, pause)) for n, sub in enumerate(subs)]
        for thread in self.threads:
            thread.start()

    def work(self, sub, number, pause):
        wire, data = sub.wire(), payload(50 * KIB, number)
        turn = 0
        while not self.stopped.wait(pause):
            turn += 1
            try:
                for ask in (lambda: wire.put(sub.record, f"{turn % 50}", data), lambda: wire.get(sub.record, f"{turn % 50}")):
                    began = time.monotonic()
                    try:
                        reply = ask()
                    except OSError:
                        # As every client does whose connection was closed between two requests.
                        self.again += 1
                        reply = ask()
                    self.waits.append(time.monotonic() - began)
                    if reply.status != 200:
                        self.failures.append(reply.status)
                if reply.body != data:
                    self.failures.append("other bytes")
            except OSError as error:
                self.failures.append(str(error))
        wire.close()

    def stop(self):
        """(median, 99th percentile, longest) of the requests, seconds."""
        self.stopped.set()
        for thread in self.threads:
            thread.join()
        waits = sorted(self.waits)
        return tuple(round(waits[min(len(waits) - 1, int(len(waits) * part))], 5) for part in (0.5, 0.99, 1))


@dataclass
class Plan:
    """What to run."""

    connections: int = 10_000
    kinds: str = ",".join(KINDS)
    # Seconds for which good cameras work with nobody else there, and with the crowd.
    work: float = 10.0
    # Until those are cut that say nothing; else the crowd hangs up by itself.
    wait_for_the_cut: bool = True
    # Seconds after the end for which memory is looked at; 0: until it is back, for as long as `patience` at most.
    settle: float = 60.0
    patience: float = 20.0


@dataclass
class Report:
    """What came of it."""

    connections: int = 0
    rss_start: int = 0
    rss_worked: int = 0
    # With those that rest.
    rss_crowd: int = 0
    bytes_per_connection: int = 0
    rss_peak: int = 0
    # Seconds after the crowd has gone: resident bytes.
    rss_after: dict = field(default_factory=dict)
    good_alone: tuple = ()
    good_with_crowd: tuple = ()
    good_requests: int = 0
    failures: list = field(default_factory=list)
    crowd_cpu_share: float = 0.0
    # By kind: how many were cut, after how many seconds at least and at most.
    cut: dict = field(default_factory=dict)
    unanswered: int = 0


def run(plan, server, account):
    """Runs `plan` against a started `server`."""
    open_files(plan.connections + 1000)
    subs = [account.open_sub_account(100) for _ in range(4)]
    pid = server.process.pid
    report = Report(connections=plan.connections, rss_start=memory(pid)[0])

    good = Good(subs)
    time.sleep(plan.work)
    report.good_alone = good.stop()
    report.failures += good.failures
    report.rss_worked = memory(pid)[0]

    host = "%s:%d" % server.address("s3")
    target, headers = sigv4.signed("GET", host, f"/{subs[0].record}/1", {"x": "1"}, {"range": "bytes=0-99"}, b"", subs[0].ak, subs[0].sk, REGION)
    crowd = Crowd(server.address("s3"), sigv4.head("GET", target, headers))
    kinds = plan.kinds.split(",")
    for kind in kinds:
        crowd.join(kind, plan.connections // len(kinds))
    crowd.tend(10, lambda: all(m.answer or m.kind != "kept" for m in crowd.there.values()))
    report.unanswered = sum(m.kind == "kept" and not m.answer.startswith(b"HTTP/1.1 206") for m in crowd.there.values())
    report.rss_peak = memory(pid)[0]
    cpu, began = cpu_seconds(pid), time.monotonic()
    crowd.tend(1)
    report.crowd_cpu_share = round((cpu_seconds(pid) - cpu) / (time.monotonic() - began), 4)
    good = Good(subs)
    crowd.tend(plan.work)
    report.good_with_crowd = good.stop()
    report.good_requests = len(good.waits)
    report.failures += good.failures
    report.rss_peak = max(report.rss_peak, memory(pid)[0])
    crowd.tend(HEAD_TIME + 5, lambda: not any(crowd.count(kind) for kind in HEADS))
    resting = len(crowd.there)
    report.rss_crowd = given_back(pid, plan.patience, report.rss_worked + 3 * KIB * resting, crowd)
    report.bytes_per_connection = (report.rss_crowd - report.rss_worked) // max(1, resting)
    if plan.wait_for_the_cut:
        crowd.tend(IDLE_TIME + 15, lambda: not crowd.there)
    for kind in kinds:
        lived = [m.lived for m in crowd.gone if m.kind == kind]
        if lived:
            report.cut[kind] = (len(lived), round(min(lived), 1), round(max(lived), 1))
    crowd.disperse()
    ended = time.monotonic()
    for second in (1, 5, 15, 30, 60):
        if second <= plan.settle:
            time.sleep(max(0, ended + second - time.monotonic()))
            report.rss_after[second] = memory(pid)[0]
    if not report.rss_after:
        report.rss_after["at last"] = given_back(pid, plan.patience, report.rss_worked + (report.rss_peak - report.rss_worked) // 8, crowd)
    return report


def given_back(pid, patience, enough, crowd):
    """The lowest that resident memory comes to in so many seconds, or the first value that is low enough."""
    lowest, deadline = memory(pid)[0], time.monotonic() + patience
    while lowest > enough and time.monotonic() < deadline:
        crowd.tend(0.5)
        lowest = min(lowest, memory(pid)[0])
    return lowest


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, of in Plan.__dataclass_fields__.items():
        kind = (lambda text: text not in ("0", "false")) if isinstance(of.default, bool) else type(of.default)
        parser.add_argument("--" + name.replace("_", "-"), type=kind, default=of.default)
    plan = Plan(**vars(parser.parse_args()))
    server = Server()
    try:
        server.start()
        report = run(plan, server, server.open_account(10_000))
    finally:
        server.discard()
    print(json.dumps({**vars(report), "failures": report.failures[:5]}, indent=1))
    return 1 if report.failures or report.unanswered else 0


if __name__ == "__main__":
    sys.exit(main())
