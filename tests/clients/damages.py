"""Damage at rest: bytes flipped, sectors zeroed and overwritten, blocks and records exchanged or replaced by their own
older versions, in volumes, index, journal, books and marks. No wrong byte may leave with a whole 200 or 206.

    damages.py N    N damages: nine of ten under a running server, many at a time, each restored afterwards; one of ten in a
                    store that is started on

What it knows of the formats stands in docs/storage-format.md; it shares no line with the product.
"""

import argparse
import json
import random
import shutil
import struct
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from harness import BINARY, KIB, MIB, Server, eventually, payload
from verify import Control

SECTOR, BLOCK = 4096, 64 * KIB
MANY = 40  # damages at a time


@dataclass
class Record:
    """One record of a volume, as it lies there."""

    path: Path
    offset: int
    header: int
    payload: int
    seq: int
    key: str
    kind: int

    @property
    def whole(self):
        return self.header + -(-self.payload // SECTOR) * SECTOR

    @property
    def blocks(self):
        return -(-self.payload // BLOCK)


def records_of(directory):
    """Every record in the volumes below `directory`."""
    found = []
    for path in sorted(Path(directory).glob("vol-*.kdv")):
        data = path.read_bytes()
        for at in range(SECTOR, len(data), SECTOR):
            if data[at : at + 8] != b"kdrecord":
                continue
            header = struct.unpack_from(">I", data, at + 12)[0]
            seq, _, length = struct.unpack_from(">QQQ", data, at + 48)
            here = at + 166
            here += 1 + 4 + struct.unpack_from(">I", data, here + 1)[0]  # a checksum, or none of no length
            size = struct.unpack_from(">I", data, here)[0]
            key = data[here + 4 : here + 4 + size].decode()
            found.append(Record(path, at, header, length, seq, key, data[at + 10]))
    return found


@dataclass
class Hurt:
    """One damage: what was overwritten, with what was there before, and whose it was."""

    kind: str
    keys: set
    before: list = field(default_factory=list)
    payload: bool = True

    def write(self, path, offset, data):
        with open(path, "r+b", buffering=0) as file:
            file.seek(offset)
            self.before.append((path, offset, file.read(len(data))))
            file.seek(offset)
            file.write(data)
        return self

    def heal(self):
        for path, offset, data in reversed(self.before):
            with open(path, "r+b", buffering=0) as file:
                file.seek(offset)
                file.write(data)


def read(path, offset, size):
    with open(path, "rb", buffering=0) as file:
        file.seek(offset)
        return file.read(size)


class Store:
    """A server with objects of every kind, and what is known of them."""

    def __init__(self, seed, small=100, large=30, parts=2):
        self.dice = random.Random(seed)
        self.server = Server(storage__volume_size="16MiB", storage__scrub_rate="0")
        self.server.start()
        self.sub = self.server.open_account(10_000).open_sub_account(1000)
        self.bodies, self.old = {}, {}
        wire, bucket = self.sub.wire(), self.sub.record
        put = lambda key, body: (wire.put(bucket, key, body).status == 200) or self.fail(key)  # noqa: E731
        replaced = {}
        for n in range(small):
            self.bodies[f"small/{n}"] = payload(1 + self.dice.randrange(60 * KIB), f"{seed}/s{n}")
        for n in range(large):
            # Sizes that are there twice, so that records can be exchanged as a whole.
            self.bodies[f"large/{n}"] = payload(150 * KIB + n // 2 % 5 * 70_000, f"{seed}/l{n}")
        for n in range(10):
            replaced[f"replaced/{n}"] = payload(100 * KIB + n * 20_000, f"{seed}/old{n}")
            self.bodies[f"replaced/{n}"] = payload(100 * KIB + n * 20_000, f"{seed}/new{n}")
        for key, body in replaced.items():
            put(key, body)
        for record in records_of(self.volumes):
            self.old[record.key] = record, read(record.path, record.offset, record.whole)
        for key, body in self.bodies.items():
            put(key, body)
        for n in range(min(10, large)):
            reply = wire.request("PUT", f"/{bucket}/copy/{n}", headers={"x-amz-copy-source": f"/{bucket}/large/{n}"})
            assert reply.status == 200, reply
            self.bodies[f"copy/{n}"] = self.bodies[f"large/{n}"]
        for n in range(parts):
            pieces = [payload(5 * MIB, f"{seed}/p{n}"), payload(300_000, f"{seed}/q{n}")]
            boto, of = self.sub.boto(), {"Bucket": bucket, "Key": f"parts/{n}"}
            upload = boto.create_multipart_upload(**of)["UploadId"]
            tags = [
                {"PartNumber": i, "ETag": boto.upload_part(**of, UploadId=upload, PartNumber=i, Body=piece)["ETag"]}
                for i, piece in enumerate(pieces, 1)
            ]
            boto.complete_multipart_upload(**of, UploadId=upload, MultipartUpload={"Parts": tags})
            self.bodies[f"parts/{n}"] = b"".join(pieces)
        control = Control(self.server)
        eventually(lambda: control.get("/status")["trash"] == 0, what="what was replaced is not given back")
        time.sleep(0.1)
        self.survey()

    def fail(self, key):
        raise AssertionError(f"{key} was not stored")

    @property
    def volumes(self):
        return self.server.data / "volumes"

    def survey(self):
        self.records = {}
        for record in records_of(self.volumes):
            self.records.setdefault(record.key, []).append(record)
        assert set(self.records) == set(self.bodies), "the harness misreads the volumes"
        self.segments = [r for rs in self.records.values() for r in rs if r.payload > 0]

    # --- the damages; each takes objects out of `pool` and gives None where it finds none ---

    def one(self, pool, fits=lambda r: r.payload > 0):
        for key in list(pool):
            fitting = [r for r in self.records[key] if fits(r)]
            if fitting:
                pool.remove(key)
                return self.dice.choice(fitting)
        return None

    def spot(self, r, size):
        """A place of `size` bytes within the payload."""
        return r.offset + r.header + self.dice.randrange(max(1, r.payload - size + 1))

    def flip(self, pool):
        r = self.one(pool)
        at = self.spot(r, 1)
        return Hurt("bit", {r.key}).write(r.path, at, bytes([read(r.path, at, 1)[0] ^ 1 << self.dice.randrange(8)]))

    def flips(self, pool):
        r = self.one(pool)
        size = min(r.payload, 1 + self.dice.randrange(200))
        at = self.spot(r, size)
        noise = bytes(b ^ (self.dice.randrange(255) + 1) for b in read(r.path, at, size))
        return Hurt("bytes", {r.key}).write(r.path, at, noise)

    def sector(self, pool, data, kind):
        r = self.one(pool, lambda r: r.payload >= SECTOR)
        at = r.offset + r.header + self.dice.randrange(r.payload // SECTOR) * SECTOR
        return Hurt(kind, {r.key}).write(r.path, at, data)

    def zero(self, pool):
        return self.sector(pool, bytes(SECTOR), "zeroed sector")

    def noise(self, pool):
        return self.sector(pool, self.dice.randbytes(SECTOR), "overwritten sector")

    def block(self, r, number):
        size = min(BLOCK, r.payload - number * BLOCK)
        return r.offset + r.header + number * BLOCK, size

    def exchange(self, pool):
        """Two blocks of two objects, at the same number, change places."""
        a = self.one(pool, lambda r: r.blocks >= 2)
        b = self.one(pool, lambda r: r.blocks >= 2) if a else None
        if b is None:
            return None
        number = self.dice.randrange(min(a.blocks, b.blocks) - 1)
        (at, size), (to, _) = self.block(a, number), self.block(b, number)
        one, other = read(a.path, at, size), read(b.path, to, size)
        if one == other:  # a copy's
            return self.exchange(pool)
        return Hurt("exchanged blocks", {a.key, b.key}).write(a.path, at, other).write(b.path, to, one)

    def exchange_within(self, pool):
        r = self.one(pool, lambda r: r.blocks >= 3)
        first, second = self.dice.sample(range(r.blocks - 1), 2)
        (at, size), (to, _) = self.block(r, first), self.block(r, second)
        one, other = read(r.path, at, size), read(r.path, to, size)
        return Hurt("blocks of one object exchanged", {r.key}).write(r.path, at, other).write(r.path, to, one)

    def exchange_records(self, pool, headers=True):
        """Two records of one length change places, with their headers or without."""
        for key in list(pool):
            for a in self.records[key]:
                for other in pool:
                    for b in self.records[other]:
                        same = (a.header, a.payload) == (b.header, b.payload) and a.payload > 0
                        if other == key or not same or self.bodies[key] == self.bodies[other]:
                            continue
                        pool.remove(key)
                        pool.remove(other)
                        skip = 0 if headers else a.header
                        one = read(a.path, a.offset + skip, a.whole - skip)
                        two = read(b.path, b.offset + skip, b.whole - skip)
                        hurt = Hurt("exchanged records" if headers else "exchanged payloads", {key, other}, payload=not headers)
                        return hurt.write(a.path, a.offset + skip, two).write(b.path, b.offset + skip, one)
        return None

    def exchange_payloads(self, pool):
        return self.exchange_records(pool, headers=False)

    def stale_block(self, pool):
        r = self.one(pool, lambda r: r.key in self.old)
        if r is None:
            return None
        old, data = self.old[r.key]
        at, size = self.block(r, self.dice.randrange(r.blocks))
        start = old.header + at - r.offset - r.header
        return Hurt("older version of a block", {r.key}).write(r.path, at, data[start : start + size])

    def stale_record(self, pool):
        r = self.one(pool, lambda r: r.key in self.old)
        if r is None:
            return None
        return Hurt("older version of a record", {r.key}).write(r.path, r.offset, self.old[r.key][1])

    def header(self, pool):
        r = self.one(pool, lambda r: True)
        at = r.offset + self.dice.randrange(r.header)
        flipped = bytes([read(r.path, at, 1)[0] ^ 1 << self.dice.randrange(8)])
        return Hurt("bit of a header", {r.key}, payload=False).write(r.path, at, flipped)

    def no_header(self, pool):
        r = self.one(pool, lambda r: True)
        return Hurt("zeroed header", {r.key}, payload=False).write(r.path, r.offset, bytes(r.header))

    def hole(self, pool):
        r = self.one(pool, lambda r: r.blocks >= 2)
        if r is None:
            return None
        at, size = self.block(r, self.dice.randrange(r.blocks))
        return Hurt("zeroed block", {r.key}).write(r.path, at, bytes(size))

    def identity(self, pool):
        """The first sector of a volume, or the copy of it: no file's, and the scrub writes it anew."""
        volume = self.dice.choice(sorted({r.path for r in self.segments}))
        if volume in self.rotten:
            return None
        self.rotten.add(volume)
        path = volume.with_suffix(self.dice.choice((".kdv", ".kdh")))
        at = self.dice.randrange(86)
        flipped = bytes([read(path, at, 1)[0] ^ 1 << self.dice.randrange(8)])
        how, data = self.dice.choice((("bit", flipped), ("zeros", bytes(SECTOR))))
        hurt = Hurt(f"{how} in a {'first sector' if path.suffix == '.kdv' else 'copy of one'}", set(), payload=False)
        return hurt.write(path, at if how == "bit" else 0, data)

    LIVE = (flip, flips, zero, noise, exchange, exchange_within, exchange_records, exchange_payloads, stale_block, stale_record,
            header, no_header, hole, identity)  # fmt: skip

    # --- what must hold ---

    def ask(self, wire, key, between=None):
        """(status, body), the body None where the connection ended before its end."""
        headers = {"range": f"bytes={between[0]}-{between[1] - 1}"} if between else {}
        try:
            reply = wire.get(self.sub.record, key, headers=headers)
            return reply.status, reply.body
        except OSError:
            return None, None

    def read_all(self, wire, keys):
        """No wrong byte with a whole answer; gives the keys that were served whole."""
        whole = set()
        for key in keys:
            body = self.bodies[key]
            status, said = self.ask(wire, key)
            if status == 200:
                assert said == body, f"{key}: other bytes with a whole 200"
                whole.add(key)
            start = self.dice.randrange(len(body))
            end = start + 1 + self.dice.randrange(len(body) - start)
            status, said = self.ask(wire, key, (start, end))
            assert status != 206 or said == body[start:end], f"{key}: other bytes of {start}..{end} with a whole 206"
            assert status not in (404, 416), f"{key}: {status}"
        return whole

    def truncated(self):
        """The last part of a volume is cut off."""
        paths = sorted({r.path for r in self.segments})
        path = self.dice.choice(paths)
        here = sorted((r for rs in self.records.values() for r in rs if r.path == path), key=lambda r: r.offset)
        last = here[-min(len(here), 1 + self.dice.randrange(4))]
        cut = last.offset + self.dice.randrange(last.header + last.payload)
        hurt = Hurt("truncated volume", {r.key for r in here if r.offset + r.header + r.payload > cut}, payload=False)
        size = path.stat().st_size
        hurt.before = [(path, cut, read(path, cut, size - cut))]
        with open(path, "r+b") as file:
            file.truncate(cut)
        return [hurt]

    def round(self, count):
        """Hurts, reads, scrubs and heals; gives the damages."""
        pool, self.rotten = list(self.bodies), set()
        self.dice.shuffle(pool)
        if self.dice.randrange(10) == 0:
            hurts = self.truncated()
        else:
            hurts = []
            while len(hurts) < count and len(pool) > 25:
                hurt = self.dice.choice(self.LIVE)(self, pool)
                if hurt is not None:
                    hurts.append(hurt)
        wire, damaged = self.sub.wire(), set().union(*(h.keys for h in hurts))
        whole = self.read_all(wire, sorted(damaged))
        surely = set().union(*(h.keys for h in hurts if h.payload)) if hurts else set()
        assert not whole & surely, f"served although they are damaged: {sorted(whole & surely)}"
        sound = self.dice.sample(sorted(set(self.bodies) - damaged), 8)
        assert self.read_all(wire, sound) == set(sound), "sound files are not served any more"
        wire.close()
        control = Control(self.server)
        status, report = control.ask("POST", "/scrub")
        control.close()
        assert status == 200, report
        found = {d["key"] for d in report["damaged"]}
        assert found == damaged, f"scrub: missed {sorted(damaged - found)}, wrongly {sorted(found - damaged)}"
        assert len(report["mended"]) == len(self.rotten), (report["mended"], self.rotten)
        for volume in self.rotten:
            first, copy = (read(volume.with_suffix(kind), 0, SECTOR) for kind in (".kdv", ".kdh"))
            assert first == copy and first.startswith(b"kdvolume"), f"{volume} was left as it was"
        for hurt in reversed(hurts):
            hurt.heal()
        return hurts


# --- a store that is started on ---


def files_of(data, kind):
    return {
        "index": [data / "index.redb"],
        "books": [data / "books.redb"],
        "journal": sorted((data / "volumes" / "journal").glob("*.kdj")),
        "volume": sorted((data / "volumes").glob("*.kdv")),
        "mark": [data / "volumes" / "kandian-disk"],
        "key": [data / "master.key"],
    }[kind]


def rot(path, dice):
    """Flips, zeroes or exchanges somewhere in the file where there is something; says what was done."""
    data = bytearray(path.read_bytes())
    pages = [at for at in range(0, len(data), SECTOR) if any(data[at : at + SECTOR])]
    kind = dice.choice(("bit", "bit", "bytes", "zeroed page", "exchanged pages", "truncated"))
    at = dice.choice(pages)
    end = min(at + SECTOR, len(data))
    if kind == "bit":
        data[dice.randrange(at, end)] ^= 1 << dice.randrange(8)
    elif kind == "bytes":
        for _ in range(1 + dice.randrange(60)):
            data[dice.randrange(at, end)] = dice.randrange(256)
    elif kind == "zeroed page":
        data[at:end] = bytes(end - at)
    elif kind == "exchanged pages" and len(pages) > 1:
        to = dice.choice(pages)
        data[at : at + SECTOR], data[to : to + SECTOR] = data[to : to + SECTOR], data[at : at + SECTOR]
    else:
        kind = "truncated"
        del data[dice.randrange(len(data)) :]
    path.write_bytes(data)
    return kind


class Cold:
    """A small store, started on once for each damage."""

    KINDS = ("index", "index", "index", "journal", "journal", "books", "volume", "mark", "key")

    def __init__(self, seed):
        self.store = Store(f"cold/{seed}", small=30, large=4, parts=0)
        self.dice, self.server = self.store.dice, self.store.server
        self.server.stop()
        self.good = self.server.home / "good"
        self.copy(self.server.data, self.good)
        self.server.log.unlink()

    @staticmethod
    def copy(source, target):
        shutil.rmtree(target, ignore_errors=True)
        subprocess.run(["cp", "-a", "--sparse=always", str(source), str(target)], check=True, timeout=60)
        for ballast in target.rglob("ballast"):
            ballast.unlink()

    def start(self):
        """Whether it starts; what it says where not. Never a panic."""
        self.server.log.unlink(missing_ok=True)
        try:
            self.server.start(timeout=20)
            return True
        except AssertionError:
            process, self.server.process = self.server.process, None
            assert process.poll() is not None, "it neither starts nor says why not"
            said = self.server.log.read_text(errors="replace")
            assert process.returncode == 1 and "cannot" in said, (process.returncode, said)
            return False

    def round(self):
        self.copy(self.good, self.server.data)
        kind = self.dice.choice(self.KINDS)
        path = self.dice.choice(files_of(self.server.data, kind))
        how = rot(path, self.dice)
        what = f"{kind}: {how}"
        started = self.start()
        if started:
            self.look(kind, what)
            self.server.kill()
        log = self.server.log.read_text(errors="replace")
        assert "panicked" not in log, f"{what}\n{log[-3000:]}"
        return f"{what}, {'started on' if started else 'refused'}"

    def look(self, kind, what):
        """What was stored is served as it was or not at all; what is missing, `index check` or `scrub` tells of."""
        store = self.store
        wire = store.sub.wire()
        wire.address = self.server.address("s3")
        missing = set()
        for key, body in store.bodies.items():
            status, said = store.ask(wire, key)
            assert status != 200 or said == body, f"{what}: {key}: other bytes with a whole 200"
            if status != 200:
                missing.add(key)
        wire.close()
        if missing:
            told = [self.server.run("index", "check", "--json"), self.server.run("scrub", "--json")]
            assert any(t.returncode != 0 for t in told), f"{what}: {sorted(missing)} are not served, and nothing tells of it"


def damages(count, seed, cold=None):
    """The report of `count` damages; raises at the first that goes wrong."""
    began, kinds = time.monotonic(), Counter()
    cold = count // 10 if cold is None else cold
    store = Store(seed)
    try:
        done, rounds = 0, 0
        while done < count - cold:
            hurts = store.round(min(MANY, count - cold - done))
            done, rounds = done + len(hurts), rounds + 1
            kinds.update(h.kind for h in hurts)
        control = Control(store.server)
        status, report = control.ask("POST", "/scrub")
        assert (status, report["damaged"]) == (200, []), "all was healed"
        assert "panicked" not in store.server.log.read_text(errors="replace")
    finally:
        store.server.discard()
    if cold:
        started = Cold(seed)
        try:
            for n in range(cold):
                kinds[started.round()] += 1
        finally:
            started.server.discard()
    return {
        "damages": done + cold,
        "wrong bytes with a whole 200 or 206": 0,
        "scrubs": rounds + 1,
        "seconds": round(time.monotonic() - began, 1),
        "kinds": dict(sorted(kinds.items())),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("count", type=int)
    parser.add_argument("--seed", type=int, default=time.time_ns() % 1_000_000)
    parser.add_argument("--cold", type=int, help="so many of them in a store that is started on; a tenth unless told")
    given = parser.parse_args()
    print(f"seed {given.seed}", flush=True)
    assert BINARY.exists(), BINARY
    print(json.dumps(damages(given.count, given.seed, given.cold), indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
