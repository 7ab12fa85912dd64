"""What cameras, platforms and operators do all at once: each lane is one client, and writes into the ledger what it does."""

import base64
import copy
import hashlib
import re
import threading
import time
import traceback
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import sigv2
from harness import KIB, MIB, Account, ENV11, LoopModel, Wire, eventually, soap
from verify import Control, Keys

# The least that S3 lets a part be which is not the last one.
PART = 5 * MIB


class WireV2(Wire):
    """As `Wire`, signed as clients of 2014 do it."""

    def sign(self, method, path, query, headers, body):
        return sigv2.signed(method, self.host, path, self.ak, self.sk, query=query, headers=headers)


class Platform:
    """Takes alerts, but only every other one; the rest is answered with an error and comes again."""

    def __init__(self):
        platform = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                self.rfile.read(int(self.headers["content-length"]))
                platform.asked += 1
                answer = (
                    f'<e:Envelope xmlns:e="{ENV11}"><e:Body><NotifySubAccountSpaceAlertResponse xmlns="urn:sjkd:alert-callback:v1_2">'
                    f"<Result>{platform.asked % 2}</Result></NotifySubAccountSpaceAlertResponse></e:Body></e:Envelope>"
                ).encode()
                self.send_response(200)
                self.send_header("content-type", "text/xml; charset=utf-8")
                self.send_header("content-length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_):
                pass

        self.asked = 0
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.server.handle_error = lambda *_: None  # an appliance that dies while it tells an alert
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}/alerts"

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


class Lane:
    """One client. `turn` is one round of what it does; OSError is that the appliance is gone."""

    def __init__(self, load, number):
        self.load, self.number = load, number
        self.ledger, self.world = load.ledger, load.world
        self.count = 0

    @property
    def server(self):
        return self.load.server

    def name(self, key, kind=0):
        return ("file", self.keys.buckets[kind], key)

    def connect(self):
        """Before the first turn on an appliance that has been started."""
        self.wire = self.server.wire(self.keys.ak, self.keys.sk)

    def mend(self):
        """After a failure, when the ledger is settled and before anybody asks for anything."""

    def changes(self, changes, request, right):
        """One request that changes these things, answered as it must be: with this status, or, where `right` is 2, with one
        of that class. Gives the answer."""
        begun = self.ledger.begin(changes)
        answer = self.right(request, right, changes)
        self.ledger.answered(begun)
        return answer

    def right(self, request, right, what):
        answer = request()
        status = answer.status if hasattr(answer, "status") else answer[0]
        if right not in (status, status // 100):
            raise AssertionError(f"{type(self).__name__} {what}: {status} {getattr(answer, 'body', answer)!r}")
        return answer

    def soap(self, operation, changes, **fields):
        """As `changes`, by SOAP; what is answered must be Result 0."""
        begun = self.ledger.begin(changes)
        keys = getattr(self, "keys", None)
        account = Account(self.server, *((keys.account, keys.password) if keys else self.account), {})
        if keys:
            fields = {"S3AK": keys.ak, "S3SK": keys.sk, **fields}
        try:
            answer = soap(account, operation, ENV11, **fields)
        except OSError:
            raise
        except Exception as error:
            raise OSError(f"{operation}: {error!r}") from error
        if answer.result != 0:
            raise AssertionError(f"{operation} {changes}: {answer.result}")
        self.ledger.answered(begun)
        return answer

    def put(self, key, size, kind=0, also=None, wire=None):
        """One upload; gives its name and MD5."""
        data, digest = self.ledger.body(size, f"{self.number}/{self.count}/{key}")
        name = self.name(key, kind)
        wire = wire or self.wire
        self.changes({name: (digest, 0), **(also or {})}, lambda: wire.put(name[1], key, data), 200)
        return name, digest


class Small(Lane):
    """Pictures that fit one write; every key is written over and over. V4, or V2."""

    def __init__(self, load, number, keys, wire):
        super().__init__(load, number)
        self.keys, self.kind_of_wire = keys, wire

    def connect(self):
        self.wire = self.kind_of_wire(self.server.address("s3"), self.keys.ak, self.keys.sk)

    def turn(self, dice):
        size = dice.choice((0, 1, 700, 4096, 9000, 70_000))
        self.put(f"small-{self.number}/{dice.randrange(40):03d}", size, kind=dice.randrange(2) if self.count % 2 else 1)


class Medium(Lane):
    """Files that get an extent of their own."""

    def __init__(self, load, number, keys):
        super().__init__(load, number)
        self.keys = keys

    def turn(self, dice):
        self.put(f"medium/{self.count % 8}", 130 * KIB + dice.randrange(300 * KIB))
        time.sleep(0.02)


class Parts(Lane):
    """Multipart uploads: of one part, of two, given up, or left behind."""

    def __init__(self, load, number, keys):
        super().__init__(load, number)
        self.keys = keys

    def turn(self, dice):
        large = self.count % 12 == 0
        key, name = f"parts/{self.count % 6}", self.name(f"parts/{self.count % 6}")
        data, digest = self.ledger.body((PART if large else 0) + 1 + dice.randrange(200_000), f"{self.number}/{self.count}/{key}")
        pieces = [data[:PART], data[PART:]] if large else [data]
        path = f"/{name[1]}/{key}"
        begun = self.changes({}, lambda: self.wire.request("POST", path, {"uploads": ""}), 200)
        upload = re.search(rb"<UploadId>([^<]*)<", begun.body).group(1).decode()
        listed = ""
        for number, piece in enumerate(pieces, 1):
            query = {"partNumber": str(number), "uploadId": upload}
            reply = self.changes({}, lambda query=query, piece=piece: self.wire.request("PUT", path, query, piece), 200)
            listed += f"<Part><PartNumber>{number}</PartNumber><ETag>{reply.headers['etag']}</ETag></Part>"
        if self.count % 4 == 3 and not large:
            self.changes({}, lambda: self.wire.request("DELETE", path, {"uploadId": upload}), 204)
        elif self.count % 64 != 2:  # few are left behind: their bytes count until they expire
            whole = f"<CompleteMultipartUpload>{listed}</CompleteMultipartUpload>".encode()
            reply = self.changes({name: (digest, 0)}, lambda: self.wire.request("POST", path, {"uploadId": upload}, whole), 200)
            assert b"<Error>" not in reply.body, reply.body
        time.sleep(0.1 if large else 0.02)


class Deletes(Lane):
    """Files that the administration key deletes, one by one and many at once."""

    def __init__(self, load, number, keys):
        super().__init__(load, number)
        self.keys = keys

    def connect(self):
        super().connect()
        self.admin = self.server.wire(*self.world.admins[self.keys.account])

    def turn(self, dice):
        keys = [f"deleted/{self.count % 50:02d}/{n}" for n in range(5 if self.count % 5 == 0 else 1)]
        names = [self.put(key, 2000 if n else 140_000, kind=1)[0] for n, key in enumerate(keys)]
        if self.count % 4 == 3:
            return  # stays, and is written over one day
        gone = dict.fromkeys(names)
        if len(keys) == 1:
            self.changes(gone, lambda: self.admin.delete(self.keys.picture, keys[0]), 204)
        else:
            body = "<Delete>" + "".join(f"<Object><Key>{key}</Key></Object>" for key in keys) + "</Delete>"
            md5 = base64.b64encode(hashlib.md5(body.encode()).digest()).decode()
            reply = self.changes(
                gone, lambda: self.admin.request("POST", f"/{self.keys.picture}", {"delete": ""}, body.encode(), {"content-md5": md5}), 200
            )
            assert b"<Error>" not in reply.body, reply.body


class Locks(Lane):
    """Files that are locked and released, by 7.8 and by S3's legal hold."""

    def __init__(self, load, number, keys):
        super().__init__(load, number)
        self.keys = keys

    def lock(self, name, flag):
        digest = self.ledger.state(name)[0]
        if self.count % 2:
            self.soap("LockSubAccountFile", {name: (digest, flag)}, FileName=name[2], LockFlag=flag)
        else:
            body = f"<LegalHold><Status>{'ON' if flag else 'OFF'}</Status></LegalHold>".encode()
            request = lambda: self.wire.request("PUT", f"/{name[1]}/{name[2]}", {"legal-hold": ""}, body)  # noqa: E731
            self.changes({name: (digest, flag)}, request, 200)

    def turn(self, dice):
        name = self.name(f"locked/{self.count % 20:02d}")
        if (self.ledger.state(name) or (None, 0))[1]:
            self.lock(name, 0)
        self.put(name[2], 1500)
        self.lock(name, 1)
        if self.count % 3 == 2:
            self.lock(name, 0)


class Clears(Lane):
    """A sub-account that fills and is cleared (7.9); what is locked stays."""

    def __init__(self, load, number, keys):
        super().__init__(load, number)
        self.keys = keys

    def turn(self, dice):
        for n in range(dice.randrange(5, 25)):
            self.put(f"cleared/{n:02d}", dice.choice((0, 3000, 150_000)) if n % 8 == 0 else 3000, kind=n % 2)
        with self.ledger.lock:
            mine = {name: steps[-1].state for name, steps in self.ledger.steps.items() if name[0] == "file" and name[1] in self.keys.buckets}
        there = {name: state for name, state in mine.items() if state is not None}
        if self.count % 2 and (some := [name for name in there if name[1] == self.keys.record]):
            name = dice.choice(sorted(some))
            self.soap("LockSubAccountFile", {name: (there.pop(name)[0], 1)}, FileName=name[2], LockFlag=1)
            self.soap("ClearSubAccountFiles", dict.fromkeys(there))
            self.soap("LockSubAccountFile", {name: (mine[name][0], 0)}, FileName=name[2], LockFlag=0)
        else:
            self.soap("ClearSubAccountFiles", dict.fromkeys(there))

    def mend(self):
        with self.ledger.lock:
            locked = [
                (name, steps[-1].state[0])
                for name, steps in self.ledger.steps.items()
                if name[0] == "file" and name[1] in self.keys.buckets and steps[-1].state and steps[-1].state[1]
            ]
        for name, digest in locked:
            self.soap("LockSubAccountFile", {name: (digest, 0)}, FileName=name[2], LockFlag=0)


class Loops(Lane):
    """A sub-account that is always full and overwrites its oldest files: which, the rule of the specification predicts."""

    def __init__(self, load, number, keys, space):
        super().__init__(load, number)
        self.keys, self.model, self.before = keys, LoopModel(space), None

    def turn(self, dice):
        key, size = f"loop/{self.count:07d}", dice.randrange(20_000, 160_000)
        self.before = copy.deepcopy(self.model), self.name(key)
        victims = dict.fromkeys(self.file(gone) for gone in self.model.put(self.keys.record, key, size))
        data, digest = self.ledger.body(size, f"{self.number}/{key}")
        put, gone = self.ledger.begin({self.name(key): (digest, 0)}), self.ledger.begin(victims)
        self.right(lambda: self.wire.put(self.keys.record, key, data), 200, self.name(key))
        self.ledger.answered(put)
        self.before = None
        if victims:
            self.settled()
            self.ledger.answered(gone, 0)
        elif self.count % 9 == 0:
            self.lock(self.name(key), 1)
            locked = [self.file(f) for f in self.model.files if f[3]]
            for name in locked[:-4]:
                self.lock(name, 0)

    def file(self, entry):
        return ("file", entry[0], entry[1])

    def lock(self, name, flag):
        self.soap("LockSubAccountFile", {name: (self.ledger.state(name)[0], flag)}, FileName=name[2], LockFlag=flag)
        next(f for f in self.model.files if f[1] == name[2])[3] = bool(flag)

    def there(self):
        return {(b, key) for b in self.keys.buckets for key in self.wire.listing(b)}

    def settled(self):
        eventually(
            lambda: self.there() == set(self.model.names()),
            60,
            every=0.01,
            what=lambda: f"too many {sorted(self.there() - set(self.model.names()))}, missing {sorted(set(self.model.names()) - self.there())}",
        )

    def mend(self):
        if self.before and self.ledger.state(self.before[1]) is None:
            self.model = self.before[0]  # the upload was not answered, and did not come to be
        self.before = None
        for f in self.model.files:
            state = self.ledger.state(self.file(f))
            f[3] = bool(state and state[1])
        # An overwrite that the failure cut goes on by itself.
        with self.ledger.lock:
            names = [name for name in self.ledger.steps if name[0] == "file" and name[1] in self.keys.buckets]
        begun = self.ledger.begin(dict.fromkeys(name for name in names if (name[1], name[2]) not in self.model.names()))
        self.settled()
        self.ledger.answered(begun, 0)


class Alerts(Lane):
    """Sub-accounts that are nearly full, and of which the platform must hear (8.1)."""

    def __init__(self, load, number, account):
        super().__init__(load, number)
        self.account, self.spaces = account, {}

    def connect(self):
        self.control = Control(self.server)

    def turn(self, dice):
        office, row = ("account", self.account[0]), self.ledger.state(("account", self.account[0]))
        more = (row[0], row[1] + 1, row[2] + 1)
        began = time.monotonic()
        answer = self.soap("OpenSubAccount", {office: more}, StorageSpace=1)
        keys = Keys(*self.account, *(answer.value(f) for f in ("S3AK", "S3SK", "S3RecordBucket", "S3PictureBucket")))
        self.ledger.answered(self.ledger.begin({("sub", keys.ak): (1, False)}, began), 0)
        self.world.subs[keys.ak] = keys
        wire = self.server.wire(keys.ak, keys.sk)
        data, digest = self.ledger.body(self.server.bytes_per_gb * 85 // 100, f"{self.number}/{self.count}")
        changes = {("file", keys.record, "full"): (digest, 0), ("alert", keys.ak): True}
        self.changes(changes, lambda: wire.put(keys.record, "full", data), 200)
        wire.close()
        time.sleep(dice.uniform(0, 0.3))  # so long the alert is in the outbox, and on its way
        self.ledger.forget(("alert", keys.ak))
        gone = {("sub", keys.ak): None, office: row, ("file", keys.record, "full"): None}
        self.soap("CloseSubAccount", gone, S3AK=keys.ak, S3SK=keys.sk)
        del self.world.subs[keys.ak]

    def mend(self):
        """Closes what a failure left open; what was opened without an answer is found by the operators' list alone."""
        office = ("account", self.account[0])
        mine = self.control.get(f"/accounts/{self.account[0]}/sub-accounts")
        for sub in mine:
            row, ak = self.ledger.state(office), sub["ak"]
            keys = self.world.subs.pop(ak, None)
            files = {("file", keys.record, "full"): None} if keys else {}
            self.ledger.forget(("alert", ak))
            changes = {office: (row[0], row[1] - 1, row[2] - 1), ("sub", ak): None, **files}
            self.changes(changes, lambda ak=ak: self.control.ask("DELETE", f"/sub-accounts/{ak}"), 2)
        for keys in [keys for keys in self.world.subs.values() if keys.account == self.account[0]]:
            del self.world.subs[keys.ak]  # closed, and only the answer did not come


class Office(Lane):
    """Accounts, sub-accounts, users and own buckets: opened, changed and closed."""

    def __init__(self, load, number):
        super().__init__(load, number)
        self.mine = set()

    def connect(self):
        self.control = Control(self.server)

    def ask(self, changes, method, path, right=2, **body):
        return self.changes(changes, lambda: self.control.ask(method, path, **body), right)[1]

    def turn(self, dice):
        name = f"office-{self.number}-{self.count}"
        account, self.account = ("account", name), (name, "Pass-word1")
        self.mine.add(name)
        self.ask({account: (20, 0, 0)}, "POST", "/accounts", account=name, space_gb=20, password="Pass-word1")
        key = self.ask({}, "POST", f"/accounts/{name}/key")
        self.world.admins[name] = (key["ak"], key["sk"])
        began = time.monotonic()
        answer = self.soap("OpenSubAccount", {account: (20, 3, 1)}, StorageSpace=3)
        keys = Keys(*self.account, *(answer.value(f) for f in ("S3AK", "S3SK", "S3RecordBucket", "S3PictureBucket")))
        sub = ("sub", keys.ak)
        self.ledger.answered(self.ledger.begin({sub: (3, False)}, began), 0)
        self.world.subs[keys.ak] = keys
        of = {"S3AK": keys.ak, "S3SK": keys.sk}
        self.soap("ModifySubAccountSpace", {sub: (5, False), account: (20, 5, 1)}, NewStorageSpace=5, **of)
        self.soap("SetSubAccountSpacePolicy", {sub: (5, True)}, SpaceLoop=1, **of)
        wire, admin = self.server.wire(keys.ak, keys.sk), self.server.wire(*self.world.admins[name])
        data, digest = self.ledger.body(5000, name)
        file = ("file", keys.picture, "p")
        self.changes({file: (digest, 0)}, lambda: wire.put(keys.picture, "p", data), 200)
        bucket = ("bucket", f"own-{self.number}-{self.count}")
        self.changes({bucket: True}, lambda: admin.request("PUT", f"/{bucket[1]}"), 200)
        if self.count % 4 == 0:  # a password is slow to hash, on purpose
            user = ("user", f"user-{self.number}-{self.count}")
            self.ask({user: "operations"}, "POST", "/users", user=user[1], role="operations", password="a long password 1")
            self.ask({user: None}, "DELETE", f"/users/{user[1]}")
        if self.count % 2:
            self.changes({bucket: None}, lambda: admin.request("DELETE", f"/{bucket[1]}"), 204)
            self.soap("CloseSubAccount", {sub: None, file: None, account: (20, 0, 0)}, **of)
        wire.close()
        admin.close()
        self.ask({account: None, sub: None, file: None, bucket: None}, "DELETE", f"/accounts/{name}")
        self.forgotten(name)
        time.sleep(0.05)

    def forgotten(self, name):
        self.mine.discard(name)
        self.world.admins.pop(name, None)
        for keys in [keys for keys in self.world.subs.values() if keys.account == name]:
            del self.world.subs[keys.ak]

    def mend(self):
        for name in sorted(self.mine):
            if self.ledger.state(("account", name)) is not None:
                gone = {("account", name): None}
                for keys in [keys for keys in self.world.subs.values() if keys.account == name]:
                    gone |= {("sub", keys.ak): None, ("file", keys.picture, "p"): None}
                number = name.removeprefix("office-")
                gone |= {("bucket", f"own-{number}"): None}
                self.ask(gone, "DELETE", f"/accounts/{name}")
            self.forgotten(name)
        with self.ledger.lock:
            users = [name for name, steps in self.ledger.steps.items() if name[0] == "user" and name[1] != "stays" and steps[-1].state]
        for user in users:
            self.ask({user: None}, "DELETE", f"/users/{user[1]}")


class Reader(Lane):
    """Lists: what it was shown may not be gone after a failure, whether its writer had an answer or not."""

    def __init__(self, load, number, keys):
        super().__init__(load, number)
        self.keys = keys

    def turn(self, dice):
        for bucket in self.keys.buckets:
            for key, (_, tag) in self.wire.listing(bucket).items():
                self.ledger.seen(("file", bucket, key), tag)
        time.sleep(0.02)


class Load:
    """All lanes; they live through failures of the appliance, and go on after them."""

    def __init__(self, ledger, world, server, dice):
        self.ledger, self.world, self.server, self.dice = ledger, world, server, dice
        self.platform = Platform()
        self.open_accounts()
        main, other = self.main
        self.lanes = []
        for make in (
            lambda n: Small(self, n, main, Wire),
            lambda n: Small(self, n, main, WireV2),
            lambda n: Small(self, n, other, Wire),
            lambda n: Medium(self, n, main),
            lambda n: Parts(self, n, other),
            lambda n: Deletes(self, n, main),
            lambda n: Locks(self, n, main),
            lambda n: Clears(self, n, self.cleared),
            lambda n: Loops(self, n, self.looping, 3 * server.bytes_per_gb),
            lambda n: Alerts(self, n, self.alerting[0]),
            lambda n: Alerts(self, n, self.alerting[1]),
            lambda n: Office(self, n),
            lambda n: Reader(self, n, main),
        ):
            self.lanes.append(make(len(self.lanes)))
        self.threads = []
        self.oddities = []
        self.over = threading.Event()
        # Closed while somebody looks at what a failure left, who has enough to do.
        self.gate = threading.Event()

    def open_accounts(self):
        """The accounts and sub-accounts that stay all the time."""
        control = Control(self.server)

        def account(name, **fields):
            status, _ = control.ask("POST", "/accounts", account=name, space_gb=1000, password="Pass-word1", **fields)
            assert status in (200, 201), status
            self.ledger.answered(self.ledger.begin({("account", name): (1000, 0, 0)}))
            return name, "Pass-word1"

        def sub(account, space, loop=False):
            row = self.ledger.state(("account", account[0]))
            answer = soap(Account(self.server, *account, {}), "OpenSubAccount", ENV11, StorageSpace=space)
            assert answer.result == 0
            keys = Keys(*account, *(answer.value(f) for f in ("S3AK", "S3SK", "S3RecordBucket", "S3PictureBucket")))
            if loop:
                policy = {"S3AK": keys.ak, "S3SK": keys.sk, "SpaceLoop": 1}
                assert soap(Account(self.server, *account, {}), "SetSubAccountSpacePolicy", ENV11, **policy).result == 0
            changes = {("account", account[0]): (row[0], row[1] + space, row[2] + 1), ("sub", keys.ak): (space, loop)}
            self.ledger.answered(self.ledger.begin(changes))
            self.world.subs[keys.ak] = keys
            return keys

        province = account("province")
        status, key = control.ask("POST", "/accounts/province/key")
        assert status in (200, 201), status
        self.world.admins["province"] = (key["ak"], key["sk"])
        self.main = sub(province, 200), sub(province, 300)
        self.cleared = sub(province, 50)
        self.looping = sub(province, 3, loop=True)
        # The last user of operations cannot be removed: this one stays.
        status, _ = control.ask("POST", "/users", user="stays", role="operations", password="a long password 1")
        assert status in (200, 201), status
        self.ledger.answered(self.ledger.begin({("user", "stays"): "operations"}))
        # One platform that answers, every other time, and one that is not there.
        self.alerting = account("heard", alert_url=self.platform.url), account("unheard", alert_url="http://127.0.0.1:1/")
        control.close()

    def start(self, server):
        """The lanes go on, on this appliance."""
        self.server = server
        self.over.clear()
        self.gate.set()
        self.threads = [threading.Thread(target=self.run, args=(lane,), daemon=True) for lane in self.lanes]
        for thread in self.threads:
            thread.start()

    def run(self, lane):
        try:
            lane.connect()
            while not self.over.is_set():
                lane.turn(self.dice[lane.number])
                lane.count += 1
                if not self.gate.is_set():
                    self.gate.wait()
                    lane.connect()  # a connection on which nothing happens is closed after a while
        except OSError as error:
            lane.count += 1
            if not self.server_may_go:
                self.oddities.append(f"{type(lane).__name__}: {error!r}")
        except Exception:  # noqa: BLE001 – a thread's failure must reach the test
            lane.count += 1
            self.oddities.append(traceback.format_exc())

    server_may_go = False

    def stopped(self, timeout=90):
        """Waits for the lanes, whose appliance is gone or which were told to stop; what they found odd is a failure."""
        self.over.set()
        self.gate.set()
        for thread in self.threads:
            thread.join(timeout)
            assert not thread.is_alive(), "a client hangs"
        self.server_may_go = False
        self.look()

    def look(self):
        """Fails where a lane had an answer that it may not have."""
        assert self.oddities == [], "\n".join(self.oddities[:3])

    def mend(self, server):
        """After a failure and before the next start: the lanes learn what became of what they had under way."""
        self.server = server
        for lane in self.lanes:
            lane.connect()
            lane.mend()
