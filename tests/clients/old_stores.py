"""Data directories that older releases have left, for the releases of today to start on (`tests/fixtures/stores`).

    KANDIAN_BIN=that-release/kandian python tests/clients/old_stores.py NAME

makes one with the release that KANDIAN_BIN names. It is done once for each format, before that changes, and never again:
what counts is that it was written by the program of its day.
"""
import json
import random
import subprocess
import sys
from pathlib import Path

from harness import MIB, ROOT, Account, Server, SubAccount, know

STORES = ROOT / "tests" / "fixtures" / "stores"
# The ballast is made anew by any start.
LEFT_OUT = ["--exclude=ballast", "--exclude=control.sock", "--exclude=lock"]


def content(size, seed):
    """The bytes of a file: a line again and again, so that an archive stays small."""
    line = f"{seed}: kept since then. ".encode()
    return (line * (size // len(line) + 1))[:size]


def names():
    return sorted(path.stem for path in STORES.glob("*.json"))


def make(name):
    """A province with two cameras: files of all sizes, replaced, deleted, locked; one from parts; a loop that was overwritten."""
    server = Server(storage__volume_size="8MiB")
    server.start()
    account = server.open_account(10, name="old-province", password="Kept-since-then-1")
    told = {"account": account.name, "password": account.password, "cameras": [], "gone": []}
    chance = random.Random(name)
    for number, loop in enumerate([False, True]):
        sub = account.open_sub_account(2, loop=loop)
        files = {}

        def put(key, size, seed, bucket=None):
            sub.put(bucket or sub.record, key, content(size, seed))
            files[key] = {"bucket": bucket or sub.record, "size": size, "seed": seed, "locked": False}

        for n in range(12):
            size = chance.choice([0, 1, 700, 20_000, 70_000]) if not loop else 190_000
            put(f"clip {n}.mp4", size, f"{number}-{n}")
        put("again.mp4", 5000, "first")
        put("again.mp4", 6000, "second")
        put("照片/2014-03-28 14:30.jpg", 3000, "picture", sub.picture)
        if not loop:
            sub.lock("clip 3.mp4")
            files["clip 3.mp4"]["locked"] = True
            size = 6 * MIB // 4
            parts = sub.boto()
            upload = parts.create_multipart_upload(Bucket=sub.record, Key="parts.ts")["UploadId"]
            done = [
                {"PartNumber": part, "ETag": parts.upload_part(
                    Bucket=sub.record, Key="parts.ts", UploadId=upload, PartNumber=part, Body=content(size // 3, f"part {part}")
                )["ETag"]}
                for part in [1]
            ]
            parts.complete_multipart_upload(Bucket=sub.record, Key="parts.ts", UploadId=upload, MultipartUpload={"Parts": done})
            files["parts.ts"] = {"bucket": sub.record, "size": size // 3, "seed": "part 1", "locked": False}
        listed = {key for _, key in sub.listing()}
        told["gone"] += sorted(set(files) - listed)
        told["cameras"].append({
            "ak": sub.ak, "sk": sub.sk, "record": sub.record, "picture": sub.picture, "space": 2, "loop": loop,
            "files": {key: file for key, file in files.items() if key in listed},
        })
    closed = account.open_sub_account(1)
    closed.put(closed.record, "of nobody", content(9000, "closed"))
    closed.close()
    told["closed"] = {"ak": closed.ak, "sk": closed.sk}
    told["free"] = account.space()[1]
    told["version"] = server.json("status")["version"]
    told["format"] = server.json("status")["format"]
    server.stop()
    STORES.mkdir(parents=True, exist_ok=True)
    archive = STORES / f"{name}.tar.xz"
    # As a user of no name, at a time of none: only the bytes count.
    subprocess.run(
        ["tar", "-cJSf", archive, *LEFT_OUT, "--owner=0", "--group=0", "--numeric-owner", "--sort=name", "-C", server.home, "data"],
        check=True,
    )
    (STORES / f"{name}.json").write_text(json.dumps(told, indent=1, ensure_ascii=False) + "\n")
    server.discard()
    return archive


def unpack(name, server):
    """Puts a store where a server that was not started will look for it; gives what is in it."""
    subprocess.run(["tar", "-xJf", STORES / f"{name}.tar.xz", "-C", server.home], check=True)
    told = json.loads((STORES / f"{name}.json").read_text())
    for camera in told["cameras"]:
        know(server, camera["sk"])
    return told


def account_of(told, server):
    return Account(server, told["account"], told["password"], {"s3_url": server.s3_url})


def cameras_of(told, account):
    return [
        (SubAccount(account, c["ak"], c["sk"], account.server.s3_url, c["record"], c["picture"], c["space"]), c)
        for c in told["cameras"]
    ]


if __name__ == "__main__":
    made = make(sys.argv[1])
    print(made, made.stat().st_size, "bytes")
