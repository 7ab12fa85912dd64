"""SIGKILL at twenty random moments under load: what was acknowledged is there, whole, and nothing else is."""

import hashlib
import random
import statistics
import threading
import time

import pytest

from harness import ENV11, KIB, payload, sha, soap

ROUNDS = 20
READY_SECONDS = 2.0
# The bound of the product is READY_SECONDS on an idle machine; a test machine builds and runs other things meanwhile.
PATIENCE = 3.0


class Journal:
    """What the clients know: per file the contents and locks that it may have. Each file belongs to one thread."""

    def __init__(self):
        self.lock = threading.Lock()
        self.files = {}  # (bucket, key) -> {"may": set of MD5 or None, "locks": set of 0 and 1}
        self.touched = set()
        self.bodies = {}  # MD5 -> (size, seed)

    def body(self, size, seed):
        data = payload(size, seed)
        digest = hashlib.md5(data).hexdigest()
        with self.lock:
            self.bodies[digest] = (size, seed)
        return data, digest

    def begin(self, name, may=None, lock=None):
        """Before a request: from now on both the old and the new state are right."""
        with self.lock:
            self.touched.add(name)
            entry = self.files.setdefault(name, {"may": {None}, "locks": {0}})
            if lock is None:
                entry["may"] = entry["may"] | {may}
            else:
                entry["locks"] = entry["locks"] | {lock}

    def acknowledged(self, name, may=None, lock=None):
        """After the answer: only the new state is right."""
        with self.lock:
            if lock is None:
                self.files[name]["may"] = {may}
                self.files[name]["locks"] = {0}  # new bytes come unlocked, gone ones have no lock
            else:
                self.files[name]["locks"] = {lock}

    def sure(self, bucket=None):
        """Files that are certainly there and certainly not locked."""
        with self.lock:
            return [n for n, e in self.files.items() if None not in e["may"] and len(e["may"]) == 1 and e["locks"] == {0}]


class Load:
    """Threads that work until the server goes away; a refusal that was not asked for is a failure."""

    def __init__(self, sub, admin, journal, number):
        self.sub, self.admin, self.journal, self.number = sub, admin, journal, number
        self.acknowledged = 0
        self.oddities = []
        self.over = threading.Event()
        jobs = [self.small, self.small, self.small, self.medium, self.medium, self.parts, self.deletes, self.locks]
        self.threads = [threading.Thread(target=self.run, args=(job, n), daemon=True) for n, job in enumerate(jobs)]
        for thread in self.threads:
            thread.start()

    def run(self, job, lane):
        try:
            job(lane, random.Random(f"{self.number}/{lane}"))
        except OSError:
            pass  # the server is gone: what was under way stays uncertain
        except Exception as error:  # noqa: BLE001 – a thread's failure must reach the test
            self.oddities.append(repr(error))

    def finish(self):
        self.over.set()
        for thread in self.threads:
            thread.join(40)
            assert not thread.is_alive(), "a client hangs on a dead server"
        assert self.oddities == []

    def answered(self, status, expected, what):
        if status != expected:
            raise AssertionError(f"{what}: {status}")
        self.acknowledged += 1

    def put(self, wire, name, size, seed):
        data, digest = self.journal.body(size, seed)
        self.journal.begin(name, may=digest)
        reply = wire.put(*name, data)
        self.answered(reply.status, 200, f"PUT {name} {reply.code}")
        self.journal.acknowledged(name, may=digest)

    def small(self, lane, dice):
        wire = self.sub.wire()
        for n in range(100_000):
            if self.over.is_set():
                return
            bucket = dice.choice((self.sub.record, self.sub.picture))
            # Every fourth replaces an earlier one of the same lane and round.
            key = f"{self.number:02d}/small-{lane}/{n if n % 4 else dice.randrange(n + 1):05d}"
            self.put(wire, (bucket, key), dice.choice((0, 1, 700, 4096, 9000)), f"{self.number}/{lane}/{n}")

    def medium(self, lane, dice):
        wire = self.sub.wire()
        for n in range(100_000):
            if self.over.is_set():
                return
            key = f"{self.number:02d}/medium-{lane}/{n:05d}"
            self.put(wire, (self.sub.record, key), 300 * KIB + dice.randrange(1000), f"{self.number}/{lane}/{n}")

    def parts(self, lane, dice):
        wire = self.sub.wire()
        for n in range(100_000):
            if self.over.is_set():
                return
            bucket, key = self.sub.record, f"{self.number:02d}/parts/{n:05d}"
            data, whole = self.journal.body(5 * 1024 * KIB + dice.randrange(100_000), f"{self.number}/{lane}/{n}")
            pieces = [data[: 5 * 1024 * KIB], data[5 * 1024 * KIB :]]
            begun = wire.request("POST", f"/{bucket}/{key}", {"uploads": ""})
            self.answered(begun.status, 200, "create")
            upload = begun.body.partition(b"<UploadId>")[2].partition(b"<")[0].decode()
            done = ""
            for number, piece in enumerate(pieces, start=1):
                reply = wire.request("PUT", f"/{bucket}/{key}", {"partNumber": str(number), "uploadId": upload}, piece)
                self.answered(reply.status, 200, "part")
                done += f"<Part><PartNumber>{number}</PartNumber><ETag>{reply.headers['etag']}</ETag></Part>"
            if n % 3 == 2:
                continue  # left behind unfinished: it must never be seen as a file
            self.journal.begin((bucket, key), may=whole)
            body = f"<CompleteMultipartUpload>{done}</CompleteMultipartUpload>".encode()
            reply = wire.request("POST", f"/{bucket}/{key}", {"uploadId": upload}, body)
            self.answered(reply.status, 200, "complete")
            assert b"<Error>" not in reply.body, reply.body
            self.journal.acknowledged((bucket, key), may=whole)

    def deletes(self, lane, dice):
        camera, admin = self.sub.wire(), self.sub.server.wire(*self.admin)
        for n in range(100_000):
            if self.over.is_set():
                return
            name = (self.sub.picture, f"{self.number:02d}/deleted/{n:05d}")
            self.put(camera, name, 2000, f"{self.number}/{lane}/{n}")
            if n % 4 == 3:
                continue
            self.journal.begin(name, may=None)
            self.answered(admin.delete(*name).status, 204, "DELETE")
            self.journal.acknowledged(name, may=None)

    def locks(self, lane, dice):
        camera, keys = self.sub.wire(), {"S3AK": self.sub.ak, "S3SK": self.sub.sk}
        for n in range(100_000):
            if self.over.is_set():
                return
            name = (self.sub.record, f"{self.number:02d}/locked/{n:05d}")
            self.put(camera, name, 1500, f"{self.number}/{lane}/{n}")
            for flag in (1, 0) if n % 3 == 2 else (1,):
                self.journal.begin(name, lock=flag)
                try:
                    answer = soap(self.sub.account, "LockSubAccountFile", ENV11, FileName=name[1], LockFlag=flag, **keys)
                except Exception as error:
                    raise OSError(str(error)) from error  # the server is gone
                self.answered(answer.result, 0, "lock")
                self.journal.acknowledged(name, lock=flag)


def verify(sub, journal, names, bytes_too=True):
    """Holds the server against the journal; narrows what was uncertain down to what is there."""
    wire = sub.wire()
    there = {(b, k): found for b in (sub.record, sub.picture) for k, found in wire.listing(b).items()}
    assert set(there) <= set(journal.files), f"files that nobody put: {sorted(set(there) - set(journal.files))[:5]}"
    locks = {}
    for kind, bucket in ((0, sub.record), (1, sub.picture)):
        page = 1
        while True:
            total, files = sub.search(type=kind, page=page, size=10_000)
            locks.update({(bucket, f.FileName): f.LockFlag for f in files})
            if page * 10_000 >= total:
                break
            page += 1
    assert set(locks) == set(there), "7.7 and S3 tell of the same files"
    for name, entry in journal.files.items():
        if name not in there:
            assert None in entry["may"], f"{name} was acknowledged and is gone"
            entry.update(may={None}, locks={0})
            continue
        size, etag = there[name]
        whole = {m for m in entry["may"] if m is not None and journal.bodies[m][0] == size}
        assert whole, f"{name}: {size} bytes are none of {[journal.bodies.get(m) for m in entry['may']]}"
        if "-" not in etag:
            whole &= {etag}
            assert whole, f"{name}: tag {etag} is none of {entry['may']}"
        assert locks[name] in entry["locks"], f"{name}: lock {locks[name]}, acknowledged {entry['locks']}"
        entry.update(may=whole, locks={locks[name]})
    for name in names if bytes_too else ():
        entry = journal.files[name]
        reply = wire.get(*name)
        if entry["may"] == {None}:
            assert reply.status == 404, name
            continue
        assert reply.status == 200, (name, reply.status)
        right = {sha(payload(*journal.bodies[m])) for m in entry["may"]}
        assert sha(reply.body) in right, f"{name}: other bytes"
    view = sub.view()
    assert view["reserved_bytes"] == 0
    return len(there)


@pytest.mark.timeout(420)
def test_twenty_kills_lose_nothing_that_was_acknowledged_and_the_index_can_be_made_anew(new_server):
    server = new_server()
    account = server.open_account(100_000)
    sub = account.open_sub_account(50_000)
    admin = account.admin()
    journal, dice, seconds, total = Journal(), random.Random(20140328), [], 0
    for number in range(ROUNDS):
        journal.touched.clear()
        load = Load(sub, admin, journal, number)
        time.sleep(dice.uniform(0.15, 1.2))  # the random moment
        server.kill()
        load.finish()
        total += load.acknowledged
        seconds.append(server.start())
        print(f"round {number}: {load.acknowledged} acknowledged, ready after {seconds[-1]:.3f} s")
        verify(sub, journal, sorted(journal.touched))
        server.check_is_clean()
    print(f"ready after: {', '.join(f'{s:.3f}' for s in seconds)}; median {statistics.median(seconds):.3f} s")
    assert total > ROUNDS * 10, f"only {total} acknowledged: the load was none"
    assert statistics.median(seconds) < READY_SECONDS * PATIENCE

    everything = sorted(journal.files)
    verify(sub, journal, everything)
    before = sub.view()
    server.stop()
    (server.data / "index.redb").unlink()
    server.cli("index", "rebuild", timeout=120)
    server.start()
    verify(sub, journal, everything)
    server.check_is_clean()
    after = sub.view()
    # Parts that were never completed may stay or go with the old index; files may not.
    for field in ("recordings", "pictures", "locked_files", "locked_bytes", "space_gb", "loop", "record_bucket", "picture_bucket"):
        assert after[field] == before[field], field
    assert after["used_bytes"] <= before["used_bytes"]
    assert sub.clear() == 0
    sub.put(sub.record, "life goes on", b"x")


def test_a_start_after_a_kill_while_nothing_happens_is_quick(new_server):
    server = new_server()
    sub = server.open_account(10).open_sub_account(5)
    sub.put(sub.record, "k", b"v")
    seconds = []
    for _ in range(5):
        server.kill()
        seconds.append(server.start())
        assert sub.get(sub.record, "k") == b"v"
    print(f"ready after: {', '.join(f'{s:.3f}' for s in seconds)}")
    assert statistics.median(seconds) < READY_SECONDS * PATIENCE


def test_a_closed_sub_account_stays_closed_and_its_files_go_even_through_kills(new_server):
    server = new_server()
    account = server.open_account(100)
    sub, neighbour = account.open_sub_account(50), account.open_sub_account(10)
    for number in range(300):
        assert sub.wire().put(sub.record, f"{number}", b"x" * 3000).status == 200
    neighbour.put(neighbour.record, "mine", b"safe")
    sub.close()
    server.kill()
    server.start()
    assert sub.result("QuerySubAccountSpace") == 3
    assert account.space() == (100, 90)
    deadline = time.monotonic() + 20
    while (used := server.json("account", "show", account.name)["used_bytes"]) != 4:
        assert time.monotonic() < deadline, used
        time.sleep(0.1)
    assert neighbour.get(neighbour.record, "mine") == b"safe"
    server.check_is_clean()


def test_an_overwrite_that_was_cut_is_finished_after_the_start(new_server):
    server = new_server()
    sub = server.open_account(100).open_sub_account(8, loop=True)
    wire, size = sub.wire(), 20 * KIB
    try:
        for number in range(2000):
            if number == 370:  # about to pass 90 %
                threading.Timer(0.05, server.process.kill).start()
            wire.put(sub.record, f"{number:05d}", payload(size, number))
    except OSError:
        pass
    server.kill()
    server.start()
    deadline = time.monotonic() + 15
    while (view := sub.view())["used_bytes"] * 10 > sub.bytes * 9:
        assert time.monotonic() < deadline, view
        time.sleep(0.1)
    listing = sub.listing()
    keys = sorted(key for _, key in listing)
    assert sum(listing.values()) == view["used_bytes"]
    assert keys == [f"{n:05d}" for n in range(int(keys[0]), int(keys[-1]) + 1)], "only the oldest went"
    server.check_is_clean()
